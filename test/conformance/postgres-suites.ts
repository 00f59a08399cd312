/**
 * `npm run conformance:suites -- [regress|isolation|pipeline] [TESTS]`: PostgreSQL 15's own test suites by their own runners (pg_regress,
 * pg_isolation_regress, libpq_pipeline), once directly and once through the gateway by a role that may do everything. Says which
 * tests pass directly and not through the gateway, and why, biggest cause first. Outputs and differences stay in the cache.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ClientRun, runClient } from '../servers/client-run.ts';
import { partings, testOutcomes } from './suite-causes.ts';
import { writeSuiteInput } from './suite-input.ts';
import { programs, type SuiteAddress, startSuiteWorld } from './suite-world.ts';

/** For one test; the longest takes some minutes. */
const secondsMax = 900;
// Readable by the account that the servers run as, which a home folder may not be.
const cache = '/var/tmp/cordon/postgres-15-suites';
execFileSync(fileURLToPath(new URL('fetch-postgres-suites.sh', import.meta.url)), [cache], {
  stdio: 'inherit',
});
const runners = '/usr/lib/postgresql/15/lib/pgxs/src/test';
/** What most files of the regression suite build on. */
const base = `test_setup create_index create_function_c create_misc create_table create_operator`.split(' ');

type Suite = 'regress' | 'isolation' | 'pipeline';
type Way = 'direct' | 'through';
const suites: readonly Suite[] = ['regress', 'isolation', 'pipeline'];
const [first, ...tests] = process.argv.slice(2);
const wanted = suites.filter((suite) => first === undefined || suite === first);
if (wanted.length === 0) throw new Error(`no such suite: ${first}`);

const world = await startSuiteWorld();
const summary: string[] = [];
for (const suite of wanted) {
  const outcomes = new Map<Way, Map<string, 'ok' | 'failed'>>();
  for (const way of ['direct', 'through'] as const) {
    const began = Date.now();
    const folder = join(cache, 'out', suite, way);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, 'results'), { recursive: true });
    // The server writes files of its own there.
    for (const path of [folder, join(folder, 'results')]) chmodSync(path, 0o777);
    const address = world[way];
    outcomes.set(
      way,
      suite === 'pipeline' ? await pipeline(folder, address) : await regress(suite, folder, address),
    );
    process.stdout.write(
      `${suite}, ${way}: ${count(outcomes.get(way)!)} (${Math.round((Date.now() - began) / 1000)} s)\n`,
    );
  }
  compare(suite, outcomes.get('direct')!, outcomes.get('through')!);
}
process.stdout.write(`${world.gatewayLog().slice(-2000)}${summary.join('\n')}\n`);
await world.stop();

function count(outcomes: ReadonlyMap<string, string>): string {
  const ok = [...outcomes.values()].filter((outcome) => outcome === 'ok').length;
  return `${ok} of ${outcomes.size} pass`;
}

function environment({ port, user, password }: SuiteAddress): Record<string, string> {
  return {
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGSSLMODE: 'disable',
    LC_ALL: 'C',
    // pg_isolation_regress says so much in DETAIL only.
    PG_TEST_TIMEOUT_DEFAULT: '60',
  };
}

async function regress(suite: 'regress' | 'isolation', folder: string, address: SuiteAddress) {
  const source = join(cache, suite);
  const input = suite === 'regress' ? writeSuiteInput(source, folder) : source;
  const runner = join(runners, suite, suite === 'regress' ? 'pg_regress' : 'pg_isolation_regress');
  const schedule = suite === 'regress' ? 'parallel_schedule' : 'isolation_schedule';
  const which =
    tests.length === 0
      ? [`--schedule=${join(input, schedule)}`]
      : [...(suite === 'regress' ? base.filter((name) => !tests.includes(name)) : []), ...tests];
  const run = await runClient(
    runner,
    [
      '--use-existing',
      `--dbname=${suite === 'regress' ? 'regression' : 'isolation_regression'}`,
      ...['--host=127.0.0.1', `--port=${address.port}`, `--user=${address.user}`],
      ...[`--inputdir=${input}`, `--outputdir=${folder}`, `--bindir=${programs}`],
      ...[`--dlpath=${join(cache, 'lib')}`, `--launcher=timeout --signal=KILL ${secondsMax}`],
      ...which,
    ],
    '',
    environment(address),
  );
  keep(folder, run);
  return testOutcomes(run.stdout);
}

