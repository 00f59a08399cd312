/**
 * Puts small writes off to the end of the present turn of the event loop: a peer that waits for several sockets then wakes
 * once for all of them, and finds more to do. Knows nothing of what is written.
 */
import type net from 'node:net';

/** From this size on bytes go out at once: what is behind them is a stream, and is bounded by its socket. */
const bulkBytes = 8 * 1024;

let waiting: TurnEndWriter[] = [];

function endTurn(): void {
  const ready = waiting;
  waiting = [];
  for (const writer of ready) writer.flush();
}

/** Writes to one socket, in order. */
export class TurnEndWriter {
  readonly #socket: net.Socket;
  readonly #onStalled: () => void;
  readonly #kept: Buffer[] = [];

  /** @param onStalled called when the socket takes no more before its `drain` */
  constructor(socket: net.Socket, onStalled: () => void) {
    this.#socket = socket;
    this.#onStalled = onStalled;
  }

  write(bytes: Buffer): void {
    if (bytes.length >= bulkBytes) {
      this.flush();
      this.#write(bytes);
      return;
    }
    if (this.#kept.length === 0) {
      if (waiting.length === 0) setImmediate(endTurn);
      waiting.push(this);
    }
    this.#kept.push(bytes);
  }

  /** Writes what is kept; to be called before the socket is written or ended by others. */
  flush(): void {
    const kept = this.#kept;
    if (kept.length > 1) this.#socket.cork();
    for (const bytes of kept) this.#write(bytes);
    if (kept.length > 1) this.#socket.uncork();
    kept.length = 0;
  }

  #write(bytes: Buffer): void {
    if (this.#socket.writable && !this.#socket.write(bytes)) this.#onStalled();
  }
}
