/** CREATE SCHEMA with definitions in it: what they take from elsewhere counts, what they take from one another is empty. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clauses, opaque, tables, understood } from './postgres-reading.ts';

const inSchema = (...parts: string[]): string => `CREATE SCHEMA fresh ${parts.join(' ')}`;
const table = 'CREATE TABLE items (id int PRIMARY KEY, label text)';

describe('CREATE SCHEMA with definitions in it', () => {
  for (const text of [
    'CREATE SCHEMA fresh AUTHORIZATION CURRENT_USER',
    inSchema(table),
    inSchema(table, 'CREATE INDEX ON items (label)', 'GRANT SELECT ON items TO PUBLIC'),
    inSchema(table, 'CREATE VIEW labels AS SELECT label FROM items WHERE id > 1'),
    inSchema(table, 'CREATE VIEW a AS SELECT * FROM items', 'CREATE VIEW b (x) AS SELECT id FROM a'),
    inSchema(table, 'CREATE VIEW a (x, y) AS SELECT * FROM items', 'CREATE VIEW b AS SELECT y FROM a'),
    inSchema(table, 'CREATE TABLE parts (item int REFERENCES items, n int)'),
    inSchema('CREATE SEQUENCE numbers', 'CREATE VIEW last AS SELECT last_value FROM numbers'),
    inSchema('CREATE VIEW one AS SELECT 1 AS x'),
    // Tables are made first, wherever they stand.
    inSchema('CREATE INDEX ON items (id)', 'CREATE VIEW v AS SELECT label FROM items', table),
    inSchema('CREATE VIEW v AS SELECT id FROM customers', 'CREATE TABLE customers (id int)'),
    inSchema('CREATE TABLE fresh.items (id int)', 'CREATE VIEW v AS SELECT i.id FROM items i'),
    // Names that stand for something elsewhere as well.
    inSchema('CREATE TABLE customers (id int)', 'CREATE VIEW v AS SELECT id FROM customers'),
    inSchema('CREATE TABLE customers (id int)', 'CREATE INDEX ON customers (id)'),
    inSchema('CREATE TABLE orders (id int)', 'CREATE TABLE lines (o int REFERENCES orders)'),
    `CREATE SCHEMA AUTHORIZATION CURRENT_USER ${table} CREATE VIEW v AS SELECT id FROM items`,
    `CREATE SCHEMA AUTHORIZATION somebody ${table} CREATE VIEW v AS SELECT id FROM items`,
  ])
    it(`touches nothing else in ${text}`, () => {
      const found = understood(text);
      assert.equal(found.statementKind, 'ddl');
      assert.deepEqual([found.tables, found.columns, found.functions], [[], [], []]);
      assert.deepEqual(found.effects, [{ kind: 'ddl' }]);
      assert.equal(found.literals, 'matter');
    });

  it('writes what a view of it takes from elsewhere', () => {
    for (const query of [
      'SELECT i.id, c.email FROM items i JOIN customers c ON c.id = i.id',
      'SELECT (SELECT max(email) FROM public.customers) FROM items',
      'SELECT email FROM customers EXCEPT SELECT label FROM items',
    ]) {
      const text = inSchema(table, `CREATE VIEW v AS ${query}`);
      assert.equal(tables(text), 'customers:r', text);
      assert.ok(clauses(text, 'customers.email').includes('write'), text);
    }
    const chain = inSchema(
      'CREATE VIEW a AS SELECT email AS e FROM customers',
      'CREATE VIEW b AS SELECT e FROM a',
    );
    assert.ok(clauses(chain, 'customers.email').includes('write'));
    const behind = inSchema(
      'CREATE VIEW a AS SELECT id FROM customers',
      'CREATE VIEW customers AS SELECT 1 AS id',
    );
    assert.equal(tables(behind), 'customers:r');
  });

  it('touches the tables of elsewhere that its other definitions name', () => {
    assert.equal(tables(inSchema('CREATE TABLE o (c int REFERENCES customers (id))')), 'customers:rw');
    assert.equal(tables(inSchema('GRANT SELECT ON orders TO PUBLIC')), 'orders:rw');
    assert.equal(tables(inSchema('CREATE TABLE mine () INHERITS (events)')), 'events:rw');
    for (const text of [
      inSchema('CREATE TABLE a (x int REFERENCES orders (id))', 'CREATE TABLE orders (id int)'),
      inSchema('CREATE VIEW orders AS SELECT 1 AS id', 'CREATE TABLE a () INHERITS (orders)'),
      inSchema('CREATE TABLE items (id int)', 'GRANT SELECT ON public.orders, items TO PUBLIC'),
    ])
      assert.equal(tables(text), 'orders:rw', text);
  });

  it('calls what its definitions call', () => {
    for (const part of [
      'CREATE TABLE a (x text CHECK (mine(x)))',
      `${table} CREATE VIEW v AS SELECT mine(label) FROM items`,
    ]) {
      const [call] = understood(inSchema(part)).functions;
      assert.deepEqual([call?.name, call?.trust], ['mine', 'unknown'], part);
    }
  });

  for (const text of [
    inSchema('CREATE VIEW v AS SELECT * FROM nowhere'),
    inSchema(table, 'CREATE VIEW v AS SELECT nothing FROM items'),
    inSchema(table, 'CREATE VIEW v AS SELECT * FROM fresh.items'),
    inSchema(table, 'CREATE VIEW v AS SELECT ctid FROM items'),
    inSchema('CREATE TABLE c (LIKE customers)', 'CREATE VIEW v AS SELECT email FROM c'),
    inSchema('CREATE TABLE c () INHERITS (customers)', 'CREATE VIEW v AS SELECT email FROM c'),
    // The server would look into its own schema first.
    inSchema('CREATE TABLE pg_authid (rolpassword text)', 'CREATE VIEW v AS SELECT * FROM pg_authid'),
  ])
    it(`is not followed in ${text}`, () => {
      opaque(text);
    });
});
