/**
 * A client that named no database. It may be a client program's Ctrl-C, which signs in a second time to cancel what the first
 * connection runs: who has the secret of an open session may do that without a seat or a server of their own. Whatever else is
 * sent, or nothing for a while, makes it a session as any other. Nothing here is decided.
 */
import type { Socket } from 'node:net';
import { decodeUtf8 } from '../bytes.ts';
import type { Gate } from '../gate.ts';
import { carryOut, isOwner, type KillRequest, ownerOf, readKill } from './cancel.ts';
import { capability, serverStatus } from './capabilities.ts';
import { command } from './client-messages.ts';
import { ClientSession } from './client-session.ts';
import { encodeError, serverErrors } from './errors.ts';
import { encodePacket } from './framing.ts';
import { encodeOk } from './handshake.ts';
import { readQueryHead } from './query-attributes.ts';
import type { Arrival } from './sign-in.ts';
import { endGently } from './socket-ends.ts';

/** A KILL is short, and is sent at once. */
const commandBytesMax = 1024;
const idleMs = 10_000;
const headerBytes = 4;

/** Serves a client that named no database. Never rejects. */
export async function serveWithoutDatabase(arrival: Arrival, gate: Gate): Promise<void> {
  const { socket, credentials } = arrival;
  socket.on('error', () => socket.destroy());
  const owner = ownerOf(credentials.secret, gate.ownerKey);
  const owns = isOwner(owner) || (await gate.ownsElsewhere(owner));
  // Whoever went meanwhile is not heard going any more.
  if (socket.destroyed) return;
  if (owns) new KillSession(arrival, gate, owner).start();
  else void new ClientSession(arrival).open(gate);
}

class KillSession {
  readonly #arrival: Arrival;
  readonly #socket: Socket;
  readonly #gate: Gate;
  readonly #owner: string;
  /** What the client has sent and nobody has answered. */
  #received: Buffer;
  #busy = false;

  constructor(arrival: Arrival, gate: Gate, owner: string) {
    this.#arrival = arrival;
    this.#socket = arrival.socket;
    this.#received = arrival.rest;
    this.#gate = gate;
    this.#owner = owner;
  }

  start(): void {
    const socket = this.#socket;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('timeout', this.#onIdle);
    socket.setTimeout(idleMs);
    socket.write(encodePacket(encodeOk(serverStatus.AUTOCOMMIT), this.#arrival.sequence));
    socket.resume();
    this.#takeAll();
  }

  #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#takeAll();
  };
  #onEnd = (): void => endGently(this.#socket);
  #onIdle = (): void => {
    if (!this.#busy) this.#handOver(false);
  };

  #takeAll(): void {
    while (!this.#busy && this.#received.length > headerBytes) {
      const received = this.#received;
      const length = received.readUIntLE(0, 3);
      const end = headerBytes + length;
      if (!isOwn(received, length)) {
        this.#handOver(true);
        return;
      }
      if (received.length < end) return;
      const payload = received.subarray(headerBytes, end);
      const kill = payload[0] === command.QUERY ? readKill(this.#textOf(payload)) : null;
      if (payload[0] === command.QUERY && kill === null) {
        this.#handOver(true);
        return;
      }
      this.#received = received.subarray(end);
      if (payload[0] === command.QUIT) {
        this.#release();
        endGently(this.#socket);
        return;
      }
      if (kill === null) this.#answer(true);
      else this.#kill(kill);
    }
  }

  #textOf(payload: Buffer): string {
    try {
      const named = (this.#arrival.capabilities & capability.QUERY_ATTRIBUTES) !== 0;
      return decodeUtf8(payload.subarray(readQueryHead(payload, named).textAt));
    } catch {
      return '';
    }
  }

  #kill(kill: KillRequest): void {
    if (carryOut(kill, this.#owner)) {
      this.#answer(true);
      return;
    }
    this.#busy = true;
    this.#socket.pause();
    void this.#gate.killElsewhere(kill.connectionId, kill.queryOnly, this.#owner).then((found) => {
      this.#busy = false;
      if (this.#socket.destroyed) return;
      this.#answer(found);
      this.#socket.resume();
      this.#takeAll();
    });
  }

  #answer(found: boolean): void {
    if (!this.#socket.writable) return;
    const ok = encodePacket(encodeOk(serverStatus.AUTOCOMMIT), 1);
    this.#socket.write(found ? ok : encodeError(serverErrors.unknownThread, 1));
  }

  /** Its sign-in was answered here; the one that counts is still to come. `asked`: a command waits for its end. */
  #handOver(asked: boolean): void {
    this.#release();
    if (this.#socket.destroyed) return;
    const arrival = { ...this.#arrival, rest: this.#received, sequence: asked ? 1 : 0 };
    void new ClientSession(arrival).open(this.#gate, true);
  }

  /** Lets go of the socket, paused. */
  #release(): void {
    const socket = this.#socket;
    socket.pause();
    socket.setTimeout(0);
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('timeout', this.#onIdle);
  }
}

/** False for a packet whose first bytes say that it is neither KILL nor PING nor QUIT. */
function isOwn(received: Buffer, length: number): boolean {
  if (length === 0 || length > commandBytesMax || received[3] !== 0) return false;
  const code = received[headerBytes];
  return code === command.QUERY || code === command.PING || code === command.QUIT;
}
