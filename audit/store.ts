/**
 * The SQLite store: its tables, and the only statements that change them. Rows are added by the ingest alone and
 * never changed; reading is export.ts, tail.ts and verify.ts.
 */
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { genesis, rowHash, rowHashOver } from './chain.ts';
import {
  type Cell,
  columns,
  ownColumns,
  ownIndices,
  prevHashIndex,
  sharedIndices,
  withOwnCells,
} from './columns.ts';
import { AuditUnavailable } from './event.ts';
import type { Head } from './head.ts';
import type { StoredRow, StoredTemplate } from './stored-templates.ts';

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
   * Adds rows and damage, and moves the stream's position, all in one transaction: a line is
   * in the store exactly once, whatever happens. Numbers and chains the rows.
   */
  add(rows: readonly StoredRow[], damage: readonly string[], stream: number, position: JournalPosition): Head;
  close(): void;
}

/** Where the store lies in an audit directory. */
function storePath(directory: string): string {
  return join(directory, 'audit.sqlite');
}

const quoted = (name: string): string => `"${name}"`;
const names = columns.map(([name]) => quoted(name));
const into = (table: string, of: readonly string[]): string =>
  `INSERT INTO ${table} (${of.join(', ')}) VALUES (${of.map(() => '?').join(', ')})`;

const definition = (index: number): string => {
  const [name, kind] = columns[index]!;
  return `"${name}" ${kind === 'integer' ? 'INTEGER' : 'TEXT'}`;
};

/** Of this layout; another number is another layout. */
const version = 2;

// A row has all its cells, or its own ones and a template with the others.
const schema = `
  CREATE TABLE IF NOT EXISTS templates (
    "id" INTEGER PRIMARY KEY,
    ${sharedIndices.map(definition).join(',\n    ')}
  ) STRICT;
  CREATE TABLE IF NOT EXISTS event_rows (
    "seq" INTEGER PRIMARY KEY,
    "template" INTEGER,
    ${ownIndices.map(definition).join(',\n    ')},
    "prev_hash" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    ${sharedIndices.map(definition).join(',\n    ')}
  ) STRICT;
  CREATE INDEX IF NOT EXISTS event_rows_at ON event_rows ("at");
  CREATE INDEX IF NOT EXISTS event_rows_session ON event_rows ("session_id") WHERE "session_id" IS NOT NULL;
  CREATE VIEW IF NOT EXISTS events AS SELECT
    ${columns
      .map(([name], index) =>
        sharedIndices.includes(index) ? `coalesce(r."${name}", t."${name}") AS "${name}"` : `r."${name}"`,
      )
      .join(',\n    ')}
    FROM event_rows r LEFT JOIN templates t ON t."id" = r."template";
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
  if (db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined) db.pragma(`user_version = ${version}`);
  else if (db.pragma('user_version', { simple: true }) !== version) {
    db.close();
    throw new AuditUnavailable('the audit store was made by another version of the gateway');
  }
  db.exec(schema);

  const insert = db.prepare(into('event_rows', names));
  const insertOwn = db.prepare(
    into('event_rows', ['seq', 'template', ...ownColumns, 'prev_hash', 'hash'].map(quoted)),
  );
  const insertTemplate = db.prepare(
    into(
      'templates',
      sharedIndices.map((index) => names[index]!),
    ),
  );
  const addDamage = db.prepare('INSERT INTO damage ("after_seq", "why") VALUES (?, ?)');
  const move = db.prepare('INSERT OR REPLACE INTO journal_positions VALUES (?, ?, ?)');
  const last = db.prepare<[], Head>('SELECT "seq", "hash" FROM event_rows ORDER BY "seq" DESC LIMIT 1');
  const at = db.prepare<[number], JournalPosition>(
    'SELECT "segment", "offset" FROM journal_positions WHERE "stream" = ?',
  );
  const hashAt = db.prepare<[number], { hash: string }>('SELECT "hash" FROM event_rows WHERE "seq" = ?');

  let head: Head = last.get() ?? { seq: 0, hash: genesis };

  /** Templates that the open transaction has changed, as they were. */
  let changed: { readonly template: StoredTemplate; readonly id: number; readonly isUsed: boolean }[] = [];

  function change(template: StoredTemplate, id: number): void {
    changed.push({ template, id: template.id, isUsed: template.isUsed });
    template.id = id;
    template.isUsed = true;
  }

  /** Returns the row's hash. */
  function addRow(row: StoredRow, seq: number, prevHash: string): string {
    if (row.template === null) return addWhole(row.cells, seq, prevHash);
    const { template, own } = row;
    if (!template.isUsed) {
      change(template, 0);
      return addWhole(withOwnCells(template.cells, own), seq, prevHash);
    }
    if (template.id === 0) {
      const shared = sharedIndices.map((index) => template.cells[index]);
      change(template, Number(insertTemplate.run(shared).lastInsertRowid));
    }
    const hash = rowHashOver(template.runs, seq, own, prevHash);
    insertOwn.run([seq, template.id, ...own, prevHash, hash]);
    return hash;
  }

  function addWhole(cells: Cell[], seq: number, prevHash: string): string {
    cells[0] = seq;
    cells[prevHashIndex] = prevHash;
    const hash = rowHash(cells);
    cells[prevHashIndex + 1] = hash;
    insert.run(cells);
    return hash;
  }

  const transaction = db.transaction(
    (
      rows: readonly StoredRow[],
      damage: readonly string[],
      stream: number,
      position: JournalPosition,
    ): Head => {
      let { seq, hash } = head;
      for (const why of damage) addDamage.run(seq, why);
      for (const row of rows) hash = addRow(row, ++seq, hash);
      move.run(stream, position.segment, position.offset);
      return { seq, hash };
    },
  );

  return {
    position: (stream) => at.get(stream) ?? { segment: 1, offset: 0 },
    head: () => head,
    hashOf: (seq) => hashAt.get(seq)?.hash ?? null,
    add: (rows, damage, stream, position) => {
      changed = [];
      try {
        head = transaction.immediate(rows, damage, stream, position);
      } catch (error) {
        for (const { template, id, isUsed } of changed.reverse()) Object.assign(template, { id, isUsed });
        throw error;
      }
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
export const selectEvents = `SELECT ${names.join(', ')} FROM events`;
