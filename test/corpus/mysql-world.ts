/** A MariaDB or MySQL server with two databases that differ in secrets only, and the gateway in front of both. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import { parse, stringify } from 'yaml';
import type { Product, Role } from '../../fixtures/corpus/mysql/entry.ts';
import { corpusSql } from '../../fixtures/corpus/mysql/schema.ts';
import type { Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { RecordedSession } from './mysql-session.ts';

export interface CorpusWorld {
  readonly world: World;
  /** A session straight to the server, as the account that the gateway uses; it has every privilege. */
  bare(variant: Variant): Promise<RecordedSession>;
  /** A session straight to a copy of the database, for what changes rows. Only in a world that was started with twins. */
  twin(variant: Variant): Promise<RecordedSession>;
  /** A session through the gateway. */
  through(variant: Variant, role: Role): Promise<RecordedSession>;
  stop(): Promise<void>;
}

export async function startCorpusWorld(
  product: Product,
  options: { readonly twins?: boolean } = {},
): Promise<CorpusWorld> {
  const world = await startWorld({ mysql: product });
  await world.gateway.stop();
  const server = world.crm!;
  const { host, port, user, password } = server;
  const admin = await mysql.createConnection({ host, port, user, password, multipleStatements: true });
  await admin.query("GRANT ALL PRIVILEGES ON *.* TO cordon@'%' WITH GRANT OPTION");
  // Estimates that EXPLAIN shows are then those of the tables as they were filled.
  await admin.query('SET GLOBAL innodb_stats_auto_recalc = OFF');
  for (const variant of ['a', 'b'] as const) {
    for (const name of [`corpus_${variant}`, ...(options.twins ? [`corpus_${variant}_twin`] : [])]) {
      await admin.query(`CREATE DATABASE ${name}; USE ${name}`);
      await admin.query(corpusSql(variant));
    }
  }
  await admin.end();
  copyFileSync(
    fileURLToPath(new URL('../../fixtures/corpus/mysql/policy.yaml', import.meta.url)),
    world.policyFile,
  );
  const config = parse(readFileSync(world.configFile, 'utf8')) as {
    upstreams: Record<string, object>;
    databases: Record<string, object>;
  };
  for (const variant of ['a', 'b']) {
    config.upstreams[`corpus-${variant}`] = {
      ...config.upstreams['crm-eu'],
      database: `corpus_${variant}`,
    };
    config.databases[`corpus_${variant}`] = { upstreams: [`corpus-${variant}`] };
  }
  writeFileSync(world.configFile, stringify(config));
  world.gateway = await world.startGateway();
  const token = (role: Role): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    return world.identity.token({ sub: role, groups: [`${role}s`], region: 'eu', iat: now, exp: now + 3600 });
  };
  const direct = (database: string): Promise<RecordedSession> =>
    RecordedSession.open({ port, user: 'cordon', password: world.secrets[1]!, database });
  return {
    world,
    bare: (variant) => direct(`corpus_${variant}`),
    twin: (variant) => direct(`corpus_${variant}_twin`),
    through: async (variant, role) =>
      RecordedSession.open({
        port: world.gateway.ports.mysql,
        user: role,
        password: await token(role),
        database: `corpus_${variant}`,
      }),
    stop: () => world.stop(),
  };
}
