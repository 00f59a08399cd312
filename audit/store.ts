/**
 * The SQLite store: its tables, and the only statements that change them. Rows are added by the ingest alone and
 * never changed; reading is export.ts, tail.ts and verify.ts.
 */
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { genesis, rowHash } from './chain.ts';
import { type Cell, columns, prevHashIndex } from './columns.ts';
import type { Head } from './head.ts';

/** Where the ingest stands in one stream of the journal: the next byte to read. */
export interface JournalPosition {
  readonly segment: number;
  readonly offset: number;
}

/** The store as the ingest sees it. */
export interface Store {
  position(stream: number): JournalPosition;
  head(): Head;
  /** The hash of row `seq`; null when there is no such row. */
  hashOf(seq: number): string | null;
  /**
   * Adds rows (cells as from cellsOf) and damage, and moves the stream's position, all in one transaction: a line is
   * in the store exactly once, whatever happens. Numbers and chains the rows.
   */
  add(rows: readonly Cell[][], damage: readonly string[], stream: number, position: JournalPosition): Head;
  close(): void;
}

/** Where the store lies in an audit directory. */
function storePath(directory: string): string {
  return join(directory, 'audit.sqlite');
}

const names = columns.map(([name]) => `"${name}"`).join(', ');

const schema = `
  CREATE TABLE IF NOT EXISTS events (
    ${columns
      .map(([name, kind]) =>
        name === 'seq'
          ? '"seq" INTEGER PRIMARY KEY'
          : `"${name}" ${kind === 'integer' ? 'INTEGER' : 'TEXT'}${name === 'at' || name === 'event' || name.endsWith('hash') ? ' NOT NULL' : ''}`,
      )
      .join(',\n    ')}
  ) STRICT;
  CREATE INDEX IF NOT EXISTS events_at ON events ("at");
  CREATE INDEX IF NOT EXISTS events_session ON events ("session_id") WHERE "session_id" IS NOT NULL;
  CREATE TABLE IF NOT EXISTS journal_positions (
    "stream" INTEGER PRIMARY KEY, "segment" INTEGER NOT NULL, "offset" INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS damage (
    "id" INTEGER PRIMARY KEY, "after_seq" INTEGER NOT NULL, "why" TEXT NOT NULL
  ) STRICT;
`;

/** Opens the store for the ingest, creating it (mode 0600). The caller owns the directory. */
export function openStore(directory: string): Store {
  const path = storePath(directory);
  const isNew = !existsSync(path);
  const db = new Database(path, { timeout: 1000 });
  // The -wal and -shm files take the mode of the database file.
  if (isNew) chmodSync(path, 0o600);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec(schema);

  const insert = db.prepare(`INSERT INTO events (${names}) VALUES (${columns.map(() => '?').join(', ')})`);
  const addDamage = db.prepare('INSERT INTO damage ("after_seq", "why") VALUES (?, ?)');
  const move = db.prepare('INSERT OR REPLACE INTO journal_positions VALUES (?, ?, ?)');
  const last = db.prepare<[], Head>('SELECT "seq", "hash" FROM events ORDER BY "seq" DESC LIMIT 1');
  const at = db.prepare<[number], JournalPosition>(
    'SELECT "segment", "offset" FROM journal_positions WHERE "stream" = ?',
  );
  const hashAt = db.prepare<[number], { hash: string }>('SELECT "hash" FROM events WHERE "seq" = ?');

  let head: Head = last.get() ?? { seq: 0, hash: genesis };

  const transaction = db.transaction(
    (rows: readonly Cell[][], damage: readonly string[], stream: number, position: JournalPosition): Head => {
      let { seq, hash } = head;
      for (const why of damage) addDamage.run(seq, why);
      for (const cells of rows) {
        seq++;
        cells[0] = seq;
        cells[prevHashIndex] = hash;
        hash = rowHash(cells);
        cells[prevHashIndex + 1] = hash;
        insert.run(cells);
      }
      move.run(stream, position.segment, position.offset);
      return { seq, hash };
    },
  );

  return {
    position: (stream) => at.get(stream) ?? { segment: 1, offset: 0 },
    head: () => head,
    hashOf: (seq) => hashAt.get(seq)?.hash ?? null,
    add: (rows, damage, stream, position) => {
      head = transaction.immediate(rows, damage, stream, position);
      return head;
    },
    close: () => db.close(),
  };
}

/** Opens the store to read; null when there is none yet, or none with events. The caller closes it. */
export function openStoreToRead(directory: string): Database.Database | null {
  const path = storePath(directory);
  if (!existsSync(path)) return null;
  const db = new Database(path, { readonly: true, timeout: 5000 });
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'events'").get() !== undefined) return db;
  db.close();
  return null;
}

/** `SELECT` of all columns in the contract's order. */
export const selectEvents = `SELECT ${names} FROM events`;
