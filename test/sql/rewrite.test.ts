import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyRewrites } from '../../sql/rewrite.ts';
import { analyzer, catalog, names, understood } from './postgres-reading.ts';

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Every replaceable reference of the text, limited to nothing but itself. */
function limited(text: string): string {
  const uses = understood(text).tables.filter((use) => use.span && !use.system);
  const rewrites = uses.map(({ schema, table, span }) => ({
    start: span!.start,
    end: span!.end,
    aliased: span!.aliased,
    ...(span!.fence === undefined ? {} : { fence: span!.fence }),
    ...(span!.qualifiers === undefined ? {} : { qualifiers: span!.qualifiers }),
    schema,
    table,
    predicate: "id IN ('eu')",
  }));
  return applyRewrites(text, rewrites, quote);
}

describe('permitted rows', () => {
  for (const [text, expected] of [
    [
      'select * from customers',
      `select * from (SELECT * FROM "public"."customers" WHERE id IN ('eu')) AS "customers"`,
    ],
    [
      'select c.id from customers c',
      `select c.id from (SELECT * FROM "public"."customers" WHERE id IN ('eu')) c`,
    ],
    [
      'select \'é😀\', customers.id from public . "customers" *',
      `select 'é😀', customers.id from (SELECT * FROM "public"."customers" WHERE id IN ('eu')) AS "customers"`,
    ],
    ['select price from customers,products', /AS "customers",\(SELECT/],
    ['(select id from customers)union all select 1', /AS "customers"\)union all/],
    ['select id from "Größen"', /\(SELECT \* FROM "public"\."Größen" WHERE .*\) AS "Größen"$/],
    ['select id from customers/* x */where true', /AS "customers" \/\* x \*\/where true$/],
    [
      'select"public"."customers"."id" from "public"."customers" where"public".customers.region = $1',
      `select "customers"."id" from (SELECT * FROM "public"."customers" WHERE id IN ('eu')) AS "customers" where customers.region = $1`,
    ],
    [
      'select PUBLIC . /* x */ customers.id from customers',
      /^select {3}\/\* x \*\/ customers\.id from \(SELECT/,
    ],
    ['select public.customers.* from public.customers', /^select {2}customers\.\* from \(SELECT/],
    [
      'select count(public.customers.*) from public.customers',
      /^select count\( customers\.\*\) from \(SELECT/,
    ],
    ['select (public.customers).id from public.customers', /^select \( customers\)\.id from \(SELECT/],
    ['select (public.customers).* from public.customers', /^select \( customers\)\.\* from \(SELECT/],
    [
      'select id from public.customers where exists (select 1 from orders o where o.customer_id = public.customers.id)',
      /where o\.customer_id = {2}customers\.id\)$/,
    ],
    [
      'with recursive x as (select public.customers.id from public.customers union select id from x) select id from x',
      /^with recursive x as \(select {2}customers\.id from \(SELECT/,
    ],
  ] as const)
    it(text, () => {
      const after = limited(text);
      if (typeof expected === 'string') assert.equal(after, expected);
      else assert.match(after, expected);
    });

  for (const text of [
    'select * from customers c join orders o on o.customer_id = c.id where c.region is not null',
    'select * from customers c, lateral (select * from orders o where o.customer_id = c.id) x',
    'with x as (select * from customers) select name from x where exists (select 1 from orders)',
    'update orders set amount = 1 from customers where customers.id = orders.customer_id',
    'select customers from customers',
    'select public.customers.* from public.customers order by public.customers.id',
    'select public.customers from public.customers',
    'select (public.customers).name from public.customers',
    'select 1 as one from public.customers group by public.customers.id having max(public.customers.name) > $1',
    'select c.id from customers c, lateral (select public.orders.amount from public.orders where public.orders.customer_id = c.id) x',
  ])
    it(`leaves the meaning of: ${text}`, () => {
      const before = understood(text);
      const [after] = analyzer.analyze(limited(text), catalog, names).statements;
      assert.equal(after?.kind, 'analyzed');
      assert.deepEqual(after.kind === 'analyzed' && after.outputs, before.outputs);
    });

  for (const text of [
    'select * from only customers',
    'select * from customers tablesample bernoulli(10)',
    'table customers',
    'update customers set name = $1',
    'delete from customers',
    'select U&"public".customers.id from public.customers',
    'select public.customers.ctid from public.customers',
    'select (select public.customers.id from products customers) from public.customers',
    'select (select public.customers.id from (select 1) customers) from public.customers',
    'select public.customers from public.customers, (select 1 as customers) x',
    'select ctid from customers',
    'select id from customers for update of customers',
    'select id from contacts',
  ])
    it(`has no place in: ${text}`, () => {
      const uses = understood(text).tables.filter((use) => use.table === 'customers');
      assert.deepEqual(
        uses.map((use) => use.span),
        [null],
      );
    });

  it('refuses spans that overlap or leave the text', () => {
    const at = (start: number, end: number) => ({
      start,
      end,
      aliased: true,
      schema: 's',
      table: 't',
      predicate: 'true',
    });
    assert.throws(() => applyRewrites('select', [at(0, 3), at(2, 5)], quote), RangeError);
    assert.throws(() => applyRewrites('select', [at(0, 9)], quote), RangeError);
  });
});
