/** Several processes tell one set of numbers: the sum of all, also of those that have ended. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectPostgres } from './connect.ts';
import { get, grown, scrape } from './scrape.ts';

let world: World;
before(async () => {
  world = await startWorld({
    config: {
      gateway: { region: 'eu', data_dir: './cordon-data', workers: 2 },
      metrics: { address: '127.0.0.1:0' },
    },
  });
});
after(() => world?.stop());

async function someSessions(count: number): Promise<pg.Client[]> {
  const clients: pg.Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await connectPostgres(world, 'ana'));
  return clients;
}

const pids = async (): Promise<readonly number[]> => {
  const { stdout } = await world.cordon('status', '--json');
  return (JSON.parse(stdout) as { processes: { pid: number }[] }).processes.map((one) => one.pid);
};

test('the numbers of all processes add up, histograms too', async () => {
  const before = await scrape(world);
  assert.equal(before.value('cordon_processes'), 2);
  const clients = await someSessions(4);
  for (const client of clients) {
    for (let i = 0; i < 14; i++) await client.query(`SELECT name FROM customers WHERE id = ${i}`);
    await assert.rejects(client.query('SELECT * FROM us_orders'), /region us/);
  }
  const now = await scrape(world);
  const protocol = 'postgres';
  const more = (name: string, labels: Record<string, string> = {}) => grown(before, now, name, labels);
  assert.equal(more('cordon_sessions', { protocol }), 4);
  assert.equal(more('cordon_sign_ins_total', { result: 'ok' }), 4);
  assert.equal(more('cordon_statements_total', { protocol, decision: 'allow', reason: 'ok' }), 56);
  assert.equal(more('cordon_statements_total', { protocol, decision: 'refuse', reason: 'region_read' }), 4);
  assert.equal(more('cordon_statement_seconds_count', { protocol }), 56);
  // Each of the two had 30 texts, and times one in seven of them, the first included.
  assert.equal(more('cordon_added_latency_seconds_count', { protocol }), 10);
  assert.equal((await get(world, '/health/ready')).status, 200);
  await Promise.all(clients.map((client) => client.end()));
});

test('a scrape while statements run in all of them can be read, and no counter falls', async () => {
  const clients = await someSessions(8);
  let last = await scrape(world);
  const first = last;
  let running = true;
  const work = Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < 25; i++) await client.query(`SELECT name FROM customers WHERE id = ${i}`);
    }),
  ).finally(() => {
    running = false;
  });
  do {
    const now = await scrape(world);
    for (const [series, value] of last.counters()) assert.ok(now.samples.get(series)! >= value, series);
    last = now;
  } while (running);
  await work;
  assert.equal(grown(first, await scrape(world), 'cordon_statements_total', { decision: 'allow' }), 200);
  await Promise.all(clients.map((client) => client.end()));
});

test('what a process counted stays when it has ended', async () => {
  const clients = await someSessions(4);
  for (const client of clients) await client.query('SELECT name FROM customers WHERE id = 1');
  const before = await scrape(world);
  const [victim] = await pids();
  const lost = Promise.race(clients.map((client) => new Promise((resolve) => client.once('end', resolve))));
  process.kill(victim!, 'SIGKILL');
  await lost;
  let last = before;
  let now = before;
  do {
    now = await scrape(world);
    for (const [series, value] of last.counters()) assert.ok(now.samples.get(series)! >= value, series);
    last = now;
  } while (now.value('cordon_processes') !== 2 || (await pids()).includes(victim!));
  assert.equal(
    now.sum('cordon_statements_total', { decision: 'allow' }),
    before.sum('cordon_statements_total', { decision: 'allow' }),
  );
  const again = await connectPostgres(world, 'ana');
  await again.query('SELECT name FROM customers WHERE id = 1');
  assert.equal(grown(before, await scrape(world), 'cordon_statements_total', { decision: 'allow' }), 1);
  for (const client of [...clients, again]) await client.end();
});

test('all of it drains: not ready, and alive', async () => {
  const client = await connectPostgres(world, 'ana');
  await client.query('BEGIN');
  const agent = new http.Agent({ keepAlive: true });
  assert.equal((await get(world, '/health/ready', 'GET', agent)).status, 200);
  const stopped = world.gateway.stop();
  let ready = await get(world, '/health/ready', 'GET', agent);
  while (ready.status === 200) ready = await get(world, '/health/ready', 'GET', agent);
  assert.deepEqual([ready.status, ready.body], [503, 'draining\n']);
  assert.equal((await get(world, '/health/live', 'GET', agent)).status, 200);
  await client.query('COMMIT');
  await stopped;
  agent.destroy();
  world.gateway = await world.startGateway();
});
