/**
 * One upstream connection of a session after sign-in: its socket, its relay, and Cordon's own queries on it. What the
 * client asked is handed in as bytes; what comes back is reported to the session.
 */
import type { Socket } from 'node:net';
import type { CatalogTable } from '../../sql/catalog.ts';
import type { Admitted, UpstreamTarget } from '../gate.ts';
import { capability, serverStatus } from './capabilities.ts';
import { temporaryTable } from './catalog.ts';
import { command, quoteName } from './client-messages.ts';
import { encodePacket } from './framing.ts';
import { queryCommand } from './query-attributes.ts';
import { Relay } from './relay.ts';
import type { Finished, Request } from './requests.ts';
import type { ResultEnds } from './result-ends.ts';
import { type Tracking, trackedVariables } from './session-state.ts';
import { endGently } from './socket-ends.ts';
import type { UpstreamConnection } from './upstream.ts';

/** Who hears of the upstream's answers. */
export interface LinkOwner {
  /** Bytes for the client; false when it can't take more for now. */
  deliver(parts: readonly Buffer[]): boolean;
  finished(link: Link, finished: Finished): void;
  /** The connection is over: closed, malformed, or in breach. Its output so far has been delivered. */
  failed(link: Link, error: Error): void;
}

/** One of Cordon's own queries failed; the session's state is not known any more. */
class InternalQueryFailed extends Error {
  override readonly name = 'InternalQueryFailed';
  readonly code: number | null;
  constructor(code: number | null) {
    super(`a query of the gateway failed with error ${code ?? 'none'}`);
    this.code = code;
  }
}

/** What a settling statement may have changed. */
export interface LinkState {
  readonly database: string | null;
  /** False when texts may mean something else than they were read to mean. */
  readonly pinned: boolean;
}

export class Link {
  readonly target: UpstreamTarget;
  readonly connectionId: number;
  /** Commands are laid out with query attributes. */
  readonly namesAttributes: boolean;
  /** The upstream's current database. */
  database: string | null;
  /** Server status flags of the last OK or EOF. */
  status: number;
  readonly #owner: LinkOwner;
  readonly #socket: Socket;
  readonly #relay: Relay;
  /** The server tells of changes of the session's state. */
  readonly #tracks: boolean;
  /** Names under which there may be a temporary table. `table`: what is there; null: not known since a text has named it. */
  readonly #temporary = new Map<string, { schema: string; name: string; table: CatalogTable | null }>();
  #internal: { resolve(finished: Finished): void; reject(error: Error): void } | null = null;
  #over = false;

