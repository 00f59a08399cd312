/** What a table would look like to a principal on the strictest assumptions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../policy/model.ts';
import { masksOfTable } from '../../policy/table-masks.ts';
import {
  asking,
  catalogOf,
  etl,
  policyFrom,
  shopCatalog,
  shopPolicy,
  shopPolicyText,
  table,
} from './shop.ts';

function masked(who: string, name: string, policy: Policy = shopPolicy, catalog = shopCatalog): string {
  const [schema = '', bare = ''] = name.split('.');
  const masks = masksOfTable(policy, asking(who).principal, 'shop', catalog, schema, bare);
  return masks
    .map((mask) => mask.column)
    .sort()
    .join(' ');
}

for (const [who, name, expected] of [
  ['analysts-eu', 'public.orders', 'card_number'],
  ['analysts-eu', 'public.customers', 'born email phone ssn'],
  ['analysts-eu', 'public.us_orders', 'card_number'],
  ['analysts-eu', 'public.products', ''],
  ['analysts-eu', 'public.secrets', ''],
  ['analysts-eu', 'public.nowhere', ''],
  // Rows of another region may be among them.
  ['support', 'public.customers', 'born email phone ssn'],
  ['dba', 'public.customers', ''],
  ['dba', 'public.orders', ''],
  [etl, 'public.orders', ''],
  ['visitors', 'public.orders', 'card_number'],
] as const)
  test(`${who}, ${name}: ${expected || 'nothing'}`, () => {
    assert.equal(masked(who, name), expected);
  });

test('a transfer of masked values is taken for used, whenever it ends', () => {
  const policy = policyFrom(
    shopPolicyText.replace(
      /^transfers: \[\].*$/m,
      'transfers: [ { from: us, to: eu, values: masked, until: 2001-01-01 } ]',
    ),
  );
  assert.equal(masked('dba', 'public.us_orders', policy), 'card_number');
  assert.equal(masked('dba', 'public.orders', policy), '');
});

test('partitions carry the tags of their parent; a view only its own', () => {
  const catalog = catalogOf([
    ...shopCatalog.tables(),
    table('public.orders_1', ['id', 'card_number'], { parents: ['public.orders'] }),
    table('public.v', ['id', 'card_number'], {
      kind: 'view',
      definition: 'SELECT id, card_number FROM public.orders',
    }),
    table('pg_catalog.pg_class', ['relname'], { kind: 'system' }),
  ]);
  assert.equal(masked('analysts-eu', 'public.orders_1', shopPolicy, catalog), 'card_number');
  assert.equal(masked('analysts-eu', 'public.v', shopPolicy, catalog), '');
  const all = policyFrom(
    shopPolicyText.replace(
      '    # any other',
      '    - { table: "*", region: eu, columns: { relname: pii.x } }\n    # any other',
    ),
  );
  assert.equal(masked('analysts-eu', 'pg_catalog.pg_class', all, catalog), '');
});
