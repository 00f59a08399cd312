import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { AuditUnavailable } from '../../audit/event.ts';
import { eventLine, eventTemplate } from '../../audit/event-line.ts';
import { catchUp, openAuditLog } from '../../audit/journal.ts';
import { openJournalWriter, type WriterSettings } from '../../audit/journal-writer.ts';
import { headerLine, journalFolder, segmentNumbers } from '../../audit/segments.ts';
import { verifyAudit } from '../../audit/verify.ts';

const appender = fileURLToPath(new URL('./appender.ts', import.meta.url));

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'cordon-audit-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

function storedStatements(): string[] {
  const db = new Database(join(directory, 'audit.sqlite'), { readonly: true });
  try {
    return db
      .prepare(`SELECT "statement_id" FROM events WHERE "event" = 'statement.decided' ORDER BY "seq"`)
      .pluck()
      .all() as string[];
  } finally {
    db.close();
  }
}

function rowCount(): number {
  const result = verifyAudit(directory);
  assert.ok(result.ok, JSON.stringify(result));
  return result.rows;
}

/** Starts the appender; collects what it says until `enough` says so, then kills it as the kernel would. */
async function appendUntil(
  enough: (said: readonly string[]) => boolean,
  { atOnce = 1, options = {}, prefix = [] as string[] },
): Promise<{ pid: number; said: string[] }> {
  const [command = '', ...args] = [
    ...prefix,
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    appender,
    directory,
    String(atOnce),
    JSON.stringify(options),
  ];
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let text = '';
  let isKilled = false;
  child.stdout?.on('data', (part: Buffer) => {
    text += part.toString('latin1');
    if (!isKilled && enough(text.split('\n').slice(0, -1))) {
      isKilled = true;
      child.kill('SIGKILL');
    }
  });
  await exited;
  assert.ok(isKilled, 'the appender ended by itself');
  return { pid: child.pid as number, said: text.split('\n').slice(0, -1) };
}

describe('kill -9', () => {
  for (const [count, atOnce, segmentBytesMax] of [
    [1, 1, 1 << 24],
    [2, 1, 1 << 24],
    [17, 1, 1 << 12],
    [100, 3, 1 << 24],
    [250, 50, 1 << 12],
    [999, 10, 1 << 16],
    [2500, 100, 1 << 24],
    [5000, 7, 1 << 14],
    [8000, 1000, 1 << 20],
    [12000, 64, 1 << 18],
  ] as const) {
    it(`after ${count} appends loses none and doubles none`, async () => {
      const { pid, said } = await appendUntil((lines) => lines.length >= count, {
        atOnce,
        options: { segmentBytesMax },
      });
      assert.equal(await catchUp(directory), 'caught_up');
      const stored = storedStatements();
      assert.ok(stored.length >= said.length, `${stored.length} stored, ${said.length} said`);
      assert.ok(stored.length <= said.length + 1);
      // In order, without a gap and each once: those that returned, and at most the one that was killed.
      assert.deepEqual(
        stored,
        Array.from({ length: stored.length }, (_, i) => `${pid}-${i + 1}`),
      );
      rowCount();
    });
  }

  it('of one process after another, in one directory, loses none and doubles none', async () => {
    const expected: string[] = [];
    for (const count of [40, 400, 4, 1500]) {
      const { pid, said } = await appendUntil((lines) => lines.length >= count, {
        options: { segmentBytesMax: 8192 },
      });
      expected.push(...said.map((n) => `${pid}-${n}`));
    }
    assert.equal(await catchUp(directory), 'caught_up');
    const stored = storedStatements();
    assert.equal(new Set(stored).size, stored.length);
    const kept = new Set(expected);
    assert.deepEqual(
      stored.filter((id) => kept.has(id)),
      expected,
    );
    assert.ok(stored.length <= expected.length + 4);
    rowCount();
  });
});

/** The newest segment's bytes: the one that is being written. */
function newestSegment(): Buffer {
  const folder = join(directory, 'journal');
  const newest = fs.readdirSync(folder).sort().at(-1) as string;
  return fs.readFileSync(join(folder, newest));
}

