/** The policy file: what loads, and where exactly each mistake is said to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { loadPolicy } from '../../policy/load.ts';
import { namePatterns, parseTablePattern } from '../../policy/patterns.ts';
import { formatSourceError, readYaml } from '../../policy/source.ts';
import { durationMs, endOf } from '../../policy/time.ts';
import { policyFrom, shopPolicy, shopPolicyText } from './shop.ts';

function errorsOf(text: string): readonly string[] {
  const loaded = loadPolicy(text, 'p.yaml');
  return loaded.ok ? [] : loaded.errors.map(formatSourceError);
}

/** A policy that loads, with one line put in after the given one. */
const small = `version: 1
regions: { eu: { contains: [de] }, us: {} }
data:
  shop:
    - { table: public.a, region: eu }
roles:
  r: { members: { groups: [g] }, databases: [shop], read: { regions: [eu] } }
`;

test('the demo’s policy and a small one load', () => {
  assert.deepEqual(errorsOf(shopPolicyText), []);
  assert.deepEqual(errorsOf(small), []);
  assert.deepEqual(
    shopPolicy.roles.map((role) => role.name),
    ['eu-analyst', 'support', 'etl', 'dba'],
  );
  assert.deepEqual([...(shopPolicy.regions.get('de') ?? [])].sort(), ['de', 'eu']);
  assert.equal(shopPolicy.text, shopPolicyText);
  assert.notEqual(policyFrom(small).version, shopPolicy.version);
});

test('every mask method loads, a bare null too', () => {
  const policy = policyFrom(`${small}masks:
  a: { method: redact }
  b: { method: null }
  c: { method: partial, keep_first: 1, keep_last: 2 }
  d: { method: partial_email }
  e: { method: hash }
  f: { method: year }
  g: { method: fixed, value: 0 }
`);
  const method = (tag: string) => policy.masks.find(tag)?.method;
  assert.deepEqual(method('b'), { method: 'null' });
  assert.deepEqual(method('c'), { method: 'partial', keepFirst: 1, keepLast: 2 });
  assert.deepEqual(method('g'), { method: 'fixed', value: '0' });
});

const mistakes: readonly (readonly [name: string, text: string, expect: readonly string[]])[] = [
  ['an empty file', '', ['p.yaml:1:1: expected object, received null']],
  ['another version', small.replace('version: 1', 'version: 2'), ['p.yaml:1:10: `version`: expected 1']],
  ['a missing key', small.replace('version: 1\n', ''), ['p.yaml:1:1: missing key `version`']],
  ['a duplicate key', `${small}version: 1\n`, ['p.yaml:8:1: Map keys must be unique']],
  ['an unknown key', `${small}rolls: {}\n`, ['p.yaml:8:1: unknown key `rolls`']],
  [
    'an unknown key inside',
    small.replace('region: eu }', 'regoin: eu }'),
    ['p.yaml:5:26: unknown key `regoin`'],
  ],
  [
    'no locality',
    small.replace(', region: eu }', ' }'),
    ['p.yaml:5:7: `public.a` needs exactly one of region, by_row, global'],
  ],
  [
    'two localities',
    small.replace('region: eu }', 'region: eu, global: true }'),
    ['p.yaml:5:7: `public.a` needs exactly one of region, by_row, global'],
  ],
  [
    'values without by_row',
    small.replace('region: eu }', 'region: eu, values: { DE: eu } }'),
    ['p.yaml:5:38: `values` goes with by_row only'],
  ],
  [
    'a region that is not declared',
    small.replace('read: { regions: [eu] }', 'read: { regions: [eu, moon] }'),
    ['p.yaml:7:75: no region `moon` is declared under `regions`'],
  ],
  [
    'a placed region that is not declared',
    small.replace('region: eu }', 'region: moon }'),
    ['p.yaml:5:34: no region `moon` is declared under `regions`'],
  ],
  [
    'regions in a circle',
    small.replace('us: {}', 'de: { contains: [eu] }'),
    ['p.yaml:2:12: region `eu` contains itself', 'p.yaml:2:36: region `de` contains itself'],
  ],
  [
    'a table twice',
    small.replace('roles:', '    - { table: public.a, region: us }\nroles:'),
    ['p.yaml:6:16: `public.a` is placed twice'],
  ],
  [
    'no table pattern',
    small.replace('public.a', 'a'),
    ['p.yaml:5:16: `a` is none of schema.table, schema.prefix*, schema.*, *'],
  ],
  [
    'an unknown mask',
    `${small}masks:\n  pii.x: { method: blur }\n`,
    [
      "p.yaml:9:20: `method`: expected 'redact' | 'null' | 'partial' | 'partial_email' | 'hash' | 'year' | 'fixed'",
    ],
  ],
  [
    'an option of another mask',
    `${small}masks:\n  pii.x: { method: hash, keep_last: 2 }\n`,
    ['p.yaml:9:26: unknown key `keep_last`'],
  ],
  [
    'a role without members',
    small.replace('groups: [g]', 'groups: []'),
    ['p.yaml:7:17: role `r` has no members: name groups or subjects'],
  ],
  [
    'a transfer that ends on no day',
    `${small}transfers: [ { from: us, to: eu, values: clear, until: 2026-02-30 } ]\n`,
    ['p.yaml:8:56: not a date such as 2027-01-31'],
  ],
  [
    'an approval without conditions',
    `${small}approvals:\n  - { name: n, when: {}, approvers: { groups: [dpo] } }\n`,
    ['p.yaml:9:22: approval `n` names no condition'],
  ],
  ['an alias without an anchor', 'version: *v\n', ['p.yaml:1:10: no anchor `v` comes before this alias']],
  ['a tag of another language', 'version: !ruby x\n', ['p.yaml:1:10: Unresolved tag: !ruby']],
  [
    'too deep a file',
    '['.repeat(50_000),
    ['p.yaml:1:1: the file is nested too deeply or repeats itself too often'],
  ],
];

