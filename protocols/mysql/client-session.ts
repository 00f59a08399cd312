/**
 * One MySQL client from its credentials to its end: signs it in, hands its commands over one at a time, and lets it go. What a
 * command means, and what comes of it, is decided elsewhere.
 */
import type { Socket } from 'node:net';
import type { Credentials, Gate, SessionActivity, SessionControl } from '../gate.ts';
import { TurnEndWriter } from '../turn-end.ts';
import { type Cancellable, ownerOf, register, unregister } from './cancel.ts';
import { isReadableCollation, relayedCapabilities } from './capabilities.ts';
import { CommandQueue } from './command-queue.ts';
import { Commands } from './commands.ts';
import { accessDenied, encodeError, type ServerError, serverErrors, signInFailure } from './errors.ts';
import { type ClientEnd, Exchange } from './exchange.ts';
import { encodePacket } from './framing.ts';
import { clearPasswordRequest, encodeOk, readChangeUser, readClearPassword } from './handshake.ts';
import type { Link } from './link.ts';
import { type Arrival, secretBytesMax } from './sign-in.ts';
import { endGently } from './socket-ends.ts';

/** A client that has sent its credentials, from there on. */
export class ClientSession implements ClientEnd, SessionControl, Cancellable {
  sequence: number;
  readonly #client: Socket;
  readonly #answers: TurnEndWriter;
  readonly #arrival: Arrival;
  #gate: Gate | null = null;
  #exchange: Exchange | null = null;
  #commands: Commands | null = null;
  #queue: CommandQueue | null = null;
  /** The one that was signed in to last. */
  #database: string;
  /** A command is under way, or signing in. */
  #busy = true;
  #commandsTaken = 0;
  #draining = false;
  #over = false;

  constructor(arrival: Arrival) {
    this.#arrival = arrival;
    this.#client = arrival.socket;
    this.#answers = new TurnEndWriter(arrival.socket, () => {});
    this.#database = arrival.credentials.database;
    this.sequence = arrival.sequence - 1;
    this.#client.on('error', () => this.#gone());
    this.#client.on('end', () => this.#gone());
    this.#client.on('close', () => this.#gone());
  }

  /** Signs the client in and serves it; `welcomed`: it was told so before, and goes on at once. Never rejects. */
  open(gate: Gate, welcomed = false): Promise<void> {
    return this.#signIn(gate, this.#arrival.credentials, welcomed);
  }

