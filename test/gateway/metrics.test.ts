/** The numbers and the health of a gateway in one process: they say what was done, and nothing of what it was about. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rename } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql, connectPostgres } from './connect.ts';
import { get, grown, type Scrape, scrape } from './scrape.ts';

let world: World;
before(async () => {
  world = await startWorld({ mysql: 'mariadb', config: { metrics: { address: '127.0.0.1:0' } } });
});
after(() => world?.stop());

/** Sessions end on the gateway's side a moment after the client's. */
async function until(holds: (now: Scrape) => boolean): Promise<Scrape> {
  for (;;) {
    const now = await scrape(world);
    if (holds(now)) return now;
  }
}

test('three paths are answered, to GET and HEAD', async () => {
  assert.equal((await get(world, '/health/live')).status, 200);
  assert.equal((await get(world, '/')).status, 404);
  const { status, type } = await get(world, '/metrics');
  assert.equal(status, 200);
  assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal((await get(world, '/metrics', 'POST')).status, 405);
  const head = await get(world, '/metrics', 'HEAD');
  assert.deepEqual([head.status, head.body], [200, '']);
});

test('statements count once each, with their decision and reason', async () => {
  const before = await scrape(world);
  const ana = await connectPostgres(world, 'ana');
  for (let i = 0; i < 3; i++) await ana.query(`SELECT name FROM customers WHERE id = ${i}`);
  await assert.rejects(ana.query('SELECT * FROM us_orders'), /region us/);
  await assert.rejects(ana.query('SELECT * FROM newsletter'), /not placed/);
  const crm = await connectMySql(world, 'ana');
  await crm.query('SELECT name FROM contacts');
  await assert.rejects(crm.query('SELECT UPPER(email) FROM contacts'), /masked/);
  const now = await scrape(world);
  const statements = (protocol: string, decision: string, reason: string): number =>
    grown(before, now, 'cordon_statements_total', { protocol, decision, reason });
  assert.equal(statements('postgres', 'allow', 'ok'), 3);
  assert.equal(statements('postgres', 'refuse', 'region_read'), 1);
  assert.equal(statements('postgres', 'refuse', 'unplaced_table'), 1);
  assert.equal(statements('mysql', 'refuse', 'masked_use'), 1);
  assert.ok(statements('mysql', 'allow', 'ok') >= 1);
  assert.equal(now.value('cordon_sessions', { protocol: 'postgres' }), 1);
  assert.equal(now.value('cordon_sessions', { protocol: 'mysql' }), 1);
  assert.equal(now.value('cordon_held_statements'), 0);
  assert.equal(now.value('cordon_processes'), 1);
  await ana.end();
  await crm.end();
  await until((later) => later.value('cordon_sessions', { protocol: 'postgres' }) === 0);
  await until((later) => later.value('cordon_sessions', { protocol: 'mysql' }) === 0);
});

test('a prepared statement counts with each execution, in every histogram too', async () => {
  const client = await connectPostgres(world, 'ana');
  const before = await scrape(world);
  for (let i = 0; i < 20; i++) {
    await client.query({ name: 'one', text: 'SELECT id FROM products WHERE id = $1', values: [i] });
  }
  const now = await scrape(world);
  // It was prepared once.
  assert.equal(grown(before, now, 'cordon_statements_total', { protocol: 'postgres' }), 21);
  assert.equal(grown(before, now, 'cordon_statement_seconds_count', { protocol: 'postgres' }), 20);
  assert.equal(grown(before, now, 'cordon_added_latency_seconds_count', { protocol: 'postgres' }), 3);
  assert.ok(grown(before, now, 'cordon_added_latency_seconds_sum', { protocol: 'postgres' }) > 0);
  await client.end();
});

