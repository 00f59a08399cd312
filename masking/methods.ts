/** The named masks: which of them are legal for which kind of value, and the masker that comes of it; NULL everywhere else. */
import { createHmac } from 'node:crypto';
import { ascii } from './bytes.ts';
import { momentOf } from './calendar.ts';
import { jsonMasker } from './json.ts';
import type { Masker, MaskMethod, ResultColumn } from './masker.ts';
import { keepDomain, keepEnds, trimBlanks } from './text.ts';
import { kindOf } from './types.ts';
import type { ValueKind } from './value-kind.ts';

/** Every value becomes NULL. */
const nullMasker: Masker = { mask: () => null };

const redactedBytes = ascii('[redacted]');

/**
 * The masker of one method for one result column. `key` is the secret of `hash` (32 random bytes or more). Legal
 * combinations give a value of the column's own type and format; every other one gives NULL.
 */
export function maskerFor(method: MaskMethod, column: ResultColumn, key: Uint8Array): Masker {
  const kind = kindOf(column);
  switch (method.method) {
    case 'null':
      return nullMasker;
    case 'redact':
      return kind.kind === 'text' || (kind.kind === 'bytes' && kind.takesText)
        ? always(redactedBytes)
        : nullMasker;
    case 'partial':
      return onText(kind, (value, wide) => keepEnds(value, method.keepFirst, method.keepLast, wide));
    case 'partial_email':
      return onText(kind, keepDomain);
    case 'hash':
      return hashMasker(kind, key);
    case 'year':
      return yearMasker(kind);
    case 'fixed':
      return always(fixedBytes(kind, method.value));
    case 'json':
      return jsonMasker(method.parts, column, (mask) => maskerFor(mask, jsonString, key)) ?? nullMasker;
  }
}

/** A string inside a JSON value, unescaped, has the masks of a text: so equal values have equal hashes in both. */
const jsonString: ResultColumn = {
  engine: 'postgres',
  name: '',
  typeId: 25,
  tableOid: 0,
  attribute: 0,
  schema: '',
  table: '',
  column: '',
  format: 'text',
  collation: 0,
  flags: 0,
};

function always(bytes: Uint8Array | null): Masker {
  return bytes === null ? nullMasker : { mask: () => bytes };
}

function onText(kind: ValueKind, mask: (value: Uint8Array, wide: boolean) => Uint8Array): Masker {
  if (kind.kind !== 'text') return nullMasker;
  const { wide, trims } = kind;
  return trims ? { mask: (value) => mask(trimBlanks(value), wide) } : { mask: (value) => mask(value, wide) };
}

/** Keyed, so that nobody without the key can try values. The same value in text and binary format has the same hash. */
function hashMasker(kind: ValueKind, key: Uint8Array): Masker {
  const digest = (value: Uint8Array | string): Buffer => createHmac('sha256', key).update(value).digest();
  switch (kind.kind) {
    case 'text': {
      const { trims } = kind;
      return {
        mask: (value) => ascii(digest(trims ? trimBlanks(value) : value).toString('hex', 0, 16)),
      };
    }
    case 'bytes':
      return {
        mask(value) {
          const bytes = kind.read(value);
          return bytes === null ? null : kind.write(digest(bytes));
        },
      };
    case 'uuid':
      return {
        mask(value) {
          const bytes = kind.read(value);
          if (bytes === null) return null;
          const masked = digest(bytes).subarray(0, 16);
          // RFC 9562, version 8 (custom), variant 10.
          masked[6] = ((masked[6] ?? 0) & 0x0f) | 0x80;
          masked[8] = ((masked[8] ?? 0) & 0x3f) | 0x80;
          return kind.write(masked);
        },
      };
    case 'integer': {
      const { max, read, write } = kind;
      return {
        mask(value) {
          const number = read(value);
          return number === null ? null : write((digest(String(number)).readBigUInt64BE(0) % max) + 1n);
        },
      };
    }
    default:
      return nullMasker;
  }
}

function yearMasker(kind: ValueKind): Masker {
  if (kind.kind === 'year') return { mask: (value) => value.slice() };
  if (kind.kind !== 'moment') return nullMasker;
  const { readYear, write } = kind;
  return {
    mask(value) {
      const year = readYear(value);
      return year === null ? null : write({ year, month: 1, day: 1, hour: 0, minute: 0, second: 0 });
    },
  };
}

function fixedBytes(kind: ValueKind, value: string): Uint8Array | null {
  switch (kind.kind) {
    case 'text':
      if (value.includes('\u0000')) return null;
      return kind.wide || /^[\u0001-\u007f]*$/.test(value) ? Buffer.from(value, 'utf8') : null;
    case 'bytes':
      return kind.write(Buffer.from(value, 'utf8'));
    case 'integer': {
      if (!/^-?\d{1,20}$/.test(value)) return null;
      const number = BigInt(value);
      return number >= kind.min && number <= kind.max ? kind.write(number) : null;
    }
    case 'uuid':
      return /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(value)
        ? kind.write(Buffer.from(value.replaceAll('-', ''), 'hex'))
        : null;
    case 'moment': {
      const moment = momentOf(value);
      return moment === null ? null : kind.write(moment);
    }
    case 'year':
      return /^\d{4}$/.test(value) ? kind.write(Number(value)) : null;
    case 'float':
      return isDecimal(value) ? kind.write(Number(value)) : null;
    case 'decimal':
      return isDecimal(value) ? ascii(value) : null;
    case 'boolean':
      return value === 'true' || value === 'false' ? kind.write(value === 'true') : null;
    case 'other':
      return null;
  }
}

function isDecimal(value: string): boolean {
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(value);
}
