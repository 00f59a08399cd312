/**
 * Result rows with some columns masked, in the text and the binary format ("Text Resultset Row" and "Binary Protocol
 * Resultset Row" in the protocol manual). One pass over a row's bytes; columns that keep theirs are copied in runs.
 */
import type { MaskPlan, ResultColumn } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import { lengthPrefixBytes, putLength } from './length-encoded.ts';

/** How a value is laid out in a binary row: its width in bytes, or how its length is told. */
type Layout = number | 'date' | 'time' | 'string';

const layouts: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [0x01, 1], // TINY
  [0x02, 2], // SHORT
  [0x0d, 2], // YEAR
  [0x03, 4], // LONG
  [0x09, 4], // INT24
  [0x04, 4], // FLOAT
  [0x05, 8], // DOUBLE
  [0x08, 8], // LONGLONG
  [0x06, 0], // NULL
  [0x07, 'date'], // TIMESTAMP
  [0x0a, 'date'], // DATE
  [0x0c, 'date'], // DATETIME
  [0x0b, 'time'], // TIME
  [0x00, 'string'], // DECIMAL
  [0x0f, 'string'], // VARCHAR
  [0x10, 'string'], // BIT
  [0xf2, 'string'], // VECTOR
  [0xf5, 'string'], // JSON
  [0xf6, 'string'], // NEWDECIMAL
  [0xf7, 'string'], // ENUM
  [0xf8, 'string'], // SET
  [0xf9, 'string'], // TINY_BLOB
  [0xfa, 'string'], // MEDIUM_BLOB
  [0xfb, 'string'], // LONG_BLOB
  [0xfc, 'string'], // BLOB
  [0xfd, 'string'], // VAR_STRING
  [0xfe, 'string'], // STRING
  [0xff, 'string'], // GEOMETRY
]);

/** Appends masked row payloads to a buffer that grows. */
export class RowWriter {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  // Where the current value's length prefix ends, set by #measure: a field, so that no row allocates.
  #valueAt = 0;
  #valueEnd = 0;

  get buffer(): Buffer {
    return this.#buffer;
  }
  /** End of what has been written. */
  get length(): number {
    return this.#at;
  }

  /** Starts a new buffer; the old one belongs to whoever took it. */
  begin(bytes: number): void {
    this.#buffer = Buffer.allocUnsafe(bytes);
    this.#at = 0;
  }

  /** Leaves room, for a packet header; answers its offset. */
  reserve(bytes: number): number {
    this.#ensure(bytes);
    const at = this.#at;
    this.#at += bytes;
    return at;
  }

  /** Appends the text row `row[start, end)` as the plan has it. @throws ProtocolError on a malformed row. */
  textRow(row: Buffer, start: number, end: number, plan: MaskPlan): void {
    let at = start;
    let copied = start;
    for (const masker of plan) {
      const valueStart = at;
      const isNull = at < end && row[at] === 0xfb;
      if (isNull) at += 1;
      else {
        this.#measureString(row, at, end);
        at = this.#valueEnd;
      }
      if (masker === null || isNull) continue;
      this.#copy(row, copied, valueStart);
      copied = at;
      const masked = masker.mask(row.subarray(this.#valueAt, at));
      if (masked === null) {
        this.#ensure(1);
        this.#buffer[this.#at++] = 0xfb;
      } else this.#string(masked);
    }
    if (at !== end) throw new ProtocolError('row of another length than its columns');
    this.#copy(row, copied, end);
  }

  /** As `textRow` for a binary row; `columns` are the result's, in order. */
  binaryRow(row: Buffer, start: number, end: number, columns: readonly ResultColumn[], plan: MaskPlan): void {
    const bitmapBytes = (columns.length + 9) >> 3;
    let at = start + 1 + bitmapBytes;
    if (at > end || row[start] !== 0) throw new ProtocolError('binary row too short');
    const bitmapAt = this.#at + 1;
    this.#copy(row, start, at);
    let copied = at;
    for (let index = 0; index < columns.length; index++) {
      const bit = index + 2;
      if (((row[start + 1 + (bit >> 3)] as number) >> (bit & 7)) & 1) continue;
      const valueStart = at;
      const layout = layouts.get((columns[index] as ResultColumn).typeId);
      if (layout === undefined) throw new ProtocolError('binary value of an unknown type');
      this.#measure(row, at, end, layout);
      at = this.#valueEnd;
      const masker = plan[index] ?? null;
      if (masker === null) continue;
      this.#copy(row, copied, valueStart);
      copied = at;
      const masked = masker.mask(row.subarray(this.#valueAt, at));
      if (masked !== null && fits(masked.length, layout)) {
        if (typeof layout === 'number') this.#bytes(masked);
        else this.#string(masked);
      } else {
        const target = bitmapAt + (bit >> 3);
        this.#buffer[target] = (this.#buffer[target] as number) | (1 << (bit & 7));
      }
    }
    if (at !== end) throw new ProtocolError('row of another length than its columns');
    this.#copy(row, copied, end);
  }

  #measure(row: Buffer, at: number, end: number, layout: Layout): void {
    if (layout === 'string') {
      this.#measureString(row, at, end);
      return;
    }
    const length = typeof layout === 'number' ? layout : at < end ? (row[at] as number) : Number.NaN;
    this.#valueAt = typeof layout === 'number' ? at : at + 1;
    this.#valueEnd = this.#valueAt + length;
    if (!(this.#valueEnd <= end)) throw new ProtocolError('row ends inside a value');
  }

  #measureString(row: Buffer, at: number, end: number): void {
    const first = at < end ? (row[at] as number) : 0xff;
    let length = first;
    let valueAt = at + 1;
    if (first === 0xfc && at + 3 <= end) {
      length = row.readUInt16LE(at + 1);
      valueAt = at + 3;
    } else if (first === 0xfd && at + 4 <= end) {
      length = row.readUIntLE(at + 1, 3);
      valueAt = at + 4;
    } else if (first === 0xfe && at + 9 <= end) {
      length = row.readUInt32LE(at + 1) + row.readUInt32LE(at + 5) * 0x1_0000_0000;
      valueAt = at + 9;
    } else if (first >= 0xfb) throw new ProtocolError('malformed length in a row');
    this.#valueAt = valueAt;
    this.#valueEnd = valueAt + length;
    if (this.#valueEnd > end) throw new ProtocolError('row ends inside a value');
  }

  #string(value: Uint8Array): void {
    this.#ensure(lengthPrefixBytes(value.length) + value.length);
    this.#at = putLength(this.#buffer, this.#at, value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  #bytes(value: Uint8Array): void {
    this.#ensure(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  #copy(source: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#ensure(end - start);
    source.copy(this.#buffer, this.#at, start, end);
    this.#at += end - start;
  }

  #ensure(bytes: number): void {
    const need = this.#at + bytes;
    if (need <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(need, 2 * this.#buffer.length, 1024));
    this.#buffer.copy(bigger, 0, 0, this.#at);
    this.#buffer = bigger;
  }
}

/** A mask of the wrong width would shift every column behind it: such a value becomes NULL. */
function fits(length: number, layout: Layout): boolean {
  if (layout === 'string') return true;
  if (layout === 'date') return length === 0 || length === 4 || length === 7 || length === 11;
  if (layout === 'time') return length === 0 || length === 8 || length === 12;
  return length === layout;
}
