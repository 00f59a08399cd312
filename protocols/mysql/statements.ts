/** The prepared statements of one session: the client's ids, the upstream's, and the leave they run by. No I/O. */
import type { Admitted, UpstreamName } from '../gate.ts';

export interface PreparedStatement {
  readonly clientId: number;
  readonly upstream: UpstreamName;
  readonly upstreamId: number;
  readonly admitted: Admitted;
}

/** MariaDB's id of the statement prepared last: a client names it so before it has heard the answer to its COM_STMT_PREPARE. */
const lastStatementId = 0xffff_ffff;

/** Ids are the session's own: those of several upstreams would collide. */
export class PreparedStatements {
  readonly #byId = new Map<number, PreparedStatement>();
  readonly #max: number;
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

  add(statement: PreparedStatement): void {
    this.#byId.set(statement.clientId, statement);
    this.#last = statement;
  }

  get(clientId: number): PreparedStatement | undefined {
    return clientId === lastStatementId ? this.#last : this.#byId.get(clientId);
  }

  delete(statement: PreparedStatement): void {
    this.#byId.delete(statement.clientId);
    if (this.#last === statement) this.#last = undefined;
  }

  clear(): void {
    this.#byId.clear();
    this.#last = undefined;
  }
}