test('rows and bytes are those of results; masked ones count apart', async () => {
  const ana = await connectPostgres(world, 'ana');
  const crm = await connectMySql(world, 'ana');
  for (const [protocol, plain, masked] of [
    [
      'postgres',
      async () => (await ana.query('SELECT id, name FROM customers')).rows.length,
      async () => (await ana.query('SELECT id, email FROM customers')).rows.length,
    ],
    [
      'mysql',
      async () => ((await crm.query('SELECT id FROM contacts'))[0] as unknown[]).length,
      async () => ((await crm.query('SELECT id, email FROM contacts'))[0] as unknown[]).length,
    ],
  ] as const) {
    const first = await scrape(world);
    const rows = await plain();
    const second = await scrape(world);
    const rowsMasked = await masked();
    const third = await scrape(world);
    assert.ok(rows > 0 && rowsMasked > 0);
    assert.equal(grown(first, second, 'cordon_rows_total', { protocol }), rows, protocol);
    assert.equal(grown(first, second, 'cordon_rows_masked_total', { protocol }), 0, protocol);
    assert.ok(grown(first, second, 'cordon_bytes_total', { protocol }) > rows);
    assert.equal(grown(second, third, 'cordon_rows_total', { protocol }), rowsMasked, protocol);
    assert.equal(grown(second, third, 'cordon_rows_masked_total', { protocol }), rowsMasked, protocol);
  }
  await ana.end();
  await crm.end();
});

test('sign-ins count by result', async () => {
  const before = await scrape(world);
  await (await connectPostgres(world, 'ana')).end();
  await assert.rejects(connectPostgres(world, 'ana', { password: 'no token' }));
  await assert.rejects(connectPostgres(world, 'ana', { database: 'nowhere' }));
  const expired = await world.token('ana', -3600);
  await assert.rejects(connectPostgres(world, 'ana', { password: expired }));
  const now = await scrape(world);
  const signIns = (result: string) => grown(before, now, 'cordon_sign_ins_total', { result });
  assert.deepEqual(['ok', 'malformed', 'unknown_database', 'expired'].map(signIns), [1, 1, 1, 1]);
});

test('a scrape while 200 statements run can be read, and no counter falls', async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => connectPostgres(world, 'ana')));
  const before = await scrape(world);
  let running = true;
  const work = Promise.all(
    clients.map(async (client, n) => {
      for (let i = 0; i < 20; i++) await client.query(`SELECT name FROM customers WHERE id = ${n * 20 + i}`);
    }),
  ).finally(() => {
    running = false;
  });
  let last = before;
  do {
    const now = await scrape(world);
    for (const [series, value] of last.counters()) assert.ok(now.samples.get(series)! >= value, series);
    last = now;
  } while (running);
  await work;
  const now = await scrape(world);
  assert.equal(grown(before, now, 'cordon_statements_total', { decision: 'allow' }), 200);
  assert.equal(grown(before, now, 'cordon_statement_seconds_count'), 200);
  await Promise.all(clients.map((client) => client.end()));
});

