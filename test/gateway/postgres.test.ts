/** The main job on real PostgreSQL servers with real clients: masking, refusals, routing, and what upstreams never see. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { runPsql } from '../servers/psql.ts';
import { connectPostgres } from './connect.ts';

let world: World;

before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

const connect = (persona: PersonaName, more: pg.ClientConfig = {}) => connectPostgres(world, persona, more);

async function psql(persona: PersonaName, sql: string, args: readonly string[] = []) {
  const password = await world.token(persona);
  return runPsql(
    { port: world.gateway.ports.postgres, user: persona, password, database: 'shop' },
    args,
    sql,
  );
}

/** The refusal that a statement meets, or a failure of the test when it is not refused. */
async function refusal(client: pg.Client, query: string | pg.QueryConfig): Promise<pg.DatabaseError> {
  try {
    await client.query(query as string);
  } catch (error) {
    assert.ok(error instanceof pg.DatabaseError, String(error));
    return error;
  }
  return assert.fail(`not refused: ${typeof query === 'string' ? query : query.text}`);
}

function reasonOf(error: pg.DatabaseError): string {
  return /reason: (\w+); decision: \S+/.exec(error.detail ?? '')?.[1] ?? `no reason in ${error.detail}`;
}

const masked = 'SELECT id, name, email, ssn, born FROM customers ORDER BY id LIMIT 4';

function assertMasked(rows: readonly { email: unknown; ssn: unknown; born: unknown }[]): void {
  assert.ok(rows.length > 0);
  for (const row of rows) {
    assert.match(String(row.email), /^.\*\*\*@[\w.-]+$/);
    assert.match(String(row.ssn), /^[0-9a-f]{16,64}$/);
    const born = row.born as Date;
    assert.ok(born instanceof Date && born.getMonth() === 0 && born.getDate() === 1, String(row.born));
  }
}

test('an EU analyst sees tagged columns masked through psql', async () => {
  const run = await psql('ana', `${masked};\n`);
  assert.equal(run.stderr, '');
  const rows = run.stdout
    .trim()
    .split('\n')
    .map((line) => line.split('|'));
  assert.equal(rows.length, 4);
  for (const row of rows) {
    assert.match(row[2]!, /^.\*\*\*@[\w.-]+$/);
    assert.match(row[3]!, /^[0-9a-f]{16,64}$/);
    assert.match(row[4]!, /^\d{4}-01-01$/);
  }
});

test('node-postgres: simple, prepared, binary and text formats', async () => {
  const client = await connect('ana');
  assertMasked((await client.query(masked)).rows);
  assertMasked((await client.query({ text: masked.replace('LIMIT 4', 'LIMIT $1'), values: [4] })).rows);
  const named = { name: 'five', text: masked.replace('LIMIT 4', 'LIMIT $1'), values: [4] };
  for (let i = 0; i < 3; i++) assertMasked((await client.query(named)).rows);
  const binary = await client.query({
    text: masked.replace('LIMIT 4', 'LIMIT $1'),
    values: [4],
    binary: true,
  } as pg.QueryConfig);
  assert.equal(binary.rows.length, 4);
  for (const row of binary.rows) {
    assert.match(String(row.email), /^.\*\*\*@[\w.-]+$/);
    assert.match(String(row.ssn), /^[0-9a-f]{16,64}$/);
  }
  await client.end();
});

test('rows of another region do not exist for a role that may not read it', async () => {
  const client = await connect('ana');
  const { rows } = await client.query('SELECT DISTINCT region FROM customers');
  assert.deepEqual(rows, [{ region: 'eu' }]);
  const counted = await client.query('SELECT count(*)::int AS n FROM customers c');
  const all = await world_count('customers', "region = 'eu'");
  assert.equal(counted.rows[0].n, all);
  await client.end();
});

test('columns and rows named with their schema, as an ORM writes them', async () => {
  const client = await connect('ana');
  const prisma = `SELECT "public"."customers"."id", "public"."customers"."email", "public"."customers"."region"::text
    FROM "public"."customers" WHERE ("public"."customers"."id" > $1 AND 1=1)
    ORDER BY "public"."customers"."id" ASC LIMIT $2 OFFSET $3`;
  const { rows } = await client.query({ name: 's0', text: prisma, values: [0, 500, 0] });
  assert.equal(rows.length, await world_count('customers', "region = 'eu'"));
  for (const { email, region } of rows) {
    assert.match(email, /^.\*\*\*@[\w.-]+$/);
    assert.equal(region, 'eu');
  }
  const counted = `SELECT o.id FROM orders o JOIN public.customers ON public.customers.id = o.customer_id
    WHERE EXISTS (SELECT 1 FROM orders i WHERE i.customer_id = public.customers.id)`;
  assert.ok((await client.query(counted)).rows.length > 0);
  const whole = await client.query('SELECT public.customers.* FROM public.customers');
  assert.equal(whole.rows.length, rows.length);
  assertMasked(whole.rows);
  assert.equal(
    (await client.query('SELECT (public.customers).region FROM public.customers')).rows[0].region,
    'eu',
  );
  await client.end();
});

