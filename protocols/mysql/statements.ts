/** The prepared statements of one session: the client's ids, the upstream's, and the leave they run by. No I/O. */
import type { Admitted, UpstreamName } from '../gate.ts';

export interface PreparedStatement {
  readonly clientId: number;
  readonly upstream: UpstreamName;
  readonly upstreamId: number;
  readonly admitted: Admitted;
}

/** Ids are the session's own: those of several upstreams would collide. */
export class PreparedStatements {
  readonly #byId = new Map<number, PreparedStatement>();
  readonly #max: number;
  #lastId = 0;

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

  add(statement: PreparedStatement): void {
    this.#byId.set(statement.clientId, statement);
  }

  get(clientId: number): PreparedStatement | undefined {
    return this.#byId.get(clientId);
  }

  delete(clientId: number): void {
    this.#byId.delete(clientId);
  }

  clear(): void {
    this.#byId.clear();
  }
}
