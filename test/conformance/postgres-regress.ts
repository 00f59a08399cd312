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
// Readable by the account that the servers run as, which a home folder may not be.
const cache = join('/var/tmp/cordon', `postgres-${major}-source`);
execFileSync(fileURLToPath(new URL('fetch-postgres-source.sh', import.meta.url)), [cache, String(major)], {
  stdio: 'inherit',
});
const regress = join(cache, 'regress');

/** Files that ask for what the gateway refuses on purpose; the reason stands beside each. */
const leftOut: Readonly<Record<string, string>> = {
  tablespace: 'needs folders of the server machine',
  largeobject: 'needs files of the server machine',
};

const wanted = process.argv.slice(2);
const schedule = readFileSync(join(regress, 'parallel_schedule'), 'utf8')
  .split('\n')
  .flatMap((line) => /^test: (.*)$/.exec(line)?.[1]?.split(/\s+/) ?? [])
  .filter((name) => name !== '' && leftOut[name] === undefined);
const needed = new Set([
  'test_setup',
  'create_index',
  'create_function_c',
  'geometry',
  'create_misc',
  'create_table',
  'copy',
]);
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
    data: { [database]: [{ table: '*', region: 'eu', triggers: 'allow' }] },
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
}
const refusals: Refusal[] = [];
let statements = 0;
mkdirSync(join(dir, 'results'));
for (const file of files) {
  const plain = await runFile(file, direct.port, direct.user, direct.password);
  // What later files build on has to be there whatever the gateway says of it.
  const viaGateway = needed.has(file)
    ? await runFile(file, behind.port, behind.user, behind.password)
    : await runFile(file, gateway.ports.postgres, 'tester', token);
  if (needed.has(file)) continue;
  const failsAnyway = new Set(
    [...plain.stderr.matchAll(/^psql:[^:]*:(\d+): ERROR/gm)].map((match) => match[1]),
  );
  let mine = 0;
  for (const found of viaGateway.stderr.matchAll(
    /^psql:[^:]*:(\d+): (?:ERROR|FATAL): {2}(.*)\n(?:(?:LINE|\s).*\n)*DETAIL: {2}reason: (\w+);/gm,
  )) {
    if (failsAnyway.has(found[1]!)) continue;
    refusals.push({ file, line: Number(found[1]), reason: found[3]!, message: found[2]! });
    mine++;
  }
  const lost = /server closed the connection|connection to server was lost/.test(viaGateway.stderr);
  const ran = (readFileSync(join(regress, 'sql', `${file}.sql`), 'utf8').match(/;[ \t]*$/gm) ?? []).length;
  statements += ran;
  process.stdout.write(`${file}: ${ran} statements, ${mine} refused${lost ? ', CONNECTION LOST' : ''}\n`);
}
const kinds = new Map<string, number>();
for (const { reason, message } of refusals) {
  const kind = `${reason}: ${message.replace(/"[^"]*"|\b\w+\.\w+\b|\d+/g, '_').slice(0, 110)}`;
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
}
for (const [kind, count] of [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 60))
  process.stdout.write(`${String(count).padStart(6)}  ${kind}\n`);
writeFileSync(
  join(cache, 'refusals.txt'),
  refusals.map((r) => `${r.file}.sql:${r.line}: ${r.reason}: ${r.message}`).join('\n'),
);
process.stdout.write(
  `${statements} statements, ${refusals.length} refused that the server runs: ${((100 * (statements - refusals.length)) / statements).toFixed(2)} % pass\n`,
);
await gateway.stop();
await Promise.all([direct.stop(), behind.stop(), identity.stop()]);

async function startRegressionServer() {
  const server = await startPostgres({
    major,
    settings: { max_prepared_transactions: '2', log_statement: 'none' },
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
  for (const [name, value] of Object.entries({
    lc_messages: 'C',
    lc_monetary: 'C',
    lc_numeric: 'C',
    lc_time: 'C',
    bytea_output: 'hex',
    timezone_abbreviations: 'Default',
  })) {
    await client.query(`ALTER DATABASE ${database} SET ${name} TO '${value}'`);
  }
  await client.end();
  return server;
}

function runFile(name: string, port: number, user: string, password: string) {
  return runClient(
    'psql',
    [
      '-X',
      '-q',
      '-v',
      'HIDE_TABLEAM=on',
      '-v',
      'HIDE_TOAST_COMPRESSION=on',
      '-f',
      join(regress, 'sql', `${name}.sql`),
    ],
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
