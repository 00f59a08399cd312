/**
 * One MySQL client from its credentials to its end: signs it in, takes its commands one at a time, asks the gate, and joins it
 * to its upstreams. Packets are understood elsewhere; here is the order of things.
 */
import type { Socket } from 'node:net';
import { decodeUtf8, ProtocolError } from '../bytes.ts';
import type { Admission, Admitted, Gate, GateSession, Refused, SessionControl } from '../gate.ts';
import { type Cancellable, carryOut, ownerOf, readKill, register, unregister } from './cancel.ts';
import { relayedCapabilities } from './capabilities.ts';
import {
  checkFetch,
  command,
  commandName,
  cursorReadOnly,
  executeFlags,
  quoteName,
  statementId,
  textCommand,
} from './client-messages.ts';
import { type Command, CommandQueue, wireOf } from './command-queue.ts';
import { encodeError, refusal, type ServerError, serverErrors, signInFailure } from './errors.ts';
import { encodePacket, packetBytesMax } from './framing.ts';
import { encodeOk } from './handshake.ts';
import type { Link, LinkOwner } from './link.ts';
import { Links } from './links.ts';
import type { Finished, Request } from './requests.ts';
import type { Arrival } from './sign-in.ts';
import { endGently, writeAll } from './socket-ends.ts';
import { PreparedStatements } from './statements.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** A client that has sent its credentials, from there on. */
export class ClientSession implements LinkOwner, SessionControl, Cancellable {
  readonly #client: Socket;
  readonly #arrival: Arrival;
  readonly #owner: string;
  readonly #ended = new AbortController();
  #gate: GateSession | null = null;
  #links: Links | null = null;
  #queue: CommandQueue | null = null;
  #statements = new PreparedStatements(0);
  /** A command is under way, or signing in. */
  #busy = true;
  /** The upstream that the command under way is at. */
  #active: Link | null = null;
  #request: Request | null = null;
  #text = '';
  #sequence: number;
  #draining = false;
  #over = false;

  constructor(arrival: Arrival) {
    this.#arrival = arrival;
    this.#client = arrival.socket;
    this.#owner = ownerOf(arrival.credentials.secret);
    this.#sequence = arrival.sequence - 1;
    this.#client.on('error', () => this.#gone());
    this.#client.on('end', () => this.#gone());
    this.#client.on('close', () => this.#gone());
  }

  async open(gate: Gate): Promise<void> {
    const { credentials, capabilities } = this.#arrival;
    try {
      const signed = await gate.signIn(credentials, this);
      if ('effect' in signed) {
        this.#fatal(signInFailure(signed.fault, credentials));
        return;
      }
      this.#gate = signed;
      if (this.#over) {
        signed.closed();
        return;
      }
      this.#statements = new PreparedStatements(signed.limits.preparedMax);
      this.#queue = new CommandQueue(this.#client, signed.limits.messageBytesMax, {
        ready: () => !this.#busy && !this.#over,
        command: (next) => this.#command(next),
        failed: (error, sequence) => {
          this.#sequence = sequence;
          this.#fatal(error);
        },
      });
      this.#queue.start(this.#arrival.rest);
      const relayed = capabilities & relayedCapabilities;
      this.#links = new Links(signed, relayed, this, this.#ended.signal);
      const home = await this.#links.open(signed.home);
      if (this.#over) return;
      register(this.#arrival.connectionId, this.#owner, this);
      signed.refreshed({ path: home.database === null ? [] : [home.database] });
      this.#write(encodePacket(encodeOk(home.status), this.#sequence + 1));
      this.#done();
    } catch {
      this.#fatal(serverErrors.notReachable);
    }
  }

