/** Rewrites rows by a mask plan, into one buffer for many of them. Knows the layout of a DataRow and no type. */
import type { MaskPlan } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import { serverType } from './server-messages.ts';

/** Collects what a client gets while rows are being rewritten: masked rows, and the messages between them. */
export class RowWriter {
  #buffer: Buffer;
  #length = 0;
  /** Up to here everything is whole: a row that turns out to be malformed leaves nothing behind. */
  #whole = 0;

  constructor(initialBytes: number) {
    this.#buffer = Buffer.allocUnsafe(Math.max(1024, initialBytes));
  }

  #reserve(count: number): void {
    const need = this.#length + count;
    if (need <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(bigger, 0, 0, this.#length);
    this.#buffer = bigger;
  }

  /** Copies bytes `start..end` of `source`. */
  copy(source: Buffer, start: number, end: number): void {
    this.#append(source, start, end);
    this.#whole = this.#length;
  }

  #append(source: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#reserve(end - start);
    source.copy(this.#buffer, this.#length, start, end);
    this.#length += end - start;
  }

  /**
   * Appends the DataRow whose content is `source[start..end]`, masked.
   * @returns the frame's size in bytes.
   * @throws ProtocolError when the row has another number of columns than the plan, or lengths that don't add up.
   */
  row(source: Buffer, start: number, end: number, plan: MaskPlan): number {
    if (end - start < 2) throw new ProtocolError('a DataRow without a column count');
    const count = source.readUInt16BE(start);
    if (count !== plan.length) {
      throw new ProtocolError(`a DataRow of ${count} columns where ${plan.length} were described`);
    }
    const frame = this.#whole;
    this.#length = frame;
    this.#reserve(7);
    this.#buffer[frame] = serverType.dataRow;
    this.#buffer.writeUInt16BE(count, frame + 5);
    this.#length += 7;
    let at = start + 2;
    let copied = at;
    for (let i = 0; i < count; i++) {
      if (end - at < 4) throw new ProtocolError('a DataRow ends inside a column');
      const length = source.readInt32BE(at);
      const value = at + 4;
      const next = length > 0 ? value + length : value;
      if (length < -1 || next > end) throw new ProtocolError('a DataRow column of an impossible length');
      const masker = plan[i];
      if (masker && length !== -1) {
        this.#append(source, copied, at);
        this.addValue(masker.mask(source.subarray(value, next)));
        copied = next;
      }
      at = next;
    }
    if (at !== end) throw new ProtocolError('bytes left over at the end of a DataRow');
    this.#append(source, copied, end);
    const size = this.#length - frame;
    this.#buffer.writeInt32BE(size - 1, frame + 1);
    this.#whole = this.#length;
    return size;
  }

  /** Begins a frame whose content comes by `add`, `addByte` and `addValue`; it counts for nothing before `end`. */
  begin(type: number): void {
    this.#length = this.#whole;
    this.#reserve(5);
    this.#buffer[this.#length] = type;
    this.#length += 5;
  }

  /** Adds bytes `start..end` of `source` to the frame. */
  add(source: Buffer, start: number, end: number): void {
    this.#append(source, start, end);
  }

  addByte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  /** The frame is whole. */
  end(): void {
    this.#buffer.writeInt32BE(this.#length - this.#whole - 1, this.#whole + 1);
    this.#whole = this.#length;
  }

  /** Adds a value in front of which its length stands; null: NULL. */
  addValue(masked: Uint8Array | null): void {
    const size = masked === null ? 0 : masked.length;
    this.#reserve(4 + size);
    this.#buffer.writeInt32BE(masked === null ? -1 : size, this.#length);
    if (masked !== null) this.#buffer.set(masked, this.#length + 4);
    this.#length += 4 + size;
  }

  /** Bytes of whole frames so far. */
  get length(): number {
    return this.#whole;
  }

  /** What was collected; the writer is done with. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#whole);
  }
}
