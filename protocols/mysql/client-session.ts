/**
 * One MySQL client from its credentials to its end: signs it in, hands its commands over one at a time, and lets it go. What a
 * command means, and what comes of it, is decided elsewhere.
 */
import type { Socket } from 'node:net';
import type { Gate, SessionControl } from '../gate.ts';
import { type Cancellable, ownerOf, register, unregister } from './cancel.ts';
import { relayedCapabilities } from './capabilities.ts';
import { CommandQueue } from './command-queue.ts';
import { Commands } from './commands.ts';
import { encodeError, type ServerError, serverErrors, signInFailure } from './errors.ts';
import { type ClientEnd, Exchange } from './exchange.ts';
import { encodePacket } from './framing.ts';
import { encodeOk } from './handshake.ts';
import type { Link } from './link.ts';
import type { Arrival } from './sign-in.ts';
import { endGently, writeAll } from './socket-ends.ts';

/** A client that has sent its credentials, from there on. */
export class ClientSession implements ClientEnd, SessionControl, Cancellable {
  sequence: number;
  readonly #client: Socket;
  readonly #arrival: Arrival;
  #exchange: Exchange | null = null;
  #commands: Commands | null = null;
  #queue: CommandQueue | null = null;
  /** A command is under way, or signing in. */
  #busy = true;
  #draining = false;
  #over = false;

  constructor(arrival: Arrival) {
    this.#arrival = arrival;
    this.#client = arrival.socket;
    this.sequence = arrival.sequence - 1;
    this.#client.on('error', () => this.#gone());
    this.#client.on('end', () => this.#gone());
    this.#client.on('close', () => this.#gone());
  }

  async open(gate: Gate): Promise<void> {
    const { credentials, capabilities, connectionId } = this.#arrival;
    const owner = ownerOf(credentials.secret);
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
      const exchange = new Exchange(this, signed, capabilities & relayedCapabilities);
      this.#exchange = exchange;
      this.#commands = new Commands(this, exchange, owner);
      this.#queue = new CommandQueue(this.#client, signed.limits.messageBytesMax, {
        ready: () => !this.#busy && !this.#over,
        command: (next) => {
          this.#busy = true;
          this.sequence = next.sequence;
          this.#commands?.take(next);
        },
        failed: (error, sequence) => {
          this.sequence = sequence;
          this.fatal(error);
        },
      });
      this.#queue.start(this.#arrival.rest);
      const status = await exchange.start();
      if (this.#over) return;
      register(connectionId, owner, this);
      this.deliver([encodePacket(encodeOk(status), (this.sequence + 1) & 0xff)]);
      this.done();
    } catch {
      this.fatal(serverErrors.notReachable);
    }
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

  deliver(parts: readonly Buffer[]): boolean {
    if (this.#over) return true;
    const room = writeAll(this.#client, parts);
    if (!room) this.#client.once('drain', () => this.#exchange?.links.resume());
    return room;
  }

  waitFor(link: Link): void {
    this.#queue?.waitFor(link);
  }

  answer(error: ServerError): void {
    if (this.#over) return;
    this.#client.write(encodeError(error, this.sequence + 1));
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
    this.#client.write(encodeError(error, sequence));
    this.end();
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    unregister(this.#arrival.connectionId);
    this.#exchange?.end();
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