test("keys as a driver's metadata asks for them", async () => {
  const client = await connect('ana');
  const { rows } =
    await client.query(`SELECT a.attname, (i.keys).n AS key_seq FROM pg_catalog.pg_attribute a JOIN
    (SELECT indrelid, information_schema._pg_expandarray(indkey) AS keys FROM pg_catalog.pg_index WHERE indisprimary) i
    ON a.attnum = (i.keys).x AND a.attrelid = i.indrelid WHERE a.attrelid = 'customers'::regclass`);
  assert.deepEqual(rows, [{ attname: 'id', key_seq: 1 }]);
  await client.end();
});

async function world_count(table: string, where: string): Promise<number> {
  const { shopEu } = world;
  const admin = new pg.Client({
    host: shopEu.host,
    port: shopEu.port,
    user: shopEu.user,
    password: shopEu.password,
    database: 'shop',
  });
  await admin.connect();
  const { rows } = await admin.query(`SELECT count(*)::int AS n FROM ${table} WHERE ${where}`);
  await admin.end();
  return rows[0].n;
}

test('a table of another region is refused, the session lives on, the upstreams never saw it', async () => {
  const client = await connect('ana');
  for (const query of [
    'SELECT * FROM us_orders AS never_sent_marker',
    { text: 'SELECT * FROM us_orders AS never_sent_marker WHERE id = $1', values: [1] },
  ]) {
    const error = await refusal(client, query);
    assert.equal(error.code, '42501');
    assert.equal(error.severity, 'ERROR');
    assert.equal(reasonOf(error), 'region_read');
    assert.ok(error.hint);
  }
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  assert.ok(world.shopEu.logText().includes('SELECT 1 AS one'));
  for (const server of [world.shopEu, world.shopUs])
    assert.ok(!server.logText().includes('never_sent_marker'));
  await client.end();
});

test('inside a transaction a refusal fails the transaction as a server error does', async () => {
  const client = await connect('ana');
  await client.query('BEGIN');
  assert.equal(reasonOf(await refusal(client, 'SELECT * FROM us_orders')), 'region_read');
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
  await client.query('ROLLBACK');
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  await client.end();
});

const refusedUses: readonly (readonly [string, string])[] = [
  ['SELECT upper(email) FROM customers', 'masked_use'],
  ["SELECT id FROM customers WHERE email LIKE 'a%'", 'masked_use'],
  ['SELECT id FROM customers ORDER BY ssn', 'masked_use'],
  ['SELECT max(born) FROM customers', 'masked_use'],
  ['SELECT c FROM customers c', 'masked_use'],
  ['SELECT row_to_json(c) FROM customers c', 'masked_use'],
  ['SELECT email FROM customers UNION SELECT name FROM customers', 'masked_use'],
  ['WITH x AS (SELECT email AS name FROM customers) SELECT lower(name) FROM x', 'masked_use'],
  ['SELECT email FROM customers GROUP BY email', 'masked_use'],
  ['SELECT * FROM no_such_table', 'unknown_name'],
  ['SELECT no_such_column FROM products', 'unknown_name'],
  ["SELECT query_to_xml('select * from customers', true, true, '')", 'row_region'],
  ["SELECT pg_read_file('/etc/passwd')", 'function_refused'],
  ['DO $$ BEGIN PERFORM 1; END $$', 'statement_kind'],
  ['CREATE TABLE copy_of AS SELECT * FROM customers', 'statement_kind'],
  ['SELECT * FROM pg_stats', 'channel_refused'],
  ["UPDATE customers SET name = 'x'", 'region_write'],
  ["COPY orders TO '/tmp/x'", 'channel_refused'],
  ['SET ROLE postgres', 'session_drift'],
];
for (const [sql, reason] of refusedUses) {
  test(`refused: ${sql}`, async () => {
    const client = await connect('ana');
    const error = await refusal(client, sql);
    assert.equal(error.code, '42501');
    assert.equal(reasonOf(error), reason);
    await client.end();
  });
}

