/** Masks on parts of JSON values: the parts are masked wherever and however they are spelled, every other byte stays, and what can't be read is NULL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MaskMethod, ResultColumn, WholeMask } from '../../masking/masker.ts';
import { maskerFor } from '../../masking/methods.ts';
import { planMasks } from '../../masking/plan.ts';
import { buildCatalog } from '../../sql/catalog.ts';
import { key, myColumn, pgColumn } from './columns.ts';
import { masked, part, partial, redact } from './json-parts.ts';

test('the parts are masked, all else stays as it was spelled', () => {
  const text = ' { "email" : "anna@example.com", "n": 1.50e+3,\n"phones":["030 1234", "030 56"], "n": -0 } ';
  assert.equal(
    masked(text, [part('email', { method: 'partial_email' }), part('phones *', partial)]),
    ' { "email" : "a***@example.com", "n": 1.50e+3,\n"phones":["******34", "****56"], "n": -0 } ',
  );
  assert.equal(masked(text, [part('nothing'), part('email x'), part('email *')]), text);
});

test('every spelling and every occurrence of a name is found', () => {
  const parts = [part('email'), part('straße'), part('😀'), part('a"b\\c/d')];
  assert.equal(
    masked('{"\\u0065mail":"x","email":"y","e\\u006dail":"z"}', parts),
    '{"\\u0065mail":"[redacted]","email":"[redacted]","e\\u006dail":"[redacted]"}',
  );
  assert.equal(
    masked('{"stra\\u00DFe":"x","straße":"y"}', parts),
    '{"stra\\u00DFe":"[redacted]","straße":"[redacted]"}',
  );
  assert.equal(
    masked('{"\\ud83d\\uDE00":"x","😀":"y"}', parts),
    '{"\\ud83d\\uDE00":"[redacted]","😀":"[redacted]"}',
  );
  assert.equal(
    masked('{"a\\"b\\\\c\\/d":"x","a\\"b\\\\c/d":"y"}', parts),
    '{"a\\"b\\\\c\\/d":"[redacted]","a\\"b\\\\c/d":"[redacted]"}',
  );
  assert.equal(masked('{"Email":"x","email ":"y"}', parts), '{"Email":"x","email ":"y"}');
  assert.equal(masked('{"__proto__":"x"}', [part('__proto__')]), '{"__proto__":"[redacted]"}');
});

test('paths lead where they say and nowhere else', () => {
  assert.equal(masked('["a","b","c"]', [part('1')]), '["a","[redacted]","c"]');
  assert.equal(masked('[["a"],["b"],{"x":"c"}]', [part('* 0')]), '[["[redacted]"],["[redacted]"],{"x":"c"}]');
  assert.equal(masked('{"0":"a"}', [part('0'), part('*')]), '{"0":"a"}');
  assert.equal(masked('["a","b"]', [part('* x'), part('0')]), '["[redacted]","b"]');
  assert.equal(
    masked('[{"x":"a","y":"b"},{"x":"a","y":"b"}]', [part('* x'), part('0 y')]),
    '[{"x":"[redacted]","y":"[redacted]"},{"x":"[redacted]","y":"b"}]',
  );
  assert.equal(masked('"all"', [part('')]), '"[redacted]"');
  assert.equal(masked('{"all":1}', [part('')]), 'null');
});

test('a part is masked whole, whatever is said of its inside; two masks come to redact', () => {
  assert.equal(masked('{"a":{"b":"x"}}', [part('a'), part('a b', partial)]), '{"a":null}');
  assert.equal(masked('{"a":"secret"}', [part('a', partial), part('a b')]), '{"a":"****et"}');
  assert.equal(
    masked('["secret","secret"]', [part('*', partial), part('0', { method: 'hash' })]),
    '["[redacted]","****et"]',
  );
  assert.equal(masked('["secret"]', [part('*', partial), part('0', partial)]), '["****et"]');
});

test('each method on strings, and null for everything else', () => {
  const one = (mask: WholeMask, json: string) => masked(`[${json}]`, [part('0', mask)])?.slice(1, -1);
  for (const mask of [redact, partial, { method: 'hash' }, { method: 'fixed', value: 'x' }] as const) {
    for (const other of ['1', '-0.5e7', 'true', 'false', '{}', '{"a":"b"}', '[]', '["b"]', 'null']) {
      assert.equal(one(mask, other), 'null');
    }
  }
  assert.equal(one({ method: 'null' }, '"x"'), 'null');
  assert.equal(one({ method: 'fixed', value: 'a"\n\\ü' }, '"x"'), '"a\\"\\n\\\\ü"');
  assert.equal(one({ method: 'partial', keepFirst: 1, keepLast: 1 }, '"\\"x\\u000a"'), '"\\"*\\n"');
  assert.equal(one({ method: 'partial', keepFirst: 1, keepLast: 1 }, '"\\ud83d\\ude00xż"'), '"😀*ż"');
  assert.equal(one(partial, '"\\u0000\\u0000ab"'), '"**ab"');
  const hash = maskerFor({ method: 'hash' }, pgColumn(25), key).mask(Buffer.from('straße'));
  assert.equal(one({ method: 'hash' }, '"stra\\u00dfe"'), JSON.stringify(Buffer.from(hash ?? []).toString()));
  for (const [date, year] of [
    ['1980-05-17', '"1980-01-01"'],
    ['1980-05-17T10:20:30', '"1980-01-01T00:00:00"'],
    ['1980-05-17 10:20:30.123456+02:00', '"1980-01-01 00:00:00Z"'],
    ['1980-05-17T10:20:30.5Z', '"1980-01-01T00:00:00Z"'],
    ['1980-02-30', 'null'],
    ['17.05.1980', 'null'],
    ['1980-05-17 secret', 'null'],
    ['1980-05-17\\n', 'null'],
  ] as const)
    assert.equal(one({ method: 'year' }, `"${date}"`), year, date);
});

test('what is no JSON text is NULL, also behind and outside of the parts', () => {
  for (const text of [
    ...['', ' ', '{', '[', '[1', '[1,', '[1,]', '[,1]', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', "{'a':1}"],
    ...[
      '{"a":1 "b":2}',
      '{1:2}',
      '01',
      '-',
      '1.',
      '.5',
      '1e',
      '+1',
      '0x1',
      'NaN',
      'tru',
      'True',
      'nul',
      'nulll',
    ],
    ...[
      '"a',
      '"a\\"',
      '"\\x"',
      '"\\u12g4"',
      '"\\u12',
      '"a\nb"',
      '"a\tb"',
      '{} {}',
      '{}x',
      '\ufeff{}',
      '[1]]',
      '[}',
    ],
    ...[
      '{"a":"x"',
      '{"a":"x",',
      '{"a":"x"}}',
      '{"a":"x","b":tru}',
      '\u00a0[]',
      '[]\u0000',
      '//\n[]',
      'undefined',
    ],
  ])
    assert.equal(masked(text, [part('a')]), null, text);
  for (const text of ['{}', '[]', '""', '0', '-0', '1E-7', 'true', 'null', '\t\r\n [ ] ']) {
    assert.equal(masked(text, [part('a')]), text);
  }
  const raw = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')]);
  assert.equal(masked(raw, [part('a')]), null);
});

test('depth is bounded, length is not', () => {
  const deep = (levels: number) => `${'['.repeat(levels)}"x"${']'.repeat(levels)}`;
  assert.equal(masked(deep(500), [part('0')]), '[null]');
  assert.equal(masked(deep(501), [part('0')]), null);
  assert.equal(masked(deep(1_000_000), [part('a')]), null);
  assert.equal(masked('{"a":'.repeat(100_000), [part('a')]), null);
  const wide = `[${'{"a":"x","b":"y"},'.repeat(100_000)}0]`;
  assert.equal(masked(wide, [part('* a')]), wide.replaceAll('"x"', '"[redacted]"'));
});

test('formats: jsonb in binary has a version in front; other types are NULL', () => {
  const parts = [part('a')];
  const versioned = (version: number) => Buffer.concat([Buffer.of(version), Buffer.from('{"a":"x"}')]);
  assert.equal(masked(versioned(1), parts, pgColumn(3802, 'binary')), '\u0001{"a":"[redacted]"}');
  assert.equal(masked(versioned(2), parts, pgColumn(3802, 'binary')), null);
  assert.equal(masked('{"a":"x"}', parts, pgColumn(3802, 'binary')), null);
  assert.equal(masked('', parts, pgColumn(3802, 'binary')), null);
  for (const column of [
    pgColumn(114),
    pgColumn(114, 'binary'),
    myColumn(0xf5),
    myColumn(0xf5, 'binary', 63),
    myColumn(0xfc),
  ])
    assert.equal(masked('{"a":"x"}', parts, column), '{"a":"[redacted]"}');
  for (const column of [
    pgColumn(25),
    pgColumn(199),
    pgColumn(3807),
    pgColumn(17),
    pgColumn(0),
    myColumn(0xfc, 'text', 8),
    myColumn(0xfc, 'text', 63),
    myColumn(0xfd, 'text', 13),
  ])
    assert.equal(masked('{"a":"x"}', parts, column), null);
});

const catalogOf = (isMariaDb: boolean) =>
  buildCatalog({
    engine: 'mysql',
    version: 1,
    serverVersion: 1,
    isMariaDb,
    foldsTableNames: false,
    schemas: ['s'],
    tables: [
      {
        schema: 's',
        name: 't',
        kind: 'table',
        oid: 0,
        columns: [
          { name: 'j', position: 1, type: 'longtext', typeId: 0xfc, notNull: false, generated: false },
          { name: 'v', position: 2, type: 'text', typeId: 0xfc, notNull: false, generated: false },
        ],
        definition: null,
        parents: [],
        hasTriggers: false,
      },
    ],
    functions: [],
    types: [],
  });

function planned(
  column: ResultColumn,
  sources: readonly string[],
  masks: Record<string, MaskMethod>,
  more: { mixed?: true; isMariaDb?: boolean } = {},
) {
  const plan = planMasks({
    columns: [column],
    outputs: [
      {
        name: 'x',
        sources: sources.map((name) => ({ schema: 's', table: 't', column: name })),
        direct: true,
        ...(more.mixed ? { mixed: true } : {}),
      },
    ],
    masks: new Map(Object.entries(masks).map(([name, mask]) => [`s\u0000t\u0000${name}`, mask])),
    catalog: catalogOf(more.isMariaDb ?? true),
    key,
  });
  assert.ok(plan !== null && !('contradiction' in plan));
  const result = plan[0]?.mask(Buffer.from('{"a":"x","b":"y"}')) ?? null;
  return result === null ? null : Buffer.from(result).toString();
}

test('in a plan: MariaDB’s LONGTEXT by the catalog, the parts of two sources together, no hash of chosen values', () => {
  const a: MaskMethod = { method: 'json', parts: [part('a')] };
  const b: MaskMethod = { method: 'json', parts: [part('b', { method: 'hash' })] };
  const json = myColumn(0xf5);
  assert.equal(planned(myColumn(0xfc), ['j'], { j: a }), '{"a":"[redacted]","b":"y"}');
  assert.equal(planned(myColumn(0xfc), ['v'], { v: a }), null);
  assert.equal(planned(myColumn(0xfc), ['j', 'v'], { j: a }), null);
  assert.equal(planned(myColumn(0xfc), ['j'], { j: a }, { isMariaDb: false }), null);
  assert.equal(planned(json, ['j'], { j: a }, { isMariaDb: false }), '{"a":"[redacted]","b":"y"}');
  assert.match(
    planned(json, ['j', 'v'], { j: a, v: b }) ?? '',
    /^\{"a":"\[redacted\]","b":"[0-9a-f]{32}"\}$/,
  );
  assert.equal(
    planned(json, ['j', 'v'], { j: a, v: b }, { mixed: true }),
    '{"a":"[redacted]","b":"[redacted]"}',
  );
  assert.equal(planned(json, ['j', 'v'], { j: a, v: redact }), null);
});
