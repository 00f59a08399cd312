/** The binary format of COPY (manual: SQL commands, COPY, "Binary Format"): header, tuples, trailer. */
import type { MaskPlan } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import type { CopyRows } from './copy-stream.ts';
import { serverType } from './server-messages.ts';
import type { RowWriter } from './values.ts';

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const fixedHeaderBytes = signature.length + 8;

export class BinaryRows implements CopyRows {
  readonly #plan: MaskPlan;
  /** Bytes before the first tuple: the header goes out with the first tuple, as the server sends it. */
  #header = -1;
  #ended = false;
  /** Of a tuple that isn't whole: columns seen, and the offset behind them. */
  #columns = 0;
  #scanned = 0;

  constructor(plan: MaskPlan) {
    this.#plan = plan;
  }

  get complete(): boolean {
    return this.#ended;
  }

  row(source: Buffer, start: number, end: number, out: RowWriter): number {
    if (this.#ended) throw new ProtocolError('COPY data behind its trailer');
    if (this.#header === -1 && !this.#readHeader(source, start, end)) return -1;
    const tuple = start + this.#header;
    if (end - tuple < 2) return -1;
    const count = source.readInt16BE(tuple);
    if (count !== -1 && count !== this.#plan.length) {
      throw new ProtocolError(`a row of ${count} columns where ${this.#plan.length} were announced`);
    }
    let at = start + Math.max(this.#scanned, this.#header + 2);
    for (; this.#columns < count; this.#columns++) {
      if (end - at < 4) break;
      const length = source.readInt32BE(at);
      if (length < -1) throw new ProtocolError('a column of COPY of an impossible length');
      const next = at + 4 + Math.max(0, length);
      if (next > end) break;
      at = next;
    }
    this.#scanned = at - start;
    if (this.#columns < count) return -1;
    this.#write(source, start, tuple + 2, at, out);
    this.#ended = count === -1;
    this.#header = 0;
    this.#columns = 0;
    this.#scanned = 0;
    return at;
  }

  #readHeader(source: Buffer, start: number, end: number): boolean {
    if (end - start < fixedHeaderBytes) return false;
    if (source.compare(signature, 0, signature.length, start, start + signature.length) !== 0) {
      throw new ProtocolError('COPY data without the signature of the binary format');
    }
    if (source.readInt32BE(start + signature.length) !== 0) {
      throw new ProtocolError('COPY data with unknown flags');
    }
    const extension = source.readInt32BE(start + signature.length + 4);
    if (extension !== 0) throw new ProtocolError('COPY data with an extended header');
    this.#header = fixedHeaderBytes;
    return true;
  }

  #write(source: Buffer, start: number, columns: number, end: number, out: RowWriter): void {
    out.begin(serverType.copyData);
    let copied = start;
    let at = columns;
    for (let i = 0; at < end; i++) {
      const length = source.readInt32BE(at);
      const next = at + 4 + Math.max(0, length);
      const masker = this.#plan[i];
      if (masker && length !== -1) {
        out.add(source, copied, at);
        out.addValue(masker.mask(source.subarray(at + 4, next)));
        copied = next;
      }
      at = next;
    }
    out.add(source, copied, end);
    out.end();
  }
}
