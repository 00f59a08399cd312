/** PostgreSQL's types by OID, in text and binary format (manual: 53.7, "Formats and Format Codes", and each type's send function). */
import { ascii, integerOf, latin, viewOf } from './bytes.ts';
import { daysOf, type Moment, padded, yearOf } from './calendar.ts';
import type { ResultColumn } from './masker.ts';
import type { ValueKind } from './value-kind.ts';

const other: ValueKind = { kind: 'other' };

/** Domains come under the OID of their base type; enums, arrays and extension types have OIDs that aren't here. */
export function postgresKind(column: ResultColumn): ValueKind {
  const binary = column.format === 'binary';
  switch (column.typeId) {
    case 25: // text
    case 1043: // varchar
    case 19: // name
    case 705: // unknown
      return { kind: 'text', wide: true, trims: false };
    case 1042: // bpchar
      return { kind: 'text', wide: true, trims: true };
    case 21:
      return integer(2, binary);
    case 23:
      return integer(4, binary);
    case 20:
      return integer(8, binary);
    case 16:
      return {
        kind: 'boolean',
        write: (value) => (binary ? Uint8Array.of(value ? 1 : 0) : ascii(value ? 't' : 'f')),
      };
    case 700:
      return float(4, binary);
    case 701:
      return float(8, binary);
    case 17:
      return binary
        ? { kind: 'bytes', read: (value) => value, write: (bytes) => bytes, takesText: false }
        : { kind: 'bytes', read: readByteaText, write: writeByteaText, takesText: false };
    case 2950:
      return binary
        ? { kind: 'uuid', read: (value) => (value.length === 16 ? value : null), write: (bytes) => bytes }
        : { kind: 'uuid', read: readUuidText, write: writeUuidText };
    case 1082:
      return binary ? dateBinary : dateText;
    case 1114:
      return binary ? timestampBinary : timestampText('');
    case 1184:
      return binary ? timestampBinary : timestampText('+00');
    default:
      return other;
  }
}

function integer(size: 2 | 4 | 8, binary: boolean): ValueKind {
  const max = (1n << BigInt(size * 8 - 1)) - 1n;
  if (!binary) {
    return { kind: 'integer', min: -max - 1n, max, read: integerOf, write: (value) => ascii(String(value)) };
  }
  return {
    kind: 'integer',
    min: -max - 1n,
    max,
    read(value) {
      if (value.length !== size) return null;
      const view = viewOf(value);
      return size === 8 ? view.readBigInt64BE(0) : BigInt(view.readIntBE(0, size));
    },
    write(value) {
      const bytes = Buffer.allocUnsafe(size);
      if (size === 8) bytes.writeBigInt64BE(value, 0);
      else bytes.writeIntBE(Number(value), 0, size);
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
      if (size === 8) bytes.writeDoubleBE(value, 0);
      else bytes.writeFloatBE(value, 0);
      return bytes;
    },
  };
}

function readByteaText(value: Uint8Array): Uint8Array | null {
  const text = latin(value);
  if (text.startsWith('\\x')) {
    return /^\\x([0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text.slice(2), 'hex') : null;
  }
  // bytea_output = escape
  if (!/^(?:[^\\]|\\\\|\\[0-3][0-7]{2})*$/.test(text)) return null;
  const plain = text.replace(/\\(\\|[0-3][0-7]{2})/g, (_all, code: string) =>
    code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(plain, 'latin1');
}

function writeByteaText(bytes: Uint8Array): Uint8Array {
  return ascii(`\\x${viewOf(bytes).toString('hex')}`);
}

function readUuidText(value: Uint8Array): Uint8Array | null {
  const text = latin(value);
  return /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(text)
    ? Buffer.from(text.replaceAll('-', ''), 'hex')
    : null;
}

function writeUuidText(bytes: Uint8Array): Uint8Array {
  const hex = viewOf(bytes).toString('hex');
  return ascii(
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
  );
}

/** 2000-01-01 in days from 1970-01-01. */
const epochDays = daysOf(2000, 1, 1);
const dayUs = 86_400_000_000n;

function afterChrist(year: number): number | null {
  return year >= 1 ? year : null;
}

function daysSinceEpoch(moment: Moment): number {
  return daysOf(moment.year, moment.month, moment.day) - epochDays;
}

const dateBinary: ValueKind = {
  kind: 'moment',
  readYear(value) {
    if (value.length !== 4) return null;
    const days = viewOf(value).readInt32BE(0);
    if (days === 0x7fffffff || days === -0x80000000) return null;
    return afterChrist(yearOf(days + epochDays));
  },
  write(moment) {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(daysSinceEpoch(moment), 0);
    return bytes;
  },
};

const timestampBinary: ValueKind = {
  kind: 'moment',
  readYear(value) {
    if (value.length !== 8) return null;
    const us = viewOf(value).readBigInt64BE(0);
    if (us === 0x7fffffffffffffffn || us === -0x8000000000000000n) return null;
    const days = us >= 0n ? us / dayUs : -((-us + dayUs - 1n) / dayUs);
    return afterChrist(yearOf(Number(days) + epochDays));
  },
  write(moment) {
    const us =
      BigInt(daysSinceEpoch(moment)) * dayUs +
      BigInt((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000n;
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64BE(us, 0);
    return bytes;
  },
};

function dateOf(moment: Moment): string {
  return `${padded(moment.year, 4)}-${padded(moment.month, 2)}-${padded(moment.day, 2)}`;
}

/** DateStyle ISO alone: in every other one the order of the parts is the session's. */
const dateText: ValueKind = {
  kind: 'moment',
  readYear(value) {
    if (value.length > 16) return null;
    const found = /^(\d{4,7})-\d{2}-\d{2}$/.exec(latin(value));
    return found === null ? null : afterChrist(Number(found[1]));
  },
  write: (moment) => ascii(dateOf(moment)),
};

function timestampText(zone: '' | '+00'): ValueKind {
  const form =
    zone === ''
      ? /^(\d{4,7})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.\d{1,6})?$/
      : /^(\d{4,7})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.\d{1,6})?([+-])(\d{2})(?::(\d{2}))?(?::(\d{2}))?$/;
  return {
    kind: 'moment',
    readYear(value) {
      if (value.length > 48) return null;
      const found = form.exec(latin(value));
      if (found === null) return null;
      if (zone === '') return afterChrist(Number(found[1]));
      // The year in UTC, as the binary format has it; a zone kept in the mask would tell summer from winter.
      const part = (index: number): number => Number(found[index] ?? 0);
      const offset = ((part(8) * 60 + part(9)) * 60 + part(10)) * (found[7] === '-' ? -1 : 1);
      const second = (part(4) * 60 + part(5)) * 60 + part(6) - offset;
      return afterChrist(yearOf(daysOf(part(1), part(2), part(3)) + Math.floor(second / 86_400)));
    },
    write: (moment) =>
      ascii(
        `${dateOf(moment)} ${padded(moment.hour, 2)}:${padded(moment.minute, 2)}:${padded(moment.second, 2)}${zone}`,
      ),
  };
}
