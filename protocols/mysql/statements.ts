/** The prepared statements of one session: the client's ids, the upstream's, the leave they run by, and their cursors. No I/O. */
import type { Admitted, UpstreamName } from '../gate.ts';
import { serverStatus } from './capabilities.ts';
import type { Cursor } from './cursors.ts';
import type { Finished, Request } from './requests.ts';

export interface PreparedStatement {
  readonly clientId: number;
  readonly upstream: UpstreamName;
  readonly upstreamId: number;
  readonly parameters: number;
  readonly admitted: Admitted;
}

/** MariaDB's id of the statement prepared last: a client names it so before it has heard the answer to its COM_STMT_PREPARE. */
const lastStatementId = 0xffff_ffff;

/** Ids are the session's own: those of several upstreams would collide. */
export class PreparedStatements {
  readonly #byId = new Map<number, PreparedStatement>();
  readonly #max: number;
  readonly #cursors = new Map<PreparedStatement, Cursor>();
  #lastId = 0;
  #last: PreparedStatement | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get isFull(): boolean {
    return this.#byId.size >= this.#max;
  }

  /** The id that the next prepared statement gets; 0 and 0xFFFFFFFF (MariaDB's "the last one") are never among them. */
  nextId(): number {
    do {
      this.#lastId = this.#lastId >= 0x7fff_ffff ? 1 : this.#lastId + 1;
    } while (this.#byId.has(this.#lastId));
    return this.#lastId;
  }

  /** A statement is being prepared: should that fail, no statement was prepared last. */
  preparing(): void {
    this.#last = undefined;
  }

  /** A request has ended at that upstream: a statement may be prepared now, a cursor open or at its end. */
  finished(request: Request, finished: Finished, upstream: UpstreamName): void {
    if (request.kind === 'prepare' && finished.prepared !== null) {
      const { clientId, admitted } = request;
      const { statementId: upstreamId, parameters } = finished.prepared;
      const statement = { clientId, upstream, upstreamId, parameters, admitted };
      this.#byId.set(clientId, statement);
      this.#last = statement;
    } else if (request.kind === 'fetch') {
      const { status } = finished;
      const isOver = status === null || (status & serverStatus.LAST_ROW_SENT) !== 0;
      if (isOver) this.endCursor(this.#byId.get(request.clientId));
    } else if (request.kind === 'execute' && finished.cursor !== null) {
      const statement = this.#byId.get(request.cursorFor ?? 0);
      if (statement === undefined) finished.cursor.end(null);
      else this.#cursors.set(statement, finished.cursor);
    }
  }

  get(clientId: number): PreparedStatement | undefined {
    return clientId === lastStatementId ? this.#last : this.#byId.get(clientId);
  }

  /** How many cursors are open. */
  get cursors(): number {
    return this.#cursors.size;
  }

  cursor(statement: PreparedStatement): Cursor | undefined {
    return this.#cursors.get(statement);
  }

  endCursor(statement: PreparedStatement | undefined): void {
    if (statement === undefined) return;
    this.#cursors.get(statement)?.end(null);
    this.#cursors.delete(statement);
  }

  delete(statement: PreparedStatement): void {
    this.endCursor(statement);
    this.#byId.delete(statement.clientId);
    if (this.#last === statement) this.#last = undefined;
  }

  clear(): void {
    for (const cursor of this.#cursors.values()) cursor.end(null);
    this.#cursors.clear();
    this.#byId.clear();
    this.#last = undefined;
  }
}
