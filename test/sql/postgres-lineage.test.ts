/** Where values come from and how columns are used: ways round a mask, and beside them harmless look-alikes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clauses, outputs, tables, understood } from './postgres-reading.ts';

describe('a plain copy stays plain', () => {
  for (const [text, expected] of [
    ['select email, ssn, born from customers', 'email=customers.email ssn=customers.ssn born=customers.born'],
    ['select ssn as id from customers', 'id=customers.ssn'],
    ['select c.ssn from public.customers as c', 'ssn=customers.ssn'],
    ['select x.a from customers as x(a, b)', 'a=customers.id'],
    ['select public.customers.ssn from customers', 'ssn=customers.ssn'],
    ['select (c).ssn from customers c', 'ssn=customers.ssn'],
    [
      'with customers as (select ssn as name from customers) select name from customers',
      'name=customers.ssn',
    ],
    ['with a as (select ssn from customers), b as (select * from a) select * from b', 'ssn=customers.ssn'],
    [
      'with recursive b as (select * from a), a as (select ssn from customers) select * from b',
      'ssn=customers.ssn',
    ],
    ['select name from (select email as name from customers) products', 'name=customers.email'],
    ['select y from (select id, ssn from customers) x(z, y)', 'y=customers.ssn'],
    ['select l.s from customers c, lateral (select c.ssn as s) l', 's=customers.ssn'],
    ['select l.s from customers c left join lateral (select c.ssn as s) l on true', 's=customers.ssn'],
    ['select (select ssn from customers limit 1)', 'ssn=customers.ssn'],
    ['select (select c.ssn) from customers c', 'ssn=customers.ssn'],
    ['select email from (values ((select ssn from customers))) v(email)', 'email=customers.ssn'],
    ['select name from products union all select ssn from customers', 'name=products.name+customers.ssn'],
    ['table customers', outputs('select * from customers')],
    ['select customers.*, 1 from customers', `${outputs('select * from customers')} ?column?=`],
    ['select mail from mails', 'mail=mails.mail+contacts.mail+customers.email'],
    ['select j.c from (customers join products on true) as j(a, b, c)', 'c=customers.email'],
    ['delete from customers returning ssn', 'ssn=customers.ssn'],
    ['update customers set name = $1 returning old.ssn, new.name', 'ssn=customers.ssn name=customers.name'],
    ['insert into customers (name) values ($1) returning email', 'email=customers.email'],
    ['with d as (delete from customers returning ssn) select ssn from d', 'ssn=customers.ssn'],
    ['select email from events_2026', 'email=events_2026.email+events.email'],
    ['(select ssn from customers order by id limit 1)', 'ssn=customers.ssn'],
    ['prepare p as select ssn from customers', 'ssn=customers.ssn'],
    ['copy customers (id, ssn) to stdout', 'id=customers.id ssn=customers.ssn'],
  ] as const)
    it(text, () => {
      assert.equal(outputs(text), expected);
      for (const column of ['customers.ssn', 'customers.email'])
        for (const clause of clauses(text, column))
          assert.ok(
            clause === 'output' || (column === 'customers.ssn' && /mails/.test(text)),
            `${column} ${clause}`,
          );
    });

  it('MERGE ... RETURNING * gives the source first', () => {
    const text = `merge into products p using customers c on c.id = p.id
      when matched then update set name = p.name returning *`;
    assert.equal(outputs(text).split(' ')[0], 'id=customers.id');
  });

  it('follows values that go round in a recursive query', () => {
    const text = `with recursive r(a, b, n) as (select name, ssn, 1 from customers
      union all select b, a, n + 1 from r where n < 3) select a from r`;
    assert.equal(outputs(text), 'a=customers.name+customers.ssn');
  });
});

describe('any other use is told by its clause', () => {
  for (const [text, ...expected] of [
    ['select upper(ssn) from customers', 'function'],
    ['select ssn::text from customers', 'expression'],
    ["select ssn || '' from customers", 'expression'],
    ["select case when ssn = '1' then 1 end from customers", 'expression'],
    ['select coalesce(ssn, name) from customers', 'expression'],
    ['select ssn collate "C" from customers', 'expression'],
    ['select array[ssn] from customers', 'expression'],
    ['select row(ssn) from customers', 'expression'],
    ['select 1 / (case when ssn > $1 then 0 else 1 end) from customers', 'expression'],
    ['select upper((select ssn from customers limit 1))', 'function', 'output'],
    ['select array(select ssn from customers)', 'output', 'subquery'],
    ['select id from customers where ssn like $1', 'where'],
    ['select id from customers where ssn is not null', 'where'],
    ['select id from orders where amount in (select ssn from customers)', 'output', 'subquery'],
    ['select id from orders where exists (select from customers where ssn = orders.id)', 'where'],
    ['select o.id from orders o join customers c on c.ssn = o.amount', 'join'],
    ['select a.id from customers a join customers b using (ssn)', 'join'],
    ['select 1 from customers natural join (select ssn from customers) x', 'join', 'output'],
    ['select region from customers group by region, ssn', 'group_by'],
    ['select count(*) from customers group by substring(ssn, 1, 1)', 'group_by'],
    ['select count(*) from customers group by grouping sets ((ssn, id), ())', 'group_by'],
    ['select ssn from customers group by 1', 'group_by', 'output'],
    ['select region from customers group by region having max(ssn) > $1', 'having'],
    ['select id from customers order by ssn', 'order_by'],
    ['select ssn s from customers order by s', 'order_by', 'output'],
    ['select id, ssn from customers order by 2', 'order_by', 'output'],
    ['select id from customers order by length(ssn)', 'order_by'],
    ['select distinct ssn from customers', 'distinct', 'output'],
    ['select distinct on (ssn) id from customers', 'distinct'],
    ['select ssn from customers union select name from products', 'output', 'set_operation'],
    ['select ssn from customers intersect all select name from products', 'output', 'set_operation'],
    ['select name from products except select ssn from customers', 'output', 'set_operation'],
    ['select max(ssn) from customers', 'aggregate'],
    ["select string_agg(name, ',' order by ssn) from customers", 'aggregate'],
    ['select percentile_disc(0.5) within group (order by ssn) from customers', 'aggregate'],
    ['select json_arrayagg(ssn) from customers', 'aggregate'],
    ['select count(*) filter (where ssn > $1) from customers', 'where'],
    ['select first_value(ssn) over () from customers', 'window'],
    ['select row_number() over (order by ssn) from customers', 'window'],
    ['select rank() over w from customers window w as (partition by ssn)', 'window'],
    ['select id from customers limit (select length(ssn) from customers)', 'function', 'limit'],
    ['select customers from customers', 'whole_row'],
    ['select row_to_json(c) from customers c', 'whole_row'],
    ['select to_jsonb(c.*) from customers c', 'whole_row'],
    ['select array_agg(c) from customers c', 'whole_row'],
    ['select c::text from customers c', 'whole_row'],
    ['select row(c.*) from customers c', 'whole_row'],
    ['select count(x) from (select ssn from customers) x', 'output', 'whole_row'],
    ['select x from customers, unnest(string_to_array(ssn, $1)) x', 'function', 'output'],
    ['select 1 from (select upper(ssn) from customers) x', 'function'],
    ['with x as (select id from customers where ssn = $1) select 1', 'where'],
    ['select id from contacts', 'function'],
    ['insert into orders (amount) select ssn from customers', 'output', 'write'],
    ['insert into orders (amount) values ((select ssn from customers))', 'output', 'write'],
    ['update orders set amount = c.ssn from customers c', 'write'],
    ['update orders set (amount, id) = (select ssn, id from customers)', 'output', 'write'],
    [
      'merge into orders o using customers c on c.id = o.id when matched then update set amount = c.ssn',
      'write',
    ],
    ['insert into customers (id) values (1) on conflict (ssn) do nothing', 'conflict'],
    ['create table x as select ssn from customers', 'output', 'write'],
    ['create temp table x as table customers', 'output', 'write'],
    ['select ssn into x from customers', 'output', 'write'],
    ['select name into x from products union select ssn from customers', 'output', 'set_operation', 'write'],
    ['create view x as select ssn from customers', 'output', 'write'],
    ['create materialized view x as select ssn from customers', 'output', 'write'],
    ['alter table customers rename column ssn to harmless', 'write'],
    ['alter table customers rename to harmless', 'write'],
    ['alter table customers set schema tools', 'write'],
    ['alter table customers add column y text generated always as (ssn) stored', 'write'],
    ['alter table customers alter column id type text using ssn', 'write'],
    ['alter table events attach partition customers default', 'write'],
    ['create index on customers (upper(ssn))', 'write'],
    ['create policy p on customers using (ssn > $$1$$)', 'write'],
  ] as const)
    it(text, () => {
      assert.deepEqual(clauses(text, 'customers.ssn'), expected);
    });

  for (const text of [
    'select length(ssn) from customers',
    'select max(ssn) from customers',
    'select c from customers c',
  ])
    it(`is no plain copy: ${text}`, () => {
      const [output] = understood(text).outputs;
      assert.equal(output?.direct, false);
      assert.ok(output?.sources !== 'unknown' && output?.sources.some((source) => source.column === 'ssn'));
    });

  it('a name that a function might have as well is no plain copy', () => {
    assert.equal(outputs('select (select ssn from mine(1)) from customers'), 'ssn~customers.ssn');
    assert.deepEqual(clauses('select (select ssn from mine(1)) from customers', 'customers.ssn'), [
      'expression',
    ]);
  });

  it('no output has a known place beside columns that are not known', () => {
    for (const text of ['select * from mine(1), customers', 'select ssn, (mine(1)).* from customers'])
      for (const { sources } of understood(text).outputs) assert.equal(sources, 'unknown');
  });
});

describe('harmless look-alikes', () => {
  for (const text of [
    'select name, region from customers where region = $1 order by name limit 10',
    "select name from customers where name = 'ssn' /* ssn */",
    'select count(*) from customers',
    'select c.name, sum(o.amount) from customers c join orders o on o.customer_id = c.id group by c.name',
    'select (c).name from customers c',
    'select 1 from customers where exists (select 1 from orders where customer_id = customers.id)',
    'insert into customers (ssn) values ($1)',
    'insert into customers (id, ssn) values ($1, $2) on conflict (id) do update set ssn = excluded.ssn',
    'update customers set ssn = $1 where id = $2',
    'with a as (select id from customers) select * from a',
    'select name as ssn from customers order by ssn',
    'create table copies as select id, name from customers',
    'alter table customers add column note text',
    'drop table customers',
  ])
    it(text, () => {
      assert.deepEqual(clauses(text, 'customers.ssn'), []);
    });

  it('a plain output of a masked column in EXISTS shapes nothing', () => {
    assert.deepEqual(clauses('select 1 where exists (select * from customers)', 'customers.ssn'), ['output']);
  });
});

