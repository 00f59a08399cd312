import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { genesis, rowHash } from '../../audit/chain.ts';
import { type Cell, cellsOf, columns } from '../../audit/columns.ts';
import { catchUp, openAuditLog } from '../../audit/journal.ts';
import { openStore } from '../../audit/store.ts';
import { auditHead, verifyAudit } from '../../audit/verify.ts';

const rows = 20;
let good: string;
let scratch: string;

before(async () => {
  scratch = fs.mkdtempSync(join(tmpdir(), 'cordon-verify-'));
  good = join(scratch, 'good');
  const log = await openAuditLog(good);
  const template = log.template({
    event: 'statement.decided',
    groups: ['a', 'b'],
    decision: 'allow',
    shape: 'select ?',
  });
  for (let n = 1; n <= rows; n++) log.append(template, n, { statement_id: `st-${n}`, rows: n });
  await log.close();
});
after(() => fs.rmSync(scratch, { recursive: true }));

/** A copy of the good directory with SQL run over its store. */
function tampered(sql: string): string {
  const directory = fs.mkdtempSync(join(scratch, 'bad-'));
  fs.cpSync(good, directory, { recursive: true });
  const db = new Database(join(directory, 'audit.sqlite'));
  db.exec(sql);
  db.close();
  return directory;
}

function found(directory: string, seq: number, why: RegExp): void {
  const result = verifyAudit(directory);
  assert.ok(!result.ok, 'nothing was found');
  assert.equal(result.seq, seq, result.why);
  assert.match(result.why, why);
}

/** SQL that recomputes nothing: `row` as a new row `seq`. */
const copy = (from: number, to: number) =>
  `INSERT INTO event_rows (${columns.map(([name]) => `"${name}"`).join(', ')}) SELECT ${columns
    .map(([name]) => (name === 'seq' ? `${to}` : `"${name}"`))
    .join(', ')} FROM events WHERE seq = ${from};`;

