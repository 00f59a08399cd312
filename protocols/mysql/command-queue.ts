/**
 * The client's commands in order: packets are cut as bytes come in, and handed over one by one whenever the session is ready for
 * the next. What waits is bounded by no longer reading.
 */
import type { Socket } from 'node:net';
import { type ServerError, serverErrors } from './errors.ts';
import { encodePacket, PacketFramer, PacketTooLarge, packetBytesMax, physicalPackets } from './framing.ts';
import type { Link } from './link.ts';

/** A command's payload is `buffer[start, end)`; see PacketSink.packet. */
export interface Command {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** Of its last physical packet: the answer's numbers go on from here. */
  readonly sequence: number;
}

export interface CommandTaker {
  /** True when the next command may be handed over. */
  ready(): boolean;
  command(next: Command): void;
  /** The client broke the framing; no more commands follow. `sequence` is that of its last packet. */
  failed(error: ServerError, sequence: number): void;
}

const waitingBytesMax = 1024 * 1024;

export class CommandQueue {
  readonly #client: Socket;
  readonly #taker: CommandTaker;
  readonly #framer: PacketFramer;
  readonly #waiting: Command[] = [];
  #waitingBytes = 0;
  #upstreamFull = false;
  #pumping = false;
  #broken = false;
  /** The next packet is no command. */
  #answer: {
    readonly sequence: number;
    readonly bytesMax: number;
    readonly take: (payload: Buffer) => void;
  } | null = null;

  constructor(client: Socket, messageBytesMax: number, taker: CommandTaker) {
    this.#client = client;
    this.#taker = taker;
    this.#framer = new PacketFramer(
      {
        starting: (length) => {
          if (this.#answer !== null && length > this.#answer.bytesMax) this.#break(serverErrors.tooLarge);
          return true;
        },
        passed: () => {},
        packet: (buffer, start, end, sequence) => this.#packet(buffer, start, end, sequence),
      },
      messageBytesMax,
    );
  }

  /** `rest` was read before; the socket is paused until now. */
  start(rest: Buffer): void {
    this.#client.on('data', (chunk: Buffer) => this.#cut(chunk));
    if (rest.length > 0) this.#cut(rest);
    this.#flow();
  }

  /** The session may be ready for the next command. */
  pump(): void {
    // A command that is answered at once calls back in here: the loop goes on, the stack does not.
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#waiting.length > 0 && this.#taker.ready()) {
      const next = this.#waiting.shift() as Command;
      this.#waitingBytes -= next.end - next.start;
      this.#taker.command(next);
    }
    this.#pumping = false;
    this.#flow();
  }

  /**
   * The client has been asked something in the middle of a command: its next packet is the answer, numbered so. A command that
   * was sent meanwhile is out of order.
   */
  expectAnswer(sequence: number, bytesMax: number, take: (payload: Buffer) => void): void {
    this.#answer = { sequence: sequence & 0xff, bytesMax, take };
    // The upstream that had no room may be gone.
    this.#upstreamFull = false;
    if (this.#waiting.length > 0) this.#break(serverErrors.outOfOrder);
    this.#flow();
  }

  /** Reads no more until the upstream has room again. */
  waitFor(link: Link): void {
    if (this.#upstreamFull) return;
    this.#upstreamFull = true;
    this.#flow();
    link.onceDrained(() => {
      this.#upstreamFull = false;
      this.#flow();
    });
  }

  #cut(chunk: Buffer): void {
    if (this.#broken) return;
    try {
      this.#framer.feed(chunk);
    } catch (error) {
      this.#break(error instanceof PacketTooLarge ? serverErrors.tooLarge : serverErrors.outOfOrder);
      return;
    }
    this.pump();
  }

  #packet(buffer: Buffer, start: number, end: number, sequence: number): void {
    if (this.#broken) return;
    const answer = this.#answer;
    if (answer !== null) {
      this.#answer = null;
      if (sequence !== answer.sequence) this.#break(serverErrors.outOfOrder);
      else answer.take(buffer.subarray(start, end));
      return;
    }
    if (sequence !== ((physicalPackets(end - start) - 1) & 0xff)) {
      this.#break(serverErrors.outOfOrder);
      return;
    }
    this.#waiting.push({ buffer, start, end, sequence });
    this.#waitingBytes += end - start;
  }

  #break(error: ServerError): void {
    this.#broken = true;
    this.#waiting.length = 0;
    this.#taker.failed(error, this.#framer.sequence);
  }

  #flow(): void {
    if (this.#broken || this.#upstreamFull || this.#waitingBytes > waitingBytesMax) this.#client.pause();
    else this.#client.resume();
  }
}

/** A command as the client sent it. */
export function wireOf(next: Command): Buffer {
  if (next.end - next.start < packetBytesMax) return next.buffer.subarray(next.start - 4, next.end);
  return encodePacket(next.buffer.subarray(next.start, next.end), 0);
}
