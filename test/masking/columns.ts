/** Result columns for the tests of this folder. */
import type { MaskMethod, ResultColumn } from '../../masking/masker.ts';

export const key = Buffer.alloc(32, 7);

export function pgColumn(typeId: number, format: 'text' | 'binary' = 'text'): ResultColumn {
  return {
    engine: 'postgres',
    name: 'c',
    typeId,
    tableOid: 0,
    attribute: 0,
    schema: '',
    table: '',
    column: '',
    format,
    collation: 0,
    flags: 0,
  };
}

export function myColumn(
  typeId: number,
  format: 'text' | 'binary' = 'text',
  collation = 45,
  flags = 0,
): ResultColumn {
  return { ...pgColumn(typeId, format), engine: 'mysql', collation, flags };
}

export const methods: readonly MaskMethod[] = [
  { method: 'redact' },
  { method: 'null' },
  { method: 'partial', keepFirst: 1, keepLast: 2 },
  { method: 'partial', keepFirst: 0, keepLast: 4 },
  { method: 'partial_email' },
  { method: 'hash' },
  { method: 'year' },
  { method: 'fixed', value: '0' },
  { method: 'fixed', value: 'gone' },
  { method: 'fixed', value: '2000-01-01' },
  { method: 'fixed', value: 'true' },
];
