/** Temporary objects and definitions of an open transaction: harmless work runs, nothing masked or regional gets out by way of it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';

let world: World;
let original: string;

/** Analysts who may define things: what is refused to them is refused for the values, not for the kind. */
const makers = `
  makers:
    members: { groups: [analysts-eu] }
    databases: [shop]
    read:  { regions: [eu] }
    write: { regions: [eu], global: true }
    statements: [select, insert, update, delete, truncate, ddl, set, transaction, explain, show, prepare, cursor, maintenance, copy_out]
`;

before(async () => {
  world = await startWorld();
  original = readFileSync(world.policyFile, 'utf8');
  writeFileSync(
    world.policyFile,
    original
      .replace(/\nroles:\n/, `\nroles:${makers}`)
      .replace(
        '    - { table: public.products,',
        "    - { table: 'public.scratch_*', global: true }\n    - { table: public.products,",
      )
      .replace('    statements: [ddl, maintenance]', "    statements: ['*']")
      .replace('    mask_on_write: [pii.national_id]\n', "$&    statements: ['*']\n"),
  );
  const reloaded = await world.cordon('policy', 'reload');
  assert.equal(reloaded.code, 0, reloaded.stderr);
});
after(() => world?.stop());

async function connect(persona: PersonaName = 'ana'): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: persona,
    password: await world.token(persona),
    database: 'shop',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function script(client: pg.Client, ...texts: readonly string[]): Promise<pg.QueryResult> {
  let last: pg.QueryResult | undefined;
  for (const text of texts) {
    try {
      last = await client.query(text);
    } catch (error) {
      throw new Error(`${text}: ${(error as Error).message} (${(error as pg.DatabaseError).detail})`);
    }
  }
  return last!;
}

async function refused(client: pg.Client, text: string, reason: string): Promise<void> {
  await assert.rejects(client.query(text), (error: pg.DatabaseError) => {
    assert.match(error.detail ?? error.message, new RegExp(`reason: ${reason};`), text);
    return true;
  });
}

const maskedEmail = /^.\*\*\*@/;

test('harmless: a temporary table of permitted rows, filled, indexed, joined, changed', async () => {
  const client = await connect();
  await script(
    client,
    'CREATE TEMP TABLE mine AS SELECT id, name, region FROM customers',
    'CREATE INDEX ON mine (id)',
    'ANALYZE mine',
    'INSERT INTO mine SELECT id + 1000, name, region FROM customers',
    "UPDATE mine SET name = 'x' WHERE id > 1000",
  );
  const rows = (await script(client, 'SELECT DISTINCT region FROM mine')).rows;
  assert.deepEqual(rows, [{ region: 'eu' }]);
  const joined = await script(client, 'SELECT m.id, c.email FROM mine m JOIN customers c USING (id) LIMIT 2');
  for (const row of joined.rows) assert.match(row.email, maskedEmail);
  const bound = { name: 'again', text: 'SELECT count(*)::int AS n FROM mine WHERE id > $1', values: [0] };
  assert.equal((await client.query(bound)).rows[0].n, (await client.query(bound)).rows[0].n);
  await script(client, 'DROP TABLE mine');
  await refused(client, 'SELECT * FROM mine', 'unknown_name');
  await script(
    client,
    'SELECT 1 AS a INTO TEMP one',
    'CREATE TEMP SEQUENCE counter',
    "SELECT nextval('counter')",
  );
  await client.end();
});

test('harmless: a migration in one transaction, and another session sees it only afterwards', async () => {
  const [one, two] = [await connect(), await connect()];
  await script(
    one,
    'BEGIN',
    'CREATE TABLE scratch_a (id int PRIMARY KEY, label text)',
    "INSERT INTO scratch_a VALUES (1, 'a')",
    'ALTER TABLE scratch_a ADD COLUMN more int DEFAULT 3',
    'CREATE INDEX ON scratch_a (more)',
    'SAVEPOINT s',
    'ALTER TABLE scratch_a RENAME COLUMN more TO less',
  );
  assert.deepEqual((await script(one, 'SELECT less FROM scratch_a')).rows, [{ less: 3 }]);
  await script(one, 'ROLLBACK TO SAVEPOINT s');
  assert.deepEqual((await script(one, 'SELECT more FROM scratch_a')).rows, [{ more: 3 }]);
  await refused(two, 'SELECT more FROM scratch_a', 'unknown_name');
  await script(one, 'COMMIT');
  assert.deepEqual((await script(two, 'SELECT more FROM scratch_a')).rows, [{ more: 3 }]);
  await script(one, 'BEGIN', 'DROP TABLE scratch_a', 'ROLLBACK');
  assert.deepEqual((await script(one, 'SELECT label FROM scratch_a')).rows, [{ label: 'a' }]);
  await script(one, 'BEGIN; CREATE TABLE scratch_b (id int)');
  await script(one, 'INSERT INTO scratch_b VALUES (7)', 'COMMIT');
  assert.deepEqual((await script(two, 'SELECT id FROM scratch_b')).rows, [{ id: 7 }]);
  await script(one, 'DROP TABLE scratch_a, scratch_b');
  await Promise.all([one.end(), two.end()]);
});