  async #signIn(gate: Gate, credentials: Credentials, welcomed = false): Promise<void> {
    const { capabilities, connectionId } = this.#arrival;
    const owner = ownerOf(credentials.secret, gate.ownerKey);
    try {
      const signed = await gate.signIn(credentials, this);
      if ('effect' in signed) {
        this.fatal(signInFailure(signed.fault, credentials));
        return;
      }
      if (this.#over) {
        signed.closed();
        return;
      }
      this.#gate = gate;
      const exchange = new Exchange(this, signed, capabilities & relayedCapabilities);
      this.#exchange = exchange;
      this.#commands = new Commands(this, exchange, owner, (kill) =>
        gate.killElsewhere(kill.connectionId, kill.queryOnly, owner),
      );
      this.#listen(signed.limits.messageBytesMax);
      const status = await exchange.start();
      if (this.#over) return;
      this.#database = credentials.database;
      register(connectionId, owner, this);
      if (!welcomed) this.deliver([encodePacket(encodeOk(status), (this.sequence + 1) & 0xff)]);
      this.done();
    } catch {
      this.fatal(serverErrors.notReachable);
    }
  }

  #listen(messageBytesMax: number): void {
    if (this.#queue !== null) return;
    this.#queue = new CommandQueue(this.#client, messageBytesMax, {
      ready: () => !this.#busy && !this.#over,
      command: (next) => {
        this.#busy = true;
        this.#commandsTaken++;
        this.sequence = next.sequence;
        this.#commands?.take(next);
      },
      failed: (error, sequence) => {
        this.sequence = sequence;
        this.fatal(error);
      },
    });
    this.#queue.start(this.#arrival.rest);
  }

  changeUser(payload: Buffer): void {
    const { capabilities, credentials, connectionId, handshakeTimeoutMs } = this.#arrival;
    const asked = readChangeUser(payload, capabilities);
    unregister(connectionId);
    this.#exchange?.end();
    this.#exchange = null;
    this.#commands = null;
    if (!isReadableCollation(asked.collation)) {
      this.fatal(serverErrors.charset);
      return;
    }
    this.deliver([encodePacket(clearPasswordRequest, (this.sequence + 1) & 0xff)]);
    const timer = setTimeout(() => this.fatal(serverErrors.badHandshake), handshakeTimeoutMs);
    this.#client.once('close', () => clearTimeout(timer));
    this.#queue?.expectAnswer(this.sequence + 2, secretBytesMax, (answer) => {
      clearTimeout(timer);
      this.sequence += 2;
      const secret = secretOf(answer);
      if (secret === null) this.fatal(accessDenied(asked.user));
      else {
        const { user, applicationName } = asked;
        // A session without a database has no upstream: none named means the one that was.
        const database = asked.database === '' ? this.#database : asked.database;
        void this.#signIn(this.#gate as Gate, { ...credentials, user, secret, database, applicationName });
      }
    });
  }

  get busy(): boolean {
    return this.#busy;
  }

  cancel(): void {
    const active = this.#exchange?.active;
    if (active?.busy) this.#exchange?.links.stop(active);
  }

  kill(_reason: string): void {
    const active = this.#exchange?.active;
    if (active?.busy && !active.betweenPackets) this.end();
    else this.fatal(serverErrors.shutdown, this.#busy ? active?.nextSequence : 0);
  }

  drain(): void {
    this.#draining = true;
    if (!this.#busy && !this.#inTransaction) this.fatal(serverErrors.shutdown, 0);
  }

  get activity(): SessionActivity {
    if (this.#over || this.#exchange === null) return 'waiting';
    if (this.#busy) return this.#exchange.active?.busy ? 'statement' : 'waiting';
    return this.#inTransaction ? 'transaction' : 'idle';
  }
  get turns(): number {
    // What a client sends while a statement runs does not give it more time.
    const sent = this.#busy ? 0 : this.#client.bytesRead;
    return this.#commandsTaken + (this.#exchange?.active?.answered ?? 0) + sent;
  }

  expire(activity: 'idle' | 'transaction' | 'statement'): void {
    const active = this.#exchange?.active;
    if (activity === 'idle') this.fatal(serverErrors.idle, 0);
    else if (activity === 'transaction') this.fatal(serverErrors.idleTransaction, 0);
    else if (active?.busy) {
      const { turns } = this;
      active.noteTimeout();
      this.#exchange?.links.stop(active, () => active.busy && this.turns === turns);
    }
  }

  deliver(parts: readonly Buffer[]): boolean {
    if (this.#over) return true;
    for (const part of parts) this.#answers.write(part);
    if (!this.#client.writableNeedDrain) return true;
    this.#client.once('drain', () => this.#exchange?.links.resume());
    return false;
  }

  waitFor(link: Link): void {
    this.#queue?.waitFor(link);
  }

  answer(error: ServerError): void {
    if (this.#over) return;
    this.#answers.write(encodeError(error, this.sequence + 1));
    this.done();
  }

  done(): void {
    this.#busy = false;
    this.#exchange?.clear();
    if (this.#draining && !this.#inTransaction) this.fatal(serverErrors.shutdown, 0);
    else this.#queue?.pump();
  }

  fatal(error: ServerError, sequence = this.sequence + 1): void {
    if (this.#over) return;
    this.#answers.write(encodeError(error, sequence));
    this.end();
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    unregister(this.#arrival.connectionId);
    this.#exchange?.end();
    this.#answers.flush();
    endGently(this.#client);
  }

  #gone(): void {
    this.end();
    this.#client.destroy();
  }

  get #inTransaction(): boolean {
    return this.#exchange?.links.inTransaction ?? false;
  }
}

/** Null when the answer is no text. */
function secretOf(answer: Buffer): string | null {
  try {
    return readClearPassword(answer);
  } catch {
    return null;
  }
}
