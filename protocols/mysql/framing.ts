/**
 * MySQL packets: three bytes of length, one of sequence, payload; payloads of 2^24-1 bytes and more are split
 * ("MySQL Packets" in the protocol manual). Bytes in, packets out; what a packet means is not known here.
 */
import { ProtocolError } from '../bytes.ts';

/** A physical packet this long is continued by the next one. */
export const packetBytesMax = 0xffffff;

/** A logical packet is larger than this side accepts. */
export class PacketTooLarge extends ProtocolError {
  override readonly name = 'PacketTooLarge';
}

/** Told of each logical packet. Offsets are into `buffer`, which holds bytes of other packets too. */
export interface PacketSink {
  /**
   * A packet begins. `length` is that of its first physical packet, `first` its first byte (-1 when empty).
   * Answers true to have it whole in `packet`, false to have its bytes, headers included, in `passed`.
   */
  starting(length: number, first: number, sequence: number): boolean;
  /** Bytes of a packet that is not gathered, as they came. */
  passed(buffer: Buffer, start: number, end: number): void;
  /**
   * A whole payload. When it is shorter than `packetBytesMax` its own header stands in the four bytes before
   * `start`; longer ones have been joined and have none. `sequence` is that of the last physical packet.
   */
  packet(buffer: Buffer, start: number, end: number, sequence: number): void;
}

/** Cuts a stream into packets; the same packets however the stream is cut into chunks. */
export class PacketFramer {
  readonly #sink: PacketSink;
  readonly #payloadBytesMax: number;
  readonly #head = Buffer.alloc(5);
  #headLength = 0;
  /** Left of the physical packet that is being passed or gathered. */
  #left = 0;
  #mode: 'head' | 'pass' | 'gather' = 'head';
  /** The last physical packet was full: the next one continues it in the same mode. */
  #continues: 'no' | 'pass' | 'gather' = 'no';
  #full = false;
  #gathered: Buffer = Buffer.alloc(0);
  #gatheredLength = 0;
  #stopped = false;
  #rest: Buffer = Buffer.alloc(0);
  /** Sequence number of the last physical packet that began. */
  sequence = 255;

