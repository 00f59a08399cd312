/** What an upstream is asked on a client's behalf, and how that ended: what relay, link and session tell each other. */
import type { Admitted, Refused } from '../gate.ts';
import type { Cursor } from './cursors.ts';
import type { PrepareOk } from './server-messages.ts';

/** What the upstream has been asked. `plain`: answered by OK, EOF or ERR. `internal`: Cordon's own query, no byte of
 *  whose answer reaches the client. */
export type Request =
  | {
      readonly kind: 'query' | 'execute';
      readonly admitted: Admitted;
      /** The end of the response waits until the session's state is known. */
      readonly settles: boolean;
      /** COM_STMT_EXECUTE asks for a cursor: the client's id of the statement. */
      readonly cursorFor?: number | null;
    }
  /** COM_FIELD_LIST, by a query without rows. */
  | { readonly kind: 'fields'; readonly admitted: Admitted; readonly wildcard: string }
  | { readonly kind: 'fetch'; readonly cursor: Cursor; readonly clientId: number }
  | { readonly kind: 'prepare'; readonly admitted: Admitted; readonly clientId: number }
  | { readonly kind: 'plain' }
  | { readonly kind: 'internal' };

/** How a request ended. */
export interface Finished {
  /** The server's error number, null when it succeeded. */
  readonly error: number | null;
  /** Server status flags; null after an error, which carries none. */
  readonly status: number | null;
  /** The packet that ends the response when it settles: for the client, once the session's state is known. */
  readonly held: readonly Buffer[];
  /** The number that the first held packet has, or that a packet in its place would have. */
  readonly nextSequence: number;
  /** The session may mean something else from now on: it was asked to, or the server says so. */
  readonly settles: boolean;
  readonly prepared: PrepareOk | null;
  /** The cursor that an execution has opened: its rows are still to come. */
  readonly cursor: Cursor | null;
  /** Rows of an internal query. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Nothing more of this response may be delivered and the session ends. */
export class Breach extends Error {
  override readonly name = 'Breach';
  readonly refused: Refused | null;
  constructor(message: string, refused: Refused | null) {
    super(message);
    this.refused = refused;
  }
}

export function asksForCursor(request: Request): boolean {
  return request.kind === 'execute' && (request.cursorFor ?? null) !== null;
}

/** Accounts for a request that failed in statement `index`, after that many rows and bytes of it. */
export function completeFailed(
  request: Request,
  index: number,
  rows: number,
  bytes: number,
  error: string,
): void {
  if (request.kind === 'fetch') {
    request.cursor.delivered(rows, bytes);
    request.cursor.end(error);
  } else if ('admitted' in request && request.kind !== 'prepare' && request.admitted.statements > 0) {
    request.admitted.completed(index, rows, bytes, error);
  }
}
