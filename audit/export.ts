/** Writes the store's rows out as CSV or JSON lines, in constant memory. Changes nothing. */
import { type Cell, columns, splitList } from './columns.ts';
import { csvRecord } from './csv.ts';
import { openStoreToRead, selectEvents } from './store.ts';

export type ExportFormat = 'csv' | 'jsonl';

/** Which rows, and how. `since` is inclusive, `until` exclusive; milliseconds since the epoch. */
export interface ExportOptions {
  readonly format: ExportFormat;
  readonly since?: number;
  readonly until?: number;
  readonly session?: string;
}

const chunkChars = 64 * 1024;

/** The CSV header, with its CRLF. */
const csvHeader = csvRecord(columns.map(([name]) => name));

/** A row as a line of the format, line end included. In JSON lines a list is an array and null says "not applicable". */
export function formatRow(cells: readonly Cell[], format: ExportFormat): string {
  if (format === 'csv') return csvRecord(cells);
  const row: Record<string, Cell | string[]> = {};
  for (let i = 0; i < columns.length; i++) {
    const [name, kind] = columns[i] as (typeof columns)[number];
    const cell = cells[i] as Cell;
    row[name] = kind === 'list' && typeof cell === 'string' ? splitList(cell) : cell;
  }
  return `${JSON.stringify(row)}\n`;
}

/**
 * Gives the selected rows, in chain order, to `write` in pieces of about 64 KiB, waiting for each where `write`
 * returns a promise. All rows are of one moment, whatever is added meanwhile. A directory without a store gives no
 * rows. Resolves to the number of rows.
 */
export async function exportAudit(
  directory: string,
  options: ExportOptions,
  write: (chunk: string) => void | Promise<void>,
): Promise<number> {
  let chunk = options.format === 'csv' ? csvHeader : '';
  let rows = 0;
  const db = openStoreToRead(directory);
  if (db !== null) {
    try {
      const conditions: string[] = [];
      const values: string[] = [];
      if (options.since !== undefined) {
        conditions.push('"at" >= ?');
        values.push(new Date(options.since).toISOString());
      }
      if (options.until !== undefined) {
        conditions.push('"at" < ?');
        values.push(new Date(options.until).toISOString());
      }
      if (options.session !== undefined) {
        // Its first row has all cells, and an index.
        conditions.push(
          '"session_id" = ?',
          '"seq" >= (SELECT min("seq") FROM event_rows WHERE "session_id" = ?)',
        );
        values.push(options.session, options.session);
      }
      const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
      const select = db.prepare(`${selectEvents}${where} ORDER BY "seq"`).raw();
      for (const cells of select.iterate(...values)) {
        chunk += formatRow(cells as Cell[], options.format);
        rows++;
        if (chunk.length >= chunkChars) {
          await write(chunk);
          chunk = '';
        }
      }
    } finally {
      db.close();
    }
  }
  if (chunk !== '') await write(chunk);
  return rows;
}
