/** Random JSON, random spellings, random paths: exactly the named parts are replaced, whatever the rest looks like. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonPart, JsonStep, WholeMask } from '../../masking/masker.ts';
import { maskerFor } from '../../masking/methods.ts';
import { key, pgColumn } from './columns.ts';
import { every, masked, part, partial, redact } from './json-parts.ts';

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
