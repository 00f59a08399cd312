/** The corpus's world: two databases that differ in secrets only, on one server, and the gateway in front of both. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import type { Role } from '../../fixtures/corpus/postgres/entry.ts';
import { corpusRows, corpusTables } from '../../fixtures/corpus/postgres/schema.ts';
import type { Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { WireSession } from './wire.ts';

export interface CorpusWorld {
  readonly world: World;
  /** A session straight to the server, as the account that the gateway uses. */
  bare(variant: Variant): Promise<WireSession>;
  /** A session straight to a copy of the database that nobody else writes to. Only in a world that was started with twins. */
  twin(variant: Variant): Promise<WireSession>;
  /** A session through the gateway. */
  through(variant: Variant, role: Role, more?: pg.ClientConfig): Promise<WireSession>;
  /** Runs statements on both databases as the owner. */
  owner(sql: string): Promise<void>;
  stop(): Promise<void>;
}

export interface CorpusOptions {
  /** Make the copies for `twin`. */
  readonly twins?: boolean;
  /** Run in each of the databases, twins too, by a superuser before the gateway starts. */
  readonly settings?: readonly string[];
}

export async function startCorpusWorld(options: CorpusOptions = {}): Promise<CorpusWorld> {
  const world = await startWorld();
  await world.gateway.stop();
  const { shopEu } = world;
  const account = { host: shopEu.host, port: shopEu.port, user: 'cordon', password: world.secrets[0]! };
  const admin = new pg.Client({
    host: shopEu.host,
    port: shopEu.port,
    user: shopEu.user,
    password: shopEu.password,
    database: 'postgres',
  });
  await admin.connect();
  const asOwner = async (variant: Variant, ...texts: string[]): Promise<void> => {
    const owner = new pg.Client({ ...account, database: `corpus_${variant}` });
    await owner.connect();
    for (const text of texts) await owner.query(text);
    await owner.end();
  };
  await admin.query('CREATE DATABASE corpus_a OWNER cordon');
  await asOwner('a', corpusTables, corpusRows('a'));
  await admin.query('CREATE DATABASE corpus_b TEMPLATE corpus_a OWNER cordon');
  await asOwner('b', corpusRows('b'));
  const databases = ['corpus_a', 'corpus_b'];
  if (options.twins)
    for (const name of databases.splice(0)) {
      await admin.query(`CREATE DATABASE ${name}_twin TEMPLATE ${name} OWNER cordon`);
      databases.push(name, `${name}_twin`);
    }
  for (const name of databases)
    for (const setting of options.settings ?? []) await admin.query(`ALTER DATABASE ${name} SET ${setting}`);
  await admin.end();
  copyFileSync(
    fileURLToPath(new URL('../../fixtures/corpus/postgres/policy.yaml', import.meta.url)),
    world.policyFile,
  );
  const config = parse(readFileSync(world.configFile, 'utf8')) as {
    upstreams: Record<string, object>;
    databases: Record<string, object>;
  };
  for (const variant of ['a', 'b']) {
    config.upstreams[`corpus-${variant}`] = { ...config.upstreams['shop-eu'], database: `corpus_${variant}` };
    config.databases[`corpus_${variant}`] = { upstreams: [`corpus-${variant}`] };
  }
  writeFileSync(world.configFile, stringify(config));
  world.gateway = await world.startGateway();

  const token = async (role: Role): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    return world.identity.token({ sub: role, groups: [`${role}s`], region: 'eu', iat: now, exp: now + 3600 });
  };
  return {
    world,
    bare: (variant) => WireSession.open({ ...account, database: `corpus_${variant}` }),
    twin: (variant) => WireSession.open({ ...account, database: `corpus_${variant}_twin` }),
    through: async (variant, role, more = {}) =>
      WireSession.open({
        host: '127.0.0.1',
        port: world.gateway.ports.postgres,
        user: role,
        password: await token(role),
        database: `corpus_${variant}`,
        ...more,
      }),
    async owner(sql) {
      await asOwner('a', sql);
      await asOwner('b', sql);
    },
    stop: () => world.stop(),
  };
}
