/**
 * `npm run conformance:regress`: PostgreSQL's own regression SQL through the gateway by a role that may do everything. Counts the
 * statements that the gateway refuses although the server, asked directly, runs them: the harmless work that is refused.
 * Arguments: names of regression files; none runs the schedule.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { stringify } from 'yaml';
import { startIdentityProvider } from '../../fixtures/identity-provider.ts';
import { spawnGateway } from '../../fixtures/world.ts';
import { runClient } from '../servers/client-run.ts';
import { startPostgres } from '../servers/postgres.ts';
import { scratch } from '../servers/scratch.ts';

const major = 15;
const database = 'regression';
/** For one file; the longest takes some minutes. */
const secondsMax = 900;
/** Foreign tables that the files make: each has to be placed by its own name. */
const foreign =
  `public.ft1 public.ft2 public.fd_pt2_1 public.ft_part1 public.ft_part_1_2 public.ft_part2 public.foreign_part
  public.ft3 public.ft_part_1_1 fast_default.ft1 tststats.f foreign_schema.ft1 foreign_schema.foreign_table_1`.split(
    /\s+/,
  );
// Readable by the account that the servers run as, which a home folder may not be.
const cache = join('/var/tmp/cordon', `postgres-${major}-source`);
execFileSync(fileURLToPath(new URL('fetch-postgres-source.sh', import.meta.url)), [cache, String(major)], {
  stdio: 'inherit',
});
const regress = join(cache, 'regress');

/** As pg_regress sets them. */
const settings: Readonly<Record<string, string>> = {
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  bytea_output: 'hex',
  timezone_abbreviations: 'Default',
};

const wanted = process.argv.slice(2);
const schedule = readFileSync(join(regress, 'parallel_schedule'), 'utf8')
  .split('\n')
  .flatMap((line) => /^test: (.*)$/.exec(line)?.[1]?.split(/\s+/) ?? [])
  .filter((name) => name !== '');
/** What most other files build on. */
const needed = new Set(
  `test_setup point lseg line box path polygon circle create_index create_function_c create_misc create_table
  copy`.split(/\s+/),
);
const files =
  wanted.length === 0 ? schedule : schedule.filter((name) => needed.has(name) || wanted.includes(name));

const { dir } = scratch('cordon-regress-');
const [direct, behind, identity] = await Promise.all([
  startRegressionServer(),
  startRegressionServer(),
  startIdentityProvider({ audience: 'cordon' }),
]);
writeFileSync(
  join(dir, 'policy.yaml'),
  stringify({
    version: 1,
    regions: { eu: {} },
    data: {
      [database]: ['*', ...foreign].map((table) => ({ table, region: 'eu', triggers: 'allow' })),
    },
    functions: ['*'],
    roles: {
      everything: {
        members: { groups: ['everything'] },
        databases: [database],
        read: { regions: ['eu'] },
        write: { regions: ['eu'], global: true },
        statements: ['*'],
        functions: ['*'],
        clear: ['*'],
      },
    },
  }),
);
writeFileSync(
  join(dir, 'cordon.yaml'),
  stringify({
    version: 1,
    gateway: { region: 'eu', data_dir: './data' },
    listeners: {
      postgres: { address: '127.0.0.1:0', allow_cleartext: 'loopback' },
      mysql: { address: '127.0.0.1:0', allow_cleartext: 'loopback' },
    },
    upstreams: {
      it: {
        protocol: 'postgres',
        address: `127.0.0.1:${behind.port}`,
        database,
        region: 'eu',
        user: behind.user,
        password: { env: 'REGRESS_PASSWORD' },
        tls: { mode: 'disable' },
      },
    },
    databases: { [database]: { upstreams: ['it'] } },
    identity: { oidc: [{ issuer: identity.issuer, audience: 'cordon' }], networks: { eu: ['127.0.0.0/8'] } },
    policy: './policy.yaml',
  }),
);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const gateway = await spawnGateway(
  [main, 'serve', '-c', join(dir, 'cordon.yaml')],
  { ...process.env, REGRESS_PASSWORD: behind.password },
  dir,
);
const now = Math.floor(Date.now() / 1000);
const token = await identity.token({ sub: 'tester', groups: ['everything'], iat: now, exp: now + 7200 });

