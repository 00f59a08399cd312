/** `masked_use: blank` on real servers: statements see NULL where a masked column stood, and everything else as it is. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { runPsql } from '../servers/psql.ts';
import { connectPostgres } from './connect.ts';

let world: World;
let ana: pg.Client;
/** The same shop, where the columns that are masked for Ana are NULL and other regions' rows are gone. */
let twin: pg.Client;

before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
  const policy = readFileSync(world.policyFile, 'utf8');
  const blank = policy
    .replace(/^ {4}masked_use: refuse.*$/m, '    masked_use: blank')
    .replace(
      /^( {4}- \{ table: public.orders)/m,
      '    - { table: public.kinds, region: eu, columns: { a: pii.x, b: pii.x, c: pii.x, d: pii.x, e: pii.x, f: pii.x, g: pii.x, h: pii.x, i: pii.x, j: pii.x } }\n$1',
    );
  assert.notEqual(blank, policy);
  writeFileSync(world.policyFile, blank);
  await onUpstream('shop', kinds);
  const reloaded = await world.cordon('policy', 'reload');
  assert.equal(reloaded.code, 0, reloaded.stderr);
  await onUpstream('postgres', 'CREATE DATABASE twin');
  await onUpstream('twin', readFileSync(new URL('../../fixtures/shop-eu.sql', import.meta.url), 'utf8'));
  await onUpstream('twin', nulled);
  twin = upstream('twin');
  await twin.connect();
  ana = await connect('ana');
});
after(async () => {
  await twin?.end();
  await ana?.end();
  await world?.stop();
});

const kinds = `
  CREATE SCHEMA bare;
  CREATE TYPE bare.mood AS ENUM ('sad', 'glad');
  CREATE TYPE bare.pair AS (x int, y text);
  CREATE DOMAIN bare.code AS varchar(5) CHECK (length(VALUE) = 3);
  CREATE TABLE kinds (id int, a bare.mood, b bare.mood[], c bare.pair, d bare.code, e varchar(4) COLLATE "C",
    f numeric(6,2), g "char", h jsonb, i interval day, j int[]);
  INSERT INTO kinds VALUES
    (1, 'sad', '{glad}', '(1,z)', 'abc', 'wxyz', 12.34, 'c', '{"k": 1}', '1 day', '{1,2}');
  GRANT USAGE ON SCHEMA bare TO cordon;
  GRANT SELECT ON kinds TO cordon;`;

const nulled = `
  ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey;
  DELETE FROM customers WHERE region <> 'eu';
  ALTER TABLE customers ALTER email DROP NOT NULL;
  UPDATE customers SET email = NULL, phone = NULL, ssn = NULL, born = NULL;
  ALTER TABLE orders ALTER card_number DROP NOT NULL;
  UPDATE orders SET card_number = NULL;`;

function upstream(database: string): pg.Client {
  const { host, port, user, password } = world.shopEu;
  return new pg.Client({ host, port, user, password, database });
}

async function onUpstream(database: string, sql: string): Promise<void> {
  const client = upstream(database);
  await client.connect();
  await client.query(sql);
  await client.end();
}

const connect = (persona: PersonaName) => connectPostgres(world, persona);

/** Rows and the types of their columns, or the server's error code. */
async function answer(client: pg.Client, text: string, values: readonly unknown[] = []): Promise<unknown> {
  try {
    const { rows, fields } = await client.query({ text, values: [...values], rowMode: 'array' });
    return { rows, types: fields.map((field) => [field.name, field.dataTypeID]) };
  } catch (error) {
    assert.ok(error instanceof pg.DatabaseError, String(error));
    assert.ok(!/reason: /.test(error.detail ?? ''), `${text}: ${error.message}`);
    return { error: error.code };
  }
}

async function sameAsTwin(text: string, values: readonly unknown[] = []): Promise<void> {
  assert.deepEqual(await answer(ana, text, values), await answer(twin, text, values), text);
}

