/** SQL as people write it, analyzed by the real analyzers and decided by the demo's policy: the seam between the two rooms. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogFunction } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import { asking, catalogOf, deciding, inShort, policyFrom, shopCatalog, table } from './shop.ts';

const builtin = (name: string, more: Partial<CatalogFunction> = {}): CatalogFunction => ({
  schema: 'pg_catalog',
  name,
  oid: 100,
  kind: 'function',
  volatility: 'immutable',
  builtin: true,
  returnsSet: false,
  ...more,
});
const shop = catalogOf([...shopCatalog.tables()], 'postgres', {
  schemas: ['pg_catalog', 'public'],
  functions: [
    builtin('count', { kind: 'aggregate' }),
    builtin('max', { kind: 'aggregate' }),
    builtin('upper'),
  ],
});

const analyst: readonly (readonly [sql: string, expect: string])[] = [
  ['select email, ssn, born from customers', 'allow shop-eu'],
  ['select * from public.customers c', 'allow shop-eu'],
  ['select count(*) from customers', 'allow shop-eu'],
  ['select region, count(*) from customers group by region', 'allow shop-eu'],
  ['with x as (select email as e from customers) select e from x', 'allow shop-eu'],
  ['select email from customers union all select email from customers', 'allow shop-eu'],
  ['select (select card_number from orders limit 1)', 'allow shop-eu'],
  ['explain select * from orders', 'allow shop-eu'],
  ['begin', 'allow shop-eu'],
  ["set time zone 'UTC'", 'allow shop-eu'],
  ['discard all', 'allow shop-eu'],
  ['reset session authorization', 'allow shop-eu'],
  ['select upper(email) from customers', 'refuse masked_use'],
  ['select max(card_number) from orders', 'refuse masked_use'],
  ['select name from customers where ssn like $1', 'refuse masked_use'],
  ['select email from customers order by email', 'refuse masked_use'],
  ['select distinct email from customers', 'refuse masked_use'],
  ['select o from orders o', 'refuse masked_use'],
  ['select orders.total from orders join us_orders using (card_number)', 'refuse region_read'],
  ['select * from us_orders', 'refuse region_read'],
  ['explain analyze select * from orders', 'refuse channel_refused'],
  ['copy products to stdout', 'allow shop-eu'],
  ['copy orders (id, card_number) to stdout', 'allow shop-eu'],
  ['copy (select upper(card_number) from orders) to stdout', 'refuse masked_use'],
  ["copy products to program 'cat'", 'refuse channel_refused'],
  ["copy products to '/srv/x'", 'refuse channel_refused'],
  ['copy orders from stdin', 'refuse region_write'],
  ['set role postgres', 'refuse session_drift'],
  ['insert into orders (id) values (1)', 'refuse region_write'],
  ['delete from orders', 'refuse region_write'],
  ['create table t (a int)', 'refuse statement_kind'],
  ['select * from secrets', 'refuse unplaced_table'],
  ['select * from nowhere', 'refuse unknown_name'],
  ['selec 1', 'refuse opaque_statement'],
];

test('PostgreSQL texts of an analyst', async (t) => {
  const analyzer = await postgresAnalyzer();
  for (const [sql, expect] of analyst) {
    await t.test(sql, () => {
      const { statements } = analyzer.analyze(sql, shop, { path: ['pg_catalog', 'public'] });
      const [statement] = statements;
      assert.ok(statement);
      const decision = deciding('analysts-eu', statement, { catalog: shop });
      assert.equal(inShort(decision).split(' ').slice(0, 2).join(' '), expect, decision.because.message);
    });
  }
});

test('a view’s own tags count beside those of the tables behind it', async () => {
  const policy = policyFrom(`version: 1
regions: { eu: {} }
data:
  shop:
    - { table: public.people, region: eu, columns: { mail: pii.email } }
    - { table: public.shown, region: eu, columns: { tax: pii.tax } }
roles:
  r: { members: { groups: [r] }, databases: [shop], read: { regions: [eu] } }
`);
  const catalog = catalogOf([
    table('public.people', ['id', 'tax_id', 'mail']),
    table('public.shown', ['id', 'tax', 'address'], {
      kind: 'view',
      definition: 'SELECT id, tax_id AS tax, mail AS address FROM public.people',
    }),
  ]);
  const analyzer = await postgresAnalyzer();
  const ask = (sql: string) => {
    const [one] = analyzer.analyze(sql, catalog, { path: ['public'] }).statements;
    assert.ok(one);
    return deciding('r', one, { policy, catalog });
  };
  const plain = ask('select tax, address from shown');
  assert.ok(plain.effect === 'allow', plain.because.message);
  assert.deepEqual(plain.masks.map((mask) => `${mask.table}.${mask.column}`).sort(), [
    'people.mail',
    'shown.tax',
  ]);
  assert.equal(inShort(ask('select id from shown where tax = $1')), 'refuse masked_use');
  assert.equal(inShort(ask('select id from shown where address = $1')), 'refuse masked_use');
  assert.equal(inShort(ask('select id from shown where id = $1')), 'allow shop-eu');
});

const contacts: readonly (readonly [sql: string, expect: string])[] = [
  ['select email, notes from contacts', 'allow crm-eu'],
  ['select * from crm.contacts where id = 3', 'allow crm-eu'],
  ['set names utf8mb4', 'allow crm-eu'],
  ["set sql_mode = 'STRICT_TRANS_TABLES'", 'allow crm-eu'],
  ['set @a = 1', 'allow crm-eu'],
  ['show tables', 'allow crm-eu'],
  ['select upper(email) from contacts', 'refuse masked_use'],
  ['select id from contacts where email = ?', 'refuse masked_use'],
  ["set sql_mode = 'ANSI_QUOTES'", 'refuse session_drift'],
  ['set sql_mode = 4', 'refuse session_drift'],
  ['set names gbk', 'refuse session_drift'],
  ['select name into @x from contacts', 'refuse channel_refused'],
  ['insert into contacts (id) values (1)', 'refuse region_write'],
];

test('MySQL texts of an analyst', async (t) => {
  const analyzer = mysqlAnalyzer();
  const columns = ['id:int', 'name:varchar', 'email:varchar', 'notes:text'];
  const catalog = catalogOf([table('crm.contacts', columns)], 'mysql');
  const context = asking('analysts-eu', {
    database: 'crm',
    routes: [{ upstream: 'crm-eu', region: 'eu', kind: 'primary' }],
  });
  for (const [sql, expect] of contacts) {
    await t.test(sql, () => {
      const [statement] = analyzer.analyze(sql, catalog, { path: ['crm'] }).statements;
      assert.ok(statement);
      const decision = deciding(context, statement, { catalog });
      assert.equal(inShort(decision).split(' ').slice(0, 2).join(' '), expect, decision.because.message);
    });
  }
});