interface Refusal {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
  readonly message: string;
  /** The statement. */
  readonly text: string;
}
const refusals: Refusal[] = [];
/** Statements that the server runs and that fail behind the gateway for another reason: mostly for want of what was refused before. */
const otherwise: Refusal[] = [];
let statements = 0;
mkdirSync(join(dir, 'results'));
for (const file of files) {
  const before = logged();
  const plain = await runFile(file, direct.port, direct.user, direct.password);
  const ran = logged() - before;
  const failsAnyway = new Set(errorsIn(plain.stderr, file).map(({ line }) => line));
  const began = Date.now();
  const viaGateway = await runFile(file, gateway.ports.postgres, 'tester', token);
  const errors = errorsIn(viaGateway.stderr, file).filter(({ line }) => !failsAnyway.has(line));
  const refused = errors.filter(({ reason }) => reason !== '');
  refusals.push(...refused);
  // What later files build on has to be there whatever the gateway says of it.
  if (refused.length > 0)
    await runText(
      refused.map(({ text }) => `${text}\n;\n`).join(''),
      behind.port,
      behind.user,
      behind.password,
    );
  otherwise.push(...errors.filter(({ reason }) => reason === ''));
  statements += ran - failsAnyway.size;
  report();
  const lost = /server closed the connection|connection to server was lost/.test(viaGateway.stderr);
  const ended = [plain, viaGateway].some(({ status }) => status === 137) ? ', TIMED OUT' : '';
  process.stdout.write(
    `${file}: ${ran} statements, ${failsAnyway.size} fail anyway, ${refused.length} refused, ${errors.length - refused.length} fail otherwise${lost ? ', CONNECTION LOST' : ''}${ended} (${Math.round((Date.now() - began) / 1000)} s)\n`,
  );
}
const kinds = new Map<string, number>();
for (const { reason, message } of refusals) {
  const kind = `${reason}: ${message.replace(/"[^"]*"|\b\w+\.\w+\b|\d+/g, '_').slice(0, 110)}`;
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
}
for (const [kind, count] of [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 80))
  process.stdout.write(`${String(count).padStart(6)}  ${kind}\n`);
process.stdout.write(
  `${statements} statements that the server runs, ${refusals.length} refused: ${((100 * (statements - refusals.length)) / statements).toFixed(2)} % pass; ${otherwise.length} fail otherwise\n`,
);
await gateway.stop();
await Promise.all([direct.stop(), behind.stop(), identity.stop()]);

/** Which they were, after each file: a run takes long. */
function report(): void {
  for (const [name, list] of Object.entries({ refusals, otherwise }))
    writeFileSync(
      join(cache, `${name}.txt`),
      list.map((r) => `${r.file}.sql:${r.line}: ${r.reason}: ${r.message}`).join('\n'),
    );
}

/** Errors by the line that the statement ends in; \`reason\` is empty for the server's own. */
function errorsIn(stderr: string, file: string): Refusal[] {
  return [
    ...stderr.matchAll(
      /^psql:[^:]*:(\d+): (?:ERROR|FATAL): {2}(.*)\n((?:(?!psql:).*\n)*)(?:psql:[^:]*:\d+: STATEMENT: {2}((?:(?!psql:).*\n)*))?/gm,
    ),
  ].map((match) => ({
    file,
    line: Number(match[1]),
    reason: /^DETAIL: {2}reason: (\w+);/m.exec(match[3]!)?.[1] ?? '',
    message: match[2]!,
    text: match[4] ?? '',
  }));
}

/** Statements that clients have sent to the server that nothing stands before. */
function logged(): number {
  return direct.logText().match(/^\d{4}-.* LOG: {2}statement: /gm)?.length ?? 0;
}

async function startRegressionServer() {
  const server = await startPostgres({
    major,
    settings: { max_prepared_transactions: '2', log_statement: 'all' },
  });
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    database: 'postgres',
  });
  await client.connect();
  await client.query(`CREATE DATABASE ${database} TEMPLATE template0`);
  for (const [setting, value] of Object.entries(settings))
    await client.query(`ALTER DATABASE ${database} SET ${setting} TO '${value}'`);
  await client.end();
  return server;
}

function runFile(name: string, port: number, user: string, password: string) {
  // A terse client would not say why something is refused.
  const text = readFileSync(join(regress, 'sql', `${name}.sql`), 'utf8');
  return runText(text.replace(/^\\set VERBOSITY /gm, '\\set UNUSED '), port, user, password);
}

function runText(text: string, port: number, user: string, password: string) {
  const file = join(dir, 'run.sql');
  writeFileSync(file, text);
  const variables = ['-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'];
  return runClient(
    'timeout',
    ['--signal=KILL', String(secondsMax), 'psql', '-X', '-q', '-b', ...variables, '-f', file],
    '',
    {
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLMODE: 'disable',
      PGTZ: 'PST8PDT',
      PGDATESTYLE: 'Postgres, MDY',
      PGOPTIONS: '-c intervalstyle=postgres_verbose',
      PG_ABS_SRCDIR: regress,
      PG_ABS_BUILDDIR: dir,
      PG_LIBDIR: join(dir, 'lib'),
      PG_DLSUFFIX: '.so',
    },
  );
}