for (const text of [
  'SELECT max(email), min(born), count(ssn), count(*) FROM customers',
  "SELECT id FROM customers WHERE email LIKE 'a%' ORDER BY id",
  'SELECT id FROM customers WHERE email IS NULL ORDER BY id',
  "SELECT id, name FROM customers WHERE NOT (ssn = '19840317-2385') ORDER BY id",
  'SELECT id, email::varchar(3), born::text, length(phone) FROM customers ORDER BY id',
  'SELECT ssn::int FROM customers',
  'SELECT id, email FROM customers ORDER BY email, id',
  'SELECT id, email FROM customers ORDER BY ssn NULLS FIRST, id DESC',
  'SELECT DISTINCT email, region FROM customers',
  'SELECT email, count(*) FROM customers GROUP BY email',
  'SELECT name FROM customers UNION SELECT email FROM customers ORDER BY 1',
  'SELECT row_to_json(c)::text FROM customers c ORDER BY id',
  'SELECT (c).email, (c).name FROM (SELECT c FROM customers c) x ORDER BY 2',
  'SELECT c.id, o.id FROM customers c JOIN orders o ON o.card_number = c.ssn',
  'SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.card_number = c.ssn ORDER BY 1, 2',
  'SELECT c.id, o.id, lower(c.email) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.card_number IS NULL ORDER BY 1, 2',
  'SELECT a.id FROM customers a JOIN customers b USING (email)',
  "SELECT id, coalesce(email, 'none') FROM customers ORDER BY id",
  'WITH x AS (SELECT id, upper(email) AS e FROM customers) SELECT * FROM x ORDER BY id',
  'SELECT id, rank() OVER (ORDER BY born) FROM customers ORDER BY id',
  'SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.card_number = c.email OR o.customer_id = c.id) ORDER BY id',
  'SELECT p.name FROM products p WHERE p.id IN (SELECT length(card_number) FROM orders) ORDER BY 1',
  'SELECT id, (SELECT max(card_number) FROM orders o WHERE o.customer_id = c.id) FROM customers c ORDER BY id',
  'SELECT 1 / length(email) FROM customers',
])
  test(`sees NULL: ${text}`, () => sameAsTwin(text));

test('bound values, prepared and executed again', async () => {
  for (const value of ['anna.lindqvist@example.se', 'x'])
    await sameAsTwin('SELECT id FROM customers WHERE email = $1 OR id < $2 ORDER BY id', [value, 3]);
  const named = { name: 'again', text: 'SELECT id, upper(email) FROM customers WHERE id < $1 ORDER BY id' };
  for (const limit of [2, 3]) {
    const { rows } = await ana.query({ ...named, values: [limit], rowMode: 'array' });
    assert.ok(rows.length > 0);
    for (const row of rows) assert.equal(row[1], null);
  }
});

test('every type keeps itself, a user-made one too', async () => {
  const columns = 'abcdefghij'.split('');
  const types = columns.map((column) => `pg_typeof(${column})::text`).join(', ');
  const { rows } = await ana.query({
    text: `SELECT ${types}, ${columns.join(', ')} FROM kinds`,
    rowMode: 'array',
  });
  assert.deepEqual(rows, [
    [
      ...['bare.mood', 'bare.mood[]', 'bare.pair', 'character varying', 'character varying', 'numeric'],
      ...['"char"', 'jsonb', 'interval', 'integer[]'],
      ...columns.map(() => null),
    ],
  ]);
  const uses =
    "SELECT id FROM kinds WHERE a = 'sad' OR 'glad' = ANY (b) OR d = 'abc' OR f > 1 OR h ? 'k' OR j[1] = 1 OR e < 'z'";
  assert.deepEqual(await answer(ana, uses), { rows: [], types: [['id', 23]] });
});

test('what only shows masked columns is masked as ever, and nothing else is touched', async () => {
  const { rows } = await ana.query('SELECT id, email, born FROM customers ORDER BY id');
  assert.ok(rows.length > 1);
  for (const row of rows) assert.match(row.email, /^.\*\*\*@/);
  const mixed = await ana.query(
    'SELECT c.email, right(o.card_number, 4) AS last FROM customers c JOIN orders o ON o.customer_id = c.id',
  );
  assert.ok(mixed.rows.length > 0);
  for (const row of mixed.rows) {
    assert.match(row.email, /^.\*\*\*@/);
    assert.equal(row.last, null);
  }
  await sameAsTwin('SELECT id, name, region FROM customers ORDER BY id');
  await sameAsTwin('SELECT sum(amount), status FROM orders GROUP BY status ORDER BY status');
});