  cancel(): void {
    if (this.#active?.busy) this.#links?.stop(this.#active);
  }

  kill(_reason: string): void {
    const active = this.#active;
    if (active?.busy && !active.betweenPackets) this.#end();
    else this.#fatal(serverErrors.shutdown, this.#busy ? active?.nextSequence : 0);
  }

  drain(): void {
    this.#draining = true;
    if (!this.#busy && !this.#inTransaction) this.#fatal(serverErrors.shutdown, 0);
  }

  deliver(parts: readonly Buffer[]): boolean {
    if (this.#over) return true;
    const room = writeAll(this.#client, parts);
    if (!room) this.#client.once('drain', () => this.#links?.resume());
    return room;
  }

  finished(link: Link, finished: Finished): void {
    const request = this.#request;
    this.#request = null;
    if (this.#over || request === null) return;
    this.#statements.finished(request, finished, link.target.name);
    this.#links?.noteTransaction(link, finished.status);
    if ('settles' in request && request.settles) {
      if (finished.error === null && request.kind === 'query') this.#links?.noteSetting(this.#text);
      this.#settle(link, finished, false);
    } else if (request.kind === 'plain' && this.#text === 'reset') this.#settle(link, finished, true);
    else this.#done();
  }

  failed(link: Link, error: Error): void {
    if (this.#over || this.#links === null || !this.#links.has(link)) return;
    if (!this.#busy || (link === this.#active && !link.betweenPackets)) {
      this.#end();
      return;
    }
    const told = upstreamFailure(error);
    this.#fatal(told, link === this.#active ? link.nextSequence : undefined);
  }

  /** The session may mean something else from now on: nothing goes on before that is known. */
  async #settle(link: Link, finished: Finished, reset: boolean): Promise<void> {
    this.#active = null;
    // An error from here on stands in the place of the packet that is held back.
    this.#sequence = finished.nextSequence - 1;
    try {
      if (reset) await link.pin();
      const state = await link.inspect();
      if (this.#over) return;
      if (!state.pinned) {
        this.#fatal(serverErrors.drift);
        return;
      }
      this.#links?.noteDatabase(state.database);
      this.#gate?.refreshed({ path: state.database === null ? [] : [state.database] });
    } catch {
      this.#fatal(serverErrors.upstreamLost);
      return;
    }
    this.deliver(finished.held);
    this.#done();
  }

  #command(next: Command): void {
    this.#busy = true;
    this.#sequence = next.sequence;
    this.#text = '';
    const payload = next.buffer.subarray(next.start, next.end);
    try {
      switch (payload[0]) {
        case command.QUERY:
          this.#query(payload, next);
          return;
        case command.STMT_EXECUTE:
          this.#execute(payload, next);
          return;
        case command.STMT_PREPARE:
          this.#prepare(payload, next);
          return;
        case command.STMT_SEND_LONG_DATA:
        case command.STMT_CLOSE:
          this.#tellStatement(payload, next);
          return;
        case command.STMT_FETCH:
          this.#fetch(payload, next);
          return;
        case command.STMT_RESET:
          this.#resetStatement(payload, next);
          return;
        case command.PING:
        case command.SET_OPTION:
          this.#plain(next);
          return;
        case command.RESET_CONNECTION:
          this.#resetConnection(next);
          return;
        case command.INIT_DB:
          this.#initDb(payload, next);
          return;
        case command.QUIT:
          this.#end();
          return;
        case undefined:
          throw new ProtocolError('empty command');
        default:
          this.#answer(refusal(this.#gateSession.refuseMessage(commandName(payload[0]))));
      }
    } catch (error) {
      if (error instanceof ProtocolError) this.#fatal(serverErrors.malformedCommand);
      else this.#answer(serverErrors.internal);
    }
  }

  #query(payload: Buffer, next: Command): void {
    const text = this.#textOf(payload);
    if (text === null) return;
    const kill = readKill(text);
    if (kill !== null && carryOut(kill, this.#owner)) {
      if (this.#over) return;
      this.#write(
        encodePacket(encodeOk(this.#links?.get(this.#gateSession.home)?.status ?? 0), this.#sequence + 1),
      );
      this.#done();
      return;
    }
    this.#run(text, 'query', next, false);
  }

  #initDb(payload: Buffer, next: Command): void {
    const name = this.#textOf(payload);
    // Settles whatever the gate says of it: the current database decides what names mean.
    if (name !== null) this.#run(`USE ${quoteName(name)}`, 'query', next, true);
  }

  #prepare(payload: Buffer, next: Command): void {
    this.#statements.preparing();
    const text = this.#textOf(payload);
    if (text === null) return;
    if (this.#statements.isFull) this.#answer(serverErrors.tooManyStatements);
    else this.#run(text, 'prepare', next, false);
  }

  /** Asks leave for a text and sends the client's own bytes, or the text that leave was given for. */
  #run(text: string, phase: 'query' | 'prepare', next: Command, settles: boolean): void {
    this.#decide(this.#gateSession.admit(text, phase, this.#ended.signal), (admitted) => {
      this.#text = text;
      this.#onLink(admitted, (link) => {
        const request: Request =
          phase === 'prepare'
            ? { kind: 'prepare', admitted, clientId: this.#statements.nextId() }
            : { kind: 'query', admitted, settles: settles || admitted.settles };
        if (admitted.text === null) this.#forward(link, request, next);
        else {
          const code = phase === 'prepare' ? command.STMT_PREPARE : command.QUERY;
          this.#sendText(link, request, code, admitted.text);
        }
      });
    });
  }

  #execute(payload: Buffer, next: Command): void {
    const statement = this.#statements.get(statementId(payload));
    if (statement === undefined) {
      this.#answer(serverErrors.unknownStatement);
      return;
    }
    const flags = executeFlags(payload);
    if (flags !== 0 && flags !== cursorReadOnly) {
      this.#answer(refusal(this.#gateSession.refuseMessage('COM_STMT_EXECUTE with such a cursor')));
      return;
    }
    this.#statements.endCursor(statement);
    const cursorFor = flags === 0 ? null : statement.clientId;
    if (cursorFor !== null && this.#statements.cursors >= this.#gateSession.limits.portalsMax) {
      this.#answer(serverErrors.tooManyCursors);
      return;
    }
    this.#decide(this.#gateSession.readmit(statement.admitted, this.#ended.signal), (admitted) => {
      const link = this.#links?.get(statement.upstream);
      // The statement stands on its upstream: leave for another place or text is no leave for this one.
      if (
        link === undefined ||
        admitted.route !== statement.upstream ||
        admitted.text !== statement.admitted.text
      ) {
        this.#answer(serverErrors.unknownStatement);
        return;
      }
      payload.writeUInt32LE(statement.upstreamId, 1);
      this.#forward(link, { kind: 'execute', admitted, settles: admitted.settles, cursorFor }, next);
    });
  }

