/** Masks on parts of JSON values: the parts are masked wherever and however they are spelled, every other byte stays, and what can't be read is NULL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonPart, JsonStep, MaskMethod, ResultColumn, WholeMask } from '../../masking/masker.ts';
import { maskerFor } from '../../masking/methods.ts';
import { planMasks } from '../../masking/plan.ts';
import { buildCatalog } from '../../sql/catalog.ts';
import { key, myColumn, pgColumn } from './columns.ts';

const redact: WholeMask = { method: 'redact' };
const partial: WholeMask = { method: 'partial', keepFirst: 0, keepLast: 2 };
const every: JsonStep = { every: true };

/** `a`, `0` and `*` are steps. */
function part(path: string, mask: WholeMask = redact): JsonPart {
  const steps = path.split(' ').flatMap((word): readonly JsonStep[] => {
    if (word === '') return [];
    if (word === '*') return [every];
    return [/^\d+$/.test(word) ? { index: Number(word) } : { name: word }];
  });
  return { path, steps, mask };
}

function masked(
  text: string | Uint8Array,
  parts: readonly JsonPart[],
  column: ResultColumn = pgColumn(3802),
) {
  const value = typeof text === 'string' ? Buffer.from(text) : text;
  const before = Buffer.from(value);
  const result = maskerFor({ method: 'json', parts }, column, key).mask(value);
  assert.ok(before.equals(value), 'the value itself was written to');
  return result === null ? null : Buffer.from(result).toString();
}

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

interface Spelled {
  readonly text: string;
  readonly value: string;
}
type Node =
  | { readonly kind: 'string'; readonly string: Spelled }
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly Node[]; readonly gap: string }
  | { readonly kind: 'object'; readonly items: readonly (readonly [Spelled, Node])[]; readonly gap: string };

const names = ['a', 'b', 'email', 'straße', '0', ''];
/** A string in one of its spellings. */
const spelled = (strings: fc.Arbitrary<string>): fc.Arbitrary<Spelled> =>
  fc.tuple(strings, fc.infiniteStream(fc.nat(3))).map(([value, choices]) => {
    let text = '"';
    for (let at = 0; at < value.length; at += 1) {
      const unit = value[at] ?? '';
      const escaped = `\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}`;
      const surrogate = unit >= '\ud800' && unit <= '\udfff';
      const must = unit < ' ' || unit === '"' || unit === '\\';
      text += must || (!surrogate && choices.next().value === 0) ? escaped : unit;
    }
    return { text: `${text}"`, value };
  });
const gap = fc.constantFrom('', '', ' ', '\n\t', '\r\n ');
const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5, depthSize: 'small', withCrossShrink: true },
    spelled(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('1980-05-17', 'anna@example.com', '\u0000')),
    ).map((string): Node => ({ kind: 'string', string })),
    fc
      .constantFrom('1', '-0', '1.50', '2E+07', '1e400', '12345678901234567890', 'true', 'false', 'null')
      .map((text): Node => ({ kind: 'word', text })),
    fc
      .tuple(fc.array(tie('node'), { maxLength: 4 }), gap)
      .map(([items, blank]): Node => ({ kind: 'array', items, gap: blank })),
    fc
      .tuple(
        fc.array(fc.tuple(spelled(fc.oneof(fc.constantFrom(...names), fc.string())), tie('node')), {
          maxLength: 5,
        }),
        gap,
      )
      .map(([items, blank]): Node => ({ kind: 'object', items, gap: blank })),
  ),
}));
const anyStep: fc.Arbitrary<JsonStep> = fc.oneof(
  fc.constantFrom(...names).map((name) => ({ name })),
  fc.nat(3).map((index) => ({ index })),
  fc.constant(every),
);
const anyMask: fc.Arbitrary<WholeMask> = fc.constantFrom<WholeMask[]>(
  redact,
  partial,
  { method: 'hash' },
  { method: 'year' },
  { method: 'null' },
  { method: 'partial_email' },
  { method: 'fixed', value: 'f"' },
);
const anyParts = fc.array(
  fc
    .tuple(fc.array(anyStep, { minLength: 1, maxLength: 4 }), anyMask)
    .map(([steps, mask]): JsonPart => ({ path: '', steps, mask })),
  { maxLength: 5 },
);

/** Steps that were taken from the root. */
type Trail = readonly (string | number)[];

/** The mask of exactly this place, found by going through all parts. */
function maskAt(parts: readonly JsonPart[], trail: Trail): WholeMask | undefined {
  const here = parts.filter(
    ({ steps }) =>
      steps.length === trail.length &&
      steps.every((step, at) => {
        const taken = trail[at];
        return 'name' in step
          ? taken === step.name
          : typeof taken === 'number' && ('every' in step || step.index === taken);
      }),
  );
  const [first, ...more] = new Map(here.map(({ mask }) => [JSON.stringify(mask), mask])).values();
  return more.length > 0 ? redact : first;
}

