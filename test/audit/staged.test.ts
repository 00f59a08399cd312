/** Events that wait for the end of a turn: written together, told of when they are, and never taken for written before. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AuditUnavailable } from '../../audit/event.ts';
import { openAuditLog, type RunningAuditLog } from '../../audit/journal.ts';
import { verifyAudit } from '../../audit/verify.ts';

let directory: string;
let log: RunningAuditLog;
const real = fs.writeSync;
/** Writes into the journal so far. */
let writes = 0;
let isFull = false;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'cordon-staged-'));
  log = await openAuditLog(directory, { deferMs: 100_000 });
  writes = 0;
  isFull = false;
  fs.writeSync = ((file: number, buffer: Buffer, offset: number, length: number) => {
    writes++;
    if (isFull) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    return real(file, buffer, offset, length);
  }) as typeof fs.writeSync;
  syncBuiltinESMExports();
});

afterEach(async () => {
  fs.writeSync = real;
  syncBuiltinESMExports();
  await log.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

const decided = () => log.template({ event: 'statement.decided' });
const written = () => new Promise<boolean>((resolve) => log.onWritten(resolve));
const ids = () =>
  fs
    .readFileSync(join(directory, 'journal', '000000000001.jsonl'), 'utf8')
    .split('\n')
    .flatMap((line) => /"statement_id":"(\w+)"/.exec(line)?.[1] ?? []);

describe('staged events', () => {
  it('are written once for all of a turn, and told of in that turn', async () => {
    const template = decided();
    const staged = ['a', 'b', 'c'].map((statement_id) => log.stage(template, 1, { statement_id }));
    assert.deepEqual([new Set(staged).size, writes, ids()], [1, 0, []]);
    assert.ok(log.isStaged(staged[0]!));
    let turns = 0;
    setImmediate(() => turns++);
    assert.equal(await written(), true);
    assert.equal(turns, 0, 'it is told before the next turn');
    assert.deepEqual([writes, ids()], [1, ['a', 'b', 'c']]);
    assert.ok(!log.isStaged(staged[0]!));
    const next = log.stage(template, 2, { statement_id: 'd' });
    assert.ok(log.isStaged(next) && !log.isStaged(staged[0]!));
    assert.equal(await written(), true);
  });

  it('keep their place before what is written at once', async () => {
    const template = decided();
    const staged = log.stage(template, 1, { statement_id: 'a' });
    log.append(template, 1, { statement_id: 'b' });
    assert.deepEqual(ids(), ['a', 'b']);
    assert.ok(log.isStaged(staged), 'who waits is told at the end of the turn all the same');
    assert.equal(await written(), true);
    assert.equal(writes, 1);
  });

  it('are said not to be written on a full disk; from then on each one is tried at once, until there is room', async () => {
    const template = decided();
    isFull = true;
    const staged = log.stage(template, 1, { statement_id: 'a' });
    assert.ok(log.takes());
    assert.equal(await written(), false);
    assert.ok(!log.isStaged(staged) && !log.takes());
    assert.throws(() => log.stage(template, 2, { statement_id: 'refused' }), AuditUnavailable);
    isFull = false;
    assert.equal(log.stage(template, 3, { statement_id: 'b' }), 0);
    assert.deepEqual(ids(), ['a', 'b'], 'what was decided is not lost, and what was refused is not said');
    assert.ok(log.takes());
    assert.notEqual(log.stage(template, 4, { statement_id: 'c' }), 0);
    assert.equal(await written(), true);
    await log.settle();
    assert.deepEqual([verifyAudit(directory).ok, ids().length], [true, 3]);
  });

  it('are bounded: too large a one is refused, and very many are written before the turn ends', async () => {
    const template = decided();
    assert.throws(() => log.stage(template, 1, { sql: 'x'.repeat(9 * 1024 * 1024) }), AuditUnavailable);
    const staged = Array.from({ length: 40 }, (_, n) =>
      log.stage(template, 1, { statement_id: `s${n}`, sql: 'y'.repeat(100_000) }),
    );
    assert.ok(staged.includes(0) && writes > 1, `${writes} writes`);
    assert.equal(await written(), true);
    assert.deepEqual(
      ids(),
      staged.map((_, n) => `s${n}`),
    );
  });

  it('count as not written when the log closes first', async () => {
    log.stage(decided(), 1, { statement_id: 'a' });
    const told = written();
    await log.close();
    assert.equal(await told, false);
    assert.throws(() => log.stage(decided(), 1, {}), AuditUnavailable);
  });
});