/** Lets `writeSync` behave as on a disk with `bytes` left: a write is cut short, the next one fails. */
function limitDisk(bytes: number): { free: (more: number) => void; restore: () => void } {
  const real = fs.writeSync;
  let left = bytes;
  fs.writeSync = ((file: number, buffer: Buffer, offset: number, length: number) => {
    if (left === 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const count = Math.min(length, left);
    left -= count;
    return real(file, buffer, offset, count);
  }) as typeof fs.writeSync;
  const truncate = fs.ftruncateSync;
  fs.ftruncateSync = ((file: number, size: number) => {
    // The ingest may have read a whole line already: it must not go away again.
    const segment = newestSegment();
    assert.equal(segment.subarray(size).includes(0x0a), false, 'a whole line is cut off');
    truncate(file, size);
  }) as typeof fs.ftruncateSync;
  syncBuiltinESMExports();
  return {
    free: (more) => {
      left += more;
    },
    restore: () => {
      fs.writeSync = real;
      fs.ftruncateSync = truncate;
      syncBuiltinESMExports();
    },
  };
}

const settings: WriterSettings = {
  sync: 'write',
  segmentBytesMax: 1 << 24,
  lineBytesMax: 1 << 20,
  deferredBytesMax: 1 << 20,
  syncMs: 200,
};

function journalLines(number = 1): string[] {
  const name = `${String(number).padStart(12, '0')}.jsonl`;
  const lines = fs.readFileSync(join(directory, 'journal', name), 'utf8').split('\n');
  assert.equal(lines.pop(), '', 'the last line has an end');
  return lines;
}

/** Each event's template is defined before it, in the same segment. */
function assertDefined(lines: readonly string[]): void {
  const defined = new Set<number>();
  for (const line of lines) {
    const { template, t } = JSON.parse(line) as { template?: number; t?: number };
    if (template !== undefined) defined.add(template);
    else if (t !== undefined) assert.ok(defined.has(t), line);
  }
}

describe('a full disk', () => {
  it('refuses what it could not write, and nothing else', async () => {
    // The limit on a file's size stands for the disk's end; a write that crosses it is cut short by the kernel.
    const { pid, said } = await appendUntil((lines) => lines.some((line) => line.endsWith('!')), {
      options: { segmentBytesMax: 1 << 30 },
      prefix: ['sh', '-c', 'ulimit -S -f 512 && exec "$@"', 'sh'],
      atOnce: 1_000_000,
    });
    assert.ok(said.length > 100);
    assert.equal(await catchUp(directory), 'caught_up');
    assert.deepEqual(
      storedStatements(),
      said.filter((line) => !line.endsWith('!')).map((n) => `${pid}-${n}`),
    );
    rowCount();
  });

  it('leaves no partial line and loses no deferred one, wherever a write is cut, and then goes on', () => {
    for (let room = 0; room < 400; room++) {
      fs.rmSync(join(directory, 'journal'), { recursive: true, force: true });
      const writer = openJournalWriter(journalFolder(directory), 'w', 1, settings, () => {});
      const disk = limitDisk(room);
      const completed = eventTemplate({ event: 'statement.completed' });
      const decided = eventTemplate({ event: 'statement.decided' });
      try {
        const kept: string[] = [];
        let refused = 0;
        for (let n = 0; n < 12; n++) {
          if (n === 8) disk.free(1 << 20);
          writer.defer(completed, `"deferred":${n}}\n`);
          kept.push(eventLine(completed, `"deferred":${n}}`));
          try {
            writer.write(decided, `"written":${n}}\n`);
            kept.push(eventLine(decided, `"written":${n}}`));
          } catch (error) {
            assert.ok(error instanceof AuditUnavailable);
            refused++;
          }
          journalLines();
        }
        assert.ok(refused > 0 && refused <= 8, `${refused} refused with room for ${room} bytes`);
        const lines = journalLines();
        assert.deepEqual(
          lines.slice(1).filter((line) => !line.startsWith('{"template":')),
          kept,
        );
        assertDefined(lines);
        assert.equal(writer.end().offset, lines.join('\n').length + 1);
      } finally {
        disk.restore();
        writer.close();
      }
    }
  });

  it('starts a new segment again when its first line was cut', () => {
    const writer = openJournalWriter(
      journalFolder(directory),
      'w',
      1,
      { ...settings, segmentBytesMax: 1 },
      () => {},
    );
    const decided = eventTemplate({ event: 'statement.decided' });
    for (let room = 0; room < headerLine('w', 1).length; room++) {
      const disk = limitDisk(room);
      try {
        assert.throws(() => writer.write(decided, `"refused":${room}}\n`), AuditUnavailable);
        disk.free(1 << 20);
        writer.write(decided, `"written":${room}}\n`);
      } finally {
        disk.restore();
      }
      assert.equal(writer.end().segment, room + 2, 'segments are numbered without gaps');
      assertDefined(journalLines(room + 2));
      assert.deepEqual(
        journalLines(room + 2).filter((line) => line.startsWith('{"t":')),
        [`{"t":1,"written":${room}}`],
      );
    }
    writer.close();
  });

  it('records that deferred events were dropped when there were too many', async () => {
    const log = await openAuditLog(directory, { deferredBytesMax: 1000, deferMs: 100_000 });
    const completed = log.template({ event: 'statement.completed' });
    const disk = limitDisk(0);
    try {
      for (let n = 0; n < 100; n++) log.defer(completed, Date.now(), { rows: n });
      assert.throws(() => log.append(completed, Date.now(), {}), AuditUnavailable);
    } finally {
      disk.restore();
    }
    log.append(completed, Date.now(), {});
    await log.close();
    const result = verifyAudit(directory);
    assert.ok(!result.ok && /deferred events were lost/.test(result.why), JSON.stringify(result));
  });
});

describe('the journal', () => {
  it('puts an event into the file before append returns, deferred ones first', async () => {
    const log = await openAuditLog(directory, { deferMs: 100_000 });
    const template = log.template({ event: 'statement.decided', subject: 'anna' });
    log.defer(template, 1, { rows: 1 });
    log.append(template, 2, { rows: 2 });
    assert.deepEqual(
      journalLines()
        .slice(1)
        .map((line) => JSON.parse(line)),
      [
        { template: 1, event: { event: 'statement.decided', subject: 'anna' } },
        { t: 1, at: 1, rows: 1 },
        { t: 1, at: 2, rows: 2 },
      ],
    );
    await log.close();
    assert.equal(rowCount(), 2);
  });

  it('writes deferred events though no append follows', async () => {
    const log = await openAuditLog(directory, { deferMs: 1 });
    log.defer(log.template({ event: 'session.closed' }), 1, {});
    await log.settle();
    assert.equal(rowCount(), 1);
    await log.close();
  });

  it('keeps its folder and files from other users', async () => {
    const log = await openAuditLog(join(directory, 'data'), { sync: 'disk' });
    log.append(log.template({ event: 'policy.loaded' }), 1, {});
    await log.settle();
    const modes = new Map<string, number>();
    const note = (path: string): void => {
      const status = fs.statSync(path);
      modes.set(path, status.mode & 0o777);
      if (status.isDirectory()) for (const name of fs.readdirSync(path)) note(join(path, name));
    };
    note(join(directory, 'data'));
    for (const [path, mode] of modes) assert.equal(mode & 0o077, 0, path);
    assert.ok(modes.size >= 6);
    await log.close();
  });

  it('says how far the store is behind, and catches up', async () => {
    const log = await openAuditLog(directory, { segmentBytesMax: 4096 });
    const template = log.template({ event: 'statement.decided' });
    for (let n = 0; n < 500; n++) log.append(template, n, { statement_id: String(n) });
    assert.ok(log.lag() > 500 * 30);
    await log.settle();
    assert.equal(log.lag(), 0);
    const head = await log.head();
    assert.equal(head.seq, 500);
    assert.equal(segmentNumbers(join(directory, 'journal')).length, 1, 'what is in the store is deleted');
    await log.close();
    assert.deepEqual(verifyAudit(directory), { ok: true, rows: 500, head: head.hash });
  });

  it('is followed by the store at the speed of what comes in, nobody hurrying', async () => {
    const log = await openAuditLog(directory);
    const template = log.template({ event: 'statement.decided' });
    let reports = 0;
    const followed = new Promise<void>((resolve) =>
      log.subscribe(() => {
        reports++;
        if (log.lag() === 0) resolve();
      }),
    );
    for (let n = 0; n < 60_000; n++) log.append(template, n, { statement_id: String(n) });
    // Nothing else may be left that keeps the process.
    const kept = setInterval(() => {}, 1000);
    await followed;
    clearInterval(kept);
    assert.ok(reports < 20, `${reports} reports for 60,000 rows: the ingest rests while it is behind`);
    await log.close();
    assert.equal(rowCount(), 60_000);
  });

  it('refuses when the store is too far behind', async () => {
    const log = await openAuditLog(directory, { journalBytesMax: 2000 });
    const template = log.template({ event: 'statement.decided' });
    assert.throws(() => {
      for (let n = 0; n < 1000; n++) log.append(template, n, {});
    }, AuditUnavailable);
    await log.settle();
    log.append(template, 1, {});
    await log.close();
    rowCount();
  });

  it('refuses an event that is too large, and goes on', async () => {
    const log = await openAuditLog(directory, { lineBytesMax: 10_000 });
    const template = log.template({ event: 'statement.decided' });
    assert.throws(() => log.append(template, 1, { sql: 'x'.repeat(10_001) }), AuditUnavailable);
    log.append(template, 1, { sql: 'é'.repeat(9_000) });
    await log.close();
    assert.equal(rowCount(), 1);
    assert.throws(() => log.append(template, 1, {}), AuditUnavailable);
  });

  it('takes lines that are larger than its buffers', async () => {
    const log = await openAuditLog(directory);
    const template = log.template({ event: 'statement.decided' });
    for (const size of [1, 70_000, 3_000_000, 10]) log.append(template, 1, { sql: 'é'.repeat(size) });
    await log.close();
    assert.equal(rowCount(), 4);
  });

  it('goes on while the store can not be written, and the store follows later', async () => {
    let tell: (problem: string) => void = () => {};
    const told = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const log = await openAuditLog(directory, { onProblem: tell });
    const template = log.template({ event: 'statement.decided' });
    log.append(template, 1, {});
    await log.settle();
    const other = new Database(join(directory, 'audit.sqlite'));
    other.exec('BEGIN IMMEDIATE');
    for (let n = 2; n <= 100; n++) log.append(template, n, {});
    const settled = log.settle();
    assert.match(await told, /SQLITE_BUSY/);
    log.append(template, 101, {});
    other.exec('ROLLBACK');
    other.close();
    await settled;
    await log.settle();
    assert.equal(rowCount(), 101);
    await log.close();
  });

  it('belongs to one process at a time', async () => {
    const log = await openAuditLog(directory);
    await assert.rejects(openAuditLog(directory, { ownerWaitMs: 0 }), AuditUnavailable);
    assert.equal(await catchUp(directory), 'owned_by_running_process');
    await log.close();
    assert.equal(await catchUp(directory), 'caught_up');
    const again = await openAuditLog(directory, { ownerWaitMs: 0 });
    await again.close();
  });

  it('says so when the directory can not be used', async () => {
    const file = join(directory, 'file');
    fs.writeFileSync(file, '');
    await assert.rejects(openAuditLog(join(file, 'data')), AuditUnavailable);
  });

  it('has nothing to catch up where there is nothing', async () => {
    assert.equal(await catchUp(join(directory, 'nowhere')), 'caught_up');
    assert.equal(fs.existsSync(join(directory, 'nowhere')), false);
  });
});

describe('leftovers', () => {
  const event = (n: number) => `{"at":${n},"event":"statement.decided","statement_id":"${n}"}\n`;
  function leave(number: number, text: string): void {
    fs.mkdirSync(join(directory, 'journal'), { recursive: true });
    fs.writeFileSync(join(directory, 'journal', `${String(number).padStart(12, '0')}.jsonl`), text);
  }

  it('leaves out a line that a crash tore off, and keeps those around it', async () => {
    leave(1, headerLine('a', 1) + event(1) + event(2).slice(0, 20));
    assert.equal(await catchUp(directory), 'caught_up');
    assert.deepEqual(storedStatements(), ['1']);
    leave(2, headerLine('b', 2) + event(3));
    leave(3, headerLine('b', 3).slice(0, 9));
    leave(4, headerLine('c', 4) + event(4));
    assert.equal(await catchUp(directory), 'caught_up');
    assert.deepEqual(storedStatements(), ['1', '3', '4']);
    assert.equal(rowCount(), 3);
  });

  it('reports a torn line where no crash can have left one', async () => {
    leave(1, headerLine('a', 1) + event(1) + event(2).slice(0, 20));
    leave(2, headerLine('a', 2) + event(3));
    await catchUp(directory);
    assert.deepEqual(storedStatements(), ['1', '3']);
    const result = verifyAudit(directory);
    assert.ok(!result.ok && result.seq === 2 && /segment 1, byte/.test(result.why), JSON.stringify(result));
    assert.ok(fs.readdirSync(join(directory, 'journal')).includes('000000000001.jsonl.damaged'));
  });

  it('reports damaged lines, without their content, and ingests the others', async () => {
    for (const [line, why] of [
      ['{"at":1,"event":"secret', /not JSON/],
      ['\0\0\0\0', /not JSON/],
      ['["secret"]', /not an object/],
      ['{}', /column at is missing/],
      ['7', /not an object/],
      ['{"at":"secret","event":"x"}', /column at /],
      ['{"at":1}', /column event is missing/],
      ['{"at":1,"event":"x","groups":"secret"}', /column groups /],
      ['{"at":1,"event":"x","rows":"secret"}', /column rows /],
    ] as const) {
      fs.rmSync(directory, { recursive: true });
      leave(1, `${headerLine('a', 1)}${event(1)}${line}\n${event(2)}`);
      await catchUp(directory);
      assert.deepEqual(storedStatements(), ['1', '2']);
      const result = verifyAudit(directory);
      assert.ok(!result.ok && why.test(result.why) && !result.why.includes('secret'), JSON.stringify(result));
    }
  });

  it('reports a missing segment', async () => {
    leave(1, headerLine('a', 1) + event(1));
    leave(2, headerLine('a', 2) + event(2));
    await catchUp(directory);
    fs.rmSync(join(directory, 'journal', '000000000002.jsonl'));
    leave(4, headerLine('a', 4) + event(4));
    await catchUp(directory);
    const result = verifyAudit(directory);
    assert.ok(!result.ok && /segments 2 to 3 are missing/.test(result.why), JSON.stringify(result));
  });
});
