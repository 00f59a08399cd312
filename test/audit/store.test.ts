/** How rows lie in the store: what many have in common once, whatever happens in between; and read back as they were said. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { rowHash, rowHashOver, sharedRuns } from '../../audit/chain.ts';
import { cellsWith, ownCellsOf, prevHashIndex, templateCells, withOwnCells } from '../../audit/columns.ts';
import { AuditUnavailable } from '../../audit/event.ts';
import { exportAudit } from '../../audit/export.ts';
import { openAuditLog } from '../../audit/journal.ts';
import { openStore } from '../../audit/store.ts';
import { StoredTemplates } from '../../audit/stored-templates.ts';
import { verifyAudit } from '../../audit/verify.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'cordon-store-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

const ask = (sql: string): unknown => {
  const db = new Database(join(directory, 'audit.sqlite'));
  try {
    return db.prepare(sql).pluck().get();
  } finally {
    db.close();
  }
};

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'é', '\0', 'x'.repeat(70_000)));
const own = fc.record(
  {
    at: fc.nat(),
    statement_id: text,
    sql: text,
    rows: fc.nat(),
    bytes: fc.nat(),
    error: text,
    duration_us: fc.nat(),
    approval_id: text,
    approver: text,
  },
  { requiredKeys: ['at'] },
);
const shared = fc.record(
  { session_id: text, subject: text, groups: fc.array(text, { maxLength: 3 }), shape: text },
  { requiredKeys: [] },
);

describe('the store', () => {
  it('hashes an event of a template as the whole row that it stands for', () => {
    fc.assert(
      fc.property(shared, own, fc.integer({ min: 1 }), (fields, event, seq) => {
        const template = templateCells({ event: 'statement.decided', ...fields });
        const cells = ownCellsOf(event);
        assert.ok(cells !== null);
        const row = withOwnCells(template, cells);
        assert.deepEqual(row, cellsWith(template, event));
        row[0] = seq;
        row[prevHashIndex] = 'before';
        assert.equal(rowHashOver(sharedRuns(template), seq, cells, 'before'), rowHash(row));
      }),
      { numRuns: 300 },
    );
  });

  it('takes an event that says more than its template allows for as a whole row', () => {
    assert.equal(ownCellsOf({ at: 1, reasons: ['ok'] }), null);
    assert.notEqual(ownCellsOf({ at: 1, t: 4, unheard_of: true }), null);
    assert.throws(() => ownCellsOf({ rows: 1 }), TypeError);
  });

  it('says once what many rows have in common, over segments too', async () => {
    const log = await openAuditLog(directory, { segmentBytesMax: 2000 });
    const decided = log.template({ event: 'statement.decided', session_id: 's1', groups: ['a', 'b'] });
    const completed = log.template({ event: 'statement.completed', session_id: 's1' });
    const once = log.template({ event: 'session.closed', session_id: 's1' });
    for (let n = 0; n < 300; n++) {
      log.append(decided, n, { statement_id: `s1-${n}` });
      log.defer(completed, n, { statement_id: `s1-${n}`, rows: n, duration_us: 7 });
    }
    log.append(decided, 300, { statement_id: 's1-300', reasons: ['masked_use'] });
    log.append(once, 300, {});
    await log.close();
    assert.equal(ask('SELECT count(*) FROM templates'), 2);
    assert.equal(ask('SELECT count(*) FROM event_rows WHERE "session_id" IS NULL'), 598);
    assert.equal(ask('SELECT count(*) FROM events WHERE "session_id" = \'s1\''), 602);
    assert.equal(ask('SELECT "reasons" FROM events WHERE "statement_id" = \'s1-300\''), 'masked_use');
    assert.equal(verifyAudit(directory).ok, true);
    let lines = '';
    const rows = await exportAudit(directory, { format: 'jsonl', session: 's1' }, (chunk) => {
      lines += chunk;
    });
    assert.equal(rows, 602);
    assert.deepEqual(JSON.parse(lines.split('\n')[398]!).groups, ['a', 'b']);
    assert.equal(await exportAudit(directory, { format: 'csv', session: 'other' }, () => {}), 0);
  });

  it('forgets what a transaction said of templates when it fails', () => {
    const store = openStore(directory);
    const template = new StoredTemplates().of(templateCells({ event: 'statement.decided', subject: 'ana' }));
    const row = (at: number) => ({ template, own: ownCellsOf({ at })! });
    const bad = { template, own: ownCellsOf({ at: 2 })!.with(0, null) };
    const position = { segment: 1, offset: 0 };
    // @ts-expect-error a cell that SQLite does not take
    bad.own[1] = {};
    for (const rows of [[bad], [row(1), bad], [row(1), row(2), bad]]) {
      assert.throws(() => store.add(rows, [], 0, position));
      assert.deepEqual([template.id, template.isUsed, store.head().seq], [0, false, 0]);
    }
    const head = store.add([row(1), row(2), row(3)], [], 0, position);
    store.close();
    assert.equal(ask('SELECT count(*) FROM events WHERE "subject" = \'ana\''), 3);
    fs.writeFileSync(join(directory, 'head'), JSON.stringify(head));
    assert.equal(verifyAudit(directory).ok, true);
  });

  it('of another layout is not touched', () => {
    const db = new Database(join(directory, 'audit.sqlite'));
    db.exec('CREATE TABLE events (seq INTEGER PRIMARY KEY)');
    db.close();
    assert.throws(() => openStore(directory), AuditUnavailable);
    assert.equal(ask('SELECT count(*) FROM sqlite_schema'), 1);
  });
});
