/** SEAM. What masks one column's values, and the plan for a result's columns. Pure and total. */
import type { Engine } from '../sql/catalog.ts';
import type { Copy } from '../sql/statement.ts';

/** A result column as the server's own metadata names it. */
export interface ResultColumn {
  readonly engine: Engine;
  readonly name: string;
  /** PostgreSQL: type OID; MySQL: protocol column type byte. */
  readonly typeId: number;
  /** PostgreSQL: table OID (0: none); MySQL: 0. */
  readonly tableOid: number;
  /** PostgreSQL: attribute number (0: none); MySQL: 0. */
  readonly attribute: number;
  /** MySQL: schema, org_table, org_name; '' when the server names none. PostgreSQL: ''. */
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  /** Wire format of the values. */
  readonly format: 'text' | 'binary';
  /** MySQL: collation id of the column (63 is binary); PostgreSQL: 0. */
  readonly collation: number;
  /** MySQL: column flags; PostgreSQL: 0. */
  readonly flags: number;
}

/** Turns one value into its mask: the same column type and wire format, or null. Never throws; anything that it
 *  can't read becomes null. `value` is a view that must not be kept or written to. For MySQL binary rows the
 *  value is the column's bytes without length prefix, as the type lays them out. */
export interface Masker {
  mask(value: Uint8Array): Uint8Array | null;
}

/** One entry per result column; null leaves the column's bytes as they are. */
export type MaskPlan = readonly (Masker | null)[];

/** What masks the rows of a COPY to the client. */
export interface CopyPlan {
  readonly layout: Copy;
  readonly columns: MaskPlan;
  /** CSV: the columns whose values are quoted in any case; one entry per column. */
  readonly quoted: readonly boolean[];
}

/** The named masks of a policy file: what becomes of a whole value. */
export type WholeMask =
  | { readonly method: 'redact' }
  | { readonly method: 'null' }
  | { readonly method: 'partial'; readonly keepFirst: number; readonly keepLast: number }
  | { readonly method: 'partial_email' }
  | { readonly method: 'hash' }
  | { readonly method: 'year' }
  | { readonly method: 'fixed'; readonly value: string };

/** One step into a JSON value: a member by name, an element by index, or every element of an array. */
export type JsonStep = { readonly name: string } | { readonly index: number } | { readonly every: true };

/** What stands at one place of a JSON value, and its mask. */
export interface JsonPart {
  /** As the policy file spells it: `$.phones[*]`. */
  readonly path: string;
  /** None: the whole value. */
  readonly steps: readonly JsonStep[];
  readonly mask: WholeMask;
}

/** How one column is masked: its values as a whole, or parts of them, which leaves the rest of a JSON value as it is. */
export type MaskMethod = WholeMask | { readonly method: 'json'; readonly parts: readonly JsonPart[] };
