/**
 * One server with a database for each workload, and a gateway before it whose policy knows two people: an administrator who
 * may do everything, and an analyst of the same region who may read only and for whom some columns are masked. What the databases
 * hold is the workloads' business.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { stringify } from 'yaml';
import { startIdentityProvider } from '../../fixtures/identity-provider.ts';
import { spawnGateway } from '../../fixtures/world.ts';
import { writeCertificate } from '../servers/certificates.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { startPostgres } from '../servers/postgres.ts';
import { scratch } from '../servers/scratch.ts';

export type Product = 'postgres' | 'mariadb' | 'mysql';
export type Person = 'administrator' | 'analyst';
/** Table to its masked columns. */
export type MaskedColumns = Readonly<Record<string, readonly string[]>>;

/** Where a client connects and as whom. */
export interface Address {
  readonly product: Product;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface WorkloadWorld {
  readonly product: Product;
  /** The server itself, as the account that the gateway uses, which owns the databases. */
  directly(database: string): Address;
  throughGateway(database: string, person: Person): Promise<Address>;
  /** CA of the gateway's certificate. */
  readonly caFile: string;
  /** What the gateway wrote to standard error so far. */
  gatewayLog(): string;
  stop(): Promise<void>;
}

const accountPassword = 'workload-upstream-password-71d0';

/** Starts server and gateway. `databases`: a name and what is masked for the analyst there; on PostgreSQL in schema public. */
export async function startWorkloadWorld(
  product: Product,
  databases: Readonly<Record<string, MaskedColumns>>,
  postgresMajor: 14 | 15 | 16 | 17 | 18 = 18,
): Promise<WorkloadWorld> {
  const { dir, remove } = scratch('cordon-workloads-');
  const names = Object.keys(databases);
  const [identity, server] = await Promise.all([
    startIdentityProvider({ audience: 'cordon' }),
    startServer(product, names, postgresMajor),
  ]);
  const protocol = product === 'postgres' ? 'postgres' : 'mysql';
  writeFileSync(join(dir, 'policy.yaml'), stringify(policyFor(product, databases)));
  const certificate = writeCertificate(join(dir, 'tls'));
  const listener = {
    address: '127.0.0.1:0',
    tls: { cert: certificate.cert, key: certificate.key },
    allow_cleartext: 'loopback',
  };
  writeFileSync(
    join(dir, 'cordon.yaml'),
    stringify({
      version: 1,
      gateway: { region: 'eu', data_dir: './data' },
      listeners: { postgres: listener, mysql: listener },
      upstreams: Object.fromEntries(
        names.map((name) => [
          `at-${name}`,
          {
            protocol,
            address: `127.0.0.1:${server.port}`,
            database: name,
            region: 'eu',
            user: 'cordon',
            password: { env: 'WORKLOAD_PASSWORD' },
            tls: { mode: 'disable' },
          },
        ]),
      ),
      databases: Object.fromEntries(names.map((name) => [name, { upstreams: [`at-${name}`] }])),
      identity: {
        oidc: [{ issuer: identity.issuer, audience: 'cordon' }],
        networks: { eu: ['127.0.0.0/8'] },
      },
      policy: './policy.yaml',
    }),
  );
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const gateway = await spawnGateway(
    ['--import', import.meta.resolve('tsx'), main, 'serve', '-c', join(dir, 'cordon.yaml')],
    { ...process.env, WORKLOAD_PASSWORD: accountPassword },
    dir,
  );
  return {
    product,
    directly: (database) => ({
      product,
      port: server.port,
      user: 'cordon',
      password: accountPassword,
      database,
    }),
    async throughGateway(database, person) {
      const now = Math.floor(Date.now() / 1000);
      const password = await identity.token({ sub: person, groups: [person], iat: now, exp: now + 7200 });
      return { product, port: gateway.ports[protocol], user: person, password, database };
    },
    caFile: certificate.ca,
    gatewayLog: () => gateway.log(),
    async stop() {
      await gateway.stop();
      await Promise.all([server.stop(), identity.stop()]);
      remove();
    },
  };
}

/** Everything is at home in one region: what is refused is refused for what the statement is, not for where its rows are. */
function policyFor(product: Product, databases: Readonly<Record<string, MaskedColumns>>): object {
  const names = Object.keys(databases);
  const everything = { regions: ['eu'], global: true };
  return {
    version: 1,
    regions: { eu: {}, us: {} },
    data: Object.fromEntries(
      names.map((name) => [
        name,
        [
          { table: '*', region: 'eu', triggers: 'allow' },
          ...Object.entries(databases[name]!).map(([table, columns]) => ({
            table: `${product === 'postgres' ? 'public' : name}.${table}`,
            region: 'eu',
            columns: Object.fromEntries(columns.map((column) => [column, 'pii.text'])),
          })),
        ],
      ]),
    ),
    masks: { 'pii.*': { method: 'partial', keep_last: 1 } },
    roles: {
      administrator: {
        members: { groups: ['administrator'] },
        databases: names,
        read: { regions: ['eu', 'us'] },
        write: everything,
        statements: ['*'],
        clear: ['*'],
      },
      analyst: {
        members: { groups: ['analyst'] },
        databases: names,
        read: { regions: ['eu'] },
        write: { regions: [] },
      },
    },
  };
}

async function startServer(
  product: Product,
  databases: readonly string[],
  postgresMajor: 14 | 15 | 16 | 17 | 18,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  if (product === 'postgres') {
    const server = await startPostgres({ major: postgresMajor, settings: { log_statement: 'none' } });
    const { host, port, user, password } = server;
    const admin = new pg.Client({ host, port, user, password, database: 'postgres' });
    await admin.connect();
    await admin.query(`CREATE ROLE cordon LOGIN PASSWORD '${accountPassword}'`);
    for (const name of databases) await admin.query(`CREATE DATABASE ${name} OWNER cordon`);
    await admin.end();
    return server;
  }
  const server = await (product === 'mariadb' ? startMariaDb() : startMySql());
  const { host, port, user, password } = server;
  const admin = await mysql.createConnection({ host, port, user, password });
  await admin.query(`CREATE USER cordon@'%' IDENTIFIED BY '${accountPassword}'`);
  for (const name of databases) {
    await admin.query(`CREATE DATABASE ${name}`);
    await admin.query(`GRANT ALL PRIVILEGES ON ${name}.* TO cordon@'%'`);
  }
  await admin.end();
  return server;
}
