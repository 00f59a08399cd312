/** What an upstream is asked on a client's behalf, and how that ended: what relay, link and session tell each other. */
import type { Admitted, Refused } from '../gate.ts';
import type { PrepareOk } from './server-messages.ts';

/** What the upstream has been asked. `plain`: answered by OK, EOF or ERR. `internal`: Cordon's own query, no byte of
 *  whose answer reaches the client. */
export type Request =
  | {
      readonly kind: 'query' | 'execute';
      readonly admitted: Admitted;
      /** The end of the response waits until the session's state is known. */
      readonly settles: boolean;
    }
  | { readonly kind: 'prepare'; readonly admitted: Admitted; readonly clientId: number }
  | { readonly kind: 'plain' }
  | { readonly kind: 'internal' };

/** How a request ended. */
export interface Finished {
  /** The server's error number, null when it succeeded. */
  readonly error: number | null;
  /** Server status flags; null after an error, which carries none. */
  readonly status: number | null;
  /** The packet that ends a settling statement's response: for the client, once the session's state is known. */
  readonly held: readonly Buffer[];
  /** The number that the first held packet has, or that a packet in its place would have. */
  readonly nextSequence: number;
  readonly prepared: PrepareOk | null;
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
