/** SEAM. What was decided and why; who asks; which way the answer travels. */
import type { MaskMethod } from '../masking/masker.ts';
import type { ColumnRef, StatementKind } from '../sql/statement.ts';

/** Closed set: on the wire, in the audit, in `policy explain`. */
export const reasons = [
  'ok',
  'no_role',
  'unknown_database',
  'statement_kind',
  'unplaced_table',
  'unknown_name',
  'opaque_statement',
  'region_read',
  'region_write',
  'path_upstream',
  'path_gateway',
  'path_client',
  'transfer',
  'region_split',
  'row_region',
  'masked_use',
  'masked_write',
  'unmaskable',
  'function_refused',
  'channel_refused',
  'approval_required',
  'approval_rejected',
  'approval_expired',
  'audit_unavailable',
  'limit',
  'session_drift',
] as const;
export type Reason = (typeof reasons)[number];

export type Region = string;
export type RoleName = string;
export type UpstreamName = string;

/** Who is asking, for the life of a session. */
export interface Principal {
  readonly subject: string;
  readonly issuer: string;
  /** What people call them (an e-mail address); for display only. */
  readonly name: string;
  readonly groups: readonly string[];
  /** From a verified claim; null when no claim says so. */
  readonly region: Region | null;
  /** Seconds since the epoch when the proof of identity ends. */
  readonly expiresAt: number;
}

/** The hops that are known before a route is chosen. `client` null: unknown, within nothing. */
export interface Path {
  readonly gateway: Region;
  readonly client: Region | null;
}

/** One place a database is reached at; the order in the list is the file's. */
export interface RouteOption {
  readonly upstream: UpstreamName;
  readonly region: Region;
  readonly kind: 'primary' | 'replica';
}

/** Everything that a decision depends on besides the policy and the statements. */
export interface DecisionContext {
  readonly principal: Principal;
  readonly database: string;
  readonly routes: readonly RouteOption[];
  /** The upstream that the open transaction holds; null outside one. */
  readonly pinned: UpstreamName | null;
  readonly path: Path;
  /** Regions that the rows of the session's temporary tables may be of; missing: none. */
  readonly temporaryRegions?: readonly Region[];
}

/** A tagged column and the method that masks it for this principal. */
export interface ColumnMask extends ColumnRef {
  readonly tag: string;
  readonly mask: MaskMethod;
}

/** Replace the table reference at [start, end) of the text by `(SELECT <columns> FROM <table> WHERE <predicate>)`. */
export interface Rewrite {
  readonly start: number;
  readonly end: number;
  readonly aliased: boolean;
  readonly schema: string;
  readonly table: string;
  /** As in `TableSpan`. */
  readonly fence?: string;
  /** As in `TableSpan`: replaced by a space. */
  readonly qualifiers?: readonly { readonly start: number; readonly end: number }[];
  /** SQL of the engine's own dialect, made of the policy's literals; safe to splice. */
  readonly predicate: string;
  /** Every column of the table in order; missing: all of them as they are. */
  readonly columns?: readonly RewrittenColumn[];
}
export interface RewrittenColumn {
  readonly name: string;
  /** Its place is taken by a NULL of its own type. */
  readonly blank: boolean;
}

/** Why: the same object feeds the client's error, the audit row, `policy explain` and the metrics. */
export interface Because {
  readonly reasons: readonly Reason[];
  /** Rule ids, such as `roles.eu-analyst.read` or `data.shop.public.orders`. */
  readonly rules: readonly string[];
  /** One sentence for a person: names the column, the table, the region, the clause. No values. */
  readonly message: string;
  /** The way out. */
  readonly hint: string;
  /** The text was not understood, and whoever asks may do everything in the database: the server may be asked what is wrong with
   *  it, in a way that runs nothing. */
  readonly serverMayWord?: true;
}

interface Facts {
  readonly statementKinds: readonly StatementKind[];
  /** `schema.table`, sorted. */
  readonly tables: readonly string[];
  readonly regionsRead: readonly Region[];
  readonly regionsWritten: readonly Region[];
  readonly roles: readonly RoleName[];
  readonly policyVersion: string;
  readonly because: Because;
}

export interface Allow extends Facts {
  readonly effect: 'allow';
  readonly route: UpstreamName;
  readonly routeRegion: Region;
  /** Columns of the tables in play that this principal sees masked, whether they are outputs or not: the mask
   *  plan looks up both witnesses in it. Empty: every result goes through verbatim. */
  readonly masks: readonly ColumnMask[];
  /** Masked columns that the rewrites give as NULL in all references; none of them is in `masks`. */
  readonly blanked: readonly ColumnMask[];
  readonly rewrites: readonly Rewrite[];
}
export interface Hold extends Facts {
  readonly effect: 'hold';
  readonly approvers: readonly string[];
  readonly timeoutMs: number;
  readonly then: Allow;
}
export interface Refuse extends Facts {
  readonly effect: 'refuse';
  /** The route that was tried, when one was found before the refusal. */
  readonly route: UpstreamName | null;
}
/** For one statement. refuse > hold > mask/rewrite > allow. */
export type Decision = Allow | Hold | Refuse;