  /** @param payloadBytesMax the largest logical payload that is gathered; passed packets have no limit. */
  constructor(sink: PacketSink, payloadBytesMax: number) {
    this.#sink = sink;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** True between packets. */
  get atBoundary(): boolean {
    return this.#mode === 'head' && this.#headLength === 0 && this.#continues === 'no';
  }

  /** From within `packet`: cut no further; what follows goes to `rest`. */
  stop(): void {
    this.#stopped = true;
  }

  /** Goes on after `stop`, with what was left and then `chunk`. */
  resume(chunk: Buffer): void {
    this.#stopped = false;
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    this.feed(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
  }

  /** The bytes that were left when `stop` was called. */
  get rest(): Buffer {
    return this.#rest;
  }

  /**
   * @throws PacketTooLarge when a gathered packet passes the limit, ProtocolError when a continuation is out of order.
   */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#stopped) {
        this.#rest = Buffer.concat([this.#rest, chunk.subarray(at)]);
        return;
      }
      if (this.#mode === 'pass') {
        const end = Math.min(chunk.length, at + this.#left);
        this.#sink.passed(chunk, at, end);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#endPhysical('pass');
      } else if (this.#mode === 'gather') {
        const end = Math.min(chunk.length, at + this.#left);
        this.#gather(chunk, at, end);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#endPhysical('gather');
      } else {
        at = this.#readHead(chunk, at);
      }
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    const available = chunk.length - at;
    if (this.#headLength === 0 && available >= 5) {
      const length = chunk.readUIntLE(at, 3);
      const sequence = chunk[at + 3] as number;
      if (this.#continues !== 'no') return this.#continuePacket(chunk, at, length, sequence, at + 4);
      const first = length === 0 ? -1 : (chunk[at + 4] as number);
      this.sequence = sequence;
      this.#full = length === packetBytesMax;
      if (this.#sink.starting(length, first, sequence)) {
        this.#limit(length);
        const end = at + 4 + length;
        if (!this.#full && end <= chunk.length) {
          this.#sink.packet(chunk, at + 4, end, sequence);
          return end;
        }
        this.#mode = 'gather';
      } else {
        this.#mode = 'pass';
      }
      // The header itself is part of what is passed, and of what is gathered for a packet of one piece.
      this.#left = length + 4;
      return at;
    }
    return this.#readPiecedHead(chunk, at);
  }

  /** The head is cut by the chunk's end: collect it byte by byte. */
  #readPiecedHead(chunk: Buffer, start: number): number {
    let at = start;
    const head = this.#head;
    while (this.#headLength < 4 && at < chunk.length) head[this.#headLength++] = chunk[at++] as number;
    if (this.#headLength < 4) return at;
    const length = head.readUIntLE(0, 3);
    const sequence = head[3] as number;
    if (this.#continues !== 'no') {
      this.#headLength = 0;
      return this.#continuePacket(Buffer.from(head.subarray(0, 4)), 0, length, sequence, at);
    }
    if (length > 0 && this.#headLength < 5) {
      if (at >= chunk.length) return at;
      head[4] = chunk[at++] as number;
      this.#headLength = 5;
    }
    const copy = Buffer.from(head.subarray(0, this.#headLength));
    this.#headLength = 0;
    this.sequence = sequence;
    this.#full = length === packetBytesMax;
    const gather = this.#sink.starting(length, length === 0 ? -1 : (copy[4] as number), sequence);
    if (gather) this.#limit(length);
    this.#mode = gather ? 'gather' : 'pass';
    this.#left = length + 4 - copy.length;
    if (gather) this.#gather(copy, 0, copy.length);
    else this.#sink.passed(copy, 0, copy.length);
    if (this.#left === 0) this.#endPhysical(gather ? 'gather' : 'pass');
    return at;
  }

  #continuePacket(head: Buffer, headAt: number, length: number, sequence: number, next: number): number {
    if (sequence !== ((this.sequence + 1) & 0xff)) throw new ProtocolError('packets out of order');
    this.sequence = sequence;
    this.#full = length === packetBytesMax;
    const mode = this.#continues === 'pass' ? 'pass' : 'gather';
    this.#continues = 'no';
    if (mode === 'pass') this.#sink.passed(head, headAt, headAt + 4);
    else this.#limit(this.#gatheredLength - 4 + length);
    this.#mode = mode;
    this.#left = length;
    if (length === 0) this.#endPhysical(mode);
    return next;
  }

  #endPhysical(mode: 'pass' | 'gather'): void {
    this.#mode = 'head';
    if (this.#full) {
      this.#continues = mode;
      return;
    }
    if (mode === 'pass') return;
    const whole = this.#gathered;
    const end = this.#gatheredLength;
    this.#gathered = Buffer.alloc(0);
    this.#gatheredLength = 0;
    this.#sink.packet(whole, 4, end, this.sequence);
  }

  // Grows by doubling: a length that is only claimed takes no memory.
  #gather(chunk: Buffer, start: number, end: number): void {
    const need = this.#gatheredLength + end - start;
    if (need > this.#gathered.length) {
      const known = this.#gatheredLength + this.#left;
      const bigger = Buffer.allocUnsafe(Math.max(need, Math.min(known, 2 * need)));
      this.#gathered.copy(bigger, 0, 0, this.#gatheredLength);
      this.#gathered = bigger;
    }
    chunk.copy(this.#gathered, this.#gatheredLength, start, end);
    this.#gatheredLength = need;
  }

  #limit(length: number): void {
    if (length > this.#payloadBytesMax) {
      throw new PacketTooLarge(`packet of more than ${this.#payloadBytesMax} bytes`);
    }
  }
}

/** One payload as packets, split where it has to be. `sequence` is the first packet's number. */
export function encodePacket(payload: Uint8Array, sequence: number): Buffer {
  const packets = physicalPackets(payload.length);
  const wire = Buffer.allocUnsafe(payload.length + 4 * packets);
  let from = 0;
  let at = 0;
  for (let index = 0; index < packets; index++) {
    const length = Math.min(packetBytesMax, payload.length - from);
    at = wire.writeUIntLE(length, at, 3);
    at = wire.writeUInt8((sequence + index) & 0xff, at);
    wire.set(payload.subarray(from, from + length), at);
    from += length;
    at += length;
  }
  return wire;
}

/** How many physical packets a payload of that many bytes takes. */
export function physicalPackets(payloadBytes: number): number {
  return Math.floor(payloadBytes / packetBytesMax) + 1;
}
