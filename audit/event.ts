/** SEAM. What the audit records: one flat row an event, the columns of the CSV export. */

export type AuditEventKind =
  | 'session.opened'
  | 'statement.decided'
  | 'hold.resolved'
  | 'statement.completed'
  | 'session.closed'
  | 'policy.loaded'
  | 'identity.revoked';

/** Fields are the CSV's columns without seq, prev_hash and hash, which the store adds. Lists are joined with `;`
 *  in the export. Missing means not applicable. No row values, parameters, tokens or passwords, ever. */
export interface AuditEvent {
  /** Milliseconds since the epoch; the export writes RFC 3339 UTC with milliseconds. */
  readonly at: number;
  readonly session_id?: string;
  readonly statement_id?: string;
  readonly event: AuditEventKind;
  readonly database?: string;
  readonly protocol?: 'postgres' | 'mysql';
  readonly subject?: string;
  readonly issuer?: string;
  readonly groups?: readonly string[];
  readonly roles?: readonly string[];
  readonly client_address?: string;
  readonly client_region?: string;
  readonly gateway_region?: string;
  readonly upstream?: string;
  readonly upstream_region?: string;
  readonly statement_kind?: string;
  readonly shape?: string;
  readonly sql?: string;
  readonly tables?: readonly string[];
  readonly data_regions?: readonly string[];
  readonly decision?: 'allow' | 'hold' | 'refuse';
  readonly reasons?: readonly string[];
  readonly rules?: readonly string[];
  readonly policy_version?: string;
  readonly masked_columns?: readonly string[];
  readonly rows?: number;
  readonly bytes?: number;
  /** SQLSTATE or engine error number and condition; never the message text. */
  readonly error?: string;
  readonly duration_us?: number;
  readonly approval_id?: string;
  readonly approver?: string;
}

/** The part of an event that many events share (a cached decision's, a session's), serialized once. It is the log's that
 *  made it, and of no use to another. */
export interface EventTemplate {
  readonly json: string;
}

/** The journal that stands in front of the store. */
export interface AuditLog {
  /** Serializes the constant fields once; pass the result to `append`. */
  template(fields: Omit<AuditEvent, 'at'>): EventTemplate;
  /**
   * Puts one event into the journal file before it returns, so that it outlives the death of this process.
   * `more` are the fields that differ from event to event. Throws AuditUnavailable when it can't be written:
   * then nothing that the event speaks of may happen.
   */
  append(template: EventTemplate, at: number, more: Omit<AuditEvent, 'at' | 'event'>): void;
  /**
   * As `append` for many at once: the event is written at the end of this turn of the event loop, together with all others of the
   * turn. What it gives is for `isStaged`; 0: it is written already, as always while the journal makes trouble. Throws
   * AuditUnavailable when that is known at once.
   */
  stage(template: EventTemplate, at: number, more: Omit<AuditEvent, 'at' | 'event'>): number;
  /** The events of this number are not written yet: nothing that they speak of may happen. */
  isStaged(staged: number): boolean;
  /** Told when what is staged now has been written. false: it can't be, and what it speaks of must not happen. `waiter` doesn't
   *  throw. To be called only while something is staged. */
  onWritten(waiter: (isWritten: boolean) => void): void;
  /** As `append`, but the event may wait for the next `append` or 50 ms, whichever is first: for what has already
   *  happened (a completion). Never throws. */
  defer(template: EventTemplate, at: number, more: Omit<AuditEvent, 'at' | 'event'>): void;
  /** Resolves when everything so far is in the SQLite store. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable';
}