describe('tables', () => {
  for (const [text, expected] of [
    ['select * from mails', 'mails:rV contacts:rVv customers:rv'],
    ['insert into orders select * from us_orders', 'orders:w us_orders:r'],
    ['insert into orders (id) values (1) returning id', 'orders:rw'],
    ['update orders set amount = $1', 'orders:w'],
    ['update orders set amount = $1 where id = $2', 'orders:rw'],
    ['delete from orders using customers c where c.id = orders.customer_id', 'orders:rw customers:r'],
    ['update contacts set mail = $1', 'contacts:wV customers:rwv'],
    ['with x as (insert into orders (id) values (1)) select 1', 'orders:w'],
    ['truncate orders, products', 'orders:w products:w'],
    ['lock table orders', 'orders:r'],
    ['explain delete from orders where id = 1', 'orders:rw'],
    ['copy orders from stdin', 'orders:w'],
    ['copy (select 1 from orders) to stdout', 'orders:r'],
    ['vacuum orders', 'orders:rw'],
    ['grant select on orders to somebody', 'orders:rw'],
    ['drop table if exists nowhere, orders', 'orders:rw'],
    ['create table x (like orders)', 'orders:'],
    ['create temp table customers (id int)', ''],
    ['with orders as (select 1) select * from orders', ''],
  ] as const)
    it(text, () => assert.equal(tables(text), expected));

  it('says which columns get a value', () => {
    const written = (text: string) => understood(text).written.map((column) => column.column);
    assert.deepEqual(written('insert into orders values (1, 2)'), ['id', 'customer_id']);
    assert.deepEqual(written('update orders set amount = 1, placed = default'), ['amount', 'placed']);
    assert.deepEqual(written('copy orders (id) from stdin'), ['id']);
    assert.deepEqual(
      written('merge into orders o using products p on p.id = o.id when not matched then insert values (1)'),
      ['id'],
    );
  });
});
