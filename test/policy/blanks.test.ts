/** Roles with `masked_use: blank`: which statements are rewritten, to what, and which stay refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog, CatalogFunction } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import { applyRewrites } from '../../sql/rewrite.ts';
import {
  asking,
  catalogOf,
  deciding,
  inShort,
  policyFrom,
  shopCatalog,
  shopPolicyText,
  table,
} from './shop.ts';

const blankText = shopPolicyText.replace(
  /^ {4}masked_use: refuse.*$/m,
  '    masked_use: blank\n    statements: [ddl]',
);
const policy = policyFrom(blankText);

const builtin = (name: string, kind: CatalogFunction['kind'] = 'function'): CatalogFunction => ({
  schema: 'pg_catalog',
  name,
  oid: 100,
  kind,
  volatility: 'immutable',
  builtin: true,
  returnsSet: false,
});
const catalog = catalogOf(
  [
    ...shopCatalog.tables(),
    table('public.open_orders', ['id', 'card_number'], {
      kind: 'view',
      definition: 'SELECT id, card_number FROM public.orders',
    }),
    table('public.order_totals', ['id', 'total'], {
      kind: 'view',
      definition: 'SELECT id, total FROM public.orders',
    }),
    table('public.order_counts', ['total', 'orders'], {
      kind: 'view',
      definition: 'SELECT total, count(card_number) AS orders FROM public.orders GROUP BY total',
    }),
  ],
  'postgres',
  {
    schemas: ['pg_catalog', 'public'],
    functions: [
      builtin('count', 'aggregate'),
      builtin('max', 'aggregate'),
      builtin('upper'),
      builtin('length'),
    ],
  },
);
const analyzer = await postgresAnalyzer();

function ask(sql: string, by = policy, who = 'analysts-eu', against: Catalog = catalog) {
  const [one] = analyzer.analyze(sql, against, { path: ['pg_catalog', 'public'] }).statements;
  assert.ok(one);
  return deciding(who, one, { policy: by, catalog: against });
}

function rewritten(sql: string): string {
  const decision = ask(sql);
  assert.ok(decision.effect === 'allow', decision.because.message);
  return applyRewrites(sql, decision.rewrites, (name) => name);
}

const noCard =
  '(SELECT id, customer_id, CASE WHEN FALSE THEN card_number END AS card_number, total FROM public.orders WHERE true)';

for (const [sql, expected] of [
  ['select max(card_number) from orders', `select max(card_number) from ${noCard} AS orders`],
  [
    "select id from orders o where card_number like '4%'",
    `select id from ${noCard} o where card_number like '4%'`,
  ],
  ['select card_number from orders order by 1', `select card_number from ${noCard} AS orders order by 1`],
  ['select distinct card_number from orders', `select distinct card_number from ${noCard} AS orders`],
  [
    'copy (select upper(card_number) from orders) to stdout',
    `copy (select upper(card_number) from ${noCard} AS orders) to stdout`,
  ],
  ['select o from orders o', `select o from ${noCard} o`],
  [
    'explain select upper(card_number) from orders',
    `explain select upper(card_number) from ${noCard} AS orders`,
  ],
  [
    'select a.id from orders a join orders b on a.card_number = b.card_number',
    `select a.id from ${noCard} a join ${noCard} b on a.card_number = b.card_number`,
  ],
  // A view over the same table that names none of its masked columns.
  [
    'select upper(o.card_number), t.total from orders o, order_totals t',
    `select upper(o.card_number), t.total from ${noCard} o, order_totals t`,
  ],
  [
    'select upper(card_number) from orders join products using (id)',
    `select upper(card_number) from ${noCard} AS orders join products using (id)`,
  ],
] as const)
  test(`blanked: ${sql}`, () => {
    assert.equal(rewritten(sql), expected);
  });

test('restricted rows and blank columns go into one subquery', () => {
  const text = rewritten("select name from customers where ssn = 'x'");
  assert.match(text, /from \(SELECT id, name, region, CASE WHEN FALSE THEN email END AS email, /);
  assert.match(text, /FROM public\.customers WHERE \(region IN \(\('eu'\)\)\)\) AS customers where ssn/);
  assert.equal(text.match(/SELECT/g)?.length, 1);
});

test('a blanked table needs no mask any more, another one keeps its own', () => {
  const decision = ask(
    'select c.email, o.card_number from customers c join orders o on c.ssn = o.card_number',
  );
  assert.ok(decision.effect === 'allow', decision.because.message);
  assert.deepEqual(decision.masks, []);
  const one = ask(
    'select c.email, upper(o.card_number) from customers c, orders o where c.id = o.customer_id',
  );
  assert.ok(one.effect === 'allow', one.because.message);
  assert.deepEqual(one.masks.map((mask) => `${mask.table}.${mask.column}`).sort(), [
    'customers.born',
    'customers.email',
    'customers.phone',
    'customers.ssn',
  ]);
  assert.deepEqual(
    one.blanked.map((mask) => `${mask.table}.${mask.column}`),
    ['orders.card_number'],
  );
  assert.ok(one.because.rules.includes('roles.eu-analyst.masked_use'));
  assert.ok(one.because.rules.includes('masks.pii.card'));
});

test('a statement that only shows masked columns keeps its text', () => {
  for (const sql of ['select card_number from orders', 'select id from orders where total > $1']) {
    const decision = ask(sql);
    assert.ok(decision.effect === 'allow');
    assert.deepEqual(decision.rewrites, []);
    assert.deepEqual(decision.blanked, []);
    assert.deepEqual(
      decision.masks.map((mask) => mask.column),
      ['card_number'],
    );
  }
});

for (const [sql, expect] of [
  // A reference that no subquery can stand for.
  ['select upper(card_number) from only orders', 'refuse masked_use'],
  ['select upper(card_number) from open_orders', 'refuse masked_use'],
  ['select upper(o.card_number) from orders o, open_orders', 'refuse masked_use'],
  ['select upper(o.card_number) from orders o, order_counts', 'refuse masked_use'],
  [
    'select upper(o.card_number) from orders o, order_totals, (select total from order_counts) c',
    'refuse masked_use',
  ],
  ['select upper(o.card_number), (select t from order_totals t limit 1) from orders o', 'allow shop-eu'],
  ['select id from open_orders', 'allow shop-eu'],
  // What is left behind by a statement is never made of NULLs in place of values.
  ['create view v as select upper(card_number) from orders', 'refuse'],
  ['create table t as select id from orders where card_number is null', 'refuse'],
  ['select * from us_orders where card_number is null', 'refuse region_read'],
] as const)
  test(`${expect}: ${sql}`, () => {
    const decision = ask(sql);
    assert.ok(`${inShort(decision)} `.startsWith(`${expect} `), inShort(decision));
  });

test('writes are refused as for any other role', () => {
  const writing = policyFrom(blankText.replace('write: { regions: [] }', 'write: { regions: [eu] }'));
  for (const [sql, expect] of [
    ['update orders set total = 1 where card_number is null', 'refuse masked_use'],
    ['insert into orders (id) select id from orders where card_number is null', 'refuse masked_use'],
    ['insert into orders (id) select max(card_number) from orders', 'refuse masked_use masked_write'],
    [
      'with x as (delete from orders returning card_number) select upper(card_number) from x',
      'refuse masked_use',
    ],
    ['delete from orders where id = 1 returning card_number', 'allow shop-eu'],
  ] as const)
    assert.equal(inShort(ask(sql, writing)), expect, sql);
});

test('of several roles the strictest wins', () => {
  const sql = 'select max(card_number) from orders';
  assert.equal(inShort(ask(sql, policy, 'support')), 'refuse masked_use');
  assert.equal(inShort(ask(sql, policy, 'analysts-eu,support')), 'refuse masked_use');
  assert.equal(inShort(ask(sql, policy, 'analysts-eu')), 'allow shop-eu');
  const both = policyFrom(blankText.replace('clear: [pii.email]', 'masked_use: blank'));
  assert.equal(inShort(ask(sql, both, 'analysts-eu,support')), 'allow shop-eu');
});

test('a refusal says what is in the way', () => {
  const hint = (sql: string): string => ask(sql).because.hint;
  assert.match(
    hint('select upper(card_number) from only orders'),
    /^public\.orders is read where no subquery/,
  );
  assert.match(hint('select upper(card_number) from open_orders'), /^public\.orders is read inside a view/);
});

test('only what restricts rows has to be closed off', () => {
  const risky = 'select 1 / length(card_number) from orders where card_number::int = 1';
  assert.ok(!rewritten(risky).includes('OFFSET'));
  const both = ask('select id from customers where ssn::int = 1');
  assert.ok(both.effect === 'allow', both.because.message);
  assert.equal(both.rewrites[0]?.fence, ' OFFSET 0');
  assert.equal(both.rewrites[0]?.columns?.length, 7);
});

test('a tag on a column that the catalog does not have leaves the others blank', () => {
  const tables = [...catalog.tables()].filter((one) => one.name !== 'customers');
  const renamed = catalogOf(
    [...tables, table('public.customers', ['id', 'region', 'mail', 'ssn'])],
    'postgres',
    {
      schemas: ['pg_catalog', 'public'],
    },
  );
  const decision = ask("select id from customers where ssn = 'x'", policy, 'analysts-eu', renamed);
  assert.ok(decision.effect === 'allow', decision.because.message);
  assert.deepEqual(decision.rewrites[0]?.columns, [
    { name: 'id', blank: false },
    { name: 'region', blank: false },
    { name: 'mail', blank: false },
    { name: 'ssn', blank: true },
  ]);
});

test('MySQL', () => {
  const contacts = catalogOf(
    [table('crm.contacts', ['id:int', 'name:varchar', 'email:varchar', 'notes:text'])],
    'mysql',
  );
  const sql = "select upper(c.email) from contacts c where notes like 'a%'";
  const [one] = mysqlAnalyzer().analyze(sql, contacts, { path: ['crm'] }).statements;
  assert.ok(one);
  const context = asking('analysts-eu', {
    database: 'crm',
    routes: [{ upstream: 'crm-eu', region: 'eu', kind: 'primary' }],
  });
  const decision = deciding(context, one, { policy, catalog: contacts });
  assert.ok(decision.effect === 'allow', decision.because.message);
  assert.equal(
    applyRewrites(sql, decision.rewrites, (name) => `\`${name}\``),
    "select upper(c.email) from (SELECT `id`, `name`, CASE WHEN FALSE THEN `email` END AS `email`, CASE WHEN FALSE THEN `notes` END AS `notes` FROM `crm`.`contacts` WHERE true) c where notes like 'a%'",
  );
});
