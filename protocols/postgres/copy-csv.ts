/**
 * The CSV format of COPY (manual: SQL commands, COPY, "CSV Format"). A masked value is quoted for what it is now: whether
 * the server quoted the value in its place would tell of that one.
 */
import type { CopyPlan } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import type { CopyRows } from './copy-stream.ts';
import { same } from './copy-text.ts';
import { serverType } from './server-messages.ts';
import type { RowWriter } from './values.ts';

const newline = 0x0a;
const carriageReturn = 0x0d;
const endMarker = Buffer.from('\\.');

/** Where the scan of a row stands. */
type State = 'begin' | 'plain' | 'quoted' | 'escape' | 'closed';

export class CsvRows implements CopyRows {
  readonly complete = true;
  readonly #plan: CopyPlan;
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #escape: number;
  readonly #nullText: Buffer;
  #header: boolean;
  #state: State = 'begin';
  #scanned = 0;
  #ends: number[] = [];

  constructor(plan: CopyPlan) {
    const { layout } = plan;
    this.#plan = plan;
    this.#delimiter = layout.delimiter.charCodeAt(0);
    this.#quote = layout.quote.charCodeAt(0);
    this.#escape = layout.escape.charCodeAt(0);
    this.#nullText = Buffer.from(layout.nullText);
    this.#header = layout.header;
  }

  row(source: Buffer, start: number, end: number, out: RowWriter): number {
    let state = this.#state;
    for (let at = start + this.#scanned; at < end; at++) {
      const byte = source[at]!;
      if (state === 'quoted') {
        // A quote that is its own escape ends the value unless another follows.
        if (byte === this.#quote) state = 'closed';
        else if (byte === this.#escape) state = 'escape';
      } else if (state === 'escape') {
        if (byte !== this.#quote && byte !== this.#escape) throw unwritten();
        state = 'quoted';
      } else if (state === 'closed' && byte === this.#quote && this.#quote === this.#escape) state = 'quoted';
      else if (byte === this.#delimiter) {
        this.#ends.push(at - start);
        state = 'begin';
      } else if (byte === newline) {
        this.#ends.push(at - start);
        this.#write(source, start, out);
        this.#state = 'begin';
        this.#scanned = 0;
        this.#ends.length = 0;
        return at + 1;
      } else if (state === 'closed') throw unwritten();
      else if (byte === this.#quote) {
        if (state === 'plain') throw unwritten();
        state = 'quoted';
      } else state = 'plain';
    }
    this.#state = state;
    this.#scanned = end - start;
    return -1;
  }

  #write(source: Buffer, start: number, out: RowWriter): void {
    const ends = this.#ends;
    const { columns } = this.#plan;
    if (ends.length !== columns.length) {
      throw new ProtocolError(`a row of ${ends.length} columns where ${columns.length} were announced`);
    }
    out.begin(serverType.copyData);
    let field = start;
    let copied = start;
    for (let i = 0; i < columns.length; i++) {
      const end = start + ends[i]!;
      const masker = columns[i];
      // A value that looks like the NULL marker is quoted by the server.
      if (masker && !this.#header && !same(source, field, end, this.#nullText)) {
        out.add(source, copied, field);
        const masked = masker.mask(this.#decoded(source, field, end));
        if (masked === null) out.add(this.#nullText, 0, this.#nullText.length);
        else this.#encode(Buffer.from(masked.buffer, masked.byteOffset, masked.byteLength), i, out);
        copied = end;
      }
      field = end + 1;
    }
    out.add(source, copied, field);
    out.end();
    this.#header = false;
  }

  #decoded(source: Buffer, start: number, end: number): Buffer {
    if (source[start] !== this.#quote || start === end) return source.subarray(start, end);
    const raw = source.subarray(start + 1, end - 1);
    if (!raw.includes(this.#escape)) return raw;
    const plain = Buffer.allocUnsafe(raw.length);
    let length = 0;
    for (let at = 0; at < raw.length; at++) {
      if (raw[at] === this.#escape) at++;
      plain[length++] = raw[at]!;
    }
    return plain.subarray(0, length);
  }

  #encode(value: Buffer, column: number, out: RowWriter): void {
    const quoted =
      this.#plan.quoted[column] === true ||
      value.equals(this.#nullText) ||
      (this.#plan.columns.length === 1 && value.equals(endMarker)) ||
      value.some((byte) => this.#isSpecial(byte));
    if (!quoted) {
      out.add(value, 0, value.length);
      return;
    }
    out.addByte(this.#quote);
    let copied = 0;
    for (let at = 0; at < value.length; at++) {
      if (value[at] !== this.#quote && value[at] !== this.#escape) continue;
      out.add(value, copied, at);
      out.addByte(this.#escape);
      copied = at;
    }
    out.add(value, copied, value.length);
    out.addByte(this.#quote);
  }

  #isSpecial(byte: number): boolean {
    return byte === this.#delimiter || byte === this.#quote || byte === newline || byte === carriageReturn;
  }
}

function unwritten(): ProtocolError {
  return new ProtocolError('a quotation in COPY data that no server writes');
}