test('each mistake is named with its line and column', async (t) => {
  for (const [name, text, expect] of mistakes) {
    await t.test(name, () => assert.deepEqual(errorsOf(text), expect));
  }
});

test('several mistakes are named at once, in the order of the file', () => {
  const errors = errorsOf(small.replace('table: public.a', 'tabel: public.a').replace('groups', 'gruops'));
  assert.deepEqual(errors, [
    'p.yaml:5:7: missing key `table`',
    'p.yaml:5:9: unknown key `tabel`',
    'p.yaml:7:19: unknown key `gruops`',
  ]);
});

test('anchors work, a hundred times over they don’t', () => {
  const shared = small.replace('read: { regions: [eu] }', 'read: &own { regions: [eu] }, write: *own');
  assert.deepEqual(errorsOf(shared), []);
  const bomb = `a: &a [x]\nb: [${Array.from({ length: 200 }, () => '*a').join(', ')}]\n`;
  assert.deepEqual(errorsOf(bomb), ['p.yaml:1:1: more than 100 aliases']);
});

test('any text ends in a policy or in errors that point into it', () => {
  const piece = fc.constantFrom(
    ...[
      'version: 1\n',
      'regions: ',
      '{',
      '}',
      '[',
      ']',
      ': ',
      '- ',
      '\n',
      '  ',
      'eu',
      '&a',
      '*a',
      '!x ',
      '"',
      '\t',
    ],
    ...[
      'roles:\n',
      'data:\n',
      '__proto__: 1\n',
      '? ',
      '|\n',
      '#',
      '%YAML 9\n',
      '---\n',
      '\u0000',
      'masks: {}\n',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      const loaded = loadPolicy(text, 'f');
      if (loaded.ok) return;
      assert.ok(loaded.errors.length > 0);
      const lines = text.split(/\r\n|\n|\r/).length;
      for (const error of loaded.errors) {
        assert.ok(error.line >= 1 && error.line <= lines && error.column >= 1, formatSourceError(error));
        assert.ok(!error.message.includes('\n'));
      }
    }),
    { numRuns: 500 },
  );
});

test('a value knows where its parts stand', () => {
  const read = readYaml(
    'a:\n  - b: 1\n    c: x\n',
    'f',
    z.object({ a: z.array(z.object({ b: z.number(), c: z.string() })) }),
  );
  assert.ok(read.ok);
  assert.deepEqual(read.positionOf(['a', 0, 'c']), { line: 3, column: 8 });
  assert.deepEqual(read.keyPositionOf(['a', 0, 'c']), { line: 3, column: 5 });
  assert.equal(formatSourceError(read.errorAt(['a', 0, 'b'], 'no')), 'f:2:8: no');
});

test('the longest table pattern wins', () => {
  const entries = ['*', 'log.*', 'log.us_*', 'log.us_old_*', 'log.us_1', 'Shop.A*'].map(
    (pattern): [string, string] => [pattern, pattern],
  );
  for (const patterns of [namePatterns(entries), namePatterns(entries.toReversed())]) {
    const find = (schema: string, table: string, folds = false) => patterns.find(schema, table, folds)?.value;
    assert.equal(find('log', 'us_1'), 'log.us_1');
    assert.equal(find('log', 'us_10'), 'log.us_*');
    assert.equal(find('log', 'us_'), 'log.us_*');
    assert.equal(find('log', 'us_old_1'), 'log.us_old_*');
    assert.equal(find('log', 'us'), 'log.*');
    assert.equal(find('log', 'US_1'), 'log.*');
    assert.equal(find('LOG', 'US_1', true), 'log.us_1');
    assert.equal(find('LOG', 'US_2', true), 'log.us_*');
    assert.equal(find('logs', 'us_1'), '*');
    assert.equal(find('shop', 'abc'), '*');
    assert.equal(find('shop', 'abc', true), 'Shop.A*');
  }
});

test('patterns, durations and dates are read as documented', () => {
  assert.deepEqual(parseTablePattern('s.t'), { kind: 'table', schema: 's', table: 't' });
  assert.deepEqual(parseTablePattern('"a.b"."c""d*"'), { kind: 'table', schema: 'a.b', table: 'c"d*' });
  assert.deepEqual(parseTablePattern('s.*'), { kind: 'prefix', schema: 's', table: '' });
  assert.deepEqual(parseTablePattern('s.log_*'), { kind: 'prefix', schema: 's', table: 'log_' });
  assert.deepEqual(parseTablePattern('s."a.b"*'), { kind: 'prefix', schema: 's', table: 'a.b' });
  assert.deepEqual(parseTablePattern('*'), { kind: 'everything' });
  for (const text of ['t', 't*', '*.t', '*.*', 's*.t', 's.*t', 's.a*b', 's.t**', 's.', '.t', 's.t.u', ''])
    assert.equal(parseTablePattern(text), null);
  assert.equal(durationMs('10m'), 600_000);
  assert.ok(Number.isNaN(durationMs('10')));
  assert.equal(endOf('2026-01-31'), Date.UTC(2026, 1, 1));
  assert.equal(endOf('2026-01-31T10:00:00Z'), Date.UTC(2026, 0, 31, 10));
  assert.ok(Number.isNaN(endOf('31.1.2026')));
});
