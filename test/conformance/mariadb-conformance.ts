/**
 * `npm run conformance:mariadb -- [FILES]`: MariaDB's own test files, statement by statement. Each statement about rows that
 * the bare server runs is read and decided for a role that may do everything: understood, or refused and why.
 * Arguments: names of test files of the main suite; none runs all of them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { decide } from '../../policy/decide.ts';
import type { DecisionContext } from '../../policy/decision.ts';
import { loadPolicy } from '../../policy/load.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { isDml, Play, startTestServer } from './mariadb-bare.ts';
import { TestCatalog } from './mariadb-catalog.ts';
import { readTest } from './mysqltest.ts';

const cache = '/var/tmp/cordon/mariadb-tests';
execFileSync(fileURLToPath(new URL('fetch-mariadb-tests.sh', import.meta.url)), [cache], {
  stdio: 'inherit',
});
const root = join(cache, 'mysql-test');
const fileTimeMs = 180_000;

const wanted = process.argv.slice(2);
const files = (wanted.length > 0 ? wanted : readdirSync(join(root, 'main'))).flatMap((name) =>
  wanted.length > 0
    ? [`main/${name.replace(/\.test$/, '')}.test`]
    : name.endsWith('.test')
      ? [`main/${name}`]
      : [],
);

const loaded = loadPolicy(
  stringify({
    version: 1,
    regions: { eu: {} },
    data: { test: [{ table: '*', region: 'eu', triggers: 'allow' }] },
    functions: ['*'],
    roles: {
      everything: {
        members: { groups: ['everything'] },
        databases: ['test'],
        read: { regions: ['eu'] },
        write: { regions: ['eu'], global: true },
        statements: ['*'],
        functions: ['*'],
        clear: ['*'],
      },
    },
  }),
  'policy.yaml',
);
if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded));
const context: DecisionContext = {
  principal: {
    issuer: 'x',
    subject: 'tester',
    groups: ['everything'],
    region: 'eu',
    expiresAt: Number.MAX_SAFE_INTEGER,
  } as never,
  database: 'test',
  routes: [{ upstream: 'it', region: 'eu', kind: 'primary' }],
  pinned: null,
  path: { gateway: 'eu', client: 'eu' },
};

const analyzer = mysqlAnalyzer();
// Servers of the same kind empty their folder of temporary files when they start; memory is faster than a disk.
process.env.TMPDIR = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cordon-suite-'));
process.once('exit', () => rmSync(process.env.TMPDIR!, { recursive: true, force: true }));
const server = await startTestServer();
const reader = await TestCatalog.open(server);
const refusals: {
  file: string;
  line: number;
  reason: string;
  message: string;
  sql: string;
  temporary: boolean;
}[] = [];
const skipped = new Map<string, number>();
const skip = (what: string, count = 1): void => {
  skipped.set(what, (skipped.get(what) ?? 0) + count);
};
let [ran, failed, played] = [0, 0, 0];
for (const file of files) {
  const test = readTest(root, file);
  if (test.unfit !== null) {
    skip(`file: ${test.unfit}`);
    continue;
  }
  for (const [what, count] of test.skipped) skip(what, count);
  const play = await Play.begin(server, reader);
  const until = Date.now() + fileTimeMs;
  let [mine, refused] = [0, 0];
  const started = Date.now();
  for (const step of test.steps) {
    if (Date.now() > until) {
      skip('after the time of its file');
      continue;
    }
    const why = play.unplayable(step.sql);
    if (why !== null) {
      skip(why);
      continue;
    }
    // Names are those before the statement.
    const dml = isDml(step.sql);
    const catalog = dml ? await play.catalog() : null;
    const { names } = play;
    const outcome = await play.session.run(step.sql);
    if (outcome.error !== null) {
      if (dml) failed++;
      if (/connection|closed|ECONN|PROTOCOL/i.test(outcome.error.message) && outcome.error.errno < 1000) {
        skip('session lost');
        break;
      }
      continue;
    }
    await play.after(step.sql);
    if (!dml || catalog === null) continue;
    mine++;
    const { statements } = analyzer.analyze(step.sql, catalog, names);
    for (const statement of statements) {
      const decision = decide(loaded.policy, context, statement, catalog, Date.now());
      if (decision.effect === 'allow') continue;
      refused++;
      refusals.push({
        file: step.file,
        line: step.line,
        reason: decision.because.reasons[0] ?? '',
        message: decision.because.message,
        sql: step.sql,
        temporary:
          decision.because.reasons[0] === 'unknown_name' &&
          [...play.temporary].some((name) => new RegExp(`\\b${name}\\b`, 'i').test(step.sql)),
      });
      break;
    }
  }
  play.end();
  ran += mine;
  played++;
  if (played % 100 === 0) report();
  process.stdout.write(`${file}: ${mine} statements, ${refused} refused, ${Date.now() - started} ms\n`);
}
reader.end();
await server.stop();

report();
process.stdout.write(
  `${played} files, ${ran} statements that the server runs (${failed} it does not), ${refusals.length} refused: ${((100 * (ran - refusals.length)) / ran).toFixed(2)} % understood\n`,
);

function report(): void {
  const kinds = new Map<string, number>();
  for (const { reason, message, temporary } of refusals) {
    const kind = temporary
      ? 'unknown_name: a temporary table'
      : `${reason}: ${message.replace(/'[^']*'|`[^`]*`|\b\w+\.\w+\b|\d+/g, '_').slice(0, 110)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  for (const [kind, count] of [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 80))
    process.stdout.write(`${String(count).padStart(6)}  ${kind}\n`);
  for (const [what, count] of [...skipped].sort((a, b) => b[1] - a[1]))
    process.stdout.write(`left out ${String(count).padStart(6)}  ${what}\n`);
  writeFileSync(
    join(cache, 'refusals.txt'),
    refusals
      .map(
        (r) =>
          `${r.file}:${r.line}: ${r.temporary ? 'TEMPORARY ' : ''}${r.reason}: ${r.message}\n    ${r.sql.replace(/\s+/g, ' ').slice(0, 400)}`,
      )
      .join('\n'),
  );
}
