import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { columns } from '../../audit/columns.ts';
import { csvRecord } from '../../audit/csv.ts';
import { type ExportOptions, exportAudit } from '../../audit/export.ts';
import { openAuditLog } from '../../audit/journal.ts';
import { tailAudit } from '../../audit/tail.ts';

let directory: string;

/** RFC 4180, read strictly: records end in CRLF, quotes are doubled, nothing follows a closing quote. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let at = 0;
  while (at < text.length) {
    const record: string[] = [];
    for (;;) {
      let cell = '';
      if (text[at] === '"') {
        for (at++; ; at++) {
          assert.ok(at < text.length, 'a quote is not closed');
          if (text[at] === '"' && text[at + 1] === '"') at++;
          else if (text[at] === '"') break;
          cell += text[at];
        }
        at++;
      } else {
        while (at < text.length && !/[,\r\n"]/.test(text[at] as string)) cell += text[at++];
      }
      record.push(cell);
      if (text[at] === ',') at++;
      else break;
    }
    assert.equal(text.slice(at, at + 2), '\r\n');
    at += 2;
    records.push(record);
  }
  return records;
}

async function exported(options: ExportOptions): Promise<string> {
  let text = '';
  await exportAudit(directory, options, (chunk) => {
    text += chunk;
  });
  return text;
}

const start = Date.UTC(2026, 2, 1, 12);

before(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'cordon-export-'));
  const log = await openAuditLog(directory);
  log.append(log.template({ event: 'session.opened', session_id: 's-1' }), start, {
    subject: '=HYPERLINK("http://evil.example")',
    groups: ['analysts-eu', 'a;b'],
    client_address: '::1',
  });
  log.append(log.template({ event: 'statement.decided', session_id: 's-1' }), start + 1000, {
    shape: 'select "a",\r\n b from t',
    rules: [],
    rows: -3,
    bytes: 5,
  });
  log.append(log.template({ event: 'session.closed', session_id: 's-2' }), start + 2000, { subject: '+1' });
  await log.close();
});
after(() => fs.rmSync(directory, { recursive: true }));

describe('export', () => {
  it('writes the contract’s CSV', async () => {
    const [header, first, second] = readCsv(await exported({ format: 'csv' }));
    const names: string[] = columns.map(([name]) => name);
    assert.deepEqual(header, names);
    const cell = (record: string[] | undefined, name: string) => record?.[names.indexOf(name)];
    assert.equal(cell(first, 'seq'), '1');
    assert.equal(cell(first, 'at'), '2026-03-01T12:00:00.000Z');
    assert.equal(cell(first, 'subject'), `'=HYPERLINK("http://evil.example")`);
    assert.equal(cell(first, 'groups'), 'analysts-eu;a\\;b');
    assert.equal(cell(first, 'rows'), '');
    assert.equal(cell(second, 'shape'), 'select "a",\r\n b from t');
    assert.equal(cell(second, 'rows'), '-3');
    assert.equal(cell(second, 'prev_hash'), cell(first, 'hash'));
  });

  it('writes JSON lines with lists as arrays and null for what does not apply', async () => {
    const rows = (await exported({ format: 'jsonl' }))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      Object.keys(rows[0]),
      columns.map(([name]) => name),
    );
    assert.deepEqual(rows[0].groups, ['analysts-eu', 'a;b']);
    assert.equal(rows[0].subject, '=HYPERLINK("http://evil.example")');
    assert.deepEqual(rows[1].rules, []);
    assert.deepEqual([rows[1].rows, rows[1].roles, rows[1].seq], [-3, null, 2]);
  });

  it('selects by time (since inclusive, until exclusive) and session', async () => {
    const seqs = async (options: Omit<ExportOptions, 'format'>) =>
      readCsv(await exported({ format: 'csv', ...options }))
        .slice(1)
        .map((record) => record[0]);
    assert.deepEqual(await seqs({ since: start + 1000 }), ['2', '3']);
    assert.deepEqual(await seqs({ until: start + 1000 }), ['1']);
    assert.deepEqual(await seqs({ since: start + 1, until: start + 2000, session: 's-1' }), ['2']);
    assert.deepEqual(await seqs({ session: "s-2' OR 1=1 --" }), []);
  });

  it('gives a header and no rows where there is no store', async () => {
    let text = '';
    const rows = await exportAudit(join(directory, 'nowhere'), { format: 'csv' }, (chunk) => {
      text += chunk;
    });
    assert.equal(rows, 0);
    assert.equal(readCsv(text).length, 1);
    assert.equal(await exportAudit(join(directory, 'nowhere'), { format: 'jsonl' }, () => assert.fail()), 0);
  });

  it('waits for a slow reader and stops when it fails', async () => {
    let isBusy = false;
    await exportAudit(directory, { format: 'csv' }, async () => {
      assert.equal(isBusy, false);
      isBusy = true;
      await new Promise((resolve) => setImmediate(resolve));
      isBusy = false;
    });
    await assert.rejects(
      exportAudit(directory, { format: 'csv' }, () => {
        throw new Error('pipe');
      }),
      /pipe/,
    );
  });
});

describe('a CSV record', () => {
  it('reads back as what it was, and no cell starts a formula', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({
        unit: fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '"', ',', ';', "'", 'a', ' '),
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.integer(), fc.constant(null)), { minLength: 1 }), (cells) => {
        const [record = [], ...rest] = readCsv(csvRecord(cells));
        assert.equal(rest.length, 0);
        assert.equal(record.length, cells.length);
        for (const [i, cell] of cells.entries()) {
          const read = record[i] as string;
          if (typeof cell !== 'string') assert.equal(read, cell === null ? '' : String(cell));
          else {
            assert.ok(read === cell || read === `'${cell}`);
            assert.ok(!/^[=+\-@\t\r]/.test(read));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('tail', () => {
  it('gives the last rows, then each new one, and ends when told', async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'cordon-tail-'));
    const log = await openAuditLog(folder);
    const template = log.template({ event: 'statement.decided' });
    for (let n = 1; n <= 3; n++) log.append(template, n, {});
    await log.settle();
    const stop = new AbortController();
    const seqs: number[] = [];
    let looks = 0;
    await tailAudit(folder, (line) => seqs.push(JSON.parse(line).seq), stop.signal, {
      last: 2,
      wait: async () => {
        looks++;
        if (looks === 1) assert.deepEqual(seqs, [2, 3]);
        if (looks > 2) return stop.abort();
        for (let n = 0; n < 1500; n++) log.append(template, n, {});
        await log.settle();
      },
    });
    assert.deepEqual(
      seqs,
      Array.from({ length: 3002 }, (_, i) => i + 2),
    );
    await log.close();
    fs.rmSync(folder, { recursive: true });
  });

  it('waits for a store that is not there yet', async () => {
    const stop = new AbortController();
    let looks = 0;
    await tailAudit(join(directory, 'nowhere'), () => assert.fail(), stop.signal, {
      wait: async () => {
        if (++looks === 3) stop.abort();
      },
    });
    assert.equal(looks, 3);
  });
});