/** As its t/001_libpq_pipeline.pl runs it. */
async function pipeline(folder: string, address: SuiteAddress): Promise<Map<string, 'ok' | 'failed'>> {
  const input = join(cache, 'libpq_pipeline');
  const program = join(input, 'libpq_pipeline');
  const env = { ...environment(address), PGDATABASE: 'pipeline' };
  const names = execFileSync(program, ['tests'], { encoding: 'utf8' }).trim().split(/\s+/);
  const outcomes = new Map<string, 'ok' | 'failed'>();
  for (const name of names.filter((one) => tests.length === 0 || tests.includes(one))) {
    const expected = join(input, 'traces', `${name}.trace`);
    const trace = join(folder, 'results', `${name}.trace`);
    const traced = existsSync(expected);
    const args = [String(secondsMax), program, '-r', '700', ...(traced ? ['-t', trace] : []), name, ''];
    const run = await runClient('timeout', args, '', env);
    writeFileSync(join(folder, 'results', `${name}.out`), `${run.stdout}${run.stderr}status ${run.status}\n`);
    outcomes.set(name, run.status === 0 ? 'ok' : 'failed');
    if (!traced) continue;
    const same = existsSync(trace) && readFileSync(trace, 'utf8') === readFileSync(expected, 'utf8');
    outcomes.set(`${name}.trace`, same ? 'ok' : 'failed');
  }
  return outcomes;
}

function keep(folder: string, run: ClientRun): void {
  writeFileSync(join(folder, 'printed.txt'), `${run.stdout}\n${run.stderr}`);
}

interface Cause {
  /** How many files part first for this cause: they could pass without it. */
  first: number;
  all: number;
  readonly examples: string[];
}

function compare(
  suite: Suite,
  direct: ReadonlyMap<string, 'ok' | 'failed'>,
  through: ReadonlyMap<string, 'ok' | 'failed'>,
): void {
  const passing = [...direct].filter(([, outcome]) => outcome === 'ok').map(([name]) => name);
  const failing = passing.filter((name) => through.get(name) !== 'ok');
  const causes = new Map<string, Cause>();
  const perTest: string[] = [];
  for (const name of failing) {
    const [diff, statements] = differences(suite, name);
    const found = partings(diff);
    const own = new Set<string>();
    found.forEach(({ cause, line }, at) => {
      const known = causes.get(cause) ?? { first: 0, all: 0, examples: [] };
      known.all++;
      if (at === 0) known.first++;
      if (known.examples.length < 4) known.examples.push(`${name}:${line}: ${statements(line)}`);
      causes.set(cause, known);
      own.add(cause);
    });
    perTest.push(`${name}: ${found.length} places: ${[...own].slice(0, 6).join(' | ')}`);
  }
  const ranked = [...causes].sort(([, a], [, b]) => b.first - a.first || b.all - a.all);
  const text = [
    `${suite}: ${passing.length} of ${direct.size} pass directly, ${passing.length - failing.length} of these through the gateway`,
    '',
    ...perTest,
    '',
    'causes: files that part first for it, places in all',
    ...ranked.flatMap(([cause, { first: files, all, examples }]) => [
      `${String(files).padStart(4)} ${String(all).padStart(5)}  ${cause}`,
      ...examples.map((example) => `              ${example}`),
    ]),
  ].join('\n');
  writeFileSync(join(cache, 'out', suite, 'causes.txt'), `${text}\n`);
  summary.push(text.slice(0, 12_000));
}

/** What `diff -U0` says of one test's outputs on both ways, and the statement that a line of the direct one answers. */
function differences(suite: Suite, name: string): [string, (line: number) => string] {
  const file = name.endsWith('.trace') ? name : `${name}.out`;
  const paths = (['direct', 'through'] as const).map((way) =>
    join(cache, 'out', suite, way, 'results', file),
  );
  const { stdout } = spawnSync('diff', ['-U0', ...paths], { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  writeFileSync(join(cache, 'out', suite, `${name}.diff`), stdout);
  const lines = existsSync(paths[0]!) ? readFileSync(paths[0]!, 'utf8').split('\n') : [];
  return [
    stdout,
    (line) =>
      lines
        .slice(Math.max(0, line - 3), line)
        .join(' / ')
        .slice(0, 200),
  ];
}
