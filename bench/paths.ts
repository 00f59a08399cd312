/**
 * The ways to reach the database that are compared: direct, PgBouncer where it is installed, and the gateway with policy
 * and audit on. How they are measured is not said here.
 */
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../test/servers/postgres.ts';
import { postgresBinaries } from '../test/servers/postgres-binaries.ts';
import { runPsql } from '../test/servers/psql.ts';
import { end, freePort, scratch, untilReady, whenProcessEnds } from '../test/servers/scratch.ts';
import { ROOT, startGateway } from './gateway-process.ts';

/** One way to the database, as a client has to address it. */
export interface Path {
  readonly name: 'direct' | 'PgBouncer' | 'gateway' | 'workers';
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Everything that one run needs. `masked` is the gateway as somebody who may not see the tagged column. */
export interface Paths {
  readonly direct: Path;
  /** Null where it isn't installed. */
  readonly pgBouncer: Path | null;
  /** In one process. */
  readonly gateway: Path;
  readonly masked: Path;
  /** With `workerCount` worker processes. */
  readonly workers: Path;
  readonly workerCount: number;
  readonly postgresVersion: string;
  /** Peak resident memory of the gateway so far, in MiB; null where the system doesn't tell. */
  gatewayPeakMiB(): number | null;
  stop(): Promise<void>;
}

/** Rows of the table `stream`. */
export const STREAM_ROWS = 1_000_000;

const PASSWORD = 'bench-upstream-password';

/** Starts and fills all of it. `pgbench` has to be installed, `npm run build` to have run. */
export async function startPaths(streamRows: number): Promise<Paths> {
  if (!existsSync(join(ROOT, 'dist/cli/main.js')))
    throw new Error('dist/cli/main.js is missing: npm run build');
  // Logging each statement would be measured too.
  const server = await startPostgres({
    settings: { log_statement: 'none', shared_buffers: '512MB', max_wal_size: '4GB' },
  });
  await fill(server, streamRows);
  const direct: Path = {
    name: 'direct',
    port: server.port,
    user: 'cordon',
    password: PASSWORD,
    database: 'bench',
  };
  const bouncer = await startPgBouncer(server);
  const gatewayOptions = {
    protocol: 'postgres',
    port: server.port,
    password: PASSWORD,
    policy: POLICY,
  } as const;
  const gateway = await startGateway({ ...gatewayOptions, workers: 1 });
  const workerCount = Math.max(2, availableParallelism());
  const several = await startGateway({ ...gatewayOptions, workers: workerCount });
  const paths: Paths = {
    direct,
    pgBouncer: bouncer === null ? null : { ...direct, name: 'PgBouncer', port: bouncer.port },
    gateway: { ...direct, name: 'gateway', port: gateway.port, password: gateway.clear },
    masked: { ...direct, name: 'gateway', port: gateway.port, password: gateway.masked },
    workers: { ...direct, name: 'workers', port: several.port, password: several.clear },
    workerCount,
    postgresVersion: postgresBinaries(18).version.replace(/-.*/, ''),
    gatewayPeakMiB: () => peakMiB(gateway.child.pid),
    stop: async () => {
      await gateway.stop();
      await several.stop();
      await bouncer?.stop();
      await server.stop();
    },
  };
  await assertGuarded(paths);
  return paths;
}

async function fill(server: PostgresServer, streamRows: number): Promise<void> {
  const admin = new pg.Client({ ...server, database: 'postgres' });
  await admin.connect();
  await admin.query(`CREATE ROLE cordon LOGIN PASSWORD '${PASSWORD}'`);
  await admin.query('CREATE DATABASE bench OWNER cordon');
  await admin.end();
  const env = { ...process.env, PGPASSWORD: PASSWORD };
  const to = ['-h', '127.0.0.1', '-p', String(server.port), '-U', 'cordon', 'bench'];
  const made = spawnSync('pgbench', ['-i', '-q', '-s', '10', ...to], { env, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`pgbench -i failed: ${made.error?.message ?? made.stderr}`);
  const owner = new pg.Client({
    host: server.host,
    port: server.port,
    user: 'cordon',
    password: PASSWORD,
    database: 'bench',
  });
  await owner.connect();
  await owner.query('CREATE TABLE unplaced (id int)');
  await owner.query(
    'CREATE TABLE stream (id int, name text, email text, amount numeric(10,2), placed timestamptz)',
  );
  await owner.query(
    `INSERT INTO stream SELECT n, 'Customer ' || n, 'customer' || n || '@example.com', n % 1000, '2026-01-01'::timestamptz
       + n * interval '1 second' FROM generate_series(1, ${streamRows}) AS n`,
  );
  await owner.query('VACUUM ANALYZE');
  await owner.end();
}

async function startPgBouncer(
  server: PostgresServer,
): Promise<{ port: number; stop(): Promise<void> } | null> {
  if (spawnSync('pgbouncer', ['--version']).status !== 0) return null;
  const { account } = postgresBinaries(18);
  const { dir, remove } = scratch('cordon-pgbouncer-');
  const port = await freePort();
  const users = join(dir, 'users');
  const settings = join(dir, 'pgbouncer.ini');
  writeFileSync(users, `"cordon" "${PASSWORD}"\n`);
  writeFileSync(
    settings,
    [
      ...['[databases]', `bench = host=127.0.0.1 port=${server.port} dbname=bench`, '[pgbouncer]'],
      ...['listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir ='],
      ...['auth_type = scram-sha-256', `auth_file = ${users}`, 'pool_mode = session'],
      ...[
        'max_client_conn = 100',
        'default_pool_size = 50',
        'log_connections = 0',
        'log_disconnections = 0',
        '',
      ],
    ].join('\n'),
  );
  // Like PostgreSQL, it refuses to run as root.
  if (account !== undefined)
    for (const path of [dir, users, settings]) chownSync(path, account.uid, account.gid);
  const log = join(dir, 'log');
  const output = openSync(log, 'a');
  const child = spawn('pgbouncer', ['-q', settings], {
    stdio: ['ignore', output, output],
    detached: true,
    ...account,
  });
  child.unref();
  const forget = whenProcessEnds(() => child.kill('SIGKILL'));
  const to = { port, user: 'cordon', password: PASSWORD, database: 'bench' };
  await untilReady('pgbouncer', child, log, async () => (await runPsql(to, ['-c', 'select 1'])).status === 0);
  return {
    port,
    stop: async () => {
      await end(child, 'SIGKILL');
      forget();
      remove();
    },
  };
}

const POLICY = {
  version: 1,
  regions: { eu: {}, us: {} },
  data: {
    bench: [
      ...['accounts', 'branches', 'history', 'tellers'].map((name) => ({
        table: `public.pgbench_${name}`,
        region: 'eu',
      })),
      { table: 'public.stream', region: 'eu', columns: { email: 'pii.email' } },
    ],
  },
  masks: { 'pii.email': { method: 'partial_email' } },
  roles: Object.fromEntries(
    ['clear', 'masked'].map((name) => [
      name,
      {
        ...{
          members: { groups: [name] },
          databases: ['bench'],
          read: { regions: ['eu'] },
          write: { regions: [] },
        },
        ...(name === 'clear' ? { clear: ['*'] } : {}),
      },
    ]),
  ),
};

/** A gateway that lets everything through would be fast: make sure that what is measured is a guarded path. */
async function assertGuarded(paths: Paths): Promise<void> {
  for (const path of [paths.gateway, paths.workers]) await assertRefuses(path);
  const email = ['-c', 'select email from stream where id = 1'];
  const clear = await runPsql(paths.gateway, email);
  const masked = await runPsql(paths.masked, email);
  if (clear.stdout !== 'customer1@example.com\n')
    throw new Error(`the gateway answered: ${clear.stdout}${clear.stderr}`);
  if (!/^c\*+@example\.com\n$/.test(masked.stdout))
    throw new Error(`not masked: ${masked.stdout}${masked.stderr}`);
}

async function assertRefuses(path: Path): Promise<void> {
  const refused = await runPsql(path, ['-c', 'select * from unplaced']);
  if (!refused.stderr.includes('unplaced_table'))
    throw new Error(`not refused: ${refused.stdout}${refused.stderr}`);
}

function peakMiB(pid: number | undefined): number | null {
  try {
    const kib = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? null : Math.round(Number(kib) / 1024);
  } catch {
    return null;
  }
}