describe('verification', () => {
  it('passes what was not touched, and gives its head', () => {
    const head = auditHead(good);
    assert.equal(head?.seq, rows);
    assert.deepEqual(verifyAudit(good), { ok: true, rows, head: head?.hash });
    assert.deepEqual(verifyAudit(tampered('VACUUM')), { ok: true, rows, head: head?.hash });
  });

  it('passes where nothing was recorded yet', async () => {
    const directory = join(scratch, 'empty');
    assert.deepEqual(verifyAudit(directory), { ok: true, rows: 0, head: genesis });
    assert.equal(auditHead(directory), null);
    const log = await openAuditLog(directory);
    await log.close();
    assert.deepEqual(verifyAudit(directory), { ok: true, rows: 0, head: genesis });
    assert.equal(auditHead(directory), null);
  });

  it('finds a change in any column of any row', () => {
    for (const [name, kind] of columns) {
      if (name === 'seq') continue;
      const value = kind === 'integer' ? 4711 : "'x'";
      for (const seq of [1, 7, rows]) {
        found(
          tampered(`UPDATE event_rows SET "${name}" = ${value} WHERE seq = ${seq}`),
          seq,
          /changed|follow/,
        );
      }
    }
    found(tampered('UPDATE event_rows SET "statement_id" = NULL WHERE seq = 7'), 7, /changed/);
    found(tampered(`UPDATE event_rows SET "sql" = '' WHERE seq = 7`), 7, /changed/);
  });

  it('finds a change in what many rows have in common', () => {
    found(tampered('UPDATE templates SET "decision" = \'refuse\''), 2, /changed/);
    found(tampered('UPDATE templates SET "subject" = \'x\''), 2, /changed/);
    found(tampered('DELETE FROM templates'), 2, /changed/);
    found(tampered('UPDATE event_rows SET "template" = NULL WHERE seq = 9'), 9, /changed/);
    found(tampered('DROP TABLE templates'), 1, /can't be read/);
  });

  it('finds a text that moved over into the next column', () => {
    found(
      tampered('UPDATE event_rows SET "session_id" = "statement_id", "statement_id" = NULL WHERE seq = 3'),
      3,
      /changed/,
    );
  });

  it('finds a missing row, wherever it was', () => {
    found(tampered('DELETE FROM event_rows WHERE seq = 1'), 1, /missing/);
    found(tampered('DELETE FROM event_rows WHERE seq = 7'), 7, /missing/);
    found(
      tampered('DELETE FROM event_rows WHERE seq = 7; UPDATE event_rows SET seq = seq - 1 WHERE seq > 7'),
      7,
      /follow/,
    );
  });

  it('finds rows in another order', () => {
    found(
      tampered(
        'UPDATE event_rows SET seq = -1 WHERE seq = 5; UPDATE event_rows SET seq = 5 WHERE seq = 6; UPDATE event_rows SET seq = 6 WHERE seq = -1',
      ),
      5,
      /follow/,
    );
  });

  it('finds an inserted row', () => {
    found(tampered(copy(7, rows + 1)), rows + 1, /follow/);
    found(tampered(copy(7, 0)), 1, /missing/);
    found(
      tampered(
        `UPDATE event_rows SET seq = -seq - 1 WHERE seq >= 8; UPDATE event_rows SET seq = -seq WHERE seq < 0; ${copy(7, 8)}`,
      ),
      8,
      /follow/,
    );
  });

  it('finds rows that were cut off the end', () => {
    found(tampered(`DELETE FROM event_rows WHERE seq = ${rows}`), rows, /cut off/);
    found(tampered('DELETE FROM event_rows WHERE seq > 3'), 4, /cut off/);
    found(tampered('DELETE FROM event_rows'), 1, /cut off/);
    found(tampered('DROP VIEW events'), 1, /missing/);
    found(tampered('DROP TABLE event_rows'), 1, /can't be read/);
    const gone = tampered('');
    fs.rmSync(join(gone, 'audit.sqlite'));
    found(gone, 1, /store is missing/);
  });

  it('finds a file that is no store any more', () => {
    const directory = tampered('');
    fs.writeFileSync(join(directory, 'audit.sqlite'), 'x'.repeat(10_000));
    found(directory, 1, /can't be read/);
  });

  it('finds a head record that was removed or spoilt', () => {
    const removed = tampered('');
    fs.rmSync(join(removed, 'head'));
    found(removed, rows, /head record is missing/);
    const spoilt = tampered('');
    fs.writeFileSync(join(spoilt, 'head'), 'x');
    found(spoilt, 0, /unreadable/);
  });

  it('still finds a cut after the next run has put new rows on the end', async () => {
    const directory = tampered('DELETE FROM event_rows WHERE seq > 12');
    const log = await openAuditLog(directory);
    for (let n = 0; n < 30; n++) log.append(log.template({ event: 'policy.loaded' }), n, {});
    await log.close();
    found(directory, 13, /rows 13 to 20 are missing/);
    const bare = tampered('DELETE FROM event_rows WHERE seq > 12');
    fs.rmSync(join(bare, 'head'));
    assert.equal(await catchUp(bare), 'caught_up');
    found(bare, 13, /head record is missing/);
  });

  it('finds a chain computed anew when it is given a head from outside', () => {
    const directory = tampered('');
    const head = auditHead(directory);
    assert.ok(head !== null);
    const forged = new Database(join(directory, 'audit.sqlite'));
    const all = forged.prepare('SELECT * FROM events ORDER BY seq').raw().all() as Cell[][];
    const set = forged.prepare(
      'UPDATE event_rows SET "decision" = ?, "prev_hash" = ?, "hash" = ? WHERE "seq" = ?',
    );
    let hash = genesis;
    for (const cells of all) {
      cells[columns.findIndex(([name]) => name === 'decision')] = 'refuse';
      cells[columns.length - 2] = hash;
      const previous = hash;
      hash = rowHash(cells);
      set.run('refuse', previous, hash, cells[0]);
    }
    forged.close();
    found(directory, rows, /head record/);
    fs.writeFileSync(join(directory, 'head'), JSON.stringify({ seq: rows, hash }));
    assert.equal(verifyAudit(directory).ok, true);
    assert.equal(verifyAudit(directory, head).ok, false);
    assert.equal(verifyAudit(good, head).ok, true);
    assert.equal(verifyAudit(good, { seq: rows + 1, hash }).ok, false);
  });

  it('hashes what SQLite gives back, whatever a text holds', () => {
    const directory = fs.mkdtempSync(join(scratch, 'any-'));
    const store = openStore(directory);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('\0', '\ud800', '\udc00', 'é', '😀') }),
    );
    let count = 0;
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (texts) => {
        store.add(
          texts.map((each) => ({
            template: null,
            cells: cellsOf({ at: 0, event: each, subject: each, groups: [each] }),
          })),
          [],
          0,
          { segment: 1, offset: 0 },
        );
        count += texts.length;
      }),
      { numRuns: 100 },
    );
    const head = store.head();
    store.close();
    fs.writeFileSync(join(directory, 'head'), JSON.stringify(head));
    assert.deepEqual(verifyAudit(directory), { ok: true, rows: count, head: head.hash });
  });

  it('does not mind a gateway that goes on writing', async () => {
    const directory = join(scratch, 'busy');
    const log = await openAuditLog(directory);
    const template = log.template({ event: 'statement.decided' });
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 200; n++) log.append(template, n, {});
      await new Promise((resolve) => setImmediate(resolve));
      const result = verifyAudit(directory);
      assert.ok(result.ok, JSON.stringify(result));
    }
    await log.close();
    assert.equal(verifyAudit(directory).ok, true);
  });
});
