/** Reads frames from a socket one at a time, for exchanges that are awaited: start-up and the gateway's own queries. */
import type net from 'node:net';
import { serialize } from 'pg-protocol';
import { ProtocolError } from '../bytes.ts';
import { ClientFrames } from './framing.ts';
import { readFields, readRow, serverType } from './server-messages.ts';

export interface Frame {
  readonly type: number;
  readonly content: Buffer;
}

export class FrameSource {
  readonly #socket: net.Socket;
  readonly #frames: ClientFrames;
  readonly #bytesMax: number;
  #waiting: { resolve: (frame: Frame) => void; reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;
  readonly #onData = (piece: Buffer): void => {
    this.#frames.push(piece);
    this.#give();
  };
  readonly #onEnd = (): void => this.#fail(new ProtocolError('the server closed the connection'));

  constructor(socket: net.Socket, bytesMax: number) {
    this.#socket = socket;
    this.#bytesMax = bytesMax;
    this.#frames = new ClientFrames(bytesMax);
    socket.on('data', this.#onData);
    socket.on('close', this.#onEnd);
    socket.resume();
  }

  /** The next frame. One at a time. @throws ProtocolError */
  next(): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#give();
    });
  }

  #give(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    try {
      if (this.#frames.next()) {
        this.#waiting = null;
        const { buffer, content, end, type } = this.#frames;
        waiting.resolve({ type, content: buffer.subarray(content, end) });
      } else if (this.#failure !== null) {
        this.#waiting = null;
        waiting.reject(this.#failure);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(this.#failure);
  }

  /** A source on the same socket, after `detach` with nothing left over. */
  again(bytesMax = this.#bytesMax): FrameSource {
    return new FrameSource(this.#socket, bytesMax);
  }

  /** Lets go of the socket, paused; the bytes that were read and not used. */
  detach(): Buffer {
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onEnd);
    this.#socket.pause();
    const { buffer, end } = this.#frames;
    return buffer.subarray(end, end + this.#frames.waiting);
  }
}

/** A query of the gateway's own failed; the message is the server's. */
export class QueryFailed extends Error {
  override readonly name = 'QueryFailed';
}

/**
 * Runs one text on an idle connection; the rows of all its results, in text format.
 * @throws QueryFailed, ProtocolError
 */
export async function runQuery(
  socket: net.Socket,
  frames: FrameSource,
  text: string,
): Promise<(string | null)[][]> {
  socket.write(serialize.query(text));
  const rows: (string | null)[][] = [];
  let failure: QueryFailed | null = null;
  for (;;) {
    const { type, content } = await frames.next();
    if (type === serverType.dataRow) rows.push(readRow(content));
    else if (type === serverType.error)
      failure = new QueryFailed(readFields(content).get('M') ?? 'the query failed');
    else if (type === serverType.ready) break;
  }
  if (failure !== null) throw failure;
  return rows;
}