function maskOfString(mask: WholeMask, value: string): string {
  const column = mask.method === 'year' ? pgColumn(1082) : pgColumn(25);
  const by = maskerFor(mask, column, key).mask(Buffer.from(value));
  return by === null ? 'null' : JSON.stringify(Buffer.from(by).toString());
}

/** The text with and without masks. `survivors`: strings that stand at places which nothing masks. */
function rendered(
  root: Node,
  parts: readonly JsonPart[],
  survivors: Set<string>,
  hidden: Set<string>,
): string {
  const render = (one: Node, trail: Trail, inside: boolean): string => {
    const mask = inside ? undefined : maskAt(parts, trail);
    if (mask !== undefined) {
      render(one, trail, true);
      return one.kind === 'string' ? maskOfString(mask, one.string.value) : 'null';
    }
    if (one.kind === 'word') return one.text;
    if (one.kind === 'string') {
      (inside ? hidden : survivors).add(one.string.value);
      return one.string.text;
    }
    const items =
      one.kind === 'array'
        ? one.items.map((item, index) => render(item, [...trail, index], inside))
        : one.items.map(([name, item]) => {
            if (!inside) survivors.add(name.value);
            return `${name.text}${one.gap}:${one.gap}${render(item, [...trail, name.value], inside)}`;
          });
    const [open, close] = one.kind === 'array' ? '[]' : '{}';
    return `${open}${one.gap}${items.join(`${one.gap},${one.gap}`)}${one.gap}${close}`;
  };
  return render(root, [], false);
}

test('random values, spellings and paths: exactly the parts are replaced', () => {
  let changed = 0;
  fc.assert(
    fc.property(node, anyParts, (root, parts) => {
      const text = rendered(root, [], new Set(), new Set());
      const expected = rendered(root, parts, new Set(), new Set());
      if (expected !== text) changed += 1;
      assert.equal(masked(text, parts), expected);
    }),
    { numRuns: 4000 },
  );
  assert.ok(changed > 200, `${changed}`);
});

test('random values: the result is JSON, and equals masking the parsed value', () => {
  const reference = (value: unknown, parts: readonly JsonPart[], trail: Trail): unknown => {
    const mask = maskAt(parts, trail);
    if (mask !== undefined) return typeof value === 'string' ? JSON.parse(maskOfString(mask, value)) : null;
    if (Array.isArray(value)) return value.map((item, index) => reference(item, parts, [...trail, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, reference(item, parts, [...trail, name])]),
    );
  };
  const values = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...names), fc.jsonValue()),
    fc.array(fc.dictionary(fc.constantFrom(...names), fc.jsonValue()), { maxLength: 4 }),
  );
  fc.assert(
    fc.property(values, anyParts, (value, parts) => {
      const text = JSON.stringify(value);
      const result: unknown = JSON.parse(masked(text, parts) ?? '"NULL"');
      assert.deepEqual(result, reference(JSON.parse(text), parts, []));
    }),
    { numRuns: 2000 },
  );
});

test('random values: no masked string stays, unless it also stands elsewhere', () => {
  const canary = fc.nat(99).map((n) => `canary${n};`);
  const { tree } = fc.letrec<{ tree: Node }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      spelled(canary).map((string): Node => ({ kind: 'string', string })),
      fc.array(tie('tree'), { maxLength: 4 }).map((items): Node => ({ kind: 'array', items, gap: '' })),
      fc
        .array(fc.tuple(spelled(fc.constantFrom(...names)), tie('tree')), { maxLength: 5 })
        .map((items): Node => ({ kind: 'object', items, gap: ' ' })),
    ),
  }));
  fc.assert(
    fc.property(tree, anyParts, (root, parts) => {
      const survivors = new Set<string>();
      const hidden = new Set<string>();
      rendered(root, parts, survivors, hidden);
      const result = masked(rendered(root, [], new Set(), new Set()), parts) ?? '';
      const plain = result.replace(/\\u([0-9a-f]{4})/g, (_all, code: string) =>
        String.fromCharCode(Number.parseInt(code, 16)),
      );
      for (const string of hidden) if (!survivors.has(string)) assert.ok(!plain.includes(string), string);
    }),
    { numRuns: 2000 },
  );
});

test('any bytes are JSON to the scanner exactly when they are to JSON.parse', () => {
  const pieces = fc.array(
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"a":',
      '\\',
      '\\u0061',
      '1',
      '-',
      '.5',
      'e3',
      '0',
      'true',
      'null',
      ' ',
      '\n',
      'é',
      '\u0001',
    ),
    { maxLength: 12 },
  );
  const isJson = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(
      fc.oneof(
        pieces.map((list) => list.join('')),
        fc.json(),
      ),
      (text) => {
        assert.equal(masked(text, [part('zz')]), isJson(text) ? text : null);
      },
    ),
    { numRuns: 5000 },
  );
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
