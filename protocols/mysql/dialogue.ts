/**
 * A socket spoken over one packet at a time, as both handshakes are: the next packet is waited for, an answer is written.
 * Nothing of the command phase happens here.
 */
import type { Socket } from 'node:net';
import { ProtocolError } from '../bytes.ts';
import { encodePacket, PacketFramer } from './framing.ts';

/** One packet of a handshake. */
export interface Packet {
  readonly payload: Buffer;
  readonly sequence: number;
}

/** The other side went away before the dialogue was over. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

export class Dialogue {
  readonly socket: Socket;
  readonly #framer: PacketFramer;
  readonly #packets: Packet[] = [];
  #bytesLeft: number;
  #failure: Error | null = null;
  #waiting: { resolve(packet: Packet): void; reject(error: Error): void } | null = null;

  /** @param bytesMax what the other side may send in this dialogue, all in all. */
  constructor(socket: Socket, bytesMax: number) {
    this.socket = socket;
    this.#bytesLeft = bytesMax;
    this.#framer = new PacketFramer(
      {
        starting: () => true,
        passed: () => {},
        packet: (buffer, start, end, sequence) => {
          this.#packets.push({ payload: Buffer.from(buffer.subarray(start, end)), sequence });
          // One at a time: what follows may be TLS, or belong to the command phase.
          this.#framer.stop();
        },
      },
      bytesMax,
    );
    socket.on('data', this.#onData);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** The next packet. Rejects with Disconnected, ProtocolError or what `fail` was given. */
  next(): Promise<Packet> {
    this.#cut(Buffer.alloc(0));
    const packet = this.#packets.shift();
    if (packet !== undefined) return Promise.resolve(packet);
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#waiting !== null) throw new Error('already waiting for a packet');
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  send(payload: Uint8Array, sequence: number): void {
    this.socket.write(encodePacket(payload, sequence & 0xff));
  }

  /** Ends the wait, now and from now on. */
  fail(error: Error): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(this.#failure);
  }

  /** Lets go of the socket, paused; answers the bytes that were read and belong to what comes next. */
  release(): Buffer {
    this.socket.pause();
    this.socket.off('data', this.#onData);
    this.socket.off('error', this.#onError);
    this.socket.off('close', this.#onClose);
    return this.#framer.rest;
  }

  #onData = (chunk: Buffer): void => {
    this.#bytesLeft -= chunk.length;
    if (this.#bytesLeft < 0) {
      this.fail(new ProtocolError('too many bytes before sign-in'));
      this.socket.pause();
      return;
    }
    this.#cut(chunk);
  };
  #onError = (error: Error): void => this.fail(error);
  #onClose = (): void => this.fail(new Disconnected('the connection was closed'));

  #cut(chunk: Buffer): void {
    try {
      if (this.#packets.length > 0) this.#framer.feed(chunk);
      else this.#framer.resume(chunk);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    if (this.#waiting === null) return;
    const packet = this.#packets.shift();
    if (packet === undefined) return;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve(packet);
  }
}
