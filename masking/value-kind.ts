/** The kinds of values that masks tell apart: what can be read from them and written to them. */
import type { Moment } from './calendar.ts';

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
