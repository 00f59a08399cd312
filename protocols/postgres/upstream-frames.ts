/**
 * Cuts an upstream's bytes into frames without keeping them: rows that nobody changes go on as they came, in as few
 * pieces as possible, also when a row spans two reads. What has to be read whole is kept up to a bound.
 */
import { ProtocolError } from '../bytes.ts';
import { headerBytes } from './framing.ts';
import type { Request } from './requests.ts';
import { RowWriter } from './values.ts';

/** Longest content of a frame as such (PostgreSQL's own bound on a message), and of one that has to be read whole. */
const frameBytesMax = 0x3fffffff;
const heldBytesMax = 64 * 1024 * 1024;

/** What becomes of a frame. A Buffer takes its place. */
export type Relayed = 'verbatim' | 'dropped' | 'masked' | Buffer;

export interface FrameReader {
  /** The request whose rows go through as they are; null: every frame is to be looked at. */
  readonly passing: Request | null;
  /** The type of the frames that are its rows: DataRow or CopyData. */
  readonly passingType: number;
  /**
   * One whole frame; content at `start..end` of `source`. `rows` collects masked rows ('masked').
   * @throws ProtocolError or SessionEnd: nothing of this frame goes to the client.
   */
  frame(type: number, source: Buffer, start: number, end: number, rows: () => RowWriter): Relayed;
}

export class UpstreamFrames {
  readonly #reader: FrameReader;
  readonly #toClient: (bytes: Buffer) => void;
  /** Bytes of a passing row that are still to come. */
  #passing = 0;
  /** The beginning of a frame that has to be whole. */
  #held: Buffer | null = null;
  #heldLength = 0;
  #rows: RowWriter | null = null;
  /** What is being cut: bytes `run..at` go on as they are and have not yet. */
  #piece: Buffer = Buffer.alloc(0);
  #run = 0;
  #at = 0;
  #rowsHint = 0;

  constructor(reader: FrameReader, toClient: (bytes: Buffer) => void) {
    this.#reader = reader;
    this.#toClient = toClient;
  }

  /** Hands the bytes before the current frame on first: rows must not overtake them. */
  readonly #rowWriter = (): RowWriter => {
    this.#flushRun();
    this.#rows ??= new RowWriter(this.#rowsHint);
    return this.#rows;
  };

  /** A row has been handed on in part: nothing else can be said to the client now. */
  get midRow(): boolean {
    return this.#passing > 0;
  }

  /** Takes what a read gave. On an error, what came before the offending frame has been handed on. */
  push(piece: Buffer): void {
    this.#rowsHint = piece.length + (piece.length >> 2);
    try {
      this.#scan(piece);
    } finally {
      this.#flushRows();
    }
  }

  #flushRows(): void {
    if (this.#rows === null) return;
    const rows = this.#rows.finish();
    this.#rows = null;
    if (rows.length > 0) this.#toClient(rows);
  }

  /** To the client, behind any masked rows that wait. */
  #emit(source: Buffer, start: number, end: number): void {
    if (end <= start) return;
    if (this.#rows !== null && end - start <= 4096) this.#rows.copy(source, start, end);
    else {
      this.#flushRows();
      this.#toClient(start === 0 && end === source.length ? source : source.subarray(start, end));
    }
  }

  #flushRun(): void {
    this.#emit(this.#piece, this.#run, this.#at);
    this.#run = this.#at;
  }

  #scan(piece: Buffer): void {
    this.#piece = piece;
    this.#run = 0;
    this.#at = 0;
    if (this.#passing > 0) {
      this.#at = Math.min(this.#passing, piece.length);
      this.#passing -= this.#at;
    } else if (this.#held !== null) {
      const at = this.#complete(piece);
      this.#run = at;
      this.#at = at;
    }
    try {
      if (this.#at < piece.length) this.#walk(piece);
    } finally {
      this.#flushRun();
    }
  }

  #walk(piece: Buffer): void {
    const size = piece.length;
    let at = this.#at;
    while (at < size) {
      this.#at = at;
      if (size - at < headerBytes) {
        this.#hold(piece, at, headerBytes);
        return;
      }
      const type = piece[at]!;
      const length = piece.readInt32BE(at + 1);
      if (length < 4 || length > frameBytesMax) throw new ProtocolError('a frame of an impossible length');
      const end = at + 1 + length;
      const passing = this.#reader.passing;
      if (passing !== null && type === this.#reader.passingType) {
        passing.rows++;
        passing.bytes += length + 1;
        if (end > size) this.#passing = end - size;
        at = end;
        continue;
      }
      if (end > size) {
        this.#hold(piece, at, length + 1);
        return;
      }
      const relayed = this.#reader.frame(type, piece, at + headerBytes, end, this.#rowWriter);
      if (relayed !== 'verbatim') {
        if (relayed !== 'masked') {
          this.#flushRun();
          if (relayed !== 'dropped') this.#emit(relayed, 0, relayed.length);
        }
        this.#run = end;
      }
      at = end;
    }
    this.#at = size;
  }

  #hold(piece: Buffer, at: number, frameBytes: number): void {
    if (frameBytes > heldBytesMax) throw new ProtocolError('a message too long to be read whole');
    const held = Buffer.allocUnsafe(Math.max(256, Math.min(frameBytes, (piece.length - at) * 2)));
    this.#heldLength = piece.copy(held, 0, at);
    this.#held = held;
  }

  /** Adds to the held frame; the offset behind it in `piece`. `#held` is null when the frame is done with. */
  #complete(piece: Buffer): number {
    let at = 0;
    if (this.#heldLength < headerBytes) at = this.#take(piece, at, headerBytes);
    if (this.#heldLength < headerBytes) return at;
    const length = this.#held!.readInt32BE(1);
    if (length < 4 || length > frameBytesMax) throw new ProtocolError('a frame of an impossible length');
    if (this.#reader.passing !== null && this.#held![0] === this.#reader.passingType) {
      // Only the header was cut: the row itself passes.
      this.#reader.passing.rows++;
      this.#reader.passing.bytes += length + 1;
      const held = this.#held!;
      const heldLength = this.#heldLength;
      this.#held = null;
      this.#emit(held, 0, heldLength);
      this.#passing = length + 1 - heldLength;
      const rest = Math.min(this.#passing, piece.length - at);
      this.#passing -= rest;
      this.#emit(piece, at, at + rest);
      return at + rest;
    }
    if (length + 1 > heldBytesMax) throw new ProtocolError('a message too long to be read whole');
    at = this.#take(piece, at, length + 1);
    if (this.#heldLength < length + 1) return at;
    const frame = this.#held!.subarray(0, length + 1);
    this.#held = null;
    const relayed = this.#reader.frame(frame[0]!, frame, headerBytes, frame.length, this.#rowWriter);
    if (relayed === 'verbatim') this.#emit(frame, 0, frame.length);
    else if (relayed !== 'dropped' && relayed !== 'masked') this.#emit(relayed, 0, relayed.length);
    return at;
  }

  #take(piece: Buffer, at: number, wanted: number): number {
    const count = Math.min(wanted - this.#heldLength, piece.length - at);
    const need = this.#heldLength + count;
    if (need > this.#held!.length) {
      const bigger = Buffer.allocUnsafe(Math.min(wanted, Math.max(need, this.#held!.length * 2)));
      this.#held!.copy(bigger, 0, 0, this.#heldLength);
      this.#held = bigger;
    }
    piece.copy(this.#held!, this.#heldLength, at, at + count);
    this.#heldLength += count;
    return at + count;
  }
}
