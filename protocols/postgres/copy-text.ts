/** The text format of COPY (manual: SQL commands, COPY, "Text Format"): lines, fields, backslash escapes. */
import type { CopyPlan, MaskPlan } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import type { CopyRows } from './copy-stream.ts';
import { serverType } from './server-messages.ts';
import type { RowWriter } from './values.ts';

const newline = 0x0a;
const backslash = 0x5c;

/** What stands behind a backslash, and what for. */
const escapes: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08], // b
  [0x66, 0x0c], // f
  [0x6e, 0x0a], // n
  [0x72, 0x0d], // r
  [0x74, 0x09], // t
  [0x76, 0x0b], // v
  [backslash, backslash],
]);
const escaped: ReadonlyMap<number, number> = new Map([...escapes].map(([letter, byte]) => [byte, letter]));

export class TextRows implements CopyRows {
  readonly complete = true;
  readonly #plan: MaskPlan;
  readonly #delimiter: number;
  readonly #nullText: Buffer;
  #header: boolean;
  #scanned = 0;
  #inEscape = false;
  #ends: number[] = [];

  constructor({ layout, columns }: CopyPlan) {
    this.#plan = columns;
    this.#delimiter = layout.delimiter.charCodeAt(0);
    this.#nullText = Buffer.from(layout.nullText);
    this.#header = layout.header;
  }

  row(source: Buffer, start: number, end: number, out: RowWriter): number {
    let inEscape = this.#inEscape;
    for (let at = start + this.#scanned; at < end; at++) {
      const byte = source[at]!;
      if (inEscape) inEscape = false;
      else if (byte === backslash) inEscape = true;
      else if (byte === this.#delimiter) this.#ends.push(at - start);
      else if (byte === newline) {
        this.#ends.push(at - start);
        this.#write(source, start, out);
        this.#scanned = 0;
        this.#inEscape = false;
        this.#ends.length = 0;
        return at + 1;
      }
    }
    this.#scanned = end - start;
    this.#inEscape = inEscape;
    return -1;
  }

  #write(source: Buffer, start: number, out: RowWriter): void {
    const ends = this.#ends;
    const plan = this.#plan;
    if (ends.length !== plan.length) {
      throw new ProtocolError(`a row of ${ends.length} columns where ${plan.length} were announced`);
    }
    out.begin(serverType.copyData);
    let field = start;
    let copied = start;
    for (let i = 0; i < plan.length; i++) {
      const end = start + ends[i]!;
      const masker = plan[i];
      if (masker && !this.#header && !same(source, field, end, this.#nullText)) {
        out.add(source, copied, field);
        const masked = masker.mask(this.#decoded(source, field, end));
        if (masked === null) out.add(this.#nullText, 0, this.#nullText.length);
        else this.#encode(Buffer.from(masked.buffer, masked.byteOffset, masked.byteLength), out);
        copied = end;
      }
      field = end + 1;
    }
    out.add(source, copied, field);
    out.end();
    this.#header = false;
  }

  #decoded(source: Buffer, start: number, end: number): Buffer {
    const raw = source.subarray(start, end);
    if (!raw.includes(backslash)) return raw;
    const plain = Buffer.allocUnsafe(raw.length);
    let length = 0;
    for (let at = 0; at < raw.length; at++) {
      let byte: number | undefined = raw[at]!;
      if (byte === backslash) {
        const letter = raw[++at];
        byte = letter === this.#delimiter ? letter : escapes.get(letter ?? 0);
        if (byte === undefined) throw new ProtocolError('an escape in COPY data that no server writes');
      }
      plain[length++] = byte;
    }
    return plain.subarray(0, length);
  }

  #encode(value: Buffer, out: RowWriter): void {
    let copied = 0;
    for (let at = 0; at < value.length; at++) {
      const byte = value[at]!;
      const letter = byte === this.#delimiter && !escaped.has(byte) ? byte : escaped.get(byte);
      if (letter === undefined) continue;
      out.add(value, copied, at);
      out.addByte(backslash);
      out.addByte(letter);
      copied = at + 1;
    }
    out.add(value, copied, value.length);
  }
}

/** Whether `source[start..end]` is `bytes`. */
export function same(source: Buffer, start: number, end: number, bytes: Buffer): boolean {
  return end - start === bytes.length && source.compare(bytes, 0, bytes.length, start, end) === 0;
}
