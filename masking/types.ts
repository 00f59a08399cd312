/**
 * What a result column holds, as far as masks can tell: each kind reads and writes values of one engine's type in one
 * wire format. Which method is legal for which kind is not said here.
 */

import type { Moment } from './calendar.ts';
import type { ResultColumn } from './masker.ts';
import { mysqlKind } from './mysql-values.ts';
import { postgresKind } from './postgres-values.ts';

/** `read` answers null for what it can't read; `write` gives the type's own bytes in the column's format. */
export type ValueKind =
  /** `wide`: UTF-8; otherwise each byte is a character. `trims`: the type pads with blanks that mean nothing. */
  | { readonly kind: 'text'; readonly wide: boolean; readonly trims: boolean }
  | {
      readonly kind: 'bytes';
      readonly read: (value: Uint8Array) => Uint8Array | null;
      readonly write: (bytes: Uint8Array) => Uint8Array;
      /** Any bytes are as good as a text. */
      readonly takesText: boolean;
    }
  | {
      readonly kind: 'integer';
      readonly min: bigint;
      readonly max: bigint;
      readonly read: (value: Uint8Array) => bigint | null;
      readonly write: (value: bigint) => Uint8Array;
    }
  | {
      readonly kind: 'uuid';
      readonly read: (value: Uint8Array) => Uint8Array | null;
      readonly write: (bytes: Uint8Array) => Uint8Array;
    }
  | {
      readonly kind: 'moment';
      /** The year after Christ, or null. */
      readonly readYear: (value: Uint8Array) => number | null;
      /** null where the type has no such value. */
      readonly write: (moment: Moment) => Uint8Array | null;
    }
  /** A type that holds a year and nothing else. */
  | { readonly kind: 'year'; readonly write: (year: number) => Uint8Array | null }
  | { readonly kind: 'float'; readonly write: (value: number) => Uint8Array }
  | { readonly kind: 'decimal' }
  | { readonly kind: 'boolean'; readonly write: (value: boolean) => Uint8Array }
  | { readonly kind: 'other' };

/** The kind of a column's values; `other` for every type that isn't known. */
export function kindOf(column: ResultColumn): ValueKind {
  return column.engine === 'postgres' ? postgresKind(column) : mysqlKind(column);
}