test('a temporary table hides a real one for as long as it is there, and no longer', async () => {
  const gone: readonly (readonly string[])[] = [
    ['CREATE TEMP TABLE customers (email text)', 'DROP TABLE customers'],
    ['CREATE TEMP TABLE customers (email text)', 'DISCARD TEMP'],
    ['CREATE TEMP TABLE customers (email text)', 'DISCARD ALL'],
    ['BEGIN', 'CREATE TEMP TABLE customers (email text)', 'ROLLBACK'],
    ['BEGIN', 'CREATE TEMP TABLE customers (email text) ON COMMIT DROP', 'COMMIT'],
    ['BEGIN', 'SAVEPOINT s', 'CREATE TEMP TABLE customers (email text)', 'ROLLBACK TO s', 'COMMIT'],
    ['CREATE TEMP TABLE customers (email text)', 'SET search_path = public, pg_temp'],
    ['CREATE TEMP TABLE customers (email text)', 'ALTER TABLE customers RENAME TO other'],
  ];
  for (const texts of gone) {
    const client = await connect();
    await script(client, ...texts.slice(0, -1));
    if (texts.every((text) => text !== 'SAVEPOINT s')) {
      assert.deepEqual((await script(client, 'SELECT email FROM customers')).rows, [], texts.join('; '));
    }
    await script(client, texts.at(-1)!);
    const { rows } = await script(client, 'SELECT email FROM customers LIMIT 2');
    assert.equal(rows.length, 2, texts.join('; '));
    for (const row of rows) assert.match(row.email, maskedEmail, texts.join('; '));
    await refused(client, 'SELECT lower(email) FROM customers', 'masked_use');
    await client.end();
  }
});

test('a definition is decided, in one text, with the names that the statements before it have left', async () => {
  const client = await connect();
  await script(client, 'CREATE TEMP TABLE customers (email text)');
  for (const text of [
    'DROP TABLE customers; CREATE TEMP TABLE stolen AS SELECT email FROM customers',
    'DROP TABLE customers; CREATE TEMP VIEW stolen AS SELECT email FROM customers',
    'SET search_path = public, pg_temp; CREATE TEMP TABLE stolen AS SELECT email FROM customers',
    'ALTER TABLE customers RENAME TO other; CREATE TEMP TABLE stolen AS SELECT email FROM customers',
  ]) {
    await refused(client, text, 'masked_write');
    // Undone with the rest.
    assert.deepEqual((await script(client, 'SELECT email FROM customers')).rows, [], text);
  }
  await script(
    client,
    'CREATE TEMP TABLE one (id int); CREATE TEMP TABLE two (id int)',
    'CREATE TABLE scratch_n (id int); CREATE INDEX ON products (name)',
    'DROP INDEX products_name_idx; DROP TABLE scratch_n',
  );
  await client.end();
});

test('masked columns do not get into what the session makes', async () => {
  const client = await connect();
  await refused(client, 'CREATE TEMP TABLE t AS SELECT email FROM customers', 'masked_write');
  await refused(client, 'SELECT id, email INTO TEMP t FROM customers', 'masked_write');
  await refused(client, 'CREATE TEMP VIEW v AS SELECT email FROM customers', 'masked_write');
  await script(client, 'CREATE TEMP TABLE t (id int, email text)');
  await refused(client, 'INSERT INTO t SELECT id, email FROM customers', 'masked_write');
  await refused(client, 'UPDATE t SET email = (SELECT email FROM customers LIMIT 1)', 'masked_write');
  await refused(client, 'INSERT INTO t (id) SELECT id FROM customers ORDER BY email', 'masked_use');
  await script(client, 'CREATE TEMP TABLE l (LIKE orders)', 'CREATE TEMP TABLE c (LIKE customers)');
  assert.deepEqual((await script(client, 'SELECT card_number FROM l')).rows, []);
  await script(client, 'CREATE TEMP VIEW w AS SELECT * FROM t', 'INSERT INTO t VALUES (1)');
  assert.deepEqual((await script(client, 'SELECT id FROM w')).rows, [{ id: 1 }]);
  await client.query('BEGIN');
  await refused(client, 'ALTER TABLE orders RENAME TO scratch_o', 'masked_write');
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await refused(client, 'ALTER TABLE orders RENAME COLUMN card_number TO harmless', 'masked_write');
  await client.query('ROLLBACK');
  await client.end();
});

test("tables named like the server's own, in the temporary schema, do not mislead the reading of the catalog", async () => {
  const client = await connect();
  await script(
    client,
    'CREATE TEMP TABLE pg_class (oid oid, relname name, relnamespace oid, relkind "char")',
    'CREATE TEMP TABLE pg_namespace (oid oid, nspname name)',
    'CREATE TEMP TABLE pg_attribute (attrelid oid)',
    'CREATE TEMP TABLE products (email text)',
  );
  assert.deepEqual((await script(client, 'SELECT email FROM products')).rows, []);
  const { rows } = await script(client, 'SELECT email FROM customers LIMIT 2');
  for (const row of rows) assert.match(row.email, maskedEmail);
  await client.end();
});

