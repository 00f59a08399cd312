/** Rows and items that are alike are read once: what folds, what never does, and where things behind them stand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fingerprint, shapeOf } from '../../sql/postgres/fingerprint.ts';
import { opaque, statements, understood } from './postgres-reading.ts';

const parsedOf = (text: string): string => {
  let rest = '';
  let from = 0;
  for (const { start, end } of fingerprint(text)!.cuts) {
    rest += text.slice(from, start);
    from = end;
  }
  return rest + text.slice(from);
};

describe('rows and items that are alike', () => {
  for (const [text, parsed] of [
    ["insert into t values (1, 'a'), (2, 'b')", "insert into t values (1, 'a')"],
    ["insert into t values (1, 'a'),(-2.5, NULL) , (default, true)", "insert into t values (1, 'a')"],
    ['insert into t values ($1,$2),($3,$4),($5,$6) returning x', 'insert into t values ($1,$2) returning x'],
    ["insert into t values (E'\\'),(', b'1'), ($$)$$, x'1f')", "insert into t values (E'\\'),(', b'1')"],
    ["insert into t values ('1'::int), /* ) */ ('2'::int)", "insert into t values ('1'::int)"],
    [
      "insert into t values (1::numeric(3, 1), date '2026-01-01'), (2::numeric(3, 1), DATE 'x')",
      "insert into t values (1::numeric(3, 1), date '2026-01-01')",
    ],
    ['insert into t values (1), (2), (f(3)), (4)', 'insert into t values (1), (f(3)), (4)'],
    [
      'insert into t values (1), (2) ; insert into t VALUES\n(1), (2)',
      'insert into t values (1) ; insert into t VALUES\n(1)',
    ],
    ['select 1 where a in (1, 2,3 ) and b in ($1,$2)', 'select 1 where a in (1 ) and b in ($1)'],
    ['select 1 where (a, b) in ((1, 2), (3, 4))', 'select 1 where (a, b) in ((1, 2))'],
    ["select 1 where a = any(array['a', 'b'])", "select 1 where a = any(array['a'])"],
    ['select 1 where a in (1, 2, b, 3)', 'select 1 where a in (1, b, 3)'],
  ] as const)
    it(text, () => {
      assert.equal(parsedOf(text), parsed);
    });

  for (const text of [
    'insert into t values (1, 2)',
    'insert into t values (1, 2), (3)',
    'insert into t values (1), ($1)',
    'insert into t values ($1), (1)',
    'insert into t values (1), (now())',
    'insert into t values (1), (a)',
    'insert into t values (1), ("true")',
    'insert into t values (1), ((select 2))',
    'insert into t values (1), ((2))',
    'insert into t values (1), (2 + 3)',
    'insert into t values (1), (+3)',
    "insert into t values ('1'), (-'3')",
    'insert into t values (1), (- - 3)',
    'insert into t values (1), (-3::leaky)',
    "insert into t values ('1'), ('2'::leaky)",
    "insert into t values ('1'::text), ('2'::leaky)",
    "insert into t values ('1'), ('2' collate x)",
    "insert into t values ('1'), (U&'!0061' uescape '!')",
    "insert into t values ('1'), (N'2')",
    "insert into t values ('1'), (leaky '2')",
    "insert into t values ('1'), (interval '2' day)",
    'insert into t values (1), (0x10)',
    'insert into t values (1), (current_user)',
    'insert into t values (1), (array[2])',
    'select t.values (1), (2)',
    'select t.in (1, 2)',
    'select "in" (1, 2)',
    'select a in (1, $1)',
    'select a in (1)',
    'select a[1], b[2]',
    'select f(1, 2)',
  ])
    it(`are none in: ${text}`, () => {
      assert.deepEqual(fingerprint(text)?.cuts, []);
    });

  it('have one shape in any number, but not one alone, and none that a text could spell', () => {
    const rows = (n: number): string =>
      `insert into t values ${Array.from({ length: n }, (_, i) => `(${i}, '${i}')`).join(', ')}`;
    assert.equal(shapeOf(rows(2)), shapeOf(rows(700)));
    assert.notEqual(shapeOf(rows(1)), shapeOf(rows(2)));
    assert.notEqual(shapeOf('insert into t values (1) /*more*/'), shapeOf('insert into t values (1), (2)'));
    assert.notEqual(shapeOf('insert into t values ($1), ($2)'), shapeOf('insert into t values (1), (2)'));
    assert.notEqual(
      shapeOf('insert into t values (1), (2), (f())'),
      shapeOf('insert into t values (1), (2)'),
    );
    assert.notEqual(shapeOf('select a in (1, 2)'), shapeOf('select a in (1)'));
  });

  it('leave what stands behind them where it is', () => {
    const text =
      "insert into products values ('é', 1), ('𝄞', 2), ('x', 3) on conflict (id) do update set name = " +
      '(select c.email from customers c limit 1) returning (select ssn from customers limit 1)';
    const spans = understood(text).tables.flatMap((use) =>
      use.span ? [text.slice(use.span.start, use.span.end)] : [],
    );
    assert.deepEqual(spans, ['customers', 'customers']);
    const twice =
      "with v as (values (1), (2), (3)) select * from customers where id in ('a', 'b') and exists (select 1 from orders)";
    const found = understood(twice).tables.map((use) => twice.slice(use.span!.start, use.span!.end));
    assert.deepEqual(found, ['customers', 'orders']);
  });

  it('leave the positions of errors where they are', () => {
    for (const [text, wrong] of [
      ["insert into products values ('𝄞', 1), ('𝄞', 2) returning nothing", 'nothing'],
      ["insert into products values ('𝄞', 1), ('𝄞', 2) returnin x", 'returnin'],
    ] as const)
      assert.equal(opaque(text).position, [...text.slice(0, text.indexOf(wrong))].length + 1, text);
  });

  it('are understood in thousands, and a longer text only when little of it is left', () => {
    const rows = (n: number): string =>
      Array.from({ length: n }, (_, i) => `('${i}', 'some text that is not short at all', ${i})`).join(',\n');
    const many = `insert into products values ${rows(40_000)}`;
    assert.ok(many.length > 2_000_000);
    assert.equal(understood(many).statementKind, 'insert');
    assert.equal(understood(many).shape.length < 100, true);
    const each = Array.from({ length: 60_000 }, (_, i) => `(upper('${i}'), $1)`).join(',');
    assert.equal(opaque(`insert into products (id, name) values ${each}`).reason, 'too_long');
    assert.equal(opaque(`select '${'x'.repeat(1_000_001)}'`).reason, 'too_long');
  });

  it('never change what is found', () => {
    const item = fc.constantFrom(
      '1',
      '-2',
      "'a'",
      '$1',
      'null',
      'DEFAULT',
      "'x'::text",
      "'x'::public.leaky",
      "'x'::regclass",
      'upper(name)',
      '(select ssn from customers)',
      '- $2',
      "date '2026-01-01'",
      'ssn',
    );
    const row = fc.array(item, { minLength: 2, maxLength: 2 }).map((items) => `(${items.join(', ')})`);
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
        const facts = (text: string): unknown => {
          const [found] = statements(text);
          if (found?.kind !== 'analyzed') return found?.kind;
          const { tables, shape, ...rest } = found;
          return {
            ...rest,
            tables: tables.map(({ span, ...use }) => ({
              ...use,
              replaceable: span !== null,
              fence: span?.fence,
            })),
          };
        };
        const folded = `select (select 1 from (values ${rows.join(', ')}) v) from customers`;
        // A row in extra parentheses is the same to the grammar of SELECT's arms and folds with nothing.
        const arms = `select (select 1 from (${rows.map((each) => `values ${each}`).join(' union all ')}) v) from customers`;
        assert.deepEqual(facts(folded), facts(arms));
      }),
    );
  });
});
