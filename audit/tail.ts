/** Follows the store: hands over rows as they come. Changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cell } from './columns.ts';
import { type ExportFormat, formatRow } from './export.ts';
import { openStoreToRead, selectEvents } from './store.ts';

/** How to follow. */
export interface TailOptions {
  /** Default `jsonl`. */
  readonly format?: ExportFormat;
  /** Rows from before the start to begin with. Default 10. */
  readonly last?: number;
  /** Waits until it is worth looking again; default 250 ms. May reject when `signal` aborts. */
  readonly wait?: (signal: AbortSignal) => Promise<unknown>;
}

const rowsAtOnce = 1000;

/** Gives new rows to `write`, each as a line of the format without its end, until `signal` aborts; then resolves. */
export async function tailAudit(
  directory: string,
  write: (line: string) => unknown,
  signal: AbortSignal,
  options: TailOptions = {},
): Promise<void> {
  const format = options.format ?? 'jsonl';
  const wait = options.wait ?? ((ending: AbortSignal) => delay(250, undefined, { signal: ending }));
  const pause = async (): Promise<void> => {
    try {
      await wait(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
  let db = openStoreToRead(directory);
  while (db === null && !signal.aborted) {
    await pause();
    db = openStoreToRead(directory);
  }
  if (db === null) return;
  try {
    const select = db
      .prepare<[number], Cell[]>(`${selectEvents} WHERE "seq" > ? ORDER BY "seq" LIMIT ${rowsAtOnce}`)
      .raw();
    const highest = db.prepare<[], number>('SELECT coalesce(max("seq"), 0) FROM events').pluck();
    let seq = Math.max(0, (highest.get() as number) - (options.last ?? 10));
    while (!signal.aborted) {
      const rows = select.all(seq) as Cell[][];
      for (const cells of rows) {
        if (signal.aborted) return;
        await write(formatRow(cells, format).trimEnd());
        seq = cells[0] as number;
      }
      if (rows.length < rowsAtOnce) await pause();
    }
  } finally {
    db.close();
  }
}
