/** A policy file as it is asked at run time: names resolved, patterns compiled, lookups built. No behaviour here. */
import type { JsonStep, WholeMask } from '../masking/masker.ts';
import type { StatementKind } from '../sql/statement.ts';
import type { Region, RoleName } from './decision.ts';
import type { NamePatterns, TagPatterns } from './patterns.ts';

/** The whole policy; immutable. */
export interface Policy {
  /** The first 12 hexadecimal digits of the text's SHA-256. */
  readonly version: string;
  readonly text: string;
  readonly file: string;
  /** Each known region with itself and everything that contains it. */
  readonly regions: ReadonlyMap<Region, ReadonlySet<Region>>;
  /** By the name that clients connect to. */
  readonly data: ReadonlyMap<string, NamePatterns<DataRule>>;
  readonly transfers: readonly Transfer[];
  readonly masks: TagPatterns<NamedMask>;
  readonly roles: readonly Role[];
  readonly vouched: Vouched;
  readonly approvals: readonly ApprovalRule[];
}

export interface NamedMask {
  /** The tag or pattern as the file has it; '' for a tag that no mask is named for. */
  readonly pattern: string;
  readonly method: WholeMask;
}

/** Where a table's rows are at home. */
export type Locality =
  | { readonly kind: 'regional'; readonly region: Region }
  | { readonly kind: 'by_row'; readonly column: string; readonly values: RowValues }
  | { readonly kind: 'global' };

/** How the region column's values name regions. */
export interface RowValues {
  /** Value to region; the regions' own names when the file maps none. */
  readonly byValue: ReadonlyMap<string, Region>;
  /** The region of every other value, NULL too; null: such rows are nobody's. */
  readonly otherwise: Region | null;
}

/** One entry of `data`. */
export interface DataRule {
  /** `data.shop.public.orders` */
  readonly id: string;
  readonly pattern: string;
  readonly locality: Locality;
  /** Column to its tag, or to the tags of parts of it. */
  readonly columns: ReadonlyMap<string, ColumnTag>;
  /** The same under lower-case names, for engines that compare column names without case. */
  readonly columnsFolded: ReadonlyMap<string, ColumnTag>;
  /** Writes may set off the table's triggers. */
  readonly triggersAllowed: boolean;
}

/** One tag for the values as a whole, or those of the parts of JSON values; at least one. */
export type ColumnTag = string | readonly PartTag[];

/** The tag of what stands at one path of a JSON column. */
export interface PartTag {
  /** As the file has it. */
  readonly path: string;
  readonly steps: readonly JsonStep[];
  readonly tag: string;
}

export interface Transfer {
  /** `transfers[0]` or `roles.etl.transfers[0]` */
  readonly id: string;
  readonly from: Region;
  readonly to: Region;
  readonly values: 'clear' | 'masked' | 'approval';
  readonly purpose: string;
  /** Milliseconds since the epoch from which on it no longer permits; null: no end. */
  readonly endsAt: number | null;
}

export interface Role {
  readonly name: RoleName;
  readonly groups: ReadonlySet<string>;
  readonly subjects: ReadonlySet<string>;
  /** null: from any issuer that the gateway trusts. */
  readonly issuers: ReadonlySet<string> | null;
  readonly databases: ReadonlySet<string>;
  readonly readRegions: readonly Region[];
  readonly writeRegions: readonly Region[];
  /** null: every table of the regions. */
  readonly writeTables: NamePatterns<true> | null;
  readonly writesGlobal: boolean;
  readonly statements: ReadonlySet<StatementKind>;
  readonly clear: TagPatterns<true>;
  readonly maskOnWrite: TagPatterns<true>;
  readonly maskedUse: 'refuse' | 'blank';
  readonly transfers: readonly Transfer[];
  readonly vouched: Vouched;
}

/** Functions that someone answers for. */
export interface Vouched {
  /** Every function that the engine doesn't ship. */
  readonly all: boolean;
  /** By `schema.name`. */
  readonly named: ReadonlyMap<string, VouchedFunction>;
}
export interface VouchedFunction {
  readonly name: string;
  readonly reads: readonly TableName[];
  readonly writes: readonly TableName[];
}
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export interface ApprovalRule {
  readonly name: string;
  readonly statements: ReadonlySet<StatementKind> | null;
  readonly withoutWhere: boolean;
  readonly tables: NamePatterns<true> | null;
  readonly regions: readonly Region[] | null;
  readonly tags: TagPatterns<true> | null;
  readonly approvers: readonly string[];
  readonly timeoutMs: number;
}
