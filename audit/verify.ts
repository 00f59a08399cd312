/**
 * Re-walks the chain: finds rows that were changed, removed, inserted, put in another order or cut off the end.
 * Changes nothing. What it can't find: a whole chain computed anew together with its head record, by someone who can
 * write both; against that, compare with a head from outside (`anchor`).
 */
import Database from 'better-sqlite3';
import { genesis, rowHash } from './chain.ts';
import { type Cell, prevHashIndex } from './columns.ts';
import { type Head, readHead } from './head.ts';
import { openStoreToRead, selectEvents } from './store.ts';

/** `seq` is the first row that isn't right: the place where one is missing when it is a row that isn't there. */
export type Verification =
  | { readonly ok: true; readonly rows: number; readonly head: string }
  | { readonly ok: false; readonly seq: number; readonly why: string };

/**
 * Walks all rows of one moment. `anchor`: a head that was printed or kept elsewhere, which the chain has to contain.
 * A running ingest doesn't disturb it. Damage that the ingest met in the journal is reported once the chain is right.
 */
export function verifyAudit(directory: string, anchor: Head | null = null): Verification {
  // Before the store: the record may lag behind the rows but never run ahead of them.
  const record = readHead(directory);
  try {
    return walk(directory, record, anchor);
  } catch (error) {
    if (error instanceof Database.SqliteError) return wrong(1, `the store can't be read (${error.code})`);
    throw error;
  }
}

/** The chain's last row as the store has it, unchecked; null when there is none. */
export function auditHead(directory: string): Head | null {
  const db = openStoreToRead(directory);
  if (db === null) return null;
  try {
    return db.prepare<[], Head>('SELECT "seq", "hash" FROM events ORDER BY "seq" DESC LIMIT 1').get() ?? null;
  } finally {
    db.close();
  }
}

function walk(directory: string, record: Head | null | 'unreadable', anchor: Head | null): Verification {
  const db = openStoreToRead(directory);
  if (db === null) {
    return record === null && anchor === null
      ? { ok: true, rows: 0, head: genesis }
      : wrong(1, 'the store is missing');
  }
  try {
    db.exec('BEGIN');
    if (record === 'unreadable') return wrong(0, 'the head record is unreadable');
    const expected = [record, anchor].filter((head) => head !== null);

    let seq = 0;
    let hash = genesis;
    for (const row of db.prepare(`${selectEvents} ORDER BY "seq"`).raw().iterate()) {
      const cells = row as Cell[];
      if (cells[0] !== seq + 1) return wrong(seq + 1, 'a row is missing');
      seq++;
      if (cells[prevHashIndex] !== hash) return wrong(seq, 'the row does not follow the one before it');
      hash = rowHash(cells);
      if (cells[prevHashIndex + 1] !== hash) return wrong(seq, 'the row was changed');
      for (const head of expected) {
        if (head.seq === seq && head.hash !== hash) {
          return wrong(seq, 'the row is not the one in the head record');
        }
      }
    }
    for (const head of expected) {
      if (head.seq > seq) return wrong(seq + 1, `rows up to ${head.seq} were cut off`);
    }
    if (record === null && seq > 0) return wrong(seq, 'the head record is missing');
    const damage = db
      .prepare<[], { after_seq: number; why: string }>(
        'SELECT "after_seq", "why" FROM damage ORDER BY "id" LIMIT 1',
      )
      .get();
    if (damage !== undefined) return wrong(damage.after_seq + 1, damage.why);
    return { ok: true, rows: seq, head: hash };
  } finally {
    db.close();
  }
}

function wrong(seq: number, why: string): Verification {
  return { ok: false, seq, why };
}
