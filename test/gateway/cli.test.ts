/** The command line against a running gateway: what it prints, in which form, and how it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectPostgres } from './connect.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

const connect = (persona: PersonaName = 'ana') => connectPostgres(world, persona);

test('policy check: fine, and with a mistake', async () => {
  const fine = await world.cordon('policy', 'check');
  assert.deepEqual([fine.code, fine.stderr], [0, '']);
  assert.match(fine.stdout, /^ok: policy [0-9a-f]{12}\n$/);
  const text = readFileSync(world.policyFile, 'utf8');
  writeFileSync(world.policyFile, text.replace('region: us,', 'region: moon,'));
  const broken = await world.cordon('policy', 'check');
  writeFileSync(world.policyFile, text);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /policy\.yaml:\d+:\d+: .*moon/);
});

async function explain(...args: string[]) {
  const run = await world.cordon('policy', 'explain', '--json', '--database', 'shop', ...args);
  assert.equal(run.code, 0, run.stderr);
  return JSON.parse(run.stdout);
}

test('policy explain: the object that scripts rely on', async () => {
  const masked = await explain('--groups', 'analysts-eu', '--from', 'eu', 'SELECT email FROM customers');
  assert.equal(masked.decision, 'allow');
  assert.deepEqual(masked.reasons, ['ok']);
  assert.equal(masked.upstream, 'shop-eu');
  assert.deepEqual(masked.path, { upstream: 'eu', gateway: 'eu', client: 'eu' });
  assert.ok(masked.masked.includes('public.customers.email'));
  assert.match(masked.rewritten, /WHERE \(?"?region"?\)? ?(=|IN)/i);
  assert.deepEqual(masked.data_regions, { read: ['eu'], write: [] });
  assert.deepEqual(masked.approvers, []);
  const refused = await explain('--groups', 'analysts-eu', '--from', '127.0.0.1', 'SELECT * FROM us_orders');
  assert.equal(refused.decision, 'refuse');
  assert.ok(refused.reasons.includes('region_read'));
  const held = await explain('--groups', 'dba', '--from', 'eu', 'DELETE FROM orders');
  assert.equal(held.decision, 'hold');
  assert.deepEqual(held.approvers, ['dpo']);
  const job = await explain(
    '--as',
    'repo:acme/etl:ref:refs/heads/main',
    '--from',
    'eu',
    'SELECT * FROM us_orders',
  );
  assert.deepEqual([job.decision, job.upstream], ['allow', 'shop-us']);
  const nobody = await explain('--from', 'eu', 'SELECT 1');
  assert.deepEqual(nobody.reasons, ['no_role']);
  const text = await world.cordon(
    'policy',
    'explain',
    '--groups',
    'analysts-eu',
    '--from',
    'eu',
    '--database',
    'shop',
    'SELECT 1',
  );
  assert.match(text.stdout, /^decision {3}allow\n/);
});

test('policy test: passes, fails with what was decided, and refuses a broken file', async () => {
  const cases = join(world.dir, 'cases.yaml');
  const good = fileURLToPath(new URL('../../fixtures/cases.yaml', import.meta.url));
  const passed = await world.cordon('policy', 'test', good);
  assert.match(passed.stdout, /^\d+ passed, 0 failed\n$/);
  assert.equal(passed.code, 0, passed.stdout);
  writeFileSync(
    cases,
    `- { name: wrong, as: { groups: [analysts-eu] }, from: eu, database: shop, sql: SELECT * FROM us_orders, expect: { decision: allow } }\n`,
  );
  const failed = await world.cordon('policy', 'test', cases);
  assert.equal(failed.code, 1);
  assert.match(
    failed.stdout,
    /FAILED wrong\n.*expected "allow", decided "refuse"[\s\S]*0 passed, 1 failed\n$/,
  );
  writeFileSync(cases, '- { name: broken, colour: red }\n');
  const broken = await world.cordon('policy', 'test', cases);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /cases\.yaml:1:\d+: /);
});

test('status and sessions: list and kill', async () => {
  const client = await connect();
  const status = JSON.parse((await world.cordon('status', '--json')).stdout);
  assert.equal(status.sessions, 1);
  assert.equal(status.listeners.length, 2);
  assert.match(status.audit_head.hash, /^[0-9a-f]{64}$/);
  const [session] = JSON.parse((await world.cordon('sessions', 'list', '--json')).stdout);
  assert.deepEqual([session.subject, session.database, session.client_region], ['ana', 'shop', 'eu']);
  const ended = new Promise<Error>((resolve) => client.once('error', resolve));
  assert.equal((await world.cordon('sessions', 'kill', session.id)).code, 0);
  assert.equal(((await ended) as pg.DatabaseError).code, '57P01');
  const again = await world.cordon('sessions', 'kill', session.id);
  assert.deepEqual([again.code, again.stderr], [1, `no open session ${session.id}\n`]);
  assert.match((await world.cordon('sessions', 'list')).stdout, /no open sessions/);
});

test('audit export: columns, filters, a file; wrong usage is 2', async () => {
  const client = await connect();
  await client.query('SELECT 1');
  await client.end();
  const csv = await world.cordon('audit', 'export', '--format', 'csv');
  const header =
    'seq,at,session_id,statement_id,event,database,protocol,subject,issuer,groups,roles,client_address,client_region,gateway_region,upstream,upstream_region,statement_kind,shape,sql,tables,data_regions,decision,reasons,rules,policy_version,masked_columns,rows,bytes,error,duration_us,approval_id,approver,prev_hash,hash';
  assert.equal(csv.stdout.split('\r\n')[0], header);
  const rows = (await world.cordon('audit', 'export', '--format', 'jsonl')).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const decided = rows.findLast((row) => row.event === 'statement.decided');
  assert.equal(decided.shape, 'select ?');
  assert.equal(decided.sql ?? '', '');
  const ofSession = await world.cordon(
    'audit',
    'export',
    '--format',
    'jsonl',
    '--session',
    decided.session_id,
  );
  assert.ok(
    ofSession.stdout
      .trim()
      .split('\n')
      .every((line) => JSON.parse(line).session_id === decided.session_id),
  );
  const completed = rows.find(
    (row) => row.event === 'statement.completed' && row.statement_id === decided.statement_id,
  );
  assert.equal(completed.rows, 1);
  const none = await world.cordon('audit', 'export', '--format', 'jsonl', '--since', '2999-01-01T00:00:00Z');
  assert.equal(none.stdout, '');
  const file = join(world.dir, 'audit.csv');
  await world.cordon('audit', 'export', '--format', 'csv', '-o', file);
  assert.ok(readFileSync(file, 'utf8').startsWith(header));
  for (const args of [
    ['audit', 'export', '--format', 'xml'],
    ['audit', 'export'],
    ['nonsense'],
    ['policy', 'explain'],
  ]) {
    const run = await world.cordon(...args);
    assert.equal(run.code, 2, args.join(' '));
    assert.match(run.stderr, /^cordon: /);
  }
});

test('audit tail follows', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    join(root, 'cli/main.ts'),
    'audit',
    'tail',
    '-c',
    world.configFile,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('tail_marker')) resolve();
    });
  });
  const client = await connect();
  await client.query('SELECT 1 AS tail_marker');
  await seen;
  child.kill('SIGINT');
  await client.end();
});

test('SIGTERM drains: a running statement ends, an idle session is told', async () => {
  const busy = await connect();
  const idle = await connect();
  const told = new Promise<Error>((resolve) => idle.once('error', resolve));
  await busy.query('SELECT 1');
  const sleeping = busy.query('SELECT pg_sleep(1), 2 AS two');
  const stopped = world.gateway.stop();
  assert.equal((await sleeping).rows[0].two, 2);
  assert.equal(((await told) as pg.DatabaseError).code, '57P01');
  await stopped;
  const down = await world.cordon('status');
  assert.equal(down.code, 1);
  assert.match(down.stderr, /^cordon: no gateway answers, /);
  assert.equal((await world.cordon('audit', 'verify')).code, 0);
  world.gateway = await world.startGateway();
});
