import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { shapeOf } from '../../sql/postgres/fingerprint.ts';

describe('shape of a PostgreSQL text', () => {
  it('has no literals, comments, needless spaces or capitals', () => {
    const text = "  SELECT  A, 'x''y' FROM \"T\" -- c\n WHERE x=1.5e3 /* a /* b */ */ AND y = $1;";
    assert.equal(shapeOf(text), 'select a, \'?\' from "T" where x=? and y = $1;');
  });

  for (const [one, other] of [
    ['select 1', 'select 4711.5e-3'],
    ["select 'a'", "select E'it\\'s'"],
    ["select 'a'", "select $$it's$$"],
    ["select 'a'", 'select $x$a$$b$x$'],
    ["select 'a'", "select 'a'\n  'b'"],
    ["select 'a'", "select 'a' -- c\n 'b'"],
    ["select 'a'", "select U&'\\0061'"],
    ["select b'0'", "select B'1'"],
    ['select /* x */ a', 'SELECT\tA'],
  ])
    it(`is the same for ${JSON.stringify(one)} and ${JSON.stringify(other)}`, () => {
      assert.equal(shapeOf(one!), shapeOf(other!));
    });

  for (const [one, other] of [
    ['select 1', "select '1'"],
    ["select '1'", "select b'1'"],
    ["select b'1'", "select x'1'"],
    ["select '1'", "select n'1'"],
    ['select $1', 'select 1'],
    ['select "A"', 'select "a"'],
    ['select a', 'select "A"'],
    ['select 1000', 'select 1_000'],
    ['select U&"d!0061t" uescape \'!\'', 'select U&"d!0061t" uescape \'#\''],
    ['select É', 'select é'],
  ])
    it(`differs for ${JSON.stringify(one)} and ${JSON.stringify(other)}`, () => {
      assert.notEqual(shapeOf(one!), shapeOf(other!));
    });

  for (const text of [
    "select 'a",
    'select "a',
    'select /* a',
    'select $x$ a',
    'select 1a',
    'select 1\0',
    'select $1a',
    "select E'\\'",
  ])
    it(`has none for ${JSON.stringify(text)}`, () => {
      assert.equal(shapeOf(text), null);
    });

  it('never throws and is its own shape, placeholders aside', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shape = shapeOf(text);
        assert.ok(shape === null || typeof shape === 'string');
      }),
    );
    const token = fc.constantFrom(
      'select',
      'A',
      '"b"',
      ' ',
      '\n',
      "'x'",
      '1',
      '.',
      '--',
      '/*',
      '*/',
      '$1',
      '$$',
      "E'",
      '+',
      ',',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        shapeOf(tokens.join(''));
      }),
    );
  });

  it('is the same whatever the literals say', () => {
    const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), fc.nat(), (a, b, n, m) => {
        fc.pre(!a.includes('\0') && !b.includes('\0'));
        const text = (value: string, number: number): string =>
          `select * from t where a = ${literal(value)} and b > ${number}`;
        assert.equal(shapeOf(text(a, n)), shapeOf(text(b, m)));
        assert.ok(!shapeOf(text('secret', n))!.includes('secret'));
      }),
    );
  });
});
