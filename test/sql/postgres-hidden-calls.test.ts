/** Code that runs without a call's being written, and conditions that could tell of rows that are left out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { analyzer, catalog, understood } from './postgres-reading.ts';

const calls = (text: string): string =>
  understood(text)
    .functions.filter((fn) => fn.trust !== 'safe')
    .map((fn) => `${fn.schema}.${fn.name}`)
    .join(' ');

describe('operators, casts and CHECKs of users are calls', () => {
  for (const [text, expected] of [
    ["select 'a' ||| 'b'", 'public.|||'],
    ["select 'a' operator(public.|||) 'b'", 'public.|||'],
    ['select name from products order by name using |||', 'public.|||'],
    ["select 'a' ||| any (array['b'])", 'public.|||'],
    ["select 'a' || 'b'", ''],
    ["select 'a' operator(pg_catalog.||) 'b'", ''],
    ["select 'x'::leaky", 'public.leaky:cast'],
    ["select array['x']::public.leaky[]", 'public.leaky:cast'],
    ["select 'ok'::mood, 'x'::text", ''],
  ] as const)
    it(text, () => assert.equal(calls(text), expected));

  for (const text of [
    'select 1 where 1 = 2',
    'select 1 where 1 in (2, 3)',
    'select case 1 when 2 then 3 end',
    'select 1 where 1 in (select 2)',
    'select * from products a join products b using (id)',
  ])
    it(`${text}, where a schema before pg_catalog has its own =`, () => {
      const behind = (path: string[]): string => {
        const [statement] = analyzer.analyze(text, catalog, { path }).statements;
        assert.equal(statement?.kind, 'analyzed');
        return statement?.kind === 'analyzed' ? statement.functions.map((fn) => fn.schema).join(' ') : '';
      };
      assert.equal(behind(['tools', 'pg_catalog', 'public']), 'tools');
      assert.equal(behind(['pg_catalog', 'public']), '');
    });
});

const fences = (text: string): boolean =>
  understood(text).tables.some((use) => use.span?.fence === ' OFFSET 0');

describe('conditions that could fail on a row that is left out', () => {
  for (const text of [
    'select id from customers where name::int = 1',
    'select id from customers where 1 / id > 0',
    "select id from customers where 'x' ~ name",
    "select id from customers where 'x' like name",
    'select id from customers where pg_sleep(id) is null',
    "select id from customers where name = 'x' and random() > 1",
    'select id from customers where id / $1 = 1',
    'select id from customers where (select true from products where products.id > customers.id)',
    'select * from (select id, name::int as n from customers) q where n = 1',
    'with c as (select id, 1 / id as n from customers) select id from c where n = 1',
    'select p.id from products p join customers c on 1 / c.id = p.id',
    'select id from customers group by id, name having name::bool',
    'select id from customers where exists (select 1 from products p where 1 / customers.id = p.id)',
    'delete from products using customers where 1 / customers.id = products.id',
  ])
    it(`fenced: ${text}`, () => assert.ok(fences(text)));

  for (const text of [
    'select id from customers where id = $1',
    "select id from customers where name = 'x' or id between 1 and 5",
    "select id from customers where name like 'A%' and id in (1, 2) and name is not null",
    "select id from customers where lower(name) = 'x'",
    'select id from customers where id > 1 + 2',
    "select id from customers where name = '5'::text",
    'select name::int, 1 / id from customers where id = 1',
    'select 1 / sum(id) from customers order by 1 / count(*)',
    'select name::int from customers where id = 1 union all select 1 / id from products',
    'select c.id from customers c join products p on p.id = c.id where c.id in (select id from products)',
    'select id from customers where exists (select 1 from products p where p.id = customers.id)',
    'insert into products (id) select 1 / id from customers where id = 1',
  ])
    it(`not fenced: ${text}`, () => assert.ok(!fences(text)));
});
