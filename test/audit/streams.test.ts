/** Journals of several processes in one store, and templates that a reader can't miss. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { AuditUnavailable } from '../../audit/event.ts';
import { eventRest, eventTemplate } from '../../audit/event-line.ts';
import { openIngest } from '../../audit/ingest.ts';
import { catchUp, openAuditLog, openWorkerAuditLog } from '../../audit/journal.ts';
import { openJournalWriter } from '../../audit/journal-writer.ts';
import { journalFolder, segmentNumbers, segmentPath } from '../../audit/segments.ts';
import { openStoreToRead } from '../../audit/store.ts';
import { verifyAudit } from '../../audit/verify.ts';

const scratch = fs.mkdtempSync(join(tmpdir(), 'cordon-streams-'));
after(() => fs.rmSync(scratch, { recursive: true, force: true }));
let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(scratch, 'audit-'));
});

const settings = {
  sync: 'write',
  segmentBytesMax: 1 << 24,
  lineBytesMax: 1 << 20,
  deferredBytesMax: 1 << 20,
  syncMs: 200,
} as const;

/** Subject and number of every row, in the chain's order. */
function stored(): string[] {
  const db = openStoreToRead(directory)!;
  try {
    return db.prepare('SELECT subject || rows FROM events ORDER BY seq').pluck().all() as string[];
  } finally {
    db.close();
  }
}

test('the owner follows its workers, settles them, and ends with everything in the store', async () => {
  const owner = await openAuditLog(directory);
  const port = { wake: () => owner.ingest.wake(), hurry: () => owner.ingest.hurry() };
  const workers = await Promise.all(
    [1, 2].map((stream) => openWorkerAuditLog(directory, stream, owner.position(stream), port)),
  );
  owner.subscribe((report) => {
    for (const [i, worker] of workers.entries()) worker.followed(owner.position(i + 1), report.isIdle);
  });
  const logs = [owner, ...workers];
  for (const [i, log] of logs.entries()) {
    const template = log.template({ event: 'statement.decided', subject: 'abc'[i]! });
    for (let n = 0; n < 50; n++) log.append(template, n, { rows: n });
    log.defer(template, 50, { rows: 50 });
  }
  await Promise.all(logs.map((log) => log.settle()));
  const rows = stored();
  assert.equal(rows.length, 153);
  for (const subject of 'abc') {
    assert.deepEqual(
      rows.filter((row) => row.startsWith(subject)),
      Array.from({ length: 51 }, (_, n) => `${subject}${n}`),
    );
  }
  // What comes after the last report, and nobody waits for.
  workers[0]!.append(workers[0]!.template({ event: 'session.closed', subject: 'z' }), 1, { rows: 1 });
  for (const worker of workers) await worker.close();
  await owner.close();
  assert.equal(stored().at(-1), 'z1');
  assert.equal(verifyAudit(directory).ok, true);
});

test('a stream is one process’s at a time, and what a gone one left comes in', async () => {
  const port = { wake() {}, hurry() {} };
  const start = { segment: 1, offset: 0 };
  const first = await openWorkerAuditLog(directory, 1, start, port);
  await assert.rejects(openWorkerAuditLog(directory, 1, start, port, { ownerWaitMs: 0 }), AuditUnavailable);
  first.append(first.template({ event: 'session.opened', subject: 'left' }), 1, { rows: 1 });
  await first.close();
  assert.equal(await catchUp(directory), 'caught_up');
  assert.deepEqual(stored(), ['left1']);
  const owner = await openAuditLog(directory);
  const second = await openWorkerAuditLog(directory, 1, owner.position(1), port);
  second.append(second.template({ event: 'session.opened', subject: 'next' }), 1, { rows: 2 });
  await second.close();
  await owner.close();
  assert.deepEqual(stored(), ['left1', 'next2']);
  assert.equal(verifyAudit(directory).ok, true);
});

test('an ingest that goes on in the middle of a segment knows the templates before it', () => {
  const writer = openJournalWriter(journalFolder(directory), 'w', 1, settings, () => {});
  const template = eventTemplate({ event: 'statement.decided', subject: 's' });
  for (let n = 0; n < 5000; n++) writer.defer(template, eventRest(n, { rows: n }));
  writer.flush();
  writer.close();
  for (let steps = 0; steps < 4; steps++) {
    const ingest = openIngest(directory, false);
    ingest.step();
    ingest.close();
  }
  assert.deepEqual(
    stored(),
    Array.from({ length: 5000 }, (_, n) => `s${n}`),
  );
  assert.equal(verifyAudit(directory).ok, true);
});

test('every segment defines what its lines name, whenever it begins', () => {
  const folder = journalFolder(directory);
  const writer = openJournalWriter(folder, 'w', 1, { ...settings, segmentBytesMax: 300 }, () => {});
  const templates = ['a', 'b', 'c'].map((subject) => eventTemplate({ event: 'statement.decided', subject }));
  const expected: string[] = [];
  for (let n = 0; n < 200; n++) {
    const at = (n * 7) % 3;
    const rest = eventRest(n, { rows: n });
    if (n % 4 === 3) writer.write(templates[at]!, rest);
    else writer.defer(templates[at]!, rest);
    expected.push(`${'abc'[at]}${n}`);
  }
  writer.flush();
  writer.close();
  const segments = segmentNumbers(folder);
  assert.ok(segments.length > 10);
  for (const number of segments) {
    const defined = new Set<number>();
    for (const line of fs.readFileSync(segmentPath(folder, number), 'utf8').trimEnd().split('\n')) {
      const { template, t } = JSON.parse(line) as { template?: number; t?: number };
      if (template !== undefined) defined.add(template);
      if (t !== undefined) assert.ok(defined.has(t), `segment ${number}: ${line}`);
    }
  }
  const ingest = openIngest(directory, false);
  while (ingest.step() !== 'idle');
  ingest.saveHead();
  ingest.close();
  assert.deepEqual(stored(), expected);
});

test('a line whose template is missing is told as damage', () => {
  const folder = journalFolder(directory);
  const writer = openJournalWriter(folder, 'w', 1, settings, () => {});
  writer.write(eventTemplate({ event: 'statement.decided', subject: 's' }), eventRest(1, { rows: 1 }));
  writer.close();
  const path = segmentPath(folder, 1);
  const lines = fs.readFileSync(path, 'utf8').split('\n');
  fs.writeFileSync(path, lines.filter((line) => !line.startsWith('{"template":')).join('\n'));
  const ingest = openIngest(directory, false);
  while (ingest.step() !== 'idle');
  ingest.saveHead();
  ingest.close();
  const verified = verifyAudit(directory);
  assert.equal(verified.ok, false);
  assert.match(verified.ok ? '' : verified.why, /names a template/);
});
