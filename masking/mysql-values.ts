/** MySQL's and MariaDB's protocol column types, in the text protocol and the binary one ("Binary Protocol Resultset Row"). */
import { ascii, integerOf, latin, viewOf } from './bytes.ts';
import { type Moment, padded } from './calendar.ts';
import type { ResultColumn } from './masker.ts';
import type { ValueKind } from './value-kind.ts';

const other: ValueKind = { kind: 'other' };
const unsignedFlag = 0x20;
const enumFlag = 0x100;
const setFlag = 0x800;
const binaryCollation = 63;

export function mysqlKind(column: ResultColumn): ValueKind {
  const binary = column.format === 'binary';
  switch (column.typeId) {
    case 0x01: // TINY
      return integer(column, 1, 8);
    case 0x02: // SHORT
      return integer(column, 2, 16);
    case 0x09: // INT24 travels in four bytes
      return integer(column, 4, 24);
    case 0x03: // LONG
      return integer(column, 4, 32);
    case 0x08: // LONGLONG
      return integer(column, 8, 64);
    case 0x04:
      return float(4, binary);
    case 0x05:
      return float(8, binary);
    case 0x00: // DECIMAL
    case 0xf6: // NEWDECIMAL
      return { kind: 'decimal' };
    case 0x0a: // DATE
      return binary ? momentBinary(true) : momentText(true);
    case 0x07: // TIMESTAMP
    case 0x0c: // DATETIME
      return binary ? momentBinary(false) : momentText(false);
    case 0x0d:
      return { kind: 'year', write: (year) => writeYear(year, binary) };
    case 0x0f: // VARCHAR
    case 0xf9: // TINY_BLOB
    case 0xfa: // MEDIUM_BLOB
    case 0xfb: // LONG_BLOB
    case 0xfc: // BLOB
    case 0xfd: // VAR_STRING
    case 0xfe: // STRING
      return string(column);
    default:
      return other;
  }
}

function string(column: ResultColumn): ValueKind {
  // ENUM and SET come as STRING with a flag; a mask would be none of their labels.
  if ((column.flags & (enumFlag | setFlag)) !== 0) return other;
  if (column.collation === binaryCollation) {
    return { kind: 'bytes', read: (value) => value, write: (bytes) => bytes, takesText: true };
  }
  const wide = isWide(column.collation);
  return wide === null ? other : { kind: 'text', wide, trims: false };
}

const latin1: ReadonlySet<number> = new Set([5, 8, 15, 31, 47, 48, 49, 94]);
const usAscii: ReadonlySet<number> = new Set([11, 65]);

/** true for UTF-8, false for one byte a character, null for a character set that isn't known. */
function isWide(collation: number): boolean | null {
  // MariaDB: the uca1400 collations of utf8mb3 (2048 on) and utf8mb4 (2304 on).
  if (collation >= 2048 && collation < 2560) return true;
  // MariaDB: the NOPAD twin of a collation stands 1024 above it.
  const id = collation >= 1024 && collation < 1536 ? collation - 1024 : collation;
  if (id === 33 || id === 83 || id === 76 || (id >= 192 && id <= 215) || id === 223) return true;
  if (id === 45 || id === 46 || (id >= 224 && id <= 247) || (id >= 255 && id <= 323)) return true;
  if (collation >= 1024) return latin1.has(id) || usAscii.has(id) ? false : null;
  return latin1.has(id) || usAscii.has(id) ? false : null;
}

function integer(column: ResultColumn, size: 1 | 2 | 4 | 8, bits: number): ValueKind {
  const unsigned = (column.flags & unsignedFlag) !== 0;
  const max = (1n << BigInt(unsigned ? bits : bits - 1)) - 1n;
  const min = unsigned ? 0n : -(1n << BigInt(bits - 1));
  if (column.format === 'text') {
    return { kind: 'integer', min, max, read: integerOf, write: (value) => ascii(String(value)) };
  }
  return {
    kind: 'integer',
    min,
    max,
    read(value) {
      if (value.length !== size) return null;
      const view = viewOf(value);
      if (size === 8) return unsigned ? view.readBigUInt64LE(0) : view.readBigInt64LE(0);
      return BigInt(unsigned ? view.readUIntLE(0, size) : view.readIntLE(0, size));
    },
    write(value) {
      const bytes = Buffer.allocUnsafe(size);
      if (size === 8) bytes.writeBigUInt64LE(BigInt.asUintN(64, value), 0);
      else if (unsigned) bytes.writeUIntLE(Number(value), 0, size);
      else bytes.writeIntLE(Number(value), 0, size);
      return bytes;
    },
  };
}

function float(size: 4 | 8, binary: boolean): ValueKind {
  return {
    kind: 'float',
    write(value) {
      if (!binary) return ascii(String(value));
      const bytes = Buffer.allocUnsafe(size);
      if (size === 8) bytes.writeDoubleLE(value, 0);
      else bytes.writeFloatLE(value, 0);
      return bytes;
    },
  };
}

function writeYear(year: number, binary: boolean): Uint8Array | null {
  if (year < 1901 || year > 2155) return null;
  return binary ? Uint8Array.of(year & 0xff, year >> 8) : ascii(String(year));
}

/** Text: `YYYY-MM-DD`, then ` HH:MM:SS` with a fraction. The zero date is no year. */
function momentText(dateOnly: boolean): ValueKind {
  const form = dateOnly ? /^(\d{4})-\d{2}-\d{2}$/ : /^(\d{4})-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?$/;
  return {
    kind: 'moment',
    readYear(value) {
      if (value.length > 32) return null;
      const year = Number(form.exec(latin(value))?.[1] ?? 0);
      return year >= 1 ? year : null;
    },
    write(moment) {
      if (moment.year > 9999) return null;
      const date = `${padded(moment.year, 4)}-${padded(moment.month, 2)}-${padded(moment.day, 2)}`;
      if (dateOnly) return ascii(date);
      return ascii(
        `${date} ${padded(moment.hour, 2)}:${padded(moment.minute, 2)}:${padded(moment.second, 2)}`,
      );
    },
  };
}

/** Binary: nothing (the zero date), 4 bytes (date), 7 (with seconds) or 11 (with microseconds), year first, little-endian. */
function momentBinary(dateOnly: boolean): ValueKind {
  return {
    kind: 'moment',
    readYear(value) {
      if (value.length !== 4 && value.length !== 7 && value.length !== 11) return null;
      const year = (value[0] ?? 0) | ((value[1] ?? 0) << 8);
      return year >= 1 && year <= 9999 ? year : null;
    },
    write: (moment) => writeMoment(moment, dateOnly),
  };
}

function writeMoment(moment: Moment, dateOnly: boolean): Uint8Array | null {
  const { year, month, day, hour, minute, second } = moment;
  if (year > 9999) return null;
  const midnight = hour === 0 && minute === 0 && second === 0;
  return dateOnly || midnight
    ? Uint8Array.of(year & 0xff, year >> 8, month, day)
    : Uint8Array.of(year & 0xff, year >> 8, month, day, hour, minute, second);
}