  /** @param capabilities what the client negotiated */
  constructor(
    target: UpstreamTarget,
    connection: UpstreamConnection,
    capabilities: number,
    owner: LinkOwner,
    payloadBytesMax: number,
  ) {
    this.target = target;
    this.connectionId = connection.connectionId;
    this.database = target.database;
    this.status = connection.status;
    this.#owner = owner;
    this.#socket = connection.socket;
    this.namesAttributes = (connection.capabilities & capability.QUERY_ATTRIBUTES) !== 0;
    this.#tracks = (connection.capabilities & capability.SESSION_TRACK) !== 0;
    this.#relay = new Relay(
      payloadBytesMax,
      resultEnds(capabilities, connection.capabilities),
      tracking(capabilities, this.#tracks),
    );
    this.#socket.on('data', this.#onData);
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('closed by the upstream')));
    if (connection.rest.length > 0) this.#onData(connection.rest);
    this.#socket.resume();
  }

  get busy(): boolean {
    return this.#relay.busy;
  }
  /** Counts the results, errors too, that have ended. */
  get answered(): number {
    return this.#relay.answered;
  }

  /** The running statement is about to be cancelled for the time that it takes: its error is to say so. */
  noteTimeout(): void {
    this.#relay.timedOut = true;
  }
  get inTransaction(): boolean {
    return (this.status & serverStatus.IN_TRANS) !== 0;
  }
  get betweenPackets(): boolean {
    return this.#relay.betweenPackets;
  }
  get nextSequence(): number {
    return this.#relay.nextSequence;
  }

  /** Sends a command whose answer goes to the client; false when the upstream can't take more for now. */
  ask(request: Request, wire: Buffer, lastSent: number, lastReceived: number): boolean {
    this.#relay.begin(request, lastSent, lastReceived);
    return this.#socket.write(wire);
  }

  /** Sends a command that has no answer. */
  tell(wire: Buffer): boolean {
    return this.#socket.write(wire);
  }

  /** @throws InternalQueryFailed (as a rejection) when the server answers with an error. */
  async query(text: string): Promise<readonly (readonly (string | null)[])[]> {
    return (await this.#command(queryCommand(text, this.namesAttributes))).rows;
  }

  /** Says whether a text may hold several statements. Rejects as `query` does. */
  async setMultiStatements(on: boolean): Promise<void> {
    await this.#command(Buffer.from([command.SET_OPTION, on ? 0 : 1, 0]));
  }

  async #command(payload: Buffer): Promise<Finished> {
    const finished = await new Promise<Finished>((resolve, reject) => {
      if (this.#over) {
        reject(new Error('the upstream is gone'));
        return;
      }
      this.#internal = { resolve, reject };
      this.ask({ kind: 'internal' }, encodePacket(payload, 0), 0, 0);
    });
    if (finished.error !== null) throw new InternalQueryFailed(finished.error);
    return finished;
  }

  /** Gives the session the character set and the SQL modes under which texts mean what they were read to mean. */
  async pin(): Promise<void> {
    const tracked = this.#tracks ? `, ${trackingOf(defaultTracked)}` : '';
    await this.query(`SET NAMES utf8mb4${tracked}`);
    const [row] = await this.query('SELECT @@sql_mode');
    const modes = modesOf(row?.[0]);
    const kept = modes.filter((mode) => !forbiddenModes.has(mode));
    if (kept.length < modes.length) await this.query(`SET SESSION sql_mode = '${kept.join(',')}'`);
  }

  /** What the server says of the session now. */
  async inspect(): Promise<LinkState> {
    const tracked = this.#tracks ? ', @@session_track_system_variables, @@session_track_schema' : '';
    const [row] = await this.query(
      `SELECT DATABASE(), @@sql_mode, @@character_set_client, @@character_set_connection, @@character_set_results${tracked}`,
    );
    const [database, modes, client, connection, results, variables, schema] = row ?? [];
    this.database = database ?? null;
    if (this.#tracks) await this.#keepTracking(variables ?? '', schema ?? '');
    return {
      database: database ?? null,
      pinned:
        modesOf(modes).every((mode) => !forbiddenModes.has(mode)) &&
        readableCharsets.has(client ?? '') &&
        readableCharsets.has(connection ?? '') &&
        (results == null || results === 'binary' || readableCharsets.has(results)),
    };
  }

  /** The client may ask for more than what Cordon has to hear of, not for less. */
  async #keepTracking(variables: string, schema: string): Promise<void> {
    const told = variables.split(',').map((name) => name.trim().toLowerCase());
    const tellsAll = told.includes('*') || trackedVariables.every((name) => told.includes(name));
    if (tellsAll && schema === '1') return;
    await this.query(`SET ${trackingOf(tellsAll ? told : [...told, ...trackedVariables])}`);
  }

  /** A text has run that may have made or dropped these. */
  noteTemporary(names: Admitted['temporary']): void {
    for (const one of names ?? []) {
      this.#temporary.set(`${one.schema}\0${one.name}`, { ...one, table: null });
    }
  }

  /** The server has been told to forget the session. */
  noteReset(): void {
    this.noteTemporary([...this.#temporary.values()]);
  }

  /** The session's temporary tables, by the server's own word: nothing else tells whether one is there. */
  async temporaryTables(): Promise<readonly CatalogTable[]> {
    const tables: CatalogTable[] = [];
    for (const [key, one] of this.#temporary) {
      const { schema, name } = one;
      const quoted = `${quoteName(schema)}.${quoteName(name)}`;
      if (one.table === null && (await this.#isTemporary(quoted))) {
        one.table = temporaryTable(schema, name, await this.query(`SHOW FULL COLUMNS FROM ${quoted}`));
      }
      if (one.table === null) this.#temporary.delete(key);
      else tables.push(one.table);
    }
    return tables;
  }

  async #isTemporary(quoted: string): Promise<boolean> {
    try {
      const [row] = await this.query(`SHOW CREATE TABLE ${quoted}`);
      return /^CREATE TEMPORARY TABLE /.test(row?.[1] ?? '');
    } catch (error) {
      const code = error instanceof InternalQueryFailed ? (error.code ?? 0) : 0;
      if (noSuchTable.has(code)) return false;
      throw error;
    }
  }

  async use(database: string): Promise<void> {
    await this.query(`USE ${quoteName(database)}`);
    this.database = database;
  }

  /** Stops and starts reading, as the client keeps up. */
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  onceDrained(then: () => void): void {
    this.#socket.once('drain', then);
  }

  /** Cuts the connection; `failed` is not reported. `error`: what the audit hears of a statement that was running. */
  destroy(error: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#relay.abandon(error);
    this.#internal?.reject(new Error('the session has ended'));
    this.#internal = null;
    this.#socket.destroy();
  }

  /** Says good-bye, for a connection that is idle. */
  quit(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.write(encodePacket(Buffer.from([command.QUIT]), 0));
    endGently(this.#socket);
  }

  #onData = (chunk: Buffer): void => {
    if (this.#over) return;
    const relay = this.#relay;
    let failure: Error | null = null;
    try {
      relay.feed(chunk);
    } catch (error) {
      failure = error as Error;
    }
    const parts = relay.outbox.take();
    if (parts.length > 0 && !this.#owner.deliver(parts)) this.#socket.pause();
    const finished = relay.finished;
    relay.finished = null;
    if (failure !== null) {
      this.#fail(failure);
      return;
    }
    if (finished === null) return;
    if (finished.status !== null) this.status = finished.status;
    const internal = this.#internal;
    if (internal === null) {
      try {
        this.#owner.finished(this, finished);
      } catch (error) {
        this.#fail(error as Error);
      }
      return;
    }
    this.#internal = null;
    internal.resolve(finished);
  };

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#internal?.reject(error);
    this.#internal = null;
    this.#owner.failed(this, error);
    this.#relay.abandon('2013');
  }
}

function resultEnds(client: number, upstream: number): ResultEnds {
  if (!(client & capability.DEPRECATE_EOF)) return 'eof';
  return upstream & capability.DEPRECATE_EOF ? 'ok' : 'eof_to_ok';
}

function tracking(client: number, tracks: boolean): Tracking {
  if (!tracks) return 'none';
  return client & capability.SESSION_TRACK ? 'both' : 'upstream';
}

/** What servers tell of unless they are told otherwise, and what Cordon has to hear of. */
const defaultTracked = ['autocommit', 'time_zone', ...trackedVariables];

/** Assignments of a SET. */
function trackingOf(variables: readonly string[]): string {
  const names = [...new Set(variables)].filter((name) => /^[\w*]+$/.test(name)).join(',');
  return `SESSION session_track_system_variables = '${names}', SESSION session_track_schema = ON`;
}

/** No such table or database, a name that can't be one, or a table that others see and LOCK TABLES leaves out. */
const noSuchTable: ReadonlySet<number> = new Set([1146, 1049, 1103, 1100]);

/** Modes that change how a text is cut into tokens, or what an expression means. */
const forbiddenModes = new Set([
  'ANSI',
  'ANSI_QUOTES',
  'DB2',
  'EMPTY_STRING_IS_NULL',
  'HIGH_NOT_PRECEDENCE',
  'IGNORE_SPACE',
  'MAXDB',
  'MSSQL',
  'MYSQL323',
  'MYSQL40',
  'NO_BACKSLASH_ESCAPES',
  'ORACLE',
  'PIPES_AS_CONCAT',
  'POSTGRESQL',
]);
const readableCharsets = new Set(['utf8', 'utf8mb3', 'utf8mb4']);

function modesOf(value: string | null | undefined): readonly string[] {
  return (value ?? '').split(',').filter((mode) => mode !== '');
}
