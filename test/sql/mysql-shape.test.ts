import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { crmCatalog } from './mysql-catalog.ts';

const analyzer = mysqlAnalyzer();
const catalog = crmCatalog();

test('a shape has placeholders by class and nothing of a literal', () => {
  assert.equal(
    analyzer.shapeOf(
      "select  'a', \"b\", n'c', 1, -2.5e3, 0x41, x'41', ? -- c\n from `T x` /* d */ where a='it''s'",
    ),
    "select '?', '?', '?', ?, -?, 0x?, 0x?, :? from `T x` where a='?'",
  );
});

test('a literal and a parameter never give the same shape', () => {
  assert.notEqual(analyzer.shapeOf('select ?'), analyzer.shapeOf('select 1'));
  assert.notEqual(analyzer.shapeOf('select ?'), analyzer.shapeOf("select '?'"));
  assert.equal(analyzer.shapeOf('select :?'), null);
});

test('rows of VALUES fold when they are alike', () => {
  const one = analyzer.shapeOf("insert into t values (1, 'a'), (2, 'b')");
  assert.equal(analyzer.shapeOf("insert into t values (1, 'a'), (2, 'b'), (3, 'c')"), one);
  assert.notEqual(analyzer.shapeOf("insert into t values (1, 'a'), (2, f('b'))"), one);
  assert.notEqual(analyzer.shapeOf("insert into t values (1, 'a'), (2)"), one);
});

test('no shape for what the lexer can not get through', () => {
  for (const text of ["'", '`', '/*', 'a\u0000b', '/*!50000 select 1 */', 'select 1e5x', ':x', '\\'])
    assert.equal(analyzer.shapeOf(text), null, text);
});

test('an executable comment stands in the shape as written, unless there is a literal in it', () => {
  assert.equal(
    analyzer.shapeOf("SHOW /*!50002 FULL*/ TABLES LIKE 'x'"),
    "SHOW /*!50002 FULL*/ TABLES LIKE '?'",
  );
  assert.notEqual(
    analyzer.shapeOf('show /*!50002 full*/ tables'),
    analyzer.shapeOf('show /*!99999 full*/ tables'),
  );
  assert.equal(analyzer.shapeOf('select id from t where id = /*!50000 7*/'), null);
});

test('names, keywords and operators all show in the shape', () => {
  const words = fc.constantFrom(
    'select',
    'email',
    'EMAIL',
    '`email`',
    'from',
    'contacts',
    ',',
    '(',
    ')',
    '+',
    'where',
    '=',
    '?',
    '@v',
    '@@x',
    '.',
    '*',
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 12 }), fc.array(words, { maxLength: 12 }), (a, b) => {
      if (a.join(' ') !== b.join(' '))
        assert.notEqual(analyzer.shapeOf(a.join(' ')), analyzer.shapeOf(b.join(' ')));
    }),
  );
});

test('another literal of the same class gives the same shape', () => {
  const quoted = (text: string): string =>
    `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\u0000', '')}'`;
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.nat(),
      fc.string({ unit: 'grapheme' }),
      fc.nat(),
      (a, n, b, m) => {
        const text = (s: string, i: number): string =>
          `select id from contacts where name = ${quoted(s)} and id = ${i}`;
        assert.equal(analyzer.shapeOf(text(a, n)), analyzer.shapeOf(text(b, m)));
      },
    ),
  );
});

test('analysis never throws, whatever the text', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ...'select insert update delete from where group by order limit union all with recursive as ( ) ( ) , . * = + - case when then else end in exists between and not null interval day contacts email accounts id values set on duplicate key using join left natural over partition `x` \'s\' "d" 1 ? @v := @@x ; /*!50000 */ # -- into outfile create table view alter drop show explain'.split(
        ' ',
      ),
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      const text = pieces.join(' ');
      for (const statement of analyzer.analyze(text, catalog, { path: ['crm'] }).statements) {
        if (statement.kind === 'opaque') assert.equal(typeof statement.message, 'string');
      }
    }),
    { numRuns: 400 },
  );
});
