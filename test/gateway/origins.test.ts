/** Tables that the server names as a result's origins, against those that the statement reads: what differs and what only seems to. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectPostgres } from './connect.ts';

let world: World;
let upstream: pg.Client;

before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
  const { host, port, user, password } = world.shopEu;
  upstream = new pg.Client({ host, port, user, password, database: 'shop' });
  await upstream.connect();
  await upstream.query(`
    CREATE TABLE visits (id int, who text, at date) PARTITION BY RANGE (at);
    CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE visits_2 (who text, at date, id int);
    ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO visits VALUES (1, 'Anna', '2025-05-05'), (2, 'Greta', '2026-05-05');
    CREATE TABLE animals (id int, keeper text);
    CREATE TABLE dogs (barks boolean) INHERITS (animals);
    INSERT INTO dogs VALUES (1, 'Anna', true);
    CREATE VIEW placed AS SELECT id, status FROM orders;
    CREATE VIEW shown AS SELECT p.id, p.status, o.card_number FROM placed p JOIN orders o USING (id);
    GRANT ALL ON visits, visits_1, visits_2, animals, dogs, placed, shown TO cordon;
    ALTER TABLE animals OWNER TO cordon; ALTER TABLE dogs OWNER TO cordon;`);
  const policy = readFileSync(world.policyFile, 'utf8');
  const more = `    - { table: public.visits, region: eu, columns: { who: pii.name } }
    - { table: public.animals, region: eu, columns: { keeper: pii.name } }
`;
  const roles = `    masked_use: blank\n    write: { regions: [eu] }\n    statements: [ddl]\n    functions: ["*"]`;
  writeFileSync(
    world.policyFile,
    policy
      .replace(/^( {4}- \{ table: public.orders)/m, `${more}$1`)
      .replace(/^( {4}- \{ table: crm.contacts)/m, '    - { table: crm.campaigns, global: true }\n$1')
      .replace(/^ {4}write: \{ regions: \[\] \}\n {4}masked_use: refuse.*$/m, roles),
  );
  const reloaded = await world.cordon('policy', 'reload');
  assert.equal(reloaded.code, 0, reloaded.stderr);
});
after(async () => {
  await upstream?.end();
  await world?.stop();
});

const connect = (persona: PersonaName) => connectPostgres(world, persona);

const swapStatus = `ALTER TABLE orders RENAME status TO x; ALTER TABLE orders RENAME card_number TO status;
  ALTER TABLE orders RENAME x TO card_number`;
const contradicted = { detail: /reason: session_drift/, message: /contradicts the statement/ };

/** What the gateway's picture of the catalog does not show yet, and back again. */
async function meanwhile(change: string, undo: string, run: () => Promise<void>): Promise<void> {
  await upstream.query(change);
  try {
    await run();
  } finally {
    await upstream.query(undo);
  }
}

test('another table under the name of one that is harmless', async () => {
  const [ana, other, etl] = await Promise.all([connect('ana'), connect('ana'), connect('etl')]);
  const harmless = 'SELECT id FROM products';
  for (const client of [ana, etl]) assert.ok((await client.query(harmless)).rows.length > 0);
  await meanwhile(
    'ALTER TABLE products RENAME TO wares; ALTER TABLE orders RENAME TO products',
    'ALTER TABLE products RENAME TO orders; ALTER TABLE wares RENAME TO products',
    async () => {
      await assert.rejects(ana.query(harmless), contradicted);
      await assert.rejects(other.query({ text: `${harmless} WHERE id > $1`, values: [0] }), contradicted);
      assert.ok((await etl.query(harmless)).rows.length > 0, 'nothing is masked for the job');
    },
  );
  await Promise.all([ana, other, etl].map((client) => client.end()));
});

test('a masked column under the name of another one in a blanked table', async () => {
  const ana = await connect('ana');
  const text = 'SELECT status FROM orders WHERE card_number IS NULL';
  assert.ok((await ana.query(text)).rows.length > 0);
  await meanwhile(swapStatus, swapStatus, () => assert.rejects(ana.query(text), contradicted));
  await ana.end();
});

test('a transaction that changed the catalog blanks what it reads by its own catalog', async () => {
  const client = await connect('ana');
  await client.query('BEGIN');
  await client.query('ALTER TABLE animals ADD COLUMN name text');
  assert.equal((await client.query('SELECT 1 AS one FROM products LIMIT 1')).rows.length, 1);
  assert.equal((await client.query('SELECT max(card_number) FROM orders')).rows[0].max, null);
  await client.query('ROLLBACK');
  assert.equal((await client.query('SELECT max(card_number) FROM orders')).rows[0].max, null);
  await client.end();
});

for (const text of [
  'SELECT * FROM visits ORDER BY id',
  'SELECT * FROM visits_1',
  'SELECT id, at FROM visits_2',
  'SELECT v.id, upper(v.who) FROM visits v',
  'SELECT * FROM animals',
  'SELECT id FROM animals JOIN orders USING (id)',
  'SELECT * FROM dogs',
  'SELECT * FROM placed',
  'SELECT * FROM shown',
  'SELECT s.card_number FROM (SELECT * FROM shown) s',
  'WITH orders AS (SELECT id FROM products) SELECT * FROM orders',
  'SELECT orders.id FROM products AS orders',
  'INSERT INTO animals (id) VALUES (9) RETURNING *',
  'DELETE FROM visits WHERE id = 1 RETURNING id, at',
  'SELECT relname FROM pg_class LIMIT 1',
  'SELECT table_name FROM information_schema.tables LIMIT 1',
  "SELECT * FROM pg_indexes WHERE tablename = 'orders'",
  'EXPLAIN SELECT * FROM shown',
  'VALUES (1)',
])
  test(`harmless: ${text}`, async () => {
    const client = await connect('ana');
    for (const query of [text, { text, values: [] }, { name: 'named', text, values: [] }]) {
      const { fields } = await client.query(query as string);
      assert.ok(fields.length > 0);
    }
    await client.end();
  });

test('FETCH names no table itself', async () => {
  const client = await connect('ana');
  await client.query('BEGIN');
  await client.query('DECLARE k CURSOR FOR SELECT id, upper(card_number) FROM orders');
  assert.ok((await client.query('FETCH ALL FROM k')).rows.length > 0);
  await client.query('COMMIT');
  await client.end();
});

test('MariaDB names derived tables by their alias', async () => {
  const password = await world.token('ana');
  const client = await mysql.createConnection({
    host: '127.0.0.1',
    port: world.gateway.ports.mysql,
    user: 'ana',
    password,
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
  });
  for (const sql of [
    'SELECT contacts.id FROM (SELECT id FROM campaigns) AS contacts',
    'WITH Contacts AS (SELECT id, name AS email FROM campaigns) SELECT id, email FROM Contacts',
    'SELECT contacts.name FROM (SELECT name FROM crm.contacts) AS contacts',
    'WITH contacts AS (SELECT 1 AS id, 2 AS email) SELECT id, email FROM contacts',
    'SELECT id, UPPER(email) AS email FROM contacts ORDER BY id',
  ])
    assert.ok(((await client.query(sql))[0] as unknown[]).length > 0, sql);
  await client.end();
});