test('EXPLAIN ANALYZE and cursors of blanked statements', async () => {
  const { rows } = await ana.query(
    "EXPLAIN (ANALYZE, VERBOSE, TIMING OFF) SELECT max(email) FROM customers WHERE ssn <> 'x'",
  );
  assert.ok(rows.length > 0);
  assert.ok(!JSON.stringify(rows).includes('ssn'), 'the planner saw a constant');
  await ana.query('BEGIN');
  await ana.query('DECLARE k CURSOR FOR SELECT id, upper(email) AS e FROM customers ORDER BY id');
  const fetched = await ana.query('FETCH 2 FROM k');
  assert.equal(fetched.rows.length, 2);
  for (const row of fetched.rows) assert.equal(row.e, null);
  await ana.query('COMMIT');
});

test('COPY of a blanked query', async () => {
  const password = await world.token('ana');
  const run = await runPsql(
    { port: world.gateway.ports.postgres, user: 'ana', password, database: 'shop' },
    [],
    "COPY (SELECT id, upper(email), coalesce(ssn, 'none') FROM customers ORDER BY id LIMIT 2) TO STDOUT;\n",
  );
  assert.equal(run.stderr, '');
  assert.equal(run.stdout, '1\t\\N\tnone\n2\t\\N\tnone\n');
});

test('a reference that can not be replaced is refused, and so are other roles', async () => {
  for (const text of [
    'SELECT max(email) FROM regular_customers',
    'SELECT max(card_number) FROM ONLY orders',
    'SELECT max(card_number) FROM orders TABLESAMPLE system (100)',
  ])
    await assert.rejects(ana.query(text), { code: '42501', detail: /reason: (masked_use|row_region)/ });
  const sam = await connect('sam');
  await assert.rejects(sam.query('SELECT max(card_number) FROM orders'), { detail: /reason: masked_use/ });
  await sam.end();
});

test('explain shows the text that runs, the audit the columns', async () => {
  const args = ['--groups', 'analysts-eu', '--from', 'eu', '--database', 'shop'];
  const run = await world.cordon(
    'policy',
    'explain',
    ...args,
    '--json',
    'SELECT max(card_number) FROM orders',
  );
  const told = JSON.parse(run.stdout);
  assert.match(told.rewritten, /CASE WHEN FALSE THEN "card_number" END AS "card_number"/);
  assert.deepEqual(told.masked, ['public.orders.card_number']);
  await ana.query('SELECT max(card_number) AS audited FROM orders');
  const audit = await world.cordon('audit', 'export', '--format', 'jsonl');
  const line = audit.stdout.split('\n').find((one) => /statement.decided.*as audited/i.test(one));
  assert.ok(line?.includes('public.orders.card_number'), line);
});

const tables = {
  c: {
    from: 'customers c',
    values: [
      'c.id',
      'c.name',
      'c.region',
      'c.email',
      'upper(c.phone)',
      "coalesce(c.ssn, 'none')",
      'c.born + 1',
      'c.born IS NULL',
      "c.email || '/' || c.name",
      'length(c.email)',
    ],
    tests: [
      "c.email LIKE 'a%'",
      'c.ssn IS NULL',
      "c.born > '1980-01-01'",
      'c.id < 5',
      'NOT (c.phone = c.name)',
      'c.email IS DISTINCT FROM c.name',
    ],
  },
  o: {
    from: 'orders o',
    values: [
      'o.id',
      'o.amount',
      'o.status',
      'o.card_number',
      'right(o.card_number, 4)',
      "CASE WHEN o.card_number LIKE '4%' THEN 1 ELSE 0 END",
    ],
    tests: ['o.amount > 50', "o.card_number LIKE '4%'", 'o.card_number IS NULL', "o.status = 'placed'"],
  },
} as const;
const joined = {
  from: fc.constantFrom(
    'customers c JOIN orders o ON o.customer_id = c.id',
    'customers c LEFT JOIN orders o ON o.card_number = c.ssn',
    'orders o RIGHT JOIN customers c ON c.id = o.customer_id AND c.email IS NULL',
    'customers c CROSS JOIN LATERAL (SELECT * FROM orders x WHERE x.customer_id = c.id OR x.card_number = c.ssn) o',
  ),
  values: [...tables.c.values, ...tables.o.values],
  tests: [...tables.c.tests, ...tables.o.tests, 'o.card_number = c.email'],
};