  /** COM_STMT_SEND_LONG_DATA and COM_STMT_CLOSE have no answer, not even an error. */
  #tellStatement(payload: Buffer, next: Command): void {
    const statement = this.#statements.get(statementId(payload));
    const link = statement && this.#links?.get(statement.upstream);
    if (statement !== undefined && link !== undefined) {
      if (payload[0] === command.STMT_CLOSE) this.#statements.delete(statement);
      payload.writeUInt32LE(statement.upstreamId, 1);
      if (!link.tell(wireOf(next))) this.#queue?.waitFor(link);
    }
    this.#done();
  }

  /** Decided when it was executed; the rows are masked as was planned then. */
  #fetch(payload: Buffer, next: Command): void {
    const statement = this.#statements.get(statementId(payload));
    checkFetch(payload);
    const link = statement && this.#links?.get(statement.upstream);
    const cursor = statement && this.#statements.cursor(statement);
    if (statement === undefined || link === undefined) this.#answer(serverErrors.unknownStatement);
    else if (cursor === undefined) this.#answer(serverErrors.noCursor);
    else {
      payload.writeUInt32LE(statement.upstreamId, 1);
      this.#forward(link, { kind: 'fetch', cursor, clientId: statement.clientId }, next);
    }
  }

  #resetStatement(payload: Buffer, next: Command): void {
    const statement = this.#statements.get(statementId(payload));
    this.#statements.endCursor(statement);
    const link = statement && this.#links?.get(statement.upstream);
    if (statement === undefined || link === undefined) {
      this.#answer(serverErrors.unknownStatement);
      return;
    }
    payload.writeUInt32LE(statement.upstreamId, 1);
    this.#forward(link, { kind: 'plain' }, next);
  }

  #plain(next: Command): void {
    const home = this.#links?.get(this.#gateSession.home);
    if (home === undefined) this.#fatal(serverErrors.upstreamLost);
    else this.#forward(home, { kind: 'plain' }, next);
  }

  #resetConnection(next: Command): void {
    this.#statements.clear();
    this.#links?.reset();
    this.#text = 'reset';
    this.#plain(next);
  }

  #textOf(payload: Buffer): string | null {
    try {
      return decodeUtf8(payload.subarray(1));
    } catch {
      this.#answer(serverErrors.notUtf8);
      return null;
    }
  }

  #decide(admission: Admission | Promise<Admission>, then: (admitted: Admitted) => void): void {
    if (!(admission instanceof Promise)) {
      this.#decided(admission, then);
      return;
    }
    admission
      .then((decided) => this.#decided(decided, then))
      .catch(() => this.#answer(serverErrors.internal));
  }

  #decided(admission: Admitted | Refused, then: (admitted: Admitted) => void): void {
    if (this.#over) return;
    if (admission.effect === 'refuse') this.#answer(refusal(admission));
    else then(admission);
  }

  #onLink(admitted: Admitted, then: (link: Link) => void): void {
    const links = this.#links as Links;
    const ready = links.ready(admitted.route);
    if (ready !== null) {
      then(ready);
      return;
    }
    links
      .open(admitted.route)
      .then((link) => {
        if (!this.#over) then(link);
      })
      .catch(() => this.#answer(serverErrors.notReachable));
  }

  #forward(link: Link, request: Request, next: Command): void {
    this.#ask(link, request, wireOf(next), next.sequence);
  }

  #sendText(link: Link, request: Request, code: number, text: string): void {
    const payload = textCommand(code, text);
    this.#ask(link, request, encodePacket(payload, 0), Math.floor(payload.length / packetBytesMax));
  }

  #ask(link: Link, request: Request, wire: Buffer, lastSent: number): void {
    this.#active = link;
    this.#request = request;
    if (!link.ask(request, wire, lastSent & 0xff, this.#sequence)) this.#queue?.waitFor(link);
  }

  #answer(error: ServerError): void {
    if (this.#over) return;
    this.#write(encodeError(error, this.#sequence + 1));
    this.#done();
  }

  #done(): void {
    this.#busy = false;
    this.#active = null;
    if (this.#draining && !this.#inTransaction) this.#fatal(serverErrors.shutdown, 0);
    else this.#queue?.pump();
  }

  /** An error after which the session can't go on. */
  #fatal(error: ServerError, sequence = this.#sequence + 1): void {
    if (this.#over) return;
    this.#write(encodeError(error, sequence));
    this.#end();
  }

  #gone(): void {
    this.#end();
    this.#client.destroy();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended.abort();
    unregister(this.#arrival.connectionId);
    this.#links?.end();
    this.#statements.clear();
    this.#gate?.closed();
    endGently(this.#client);
  }

  #write(bytes: Buffer): void {
    this.#client.write(bytes);
  }

  get #gateSession(): GateSession {
    if (this.#gate === null) throw new Error('a command before signing in');
    return this.#gate;
  }
  get #inTransaction(): boolean {
    return this.#links?.inTransaction ?? false;
  }
}
