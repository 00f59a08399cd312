/** Parts of JSON values and their masking, for the tests of this folder. */
import assert from 'node:assert/strict';
import type { JsonPart, JsonStep, ResultColumn, WholeMask } from '../../masking/masker.ts';
import { maskerFor } from '../../masking/methods.ts';
import { key, pgColumn } from './columns.ts';

export const redact: WholeMask = { method: 'redact' };
export const partial: WholeMask = { method: 'partial', keepFirst: 0, keepLast: 2 };
export const every: JsonStep = { every: true };

/** `a`, `0` and `*` are steps. */
export function part(path: string, mask: WholeMask = redact): JsonPart {
  const steps = path.split(' ').flatMap((word): readonly JsonStep[] => {
    if (word === '') return [];
    if (word === '*') return [every];
    return [/^\d+$/.test(word) ? { index: Number(word) } : { name: word }];
  });
  return { path, steps, mask };
}

/** The value with the parts masked; as jsonb in text where no column is given. Also holds that the value itself stays as it was. */
export function masked(
  text: string | Uint8Array,
  parts: readonly JsonPart[],
  column: ResultColumn = pgColumn(3802),
) {
  const value = typeof text === 'string' ? Buffer.from(text) : text;
  const before = Buffer.from(value);
  const result = maskerFor({ method: 'json', parts }, column, key).mask(value);
  assert.ok(before.equals(value), 'the value itself was written to');
  return result === null ? null : Buffer.from(result).toString();
}
