/**
 * SEAM. All that a protocol knows of the product: it hands over who signs in and what they send, and is told what
 * to do. No policy, no analysis and no log is visible from here. Implemented in gateway/gate.ts.
 */
import type { CopyPlan, MaskPlan, ResultColumn } from '../masking/masker.ts';
import type { CatalogTable, OwnContents } from '../sql/catalog.ts';

export type UpstreamName = string;

/** `secret` is a token or a Cordon credential; it is never logged and never kept after signing in. */
export interface Credentials {
  readonly protocol: 'postgres' | 'mysql';
  readonly user: string;
  readonly secret: string;
  readonly database: string;
  readonly clientAddress: string;
  readonly tls: boolean;
  readonly applicationName: string;
}

/** How an upstream is reached. The password leaves the process in its authentication exchange only. */
export interface UpstreamTarget {
  readonly name: UpstreamName;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls: UpstreamTls;
}
/** PEM texts. `require` encrypts without checking who answers. */
export interface UpstreamTls {
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Why a statement is not going to run; becomes the protocol's own error. */
export interface Refused {
  readonly effect: 'refuse';
  /** 42501 unless the text is no SQL at all (42601). */
  readonly sqlState: string;
  readonly message: string;
  /** `reason: <code>; decision: <id>` */
  readonly detail: string;
  readonly hint: string;
  /** 1-based character position in the client's text. */
  readonly position: number | null;
  /** PostgreSQL: nothing is decided yet. The session's own catalog is to be read on its connection to this upstream and handed
   *  over with `GateSession.refreshed`, and the text admitted again; a protocol that can't do that takes this as a refusal. */
  readonly lacksCatalog?: UpstreamName;
  /** PostgreSQL, a Query of several statements: nothing is decided yet. Each of these texts is to be admitted when those before it
   *  have run, all of them in one transaction, which they begin and end themselves or (`bare`) do not. */
  readonly apart?: { readonly texts: readonly string[]; readonly bare: boolean };
  /** PostgreSQL: the server may be asked for its own words, by a Parse of the text that is never bound. What it takes without an
   *  error stays refused. */
  readonly serverMayWord?: true;
}

/** Leave to run one text. */
export interface Admitted {
  readonly effect: 'allow';
  readonly route: UpstreamName;
  /** Send this in place of the client's text; null: the client's bytes unchanged. */
  readonly text: string | null;
  /** Statements in the text, in order: a simple Query may hold several. At least 1, 0 for an empty text. */
  readonly statements: number;
  /** A tagged column is in play: the relay has to see the result's metadata before any row, and call `plan`. When
   *  false the relay still calls `plan` wherever metadata comes by in any case. */
  readonly watched: boolean;
  /** The statement may change what names or literals mean (search_path, current database, sql_mode) or the catalog: run no
   *  further text until it has completed and `Session.refreshed` was called. */
  readonly settles: boolean;
  /** MySQL: names under which there may be another temporary table afterwards than before, or one less. */
  readonly temporary?: readonly { readonly schema: string; readonly name: string }[];
  /** PostgreSQL: it may change who the session is to the server, which then reports a new identity. */
  readonly changesIdentity?: boolean;
  /** PostgreSQL: what may be copied; false: no statement of the text is a COPY, and a CopyIn/CopyOutResponse is a breach. */
  readonly copies: AdmittedCopies | false;
  /**
   * The mask plan for the result of statement `index` (0-based); null: rows go through verbatim. A refusal means
   * that the two witnesses contradict each other: nothing of the result may be delivered, the session ends.
   */
  plan(columns: readonly ResultColumn[], index: number): MaskPlan | null | Refused;
  /** Admissions of the same object plan the same columns alike; none: each by itself. */
  readonly plansAs?: object;
  /** Statement `index` ended. `error`: SQLSTATE or error number, null when it succeeded. Called once for each index that ran. */
  completed(index: number, rows: number, bytes: number, error: string | null): void;
}
/** What a text may copy from or to the client. */
export interface AdmittedCopies {
  /** The way that statement `index` copies; null: it doesn't. */
  direction(index: number): 'in' | 'out' | null;
  /** As `Admitted.plan`, for a COPY to the client; `formats`: one entry per column, as CopyOutResponse gives them. */
  plan(formats: readonly ResultColumn['format'][], index: number): CopyPlan | null | Refused;
}
export type Admission = Admitted | Refused;

/** What the upstream says of the session's state after a settling statement or at its start. */
export interface SessionState {
  /** PostgreSQL: current_schemas(true). MySQL: the current database, or none. */
  readonly path: readonly string[];
  /** Where it was asked. */
  readonly upstream?: UpstreamName;
  /** PostgreSQL: a transaction is open there. */
  readonly transaction?: boolean;
  /** PostgreSQL: the transaction doesn't see what others have committed since its first statement. */
  readonly fixedSnapshot?: boolean;
  /** PostgreSQL: what the session sees there, when that was read too. */
  readonly catalog?: OwnContents;
  /** MySQL: the session's temporary tables there. */
  readonly temporary?: readonly CatalogTable[];
}

/** One signed-in client: one principal for life. */
export interface GateSession {
  readonly id: string;
  /** Where the session's first upstream connection goes. */
  readonly home: UpstreamName;
  target(upstream: UpstreamName): UpstreamTarget;
  /** Told at the start, after each settling statement, and when a transaction ends in which one ran. */
  refreshed(state: SessionState): void;
  /** The open transaction's upstream, null when it ends: routes are pinned meanwhile. */
  pinned(upstream: UpstreamName | null): void;
  /**
   * Analyzes and decides a whole text (Query, Parse, COM_QUERY, COM_STMT_PREPARE). When it allows, the decision is in the
   * journal, or on its way there (`unjournaled`). Answers at once unless the catalog has to be read or a person asked; `signal`
   * ends the wait (cancel, disconnect).
   */
  admit(text: string, phase: 'query' | 'prepare', signal: AbortSignal): Admission | Promise<Admission>;
  /** Each execution of a prepared text is decided again; the same Admitted comes back while nothing has changed, with
   *  a journal entry of its own. A route or text other than at prepare is a refusal; `bound`, when it ran before over
   *  what the server still holds open (a portal), also when names have come to mean other tables. */
  readmit(prepared: Admitted, signal: AbortSignal, bound?: boolean): Admission | Promise<Admission>;
  /** PostgreSQL: `admit` would ask for the session's own catalog, for any text that names something. */
  readonly lacksCatalog?: boolean;
  /** PostgreSQL: another number when names may mean something else. */
  readonly namesVersion?: number;
  /** PostgreSQL: a Parse or Close of the client's is about to change what this name of a prepared statement stands for, which
   *  SQL's PREPARE and EXECUTE use as well. */
  statementNamed?(name: string): void;
  /** Decisions of this session are not in the journal yet; nothing that was admitted may leave for an upstream before
   *  `onJournaled` has told so. */
  readonly unjournaled: boolean;
  /**
   * Tells `waiter`, in this turn of the event loop, that they are there, or that they can't be written: then nothing of what was
   * admitted meanwhile may leave ever. `waiter` doesn't throw.
   */
  onJournaled(waiter: (isWritten: boolean) => void): void;
  /** Words the refusal of what could not be journaled. */
  refuseUnjournaled(): Refused;
  /** A message or command that is refused for what it is (FunctionCall, COM_PROCESS_KILL): journals it and words the refusal. */
  refuseMessage(name: string): Refused;
  /** The limits of this session (bytes, counts). */
  readonly limits: SessionLimits;
  closed(): void;
}
export interface SessionLimits {
  /** A client message or command larger than this closes the session. */
  readonly messageBytesMax: number;
  readonly preparedMax: number;
  readonly portalsMax: number;
}

/** A sign-in that failed. The client hears nothing but that it failed; the audit knows why. `sign_in` is the identity's
 *  fault, `database` an unknown name or no role for it, `unavailable` ours (limits, upstream down). */
export interface SignInRefused {
  readonly effect: 'refuse';
  readonly fault: 'sign_in' | 'database' | 'unavailable';
  readonly message: string;
}

export interface Gate {
  signIn(credentials: Credentials, session: SessionControl): Promise<GateSession | SignInRefused>;
  /** A number from 1 to 2^31-1 that no other open MySQL connection of the gateway has, in any of its processes. */
  connectionId(): number;
  /** Keys what stands for a MySQL client's secret, the same in all processes of the gateway. */
  readonly ownerKey: Uint8Array;
  /** MySQL: true when another process has a session of this owner. */
  ownsElsewhere(owner: string): Promise<boolean>;
  /** MySQL: a KILL whose session is not in this process; true when another one had it, and it is the owner's. */
  killElsewhere(connectionId: number, queryOnly: boolean, owner: string): Promise<boolean>;
  /** PostgreSQL: a cancel request that fits no session of this process. Nothing tells whether another one had it. */
  cancelElsewhere(processId: number, key: Buffer): void;
}

/** What a session is at. `waiting`: for the gateway itself (a decision, an upstream, the session's state); `transaction`: one is
 *  open and the client has asked nothing; `statement`: the upstream works for the client. */
export type SessionActivity = 'waiting' | 'idle' | 'transaction' | 'statement';

/** What the gateway may do to a running session. */
export interface SessionControl {
  readonly activity: SessionActivity;
  /** Another number when the activity is not the same one as before: a new statement, a sign of life between statements. */
  readonly turns: number;
  /**
   * A time limit on the present activity has passed. A session that idles ends with the protocol's own error for that (57P05,
   * 25P03; 4031); a statement is cancelled at the upstream, and the client hears why (57014; 3024).
   */
  expire(activity: 'idle' | 'transaction' | 'statement'): void;
  /** Ends it with the protocol's administrator-shutdown error (57P01 / 1053). */
  kill(reason: string): void;
  /** Drain: end as soon as no statement and no transaction is open. */
  drain(): void;
}

/** One listener's settings, as the protocols need them. */
export interface ListenerSettings {
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Cleartext passwords without TLS from loopback addresses. */
  readonly allowCleartextLoopback: boolean;
  readonly handshakeTimeoutMs: number;
  /** Bytes a client may send before it is signed in. */
  readonly handshakeBytesMax: number;
}
