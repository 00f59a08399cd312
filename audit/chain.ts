/**
 * The hash chain over the store's rows: every row's hash covers all its cells and the hash of the row before it.
 * Pure; knows nothing of files.
 */
import { hash } from 'node:crypto';
import { type Cell, ownIndices, prevHashIndex } from './columns.ts';

/** `prev_hash` of the first row: SHA-256 of the text `cordon audit chain 1`, in hex. */
export const genesis = hash('sha256', 'cordon audit chain 1');

let scratch = Buffer.allocUnsafe(64 * 1024);
let used = 0;

/**
 * SHA-256, in lower-case hex, over the cells in column order, `seq` through `prev_hash` (`hash` itself is left out).
 * Canonical encoding of a cell: one byte for its type (0 null, 1 text, 2 integer), then, unless null, the length in
 * bytes of its UTF-8 (integers: decimal digits) as unsigned 32-bit big-endian, then those bytes. The length prefix
 * keeps a text from moving over into its neighbour's cell.
 */
export function rowHash(cells: readonly Cell[]): string {
  used = 0;
  for (let i = 0; i < cells.length - 1; i++) encode(cells[i]!);
  return digest();
}

/** What the events of a template have in common, encoded: the cells before each of `ownColumns`, and those behind the last. */
export type SharedRuns = readonly Buffer[];

/** @param template as from templateCells */
export function sharedRuns(template: readonly Cell[]): SharedRuns {
  const runs: Buffer[] = [];
  let from = 1;
  for (const to of [...ownIndices, prevHashIndex]) {
    used = 0;
    for (let i = from; i < to; i++) encode(template[i]!);
    runs.push(Buffer.from(scratch.subarray(0, used)));
    from = to + 1;
  }
  return runs;
}

/** The rowHash of an event of a template. @param own in the order of `ownColumns` */
export function rowHashOver(runs: SharedRuns, seq: number, own: readonly Cell[], prevHash: string): string {
  used = 0;
  encode(seq);
  for (let i = 0; i < own.length; i++) {
    copy(runs[i]!);
    encode(own[i]!);
  }
  copy(runs[own.length]!);
  encode(prevHash);
  return digest();
}

function digest(): string {
  const found = hash('sha256', scratch.subarray(0, used));
  if (scratch.length > 1024 * 1024) scratch = Buffer.allocUnsafe(64 * 1024);
  return found;
}

function encode(cell: Cell): void {
  if (cell === null) {
    if (used === scratch.length) grow(used + 1);
    scratch[used++] = 0;
    return;
  }
  const text = typeof cell === 'number' ? String(cell) : cell;
  const most = used + 5 + text.length * 3;
  if (most > scratch.length) grow(most);
  scratch[used] = typeof cell === 'number' ? 2 : 1;
  const length = scratch.write(text, used + 5, 'utf8');
  scratch.writeUInt32BE(length, used + 1);
  used += 5 + length;
}

function copy(run: Buffer): void {
  if (run.length === 0) return;
  if (used + run.length > scratch.length) grow(used + run.length);
  run.copy(scratch, used);
  used += run.length;
}

function grow(bytes: number): void {
  const larger = Buffer.allocUnsafe(Math.max(bytes, scratch.length * 2));
  scratch.copy(larger);
  scratch = larger;
}