/** Statements that use a masked column of each of their tables in some other way than to show it. */
const statements = fc
  .oneof(
    ...Object.values(tables).map(({ from, values, tests }) => body(fc.constant(from), values, tests)),
    body(joined.from, joined.values, joined.tests),
  )
  .map(({ from, chosen, condition, form }) => {
    const uses = [
      ...(from.includes(' c') ? ['(c.email IS NULL) IS NOT NULL'] : []),
      ...(from.includes(' o') ? ['(o.card_number IS NULL) IS NOT NULL'] : []),
    ].join(' AND ');
    const rest = `FROM ${from} WHERE ${uses} AND (${condition})`;
    const list = chosen.join(', ');
    const positions = chosen.map((_, index) => index + 1).join(', ');
    const forms = {
      rows: `SELECT ${list} ${rest} ORDER BY ${positions}`,
      distinct: `SELECT DISTINCT ${list} ${rest} ORDER BY ${positions}`,
      groups: `SELECT ${list}, count(*) ${rest} GROUP BY ${positions} ORDER BY ${positions}`,
      aggregates: `SELECT ${chosen.map((value) => `count(${value}), max((${value})::text)`).join(', ')} ${rest}`,
      derived: `WITH w AS (SELECT ${chosen.map((value, index) => `${value} AS v${index}`).join(', ')} ${rest}) SELECT * FROM w WHERE v0 IS NOT NULL OR v0 IS NULL ORDER BY ${positions}`,
    };
    return forms[form];
  });

function body(from: fc.Arbitrary<string>, values: readonly string[], tests: readonly string[]) {
  return fc.record({
    from,
    chosen: fc.subarray([...values], { minLength: 1, maxLength: 4 }),
    condition: fc
      .tuple(
        fc.constantFrom(...tests),
        fc.constantFrom(' AND ', ' OR ', ' OR NOT '),
        fc.constantFrom(...tests),
      )
      .map((parts) => parts.join('')),
    form: fc.constantFrom(
      'rows' as const,
      'distinct' as const,
      'groups' as const,
      'aggregates' as const,
      'derived' as const,
    ),
  });
}

test('any statement answers as if the masked columns were NULL in the database', async () => {
  await fc.assert(
    fc.asyncProperty(statements, (text) => sameAsTwin(text)),
    { numRuns: 200, seed: 20_260_131 },
  );
});

describe('MariaDB', () => {
  let connection: mysql.Connection;
  before(async () => {
    const password = await world.token('ana');
    connection = await mysql.createConnection({
      host: '127.0.0.1',
      port: world.gateway.ports.mysql,
      user: 'ana',
      password,
      database: 'crm',
      authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
    });
  });
  after(() => connection?.end());

  for (const [sql, expected] of [
    ["SELECT id FROM contacts WHERE email LIKE 'a%'", []],
    ['SELECT MAX(email) AS e, COUNT(notes) AS n, COUNT(*) AS c FROM contacts', [{ e: null, n: 0, c: 5 }]],
    ['SELECT DISTINCT UPPER(email) AS e FROM contacts', [{ e: null }]],
    [
      'SELECT name, email FROM contacts ORDER BY email, id LIMIT 1',
      [{ name: 'Anna Lindqvist', email: null }],
    ],
    ['SELECT a.id FROM contacts a JOIN contacts b ON a.email = b.email', []],
    ["SELECT COALESCE(c.email, 'none') AS e FROM contacts AS c WHERE c.id = 1", [{ e: 'none' }]],
    [
      'SELECT contacts.name FROM crm.contacts WHERE contacts.notes IS NULL AND contacts.id = 2',
      [{ name: 'Matteo Ricci' }],
    ],
  ] as const)
    test(sql, async () => {
      const [rows] = await connection.query(sql);
      assert.deepEqual(
        (rows as object[]).map((row) => ({ ...row })),
        expected,
      );
      const [again] = await connection.execute(sql);
      assert.deepEqual(again, rows);
    });
});