test('functions and operators in the temporary schema are calls that nobody vouched for', async () => {
  const client = await connect();
  await script(
    client,
    "CREATE FUNCTION pg_temp.tell(a text, b text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
    'CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.tell)',
  ).catch(() => undefined);
  await assert.rejects(client.query("SELECT pg_temp.tell('a', 'b')"), { code: '42501' });
  await assert.rejects(client.query("SELECT 'a'::text OPERATOR(pg_temp.===) 'b'::text"), { code: '42501' });
  await client.end();
});

test('rows of one region do not get into another by way of a temporary table', async () => {
  const client = await connect('dora');
  await script(client, 'CREATE TEMP TABLE mixed AS SELECT * FROM orders LIMIT 3');
  await refused(client, 'INSERT INTO us_orders SELECT * FROM mixed', '(transfer|region_split|path_upstream)');
  await script(
    client,
    'SELECT count(*) FROM mixed',
    'DELETE FROM orders WHERE id IN (SELECT id FROM mixed) AND false',
  );
  await client.end();
});

test('a session with temporary tables still reads what is at home on another upstream, and comes back', async () => {
  const client = await connect('etl');
  await script(client, 'CREATE TEMP TABLE here AS SELECT id FROM orders');
  const there = (await script(client, 'SELECT count(*)::int AS n FROM us_orders')).rows[0].n;
  assert.ok(there > 0);
  const bound = { text: 'SELECT count(*)::int AS n FROM here WHERE id > $1', values: [0] };
  assert.ok((await client.query(bound)).rows[0].n > 0);
  await client.end();
  const other = await connect('etl');
  await script(
    other,
    'CREATE TEMP TABLE over_there AS SELECT id FROM us_orders',
    'SELECT count(*) FROM orders',
  );
  assert.equal((await script(other, 'SELECT count(*)::int AS n FROM over_there')).rows[0].n, there);
  await refused(other, 'SELECT * FROM over_there JOIN orders USING (id)', '(region_split|path_upstream)');
  await other.end();
});

test("in a transaction whose snapshot is fixed, others' definitions end what can be said of names", async () => {
  const [one, two] = [await connect(), await connect()];
  await script(one, 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'CREATE TEMP TABLE own_one (id int)');
  assert.deepEqual((await script(one, 'SELECT * FROM own_one')).rows, []);
  await script(two, 'CREATE TABLE scratch_c (id int)');
  await refused(one, 'SELECT * FROM own_one', 'session_drift');
  await script(
    one,
    'ROLLBACK',
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
    'CREATE TEMP TABLE own_two (id int)',
  );
  assert.deepEqual((await script(one, 'SELECT * FROM own_two', 'SELECT * FROM scratch_c')).rows, []);
  await script(one, 'COMMIT');
  await script(two, 'DROP TABLE scratch_c');
  await script(
    one,
    'BEGIN',
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'SELECT * FROM own_two',
    'COMMIT',
  );
  await Promise.all([one.end(), two.end()]);
});

test('a policy that changes takes temporary tables along', async () => {
  const now = readFileSync(world.policyFile, 'utf8');
  const change = async (text: string): Promise<void> => {
    writeFileSync(world.policyFile, text);
    const reloaded = await world.cordon('policy', 'reload');
    assert.equal(reloaded.code, 0, reloaded.stderr);
  };
  const client = await connect();
  await script(client, 'CREATE TEMP TABLE kept AS SELECT id, name FROM customers');
  await script(client, 'SELECT count(*) FROM kept');
  await change(now.replace('email: pii.email, phone', 'name: pii.name, email: pii.email, phone'));
  await refused(client, 'SELECT name FROM kept', 'session_drift');
  await change(now.replaceAll('groups: [analysts-eu] }', 'groups: [analysts-moon] }'));
  await assert.rejects(client.query('SELECT name FROM kept'), { code: '42501' });
  await change(now.replace('# `cordon policy check`', '# `cordon  policy check`'));
  assert.ok((await script(client, 'SELECT name FROM kept')).rows.length > 0);
  await change(now.replace('email: pii.email, phone', 'name: pii.name, email: pii.email, phone'));
  await script(
    client,
    'DISCARD TEMP',
    'CREATE TEMP TABLE kept AS SELECT id FROM customers',
    'SELECT id FROM kept',
  );
  await client.end();
  await change(now);
});

test('whoever may administer may be another role; others may not', async () => {
  const dora = await connect('dora');
  const { who } = (await script(dora, 'SELECT current_user::text AS who')).rows[0];
  await script(dora, `SET ROLE "${who}"`);
  assert.deepEqual((await script(dora, "SELECT current_setting('role') AS role")).rows, [{ role: who }]);
  await script(dora, 'RESET ROLE', 'SELECT 1');
  await dora.end();
  const ana = await connect();
  await assert.rejects(ana.query('SET ROLE pg_monitor'), { code: '42501' });
  await ana.end();
});
