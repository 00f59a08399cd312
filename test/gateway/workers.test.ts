/** Several processes are one gateway: sessions, reloads, cancels, limits and the audit know nothing of the seam. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql, connectPostgres } from './connect.ts';

let world: World;
before(async () => {
  world = await startWorld({
    mysql: 'mariadb',
    config: { gateway: { region: 'eu', data_dir: './cordon-data', workers: 2 }, limits: { sessions_max: 6 } },
  });
});
after(() => world?.stop());

interface Status {
  readonly sessions: number;
  readonly processes: readonly { readonly pid: number; readonly sessions: number }[];
  readonly policy_version: string;
}

async function status(): Promise<Status> {
  const told = await world.cordon('status', '--json');
  assert.equal(told.code, 0, told.stderr);
  return JSON.parse(told.stdout) as Status;
}

async function someSessions(count: number): Promise<pg.Client[]> {
  const clients: pg.Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await connectPostgres(world, 'ana'));
  return clients;
}

/** Gone from the gateway's own list too, which follows the client's socket. */
async function endAll(clients: readonly pg.Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.end()));
  while ((await status()).sessions > 0);
}

test('clients are shared out, and every session is listed and can be ended', async () => {
  const clients = await someSessions(4);
  const { processes, sessions } = await status();
  assert.equal(processes.length, 2);
  assert.deepEqual(
    processes.map((one) => one.sessions),
    [2, 2],
  );
  assert.equal(sessions, 4);
  const listed = JSON.parse((await world.cordon('sessions', 'list', '--json')).stdout) as { id: string }[];
  assert.equal(listed.length, 4);
  const ended = clients.map((client) => new Promise((resolve) => client.once('end', () => resolve('ended'))));
  for (const { id } of listed) assert.equal((await world.cordon('sessions', 'kill', id)).code, 0);
  assert.deepEqual(await Promise.all(ended), ['ended', 'ended', 'ended', 'ended']);
  assert.equal((await world.cordon('sessions', 'kill', 'nobody')).code, 1);
  await endAll([]);
});

test('a reload is in force everywhere or nowhere', async () => {
  const clients = await someSessions(4);
  const emails = async () =>
    Promise.all(
      clients.map(async (client) => {
        const { rows } = await client.query('SELECT email FROM customers WHERE id = 1');
        return rows[0].email as string;
      }),
    );
  const original = readFileSync(world.policyFile, 'utf8');
  for (const email of await emails()) assert.match(email, /^.\*\*\*@/);
  writeFileSync(
    world.policyFile,
    original.replace(/(eu-analyst:\n(?: {4}.*\n)*?)( {4}masked_use)/, '$1    clear: [pii.email]\n$2'),
  );
  const reloaded = await world.cordon('policy', 'reload');
  assert.equal(reloaded.code, 0, reloaded.stderr);
  for (const email of await emails()) assert.match(email, /^[^*]+@/);
  writeFileSync(world.policyFile, 'version: 1\nregions: nonsense\n');
  assert.equal((await world.cordon('policy', 'reload')).code, 1);
  for (const email of await emails()) assert.match(email, /^[^*]+@/);
  writeFileSync(world.policyFile, original);
  assert.equal((await world.cordon('policy', 'reload')).code, 0);
  for (const email of await emails()) assert.match(email, /^.\*\*\*@/);
  await endAll(clients);
});

test('a cancel request reaches its session in whichever process it is', async () => {
  const clients = await someSessions(4);
  const slept = clients.map((client) =>
    client.query('SELECT pg_sleep(600)').then(
      () => 'slept',
      (error: { code: string }) => error.code,
    ),
  );
  const running = clients.map((client) => (client as unknown as { activeQuery: unknown }).activeQuery);
  // A request that comes before its statement runs cancels nothing.
  const { host, port, user, password } = world.shopEu;
  const admin = new pg.Client({ host, port, user, password, database: 'shop' });
  await admin.connect();
  const asleep = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
  while ((await admin.query(asleep)).rows[0].n < clients.length);
  await admin.end();
  // Each goes over a connection of its own, and those are shared out too.
  for (const [i, client] of clients.entries()) {
    const canceller = new pg.Client({ host: '127.0.0.1', port: world.gateway.ports.postgres });
    canceller.on('error', () => {});
    (canceller as unknown as { cancel(client: pg.Client, query: unknown): void }).cancel(client, running[i]);
  }
  assert.deepEqual(await Promise.all(slept), ['57014', '57014', '57014', '57014']);
  await endAll(clients);
});

test('the limit on sessions counts them all, and a seat is free again', async () => {
  const clients = await someSessions(6);
  await assert.rejects(connectPostgres(world, 'ana'), { code: '53300' });
  await clients.pop()!.end();
  while ((await status()).sessions > 5);
  clients.push(await connectPostgres(world, 'ana'));
  await endAll(clients);
});

