/** What the parts of a relay need of each other, and of the sockets around it. Types, waits, and the pin of a route. */
import type { Admission, GateSession, Refused, UpstreamName } from '../gate.ts';
import type { Request, RequestQueue } from './requests.ts';

/** The two sides, as the relay needs them. */
export interface RelayEnds {
  toClient(bytes: Buffer): void;
  toUpstream(bytes: Buffer): void;
  /** Makes another upstream the current one, opening it when need be and saying `settings` there first. */
  switchTo(upstream: UpstreamName, settings: readonly string[]): Promise<void>;
  /** Whether the client's bytes should wait for now. */
  holdClient(held: boolean): void;
  /** The session is over; `response` is the client's last message. `cancel`: the running statement is to be stopped. */
  end(response: Buffer | null): void;
}

/** What a client message comes to. `again`: it waits, and will be looked at once more. */
export type Handled = 'verbatim' | 'consumed' | 'again';

/** Why no client message is being handled. */
export type Blocked = '' | 'admission' | 'idle' | 'settle' | 'state' | 'switch' | 'confirm' | 'full' | 'copy';

/** Waits that are over when the server has answered everything; `copy` also when it takes the client's CopyData. */
export const afterAnswers: ReadonlySet<Blocked> = new Set<Blocked>(['settle', 'state', 'idle', 'copy']);

/** What the handling of messages needs of the relay around it. */
export interface Flow {
  readonly queue: RequestQueue;
  readonly upstream: UpstreamName;
  readonly signal: AbortSignal;
  /** The answer that the current message waited for. */
  readonly answer: Admission | null;
  /** Counts pipelines; messages of one share the fate of being skipped. */
  readonly group: number;
  /** A settling statement was sent in the open pipeline. */
  readonly settlingGroup: boolean;
  /** A settling statement ran in the open transaction. */
  readonly unsettledTransaction: boolean;
  /** Sends bytes of the gateway's own, behind all that came before the current message. */
  send(bytes: Buffer): void;
  block(reason: Blocked): Handled;
  wait(admission: Promise<Admission>): Handled;
  /** null: this upstream is the one. `wait`: it is going to be. A refusal: it can't be now. */
  elsewhere(route: UpstreamName, answer: Admission | null): Refused | 'wait' | null;
  /** Reads what the session sees on an upstream before the current message is looked at again. A refusal: it can't be read now. */
  readCatalog(upstream: UpstreamName): Refused | 'wait';
  /** The same before an extended message that asks nobody, where that is needed and can be done. */
  catalogForBind(): boolean;
  /** Puts Queries of one text each in the place of the current one. `bare`: in a transaction of the gateway's, where none is open.
   *  A refusal: it can't be done now. null: not at all. */
  apart(texts: readonly string[], bare: boolean): Refused | 'wait' | null;
  /** Whether the current message is one that `apart` has put there. */
  readonly scripts: { readonly isRunning: boolean };
  /** An extended message is on its way. */
  openGroup(request: Request): void;
  /** A Query or Sync is on its way. */
  endGroup(request: Request): void;
  /** Handle nothing more until the state has been read again. */
  settle(): void;
  settleAtSync(): void;
  /** The server will discard the client's messages up to Sync. */
  skip(): void;
  terminate(): Handled;
}

/** Tells the gate which upstream the open transaction or pipeline holds, when that changes. */
export class RoutePin {
  readonly #session: GateSession;
  #held = false;

  constructor(session: GateSession) {
    this.#session = session;
  }

  hold(upstream: UpstreamName): void {
    if (this.#held) return;
    this.#held = true;
    this.#session.pinned(upstream);
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#session.pinned(null);
  }
}
