/**
 * Masked rows as packets, one behind the other in one buffer, until the outbox takes them: a row costs no allocation of
 * its own.
 */
import type { MaskPlan, ResultColumn } from '../../masking/masker.ts';
import { encodePacket, packetBytesMax } from './framing.ts';
import type { Outbox } from './outbox.ts';
import { RowWriter } from './values.ts';

const firstBytes = 16 * 1024;
const bytesMax = 256 * 1024;

export class MaskedRows {
  readonly #rows = new RowWriter();
  // Whole packets that are not in the outbox yet: [from, to) of the writer's buffer.
  #from = 0;
  #to = 0;

  /** A result begins. What an earlier one left has been flushed. */
  begin(): void {
    if (this.#rows.buffer.length - this.#rows.length < firstBytes / 4) this.#rows.begin(firstBytes);
    this.#from = this.#rows.length;
    this.#to = this.#from;
  }

  /**
   * Appends the row `row[start, end)` as the plan has it; answers the length of its payload.
   * @param columns of a binary row; null for a text row
   * @param sequence the number of its first packet
   * @throws ProtocolError on a malformed row; the rows before it can still be flushed
   */
  row(
    row: Buffer,
    start: number,
    end: number,
    columns: readonly ResultColumn[] | null,
    plan: MaskPlan,
    sequence: number,
    outbox: Outbox,
  ): number {
    const rows = this.#rows;
    const header = rows.reserve(4);
    if (columns === null) rows.textRow(row, start, end, plan);
    else rows.binaryRow(row, start, end, columns, plan);
    const length = rows.length - header - 4;
    if (length < packetBytesMax) {
      rows.buffer.writeUIntLE(length, header, 3);
      rows.buffer[header + 3] = sequence & 0xff;
      this.#to = rows.length;
      return length;
    }
    outbox.range(rows.buffer, this.#from, header);
    outbox.push(encodePacket(rows.buffer.subarray(header + 4, rows.length), sequence));
    rows.begin(firstBytes);
    this.#from = 0;
    this.#to = 0;
    return length;
  }

  /** Hands over the whole packets so far; the writer goes on behind them in the same memory. */
  flush(outbox: Outbox): void {
    if (this.#to === this.#from) return;
    const rows = this.#rows;
    outbox.range(rows.buffer, this.#from, this.#to);
    if (rows.length > rows.buffer.length / 2) rows.begin(Math.min(bytesMax, 2 * rows.buffer.length));
    this.#from = rows.length;
    this.#to = rows.length;
  }
}
