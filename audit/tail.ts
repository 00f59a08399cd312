/** Follows the store: hands over rows as they come. Changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cell } from './columns.ts';
import { type ExportFormat, formatRow } from './export.ts';
import { openStoreToRead, selectEvents } from './store.ts';

/** How to follow. */
export interface TailOptions {
  readonly format: ExportFormat;
  /** Rows from before the start to begin with. Default 10. */
  readonly last?: number;
  /** Ends the following. */
  readonly signal: AbortSignal;
  /** Waits until it is worth looking again; default 250 ms. May reject when `signal` aborts. */
  readonly wait?: (signal: AbortSignal) => Promise<unknown>;
}

const rowsAtOnce = 1000;

/** Gives new rows to `write`, as lines of the format without a header, until the signal aborts; then resolves. */
export async function tailAudit(
  directory: string,
  options: TailOptions,
  write: (chunk: string) => void | Promise<void>,
): Promise<void> {
  const wait = options.wait ?? ((signal: AbortSignal) => delay(250, undefined, { signal }));
  const pause = async (): Promise<void> => {
    try {
      await wait(options.signal);
    } catch (error) {
      if (!options.signal.aborted) throw error;
    }
  };
  let db = openStoreToRead(directory);
  while (db === null && !options.signal.aborted) {
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
    while (!options.signal.aborted) {
      const rows = select.all(seq) as Cell[][];
      let chunk = '';
      for (const cells of rows) {
        chunk += formatRow(cells, options.format);
        seq = cells[0] as number;
      }
      if (chunk !== '') await write(chunk);
      if (rows.length < rowsAtOnce) await pause();
    }
  } finally {
    db.close();
  }
}