test('MySQL connections have ids of their own, and KILL finds them wherever they are', async () => {
  const token = await world.token('ana');
  const withToken = {
    password: token,
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${token}\0`) },
  };
  const connections: mysql.Connection[] = [];
  for (let i = 0; i < 4; i++) connections.push(await connectMySql(world, 'ana', withToken));
  const ids = connections.map((one) => one.threadId);
  assert.equal(new Set(ids).size, 4, ids.join());
  // As `mysql` does at Ctrl-C: a second connection, with the same token and no database.
  const slept = connections.map((one) =>
    one.query('SELECT SLEEP(600)').then(
      () => 'slept',
      (error: { errno: number }) => error.errno,
    ),
  );
  const { host, port, user, password } = world.crm!;
  const admin = await mysql.createConnection({ host, port, user, password });
  const asleep = `SELECT count(*) AS n FROM information_schema.processlist WHERE state = 'User sleep'`;
  for (let n = 0; n < 4; ) {
    const [rows] = await admin.query<mysql.RowDataPacket[]>(asleep);
    n = rows[0]!.n as number;
  }
  await admin.end();
  for (const id of ids.slice(0, 2)) {
    const killer = await connectMySql(world, 'ana', { ...withToken, database: '' });
    await killer.query(`KILL QUERY ${id}`);
    await killer.end();
  }
  // A session as any other reaches them too, and nobody else's: their number is one of the server's then, for administrators.
  const stranger = await connectMySql(world, 'sam');
  await assert.rejects(stranger.query(`KILL QUERY ${ids[2]}`), { errno: 1142 });
  await stranger.end();
  const session = await connectMySql(world, 'ana', withToken);
  for (const id of ids.slice(2)) await session.query(`KILL QUERY ${id}`);
  await session.query('SELECT id FROM contacts LIMIT 1');
  assert.deepEqual(await Promise.all(slept), [1317, 1317, 1317, 1317]);
  await session.query(`KILL ${ids[3]}`);
  await assert.rejects(connections.pop()!.query('SELECT 1'));
  await session.end();
  for (const one of connections) await one.end();
  await endAll([]);
});

test('a table made through one process is known in the other at once', async () => {
  const maker = await connectPostgres(world, 'dora');
  const clients = await someSessions(2);
  for (const client of clients) await client.query('SELECT count(*) FROM products');
  await maker.query('ALTER TABLE products ADD COLUMN shelf text');
  for (const client of clients) {
    assert.deepEqual((await client.query('SELECT DISTINCT shelf FROM products')).rows, [{ shelf: null }]);
  }
  await maker.query('ALTER TABLE products DROP COLUMN shelf');
  await endAll([maker, ...clients]);
});

test('a killed process takes its own sessions along, and nothing of the audit', async () => {
  const clients = await someSessions(4);
  for (const [i, client] of clients.entries()) await client.query(`SELECT ${i} AS n FROM products LIMIT 1`);
  const before = await status();
  const victim = before.processes[0]!.pid;
  const lost = Promise.race(clients.map((client) => new Promise((resolve) => client.once('end', resolve))));
  process.kill(victim, 'SIGKILL');
  await lost;
  const alive = [];
  for (const client of clients) {
    const ok = await client.query('SELECT 1 AS alive').then(
      () => true,
      () => false,
    );
    if (ok) alive.push(client);
  }
  assert.equal(alive.length, 2);
  // Another one takes its place.
  let now = await status();
  while (now.processes.length < 2) now = await status();
  assert.ok(!now.processes.some((one) => one.pid === victim));
  const again = await someSessions(4);
  await endAll([...alive, ...again]);
  const exported = await world.cordon('audit', 'export', '--format', 'jsonl');
  const shapes = exported.stdout
    .split('\n')
    .filter((line) => line.includes('"statement.decided"'))
    .map((line) => (JSON.parse(line) as { shape: string }).shape);
  assert.equal(shapes.filter((shape) => /AS n FROM products/i.test(shape)).length, 4);
  assert.equal((await world.cordon('audit', 'verify')).code, 0);
});

test('SIGTERM ends all processes and leaves the audit whole', async () => {
  const clients = await someSessions(2);
  await Promise.all(clients.map((client) => client.query('SELECT 2 AS last FROM products LIMIT 1')));
  const { processes } = await status();
  await world.gateway.stop();
  for (const { pid } of processes) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  const exported = await world.cordon('audit', 'export', '--format', 'jsonl');
  assert.equal(exported.stdout.split('"session.closed"').length - 1 > 0, true);
  assert.equal((await world.cordon('audit', 'verify')).code, 0);
  world.gateway = await world.startGateway();
});
