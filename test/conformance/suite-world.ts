/**
 * Two servers of Debian's PostgreSQL 15 that are alike, and a gateway before the second one whose policy knows one role, which may
 * do everything: what PostgreSQL's own test suites are run against. Which suite is run, and what it says, is not known here.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { stringify } from 'yaml';
import { startIdentityProvider } from '../../fixtures/identity-provider.ts';
import { spawnGateway } from '../../fixtures/world.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import type { PostgresBinaries } from '../servers/postgres-binaries.ts';
import { scratch } from '../servers/scratch.ts';

/** Folder of Debian's programs. */
export const programs = '/usr/lib/postgresql/15/bin';

/** Where a suite connects. The user's name is the same on both ways, since some outputs show it. */
export interface SuiteAddress {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}
export interface SuiteWorld {
  readonly direct: SuiteAddress;
  readonly through: SuiteAddress;
  /** What the gateway wrote to standard error so far. */
  gatewayLog(): string;
  stop(): Promise<void>;
}

const databases = ['regression', 'isolation_regression', 'pipeline'];
/** Foreign tables that the suites make: each has to be placed by its own name. */
const foreign =
  `public.ft1 public.ft2 public.fd_pt2_1 public.ft_part1 public.ft_part_1_2 public.ft_part2 public.foreign_part
  public.ft3 public.ft_part_1_1 fast_default.ft1 tststats.f foreign_schema.ft1 foreign_schema.foreign_table_1`.split(
    /\s+/,
  );
/** What pg_regress sets on a database that it creates. */
const settings: Readonly<Record<string, string>> = {
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  bytea_output: 'hex',
  timezone_abbreviations: 'Default',
};

/** Starts both servers and the gateway. The suites' databases are there, and empty. */
export async function startSuiteWorld(): Promise<SuiteWorld> {
  const { dir, remove } = scratch('cordon-suites-');
  const [bare, behind, identity] = await Promise.all([
    startSuiteServer(),
    startSuiteServer(),
    startIdentityProvider({ audience: 'cordon' }),
  ]);
  writeFileSync(join(dir, 'policy.yaml'), stringify(policy()));
  const listener = { address: '127.0.0.1:0', allow_cleartext: 'loopback' };
  const upstream = (database: string) => ({
    protocol: 'postgres',
    address: `127.0.0.1:${behind.port}`,
    database,
    region: 'eu',
    user: behind.user,
    password: { env: 'SUITE_PASSWORD' },
    tls: { mode: 'disable' },
  });
  writeFileSync(
    join(dir, 'cordon.yaml'),
    stringify({
      version: 1,
      gateway: { region: 'eu', data_dir: './data' },
      listeners: { postgres: listener, mysql: listener },
      upstreams: Object.fromEntries(databases.map((name) => [`at-${name}`, upstream(name)])),
      databases: Object.fromEntries(databases.map((name) => [name, { upstreams: [`at-${name}`] }])),
      identity: {
        oidc: [{ issuer: identity.issuer, audience: 'cordon' }],
        networks: { eu: ['127.0.0.0/8'] },
      },
      policy: './policy.yaml',
      // A machine that does something else for a while is no reason to refuse.
      limits: { catalog_timeout_ms: 300_000 },
    }),
  );
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const gateway = await spawnGateway(
    ['--import', import.meta.resolve('tsx'), main, 'serve', '-c', join(dir, 'cordon.yaml')],
    { ...process.env, SUITE_PASSWORD: behind.password },
    dir,
  );
  const now = Math.floor(Date.now() / 1000);
  const { user } = bare;
  const token = await identity.token({ sub: user, groups: ['everything'], iat: now, exp: now + 14_400 });
  return {
    direct: { port: bare.port, user, password: bare.password },
    through: { port: gateway.ports.postgres, user, password: token },
    gatewayLog: () => gateway.log(),
    async stop() {
      await gateway.stop();
      await Promise.all([bare.stop(), behind.stop(), identity.stop()]);
      remove();
    },
  };
}

function policy(): object {
  const tables = ['*', ...foreign].map((table) => ({ table, region: 'eu', triggers: 'allow' }));
  return {
    version: 1,
    regions: { eu: {} },
    data: Object.fromEntries(databases.map((name) => [name, tables])),
    functions: ['*'],
    roles: {
      everything: {
        members: { groups: ['everything'] },
        databases,
        read: { regions: ['eu'] },
        write: { regions: ['eu'], global: true },
        statements: ['*'],
        functions: ['*'],
        clear: ['*'],
      },
    },
  };
}

async function startSuiteServer(): Promise<PostgresServer> {
  const server = await startPostgres({
    binaries: debianBinaries(),
    settings: { max_prepared_transactions: '10', log_statement: 'none' },
  });
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    database: 'postgres',
  });
  await client.connect();
  for (const name of databases) {
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    for (const [setting, value] of Object.entries(settings))
      await client.query(`ALTER DATABASE ${name} SET ${setting} TO '${value}'`);
  }
  await client.end();
  return server;
}

function debianBinaries(): PostgresBinaries {
  const account = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'postgres');
  const version = execFileSync(join(programs, 'postgres'), ['--version'], { encoding: 'utf8' });
  return {
    version: /\d+\.\d+/.exec(version)?.[0] ?? '15',
    initdb: join(programs, 'initdb'),
    postgres: join(programs, 'postgres'),
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    ...(process.getuid?.() === 0 && account !== undefined
      ? { account: { uid: Number(account[2]), gid: Number(account[3]) } }
      : {}),
  };
}
