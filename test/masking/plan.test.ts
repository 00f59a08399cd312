/** Two witnesses of a column's origin: either adds a mask, neither takes one away, and a contradiction stops the result. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MaskMethod, ResultColumn } from '../../masking/masker.ts';
import { maskKey, planMasks } from '../../masking/plan.ts';
import { buildCatalog, type Engine } from '../../sql/catalog.ts';
import type { Output } from '../../sql/statement.ts';
import { key, myColumn, pgColumn } from './columns.ts';

const catalogOf = (engine: Engine) =>
  buildCatalog({
    engine,
    version: 1,
    serverVersion: 1,
    isMariaDb: false,
    foldsTableNames: engine === 'mysql',
    schemas: ['s'],
    tables: [
      {
        schema: 's',
        name: 'users',
        kind: 'table',
        oid: engine === 'postgres' ? 500 : 0,
        columns: ['id', 'email', 'ssn'].map((name, index) => ({
          name,
          position: index + 1,
          type: 'text',
          typeId: 25,
          notNull: false,
          generated: false,
        })),
        definition: null,
        parents: [],
        hasTriggers: false,
      },
    ],
    functions: [],
    types: [],
  });
const catalog = catalogOf('postgres');
const masks = new Map<string, MaskMethod>([
  [maskKey('s', 'users', 'email'), { method: 'partial_email' }],
  [maskKey('s', 'users', 'ssn'), { method: 'hash' }],
]);
const output = (...columns: readonly string[]): Output => ({
  name: 'x',
  sources: columns.map((column) => ({ schema: 's', table: 'users', column })),
  direct: true,
});
const from = (attribute: number): ResultColumn => ({ ...pgColumn(25), tableOid: 500, attribute });
const shown = (
  columns: readonly ResultColumn[],
  outputs: readonly Output[] | null,
  more: Partial<Parameters<typeof planMasks>[0]> = {},
): unknown => {
  const plan = planMasks({ columns, outputs, masks, catalog, key, ...more });
  if (plan === null || 'contradiction' in plan) return plan;
  return plan.map((masker) => masker && Buffer.from(masker.mask(Buffer.from('ann@x.org')) ?? []).toString());
};

test('the syntax tree alone adds a mask', () => {
  assert.deepEqual(shown([pgColumn(25), pgColumn(25)], [output('id'), output('email')]), [
    null,
    'a***@x.org',
  ]);
});

test('the metadata alone adds a mask', () => {
  assert.deepEqual(shown([from(1), from(2)], [output('id'), output()]), [null, 'a***@x.org']);
  const mysql = { ...myColumn(0xfd), schema: 's', table: 'USERS', column: 'Email' };
  assert.deepEqual(shown([mysql], [output()], { catalog: catalogOf('mysql') }), ['a***@x.org']);
});

test('metadata that says nothing takes no mask away', () => {
  const elsewhere = { ...pgColumn(25), tableOid: 77, attribute: 1 };
  assert.deepEqual(shown([elsewhere], [output('email')]), ['a***@x.org']);
  assert.deepEqual(shown([from(1)], [output('email')]), ['a***@x.org']);
});

test('different masks on one output come to redact', () => {
  assert.deepEqual(shown([pgColumn(25)], [output('email', 'ssn')]), ['[redacted]']);
  assert.deepEqual(shown([from(3)], [output('email')]), ['[redacted]']);
  assert.deepEqual(shown([pgColumn(25)], [output('email', 'email')]), ['a***@x.org']);
});

test('nothing to mask is null', () => {
  assert.equal(shown([from(1)], [output('id')]), null);
  assert.equal(shown([from(2)], [output('email')], { masks: new Map() }), null);
  assert.equal(shown([from(2)], null, { masks: new Map() }), null);
  assert.equal(shown([], []), null);
});

test('a contradiction stops the result', () => {
  for (const outputs of [
    null,
    [],
    [output('id'), output('id')],
    [{ name: 'x', sources: 'unknown', direct: false } as const],
  ]) {
    const plan = shown([from(1)], outputs);
    assert.ok(plan !== null && typeof plan === 'object' && 'contradiction' in plan);
  }
});

test('a hash is not made of values that whoever asks has chosen', () => {
  const hashed = shown([from(3)], [output('ssn')]) as string[];
  assert.match(hashed[0]!, /^[0-9a-f]{32,64}$/);
  const mixed = shown([from(3)], [{ ...output('ssn'), mixed: true }]);
  assert.deepEqual(mixed, ['[redacted]']);
  const email = shown([from(2)], [{ ...output('email'), mixed: true }]);
  assert.deepEqual(email, shown([from(2)], [output('email')]));
});

test('of a message that may quote masked columns nothing is shown', () => {
  const message: Output = { ...output('email'), quoted: true };
  assert.deepEqual(shown([from(2)], [message]), ['[redacted]']);
  assert.deepEqual(shown([from(1)], [{ ...output('id'), quoted: true }]), shown([from(1)], [output('id')]));
});
