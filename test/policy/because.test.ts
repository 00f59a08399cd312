/** What a decision carries besides its effect: masks, messages, facts; and that there always is one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { reasons } from '../../policy/decision.ts';
import { type Analyzed, type Statement, statementKinds } from '../../sql/statement.ts';
import {
  asking,
  catalogOf,
  deciding,
  etl,
  inShort,
  policyFrom,
  selectFrom,
  shopPolicyText,
  statement,
  table,
  tableUse,
  use,
  written,
} from './shop.ts';

const analyst = 'analysts-eu';
const insertInto = (name: string, more: Partial<Analyzed> = {}): Analyzed =>
  statement({ statementKind: 'insert', tables: [tableUse(name, written)], ...more });

test('masks are those of the tables in play, less what a role clears', () => {
  const masked = (who: string): readonly string[] => {
    const decision = deciding(who, selectFrom('public.customers', ['public.customers.email']));
    assert.equal(decision.effect, 'allow');
    return decision.effect === 'allow'
      ? decision.masks.map((mask) => `${mask.column} ${mask.tag} ${mask.mask.method}`)
      : [];
  };
  assert.deepEqual(masked(analyst), [
    'email pii.email partial_email',
    'phone pii.phone partial',
    'ssn pii.national_id hash',
    'born pii.birth_date year',
  ]);
  assert.deepEqual(masked('support'), [
    'phone pii.phone partial',
    'ssn pii.national_id hash',
    'born pii.birth_date year',
  ]);
  assert.deepEqual(masked('support,analysts-eu').length, 3);
  assert.deepEqual(masked('dba'), []);
});

test('a tag falls to the longest pattern, and to redact when there is none', () => {
  const context = asking(analyst, {
    database: 'crm',
    routes: [{ upstream: 'crm-eu', region: 'eu', kind: 'primary' }],
  });
  const catalog = catalogOf([table('crm.contacts', ['id', 'Email', 'notes'])], 'mysql');
  const decision = deciding(context, selectFrom('crm.contacts'), { catalog });
  assert.ok(decision.effect === 'allow');
  assert.deepEqual(
    decision.masks.map((mask) => [mask.column, mask.mask.method]),
    [
      ['Email', 'partial_email'],
      ['notes', 'redact'],
    ],
  );
  const bare = policyFrom(shopPolicyText.replace(/^ {2}pii\.\*:.*$/m, ''));
  const without = deciding(context, selectFrom('crm.contacts'), { catalog, policy: bare });
  assert.ok(without.effect === 'allow');
  assert.equal(without.masks[1]?.mask.method, 'redact');
});

test('what one role clears stays masked where only another role may read', () => {
  const policy = policyFrom(`version: 1
regions: { eu: {}, us: {} }
data: { shop: [ { table: public.orders, region: eu, columns: { card_number: pii.card } } ] }
roles:
  reader: { members: { groups: [a] }, databases: [shop], read: { regions: [eu] } }
  other: { members: { groups: [b] }, databases: [shop], read: { regions: [us] }, clear: ["*"] }
`);
  const both = deciding('a,b', selectFrom('public.orders'), { policy });
  assert.ok(both.effect === 'allow');
  assert.deepEqual(
    both.masks.map((mask) => mask.column),
    ['card_number'],
  );
});

test('one single role has to satisfy a whole check', () => {
  const policy = policyFrom(`version: 1
regions: { eu: {}, us: {} }
data: { shop: [ { table: public.orders, region: eu }, { table: public.us_orders, region: us } ] }
transfers: [ { from: us, to: eu, values: clear } ]
roles:
  a: { members: { groups: [a] }, databases: [shop], read: { regions: [eu] } }
  b: { members: { groups: [b] }, databases: [shop], read: { regions: [us] } }
  ab: { members: { groups: [c] }, databases: [shop], read: { regions: [eu, us] } }
`);
  const both = selectFrom('public.orders,public.us_orders');
  assert.equal(inShort(deciding('a,b', both, { policy })), 'refuse region_read');
  assert.match(deciding('a,b', both, { policy }).because.message, /no single role of a and b/);
  assert.equal(inShort(deciding('a,c', both, { policy })), 'allow shop-eu');
  assert.equal(inShort(deciding('a,b', selectFrom('public.us_orders'), { policy })), 'allow shop-us');
});

test('identity may be set back, not away', () => {
  const set = (name: string, value: string | null) =>
    statement({
      statementKind: 'set',
      effects: [
        { kind: 'set', name, value, local: false },
        { kind: 'channel', channel: 'identity', what: name },
      ],
    });
  assert.equal(inShort(deciding(analyst, set('role', 'none'))), 'allow shop-eu');
  assert.equal(inShort(deciding(analyst, set('session_authorization', null))), 'allow shop-eu');
  assert.equal(inShort(deciding(analyst, set('role', 'postgres'))), 'refuse session_drift channel_refused');
  assert.equal(inShort(deciding(analyst, set('timezone', 'utc'))), 'refuse channel_refused');
});

test('messages name the column, the clause, the role, the line to add', () => {
  const because = (who: string, what: Statement) => deciding(who, what).because;
  const where = because(
    analyst,
    selectFrom('public.orders', [], { columns: [use('public.orders.card_number', 'where')] }),
  );
  assert.match(where.message, /orders\.card_number.*WHERE/);
  assert.match(where.hint, /plain output column|clears pii\.card/);
  const unplaced = because(analyst, selectFrom('public.secrets'));
  assert.match(unplaced.hint, /data\.shop: - \{ table: public\.secrets, region: REGION \}/);
  const region = because(analyst, selectFrom('public.us_orders'));
  assert.match(region.message, /public\.us_orders is of region us, which eu-analyst may not read/);
  assert.deepEqual(region.rules, ['data.shop.public.us_orders']);
});

test('the facts of an allowed statement are complete', () => {
  const decision = deciding(etl, selectFrom('public.orders,public.us_orders'));
  assert.ok(decision.effect === 'allow');
  assert.deepEqual(decision.regionsRead, ['eu', 'us']);
  assert.deepEqual(decision.tables, ['public.orders', 'public.us_orders']);
  assert.deepEqual(decision.roles, ['etl']);
  assert.equal(decision.routeRegion, 'eu');
  assert.ok(decision.because.rules.includes('roles.etl.transfers[0]'));
  assert.match(decision.policyVersion, /^[0-9a-f]{12}$/);
});

test('values that must be masked on their way in are refused', () => {
  const policy = policyFrom(shopPolicyText.replace('by_row: region', 'region: eu'));
  const ssn = { schema: 'public', table: 'customers', column: 'ssn' };
  const email = { ...ssn, column: 'email' };
  const writing = (who: string, column: typeof ssn) =>
    inShort(deciding(who, insertInto('public.customers', { written: [column] }), { policy }));
  assert.equal(writing(etl, ssn), 'refuse masked_write');
  assert.equal(writing(etl, email), 'allow shop-eu');
  assert.equal(writing('dba', ssn), 'allow shop-eu');
});

test('any statement whatever ends in a decision with reasons of the closed set', () => {
  const name = fc.constantFrom('public.orders', 'public.customers', 'public.us_orders', 'x.y', '.');
  const anything = fc.record({
    kind: fc.constantFrom(...statementKinds),
    tables: fc.array(fc.tuple(name, fc.boolean(), fc.boolean(), fc.boolean()), { maxLength: 4 }),
    who: fc.constantFrom(analyst, 'support', 'dba', etl, '', 'dba,support'),
    client: fc.constantFrom('eu', 'us', 'de', 'nowhere', null),
    pinned: fc.constantFrom('shop-eu', 'shop-us', 'gone', null),
  });
  fc.assert(
    fc.property(anything, ({ kind, tables, who, client, pinned }) => {
      const decision = deciding(
        asking(who, { client, pinned }),
        statement({
          statementKind: kind,
          tables: tables.map(([one, reads, writes, span]) =>
            tableUse(one, { reads, writes, ...(span ? {} : { span: null }) }),
          ),
        }),
      );
      assert.ok(decision.because.reasons.length > 0);
      for (const reason of decision.because.reasons) assert.ok(reasons.includes(reason));
      assert.equal(decision.effect === 'allow', decision.because.reasons.includes('ok'));
    }),
    { numRuns: 500 },
  );
});

test('a failure inside is a refusal', () => {
  const broken = { ...statement(), tables: null } as unknown as Statement;
  assert.equal(inShort(deciding('dba', broken)), 'refuse opaque_statement');
});
