/**
 * The whole storm over a running world: hostile clients at both listeners, then hostile upstreams behind them, and
 * after each the questions that matter: is the gateway alive, does it still serve, is its memory bounded, did it keep quiet?
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { startWorld, type World } from '../../fixtures/world.ts';
import { runMySqlClient } from '../servers/mysql-client.ts';
import { runPsql } from '../servers/psql.ts';
import { Chance } from './chance.ts';
import {
  type Ending,
  hostileMySqlClient,
  hostilePostgresClient,
  politeMySqlClient,
  politePostgresClient,
} from './hostile-clients.ts';
import { type HostileUpstream, startHostileUpstream } from './hostile-upstream.ts';

export interface StormOptions {
  readonly seed: number;
  /** Hostile conversations with each listener. */
  readonly clients: number;
  /** Sessions of each protocol over hostile upstreams. */
  readonly sessions: number;
  /** Run dist/ in place of the sources. */
  readonly built: boolean;
  readonly say: (line: string) => void;
}

const AT_ONCE = 16;
const RESIDENT_MIB_MAX = 600;

/** Resolves when everything held; throws with what didn't. */
export async function storm(options: StormOptions): Promise<void> {
  const world = await startWorld({ mysql: 'mariadb', built: options.built });
  const upstreams: HostileUpstream[] = [];
  try {
    for (const server of [world.shopEu, world.crm!]) {
      const upstream = await startHostileUpstream(server.port);
      upstreams.push(upstream);
      const text = readFileSync(world.configFile, 'utf8');
      writeFileSync(
        world.configFile,
        text.replaceAll(`127.0.0.1:${server.port}`, `127.0.0.1:${upstream.port}`),
      );
    }
    await world.gateway.stop();
    world.gateway = await world.startGateway();
    await weather(world, upstreams, options);
  } finally {
    await world.stop();
    for (const upstream of upstreams) await upstream.stop();
  }
}

async function weather(
  world: World,
  upstreams: readonly HostileUpstream[],
  options: StormOptions,
): Promise<void> {
  const { say } = options;
  const chance = new Chance(options.seed);
  const token = await world.token('ana');
  const { ports } = world.gateway;
  await assertSound(world, token, 'before the storm');

  for (const [name, port, client] of [
    ['PostgreSQL', ports.postgres, hostilePostgresClient],
    ['MySQL', ports.mysql, hostileMySqlClient],
  ] as const) {
    await letGo(`hostile ${name} clients`, options.clients, () => client(port, token, chance.fork()), say);
    await assertSound(world, token, `after hostile ${name} clients`);
  }

  for (const upstream of upstreams) upstream.storm = chance.fork();
  for (const [name, port, client] of [
    ['PostgreSQL', ports.postgres, politePostgresClient],
    ['MySQL', ports.mysql, politeMySqlClient],
  ] as const) {
    await letGo(
      `${name} clients over a hostile upstream`,
      options.sessions,
      () => client(port, token, chance.fork()),
      say,
    );
  }
  for (const upstream of upstreams) upstream.storm = null;
  for (const upstream of upstreams) {
    if (upstream.broken === 0) throw new Error('an upstream broke nothing: the storm missed');
  }
  await assertSound(world, token, 'after hostile upstreams');

  const verified = await world.cordon('audit', 'verify');
  if (verified.code !== 0) throw new Error(`the audit chain is broken: ${verified.stderr}`);
}

async function letGo(
  whom: string,
  total: number,
  once: () => Promise<Ending>,
  say: StormOptions['say'],
): Promise<void> {
  const started = process.hrtime.bigint();
  const endings = await many(total, once);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const held = endings.filter((ending) => ending === 'held').length;
  say(`${endings.length} ${whom} in ${seconds.toFixed(1)} s, ${held} held`);
  if (held > 0) throw new Error(`${held} ${whom} were never let go`);
}

/** `total` times, some at a time. */
async function many<T>(total: number, once: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let started = 0;
  const lane = async () => {
    while (started < total) {
      started++;
      results.push(await once());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

/** Alive, serving and masking on both protocols, small, and silent about secrets and about its own insides. */
async function assertSound(world: World, token: string, when: string): Promise<void> {
  const { gateway } = world;
  const fail = (what: string): never => {
    throw new Error(`${when}: ${what}\n${gateway.log().slice(-2000)}`);
  };
  if (gateway.process.exitCode !== null || gateway.process.signalCode !== null) fail('the gateway has ended');
  const to = { user: 'ana', password: token };
  const shop = await runPsql({ ...to, port: gateway.ports.postgres, database: 'shop' }, [
    ...['-c', 'select email from customers where id = 1'],
  ]);
  if (!/^a\*+@example\.se\n$/.test(shop.stdout)) fail(`PostgreSQL: ${shop.stdout}${shop.stderr}`);
  const crm = await runMySqlClient({ ...to, port: gateway.ports.mysql, database: 'crm' }, [
    ...['--skip-ssl', '-e', 'select email from contacts where id = 1'],
  ]);
  if (!/^a\*+@example\.se\n$/.test(crm.stdout)) fail(`MySQL: ${crm.stdout}${crm.stderr}`);
  const resident = residentMiB(gateway.process.pid);
  if (resident !== null && resident > RESIDENT_MIB_MAX) fail(`${resident} MiB resident`);
  const log = gateway.log();
  if (/^\s+at .*:\d+:\d+\)?$/m.test(log)) fail('a stack trace in the log');
  for (const secret of [token, ...world.secrets]) if (log.includes(secret)) fail('a secret in the log');
}

function residentMiB(pid: number | undefined): number | null {
  try {
    return Math.round(
      Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
    );
  } catch {
    return null;
  }
}