test('nothing of texts, values, subjects or tokens is in it, and labels are few', async () => {
  const token = await world.token('ana');
  const client = await connectPostgres(world, 'ana', { password: token });
  for (let i = 0; i < 50; i++) {
    await client.query(`SELECT 'Mandarin' AS word_${i} FROM products WHERE id = ${i}`);
  }
  const { text, samples } = await scrape(world);
  for (const word of ['ana', 'Mandarin', 'word_', 'products', token.slice(0, 20), ...world.secrets]) {
    assert.ok(!text.includes(word), word);
  }
  const names = [...samples.keys()].flatMap((series) => [...series.matchAll(/(\w+)="/g)].map((m) => m[1]!));
  assert.deepEqual([...new Set(names)].sort(), [
    'decision',
    'le',
    'protocol',
    'reason',
    'result',
    'upstream',
    'version',
  ]);
  assert.ok(samples.size < 200, `${samples.size} series`);
  await client.end();
});

test('catalogs, upstreams, the policy and the process are told of', async () => {
  const now = await scrape(world);
  for (const upstream of ['shop-eu', 'shop-us', 'crm-eu']) {
    assert.equal(now.value('cordon_upstream_up', { upstream }), 1, upstream);
    assert.ok(now.value('cordon_catalog_age_seconds', { upstream })! >= 0, upstream);
  }
  const status = JSON.parse((await world.cordon('status', '--json')).stdout) as { policy_version: string };
  assert.equal(now.value('cordon_policy_info', { version: status.policy_version }), 1);
  assert.ok(now.value('process_resident_memory_bytes')! > 1e6);
  assert.ok(now.value('cordon_audit_lag_bytes')! >= 0);
  assert.equal(now.value('cordon_audit_unavailable_total'), 0);
});

test('ready as long as the audit can be written', async () => {
  assert.equal((await get(world, '/health/ready')).status, 200);
  const data = join(world.dir, 'cordon-data');
  await rename(data, `${data}.gone`);
  const gone = await get(world, '/health/ready');
  await rename(`${data}.gone`, data);
  assert.deepEqual([gone.status, gone.body], [503, 'the audit can not be written\n']);
  assert.equal((await get(world, '/health/ready')).status, 200);
});

test('what is refused because the audit takes nothing is counted, and it is not ready meanwhile', async () => {
  const client = await connectPostgres(world, 'ana');
  await client.query('SELECT name FROM products WHERE id = 1');
  const before = await scrape(world);
  const fileSize = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(world.gateway.process.pid), `--fsize=${soft}:`]);
  // As on a full disk, no file can grow.
  fileSize('1');
  // The first one was decided, and counts as such, before the journal was found to take nothing.
  await assert.rejects(client.query('SELECT name FROM products WHERE id = 1'), /audit journal/);
  await assert.rejects(client.query('SELECT name FROM products WHERE id = 1'), /audit journal/);
  await assert.rejects(connectPostgres(world, 'ana'));
  const full = await scrape(world);
  const ready = await get(world, '/health/ready');
  fileSize('unlimited');
  assert.deepEqual([ready.status, ready.body], [503, 'the audit can not be written\n']);
  const more = (name: string, labels: Record<string, string> = {}) => grown(before, full, name, labels);
  assert.equal(more('cordon_audit_unavailable_total'), 3);
  assert.equal(more('cordon_statements_total', { decision: 'refuse', reason: 'audit_unavailable' }), 2);
  assert.equal(more('cordon_statements_total', { decision: 'allow', reason: 'ok' }), 1);
  assert.equal(more('cordon_sign_ins_total', { result: 'audit_unavailable' }), 1);
  await client.query('SELECT name FROM products WHERE id = 1');
  // Completions that wait are tried again once a second.
  while ((await get(world, '/health/ready')).status !== 200);
  await client.end();
});

test('not ready while it drains, and still alive', async () => {
  const client = await connectPostgres(world, 'ana');
  await client.query('BEGIN');
  await client.query('SELECT 1 AS held FROM products LIMIT 1');
  // A connection that was there before: what is asked by it is asked while the gateway drains.
  const agent = new http.Agent({ keepAlive: true });
  assert.equal((await get(world, '/health/ready', 'GET', agent)).status, 200);
  const stopped = world.gateway.stop();
  let ready = await get(world, '/health/ready', 'GET', agent);
  while (ready.status === 200) ready = await get(world, '/health/ready', 'GET', agent);
  assert.deepEqual([ready.status, ready.body], [503, 'draining\n']);
  assert.equal((await get(world, '/health/live', 'GET', agent)).status, 200);
  assert.equal((await scrape(world)).value('cordon_sessions', { protocol: 'postgres' }), 1);
  await client.query('COMMIT');
  await stopped;
  agent.destroy();
  await assert.rejects(get(world, '/health/live'));
  world.gateway = await world.startGateway();
});

test('not ready when no upstream can be reached', async () => {
  assert.equal((await get(world, '/health/ready')).status, 200);
  await Promise.all([world.shopEu.stop(), world.shopUs.stop()]);
  let now = await until((later) => later.value('cordon_upstream_up', { upstream: 'shop-eu' }) === 0);
  now = await until((later) => later.value('cordon_upstream_up', { upstream: 'shop-us' }) === 0);
  assert.equal(now.value('cordon_upstream_up', { upstream: 'crm-eu' }), 1);
  assert.equal((await get(world, '/health/ready')).status, 200);
  await world.crm!.stop();
  let ready = await get(world, '/health/ready');
  while (ready.status === 200) ready = await get(world, '/health/ready');
  assert.deepEqual([ready.status, ready.body], [503, 'no upstream can be reached\n']);
});
