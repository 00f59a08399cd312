/**
 * Masks the stream of a COPY to the client: puts the content of CopyData messages together to rows, however they were
 * cut, and gives one CopyData per row, as a server does. What a row looks like is known to the three formats.
 */
import type { CopyPlan } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import { BinaryRows } from './copy-binary.ts';
import { CsvRows } from './copy-csv.ts';
import { TextRows } from './copy-text.ts';
import type { RowWriter } from './values.ts';

/** Longest row that is put together. */
const rowBytesMax = 64 * 1024 * 1024;

/** One format's rows. Keeps what it has seen of a row that isn't whole yet, in offsets from the row's beginning. */
export interface CopyRows {
  /**
   * Reads the row that begins at `start`, and appends it, masked, to `out`.
   * @returns the offset behind it; -1 when it isn't whole before `end`: it will be asked for again, with more.
   * @throws ProtocolError when it can't be a row of this stream.
   */
  row(source: Buffer, start: number, end: number, out: RowWriter): number;
  /** Whether the stream may end after the last whole row. */
  readonly complete: boolean;
}

export class CopyStream {
  readonly #rows: CopyRows;
  #held: Buffer | null = null;
  #length = 0;

  constructor(plan: CopyPlan) {
    const { format } = plan.layout;
    this.#rows =
      format === 'binary'
        ? new BinaryRows(plan.columns)
        : format === 'csv'
          ? new CsvRows(plan)
          : new TextRows(plan);
  }

  /** The content of one CopyData. @throws ProtocolError */
  data(source: Buffer, start: number, end: number, out: RowWriter): void {
    let buffer = source;
    let at = start;
    let stop = end;
    if (this.#held !== null) {
      this.#hold(source, start, end);
      buffer = this.#held;
      at = 0;
      stop = this.#length;
    }
    while (at < stop) {
      const next = this.#rows.row(buffer, at, stop, out);
      if (next === -1) break;
      at = next;
    }
    if (at === stop) this.#held = null;
    else if (buffer === source) {
      this.#held = Buffer.allocUnsafe(Math.max(256, (stop - at) * 2));
      this.#length = 0;
      this.#hold(source, at, stop);
    } else if (at > 0) {
      buffer.copyWithin(0, at, stop);
      this.#length = stop - at;
    }
  }

  /** CopyDone. @throws ProtocolError when a row is cut short. */
  done(): void {
    if (this.#held !== null || !this.#rows.complete) throw new ProtocolError('a COPY that ends inside a row');
  }

  #hold(source: Buffer, start: number, end: number): void {
    const need = this.#length + end - start;
    if (need > rowBytesMax) throw new ProtocolError('a row of COPY that is too long to be read whole');
    if (need > this.#held!.length) {
      const bigger = Buffer.allocUnsafe(need * 2);
      this.#held!.copy(bigger, 0, 0, this.#length);
      this.#held = bigger;
    }
    source.copy(this.#held!, this.#length, start, end);
    this.#length = need;
  }
}