const harmless: readonly string[] = [
  'SELECT 1',
  'SELECT now(), current_user, version()',
  "SELECT upper(name) FROM customers WHERE id IN (SELECT id FROM customers WHERE name LIKE '%a%') ORDER BY name",
  'SELECT count(*), min(id) FROM customers GROUP BY region HAVING count(*) > 0 ORDER BY 1',
  'SELECT c.email AS contact, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id LIMIT 3',
  'SELECT * FROM products p LEFT JOIN LATERAL (SELECT p.id + 1 AS n) x ON true',
  'WITH x AS (SELECT email FROM customers) SELECT email FROM x',
  'SELECT * FROM (SELECT * FROM customers) AS everything LIMIT 1',
  'SHOW server_version',
  "SET application_name = 'tour'",
  'BEGIN; COMMIT',
  'EXPLAIN SELECT * FROM products WHERE id = 1',
  'SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LIMIT 3',
];
for (const sql of harmless) {
  test(`harmless: ${sql}`, async () => {
    const client = await connect('ana');
    await client.query(sql);
    await client.end();
  });
}

test('a guess beside a hashed column is not hashed with the same key', async () => {
  const client = await connect('ana');
  const guessed = [
    "SELECT ssn FROM customers UNION ALL SELECT '19840317-2385'",
    "SELECT x FROM (VALUES ('19840317-2385'), ((SELECT ssn FROM customers WHERE id = 1))) AS v(x)",
    'WITH c AS (SELECT name AS s FROM products UNION ALL SELECT ssn FROM customers) SELECT s FROM c',
  ];
  for (const sql of guessed) {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    assert.ok(rows.length > 1);
    for (const [value] of rows) assert.ok(value === null || value === '[redacted]', `${sql}: ${value}`);
  }
  const both = 'SELECT ssn FROM customers WHERE id = 1 UNION ALL SELECT ssn FROM customers WHERE id = 1';
  const { rows } = await client.query({ text: both, rowMode: 'array' });
  assert.equal(rows[0]![0], rows[1]![0]);
  assert.match(rows[0]![0], /^[0-9a-f]{16,64}$/);
  await client.end();
});

test('a job with a transfer reads the other region at its home; a traveller is stopped by her path', async () => {
  const job = await connect('etl');
  const { rows } = await job.query('SELECT id, card_number FROM us_orders ORDER BY id LIMIT 1');
  assert.match(rows[0].card_number, /^\d{12,19}$/);
  await job.end();
  const traveller = await connect('uma');
  assert.equal(reasonOf(await refusal(traveller, 'SELECT * FROM orders')), 'path_client');
  assert.equal((await traveller.query('SELECT count(*) FROM products')).rowCount, 1);
  await traveller.end();
});

test('large results, errors of the server, and cancel', async () => {
  const client = await connect('ana');
  const { rows } = await client.query("SELECT g, repeat('x', 100) AS pad FROM generate_series(1, 100000) g");
  assert.equal(rows.length, 100_000);
  await assert.rejects(client.query('SELECT 1/0'), { code: '22012' });
  // An error is told before ReadyForQuery; the next statement must be under way when it is cancelled.
  await client.query('SELECT 1');
  const sleeping = client.query('SELECT pg_sleep(60)');
  // node-postgres cancels by a connection of its own, with the key that the gateway gave out.
  const { activeQuery } = client as unknown as { activeQuery: unknown };
  const canceller = new pg.Client({ host: '127.0.0.1', port: world.gateway.ports.postgres });
  canceller.on('error', () => {});
  (canceller as unknown as { cancel(client: pg.Client, query: unknown): void }).cancel(client, activeQuery);
  await assert.rejects(sleeping, { code: '57014' });
  await client.end();
});

test('TLS: a verified session', async () => {
  const { readFileSync } = await import('node:fs');
  const client = await connect('ana', {
    ssl: { ca: readFileSync(world.caFile, 'utf8'), servername: 'localhost' },
  });
  assertMasked((await client.query(masked)).rows);
  await client.end();
});

test('every decision is in the audit, and the chain verifies', async () => {
  const run = await world.cordon('audit', 'export', '--format', 'csv');
  assert.equal(run.code, 0, run.stderr);
  const [header, ...lines] = run.stdout.trimEnd().split('\r\n');
  assert.ok(header!.startsWith('seq,at,session_id,statement_id,event,database'));
  assert.ok(lines.some((line) => line.includes('statement.decided') && line.includes('region_read')));
  assert.ok(!run.stdout.includes('etc/passwd'), 'literals stay out');
  const verified = await world.cordon('audit', 'verify');
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /^ok: \d+ rows, head [0-9a-f]{64}/);
});
