/** Tables whose rows name their own region, and tables that share rows with partitions and children. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../policy/decision.ts';
import {
  asking,
  catalogOf,
  deciding,
  etl,
  inShort,
  plain,
  policyFrom,
  selectFrom,
  shopPolicyText,
  statement,
  table,
  tableUse,
  use,
  written,
} from './shop.ts';

const customers = selectFrom('public.customers', ['public.customers.name']);

function predicates(decision: Decision): readonly string[] {
  assert.ok(decision.effect === 'allow', decision.because.message);
  return decision.rewrites.map((rewrite) => rewrite.predicate);
}

test('a reference is cut down to the rows that may be read along this path', () => {
  const decision = deciding('analysts-eu', customers);
  assert.deepEqual(predicates(decision), ["(region IN (('eu')))"]);
  assert.ok(decision.effect === 'allow');
  assert.deepEqual(decision.regionsRead, ['eu']);
  assert.deepEqual(decision.rewrites[0], {
    start: 14,
    end: 23,
    aliased: false,
    schema: 'public',
    table: 'customers',
    predicate: "(region IN (('eu')))",
  });
  assert.deepEqual(predicates(deciding(asking('dba', { gateway: 'us', client: 'us' }), customers)), [
    "(region IN (('us')))",
  ]);
});

test('the upstream with more permitted regions is preferred', () => {
  const decision = deciding(etl, customers);
  assert.equal(inShort(decision), 'allow shop-eu');
  assert.deepEqual(predicates(decision), ["(region IN (('eu'), ('us')))"]);
});

test('no permitted row at all is refused', () => {
  assert.equal(
    inShort(deciding(asking('analysts-eu', { client: 'us' }), customers)),
    'refuse region_read path_client',
  );
  const policy = policyFrom(shopPolicyText.replaceAll('read:  { regions: [eu] }', 'read: { regions: [] }'));
  assert.equal(inShort(deciding('analysts-eu', customers, { policy })), 'refuse region_read');
});

test('a reference that can’t be replaced is refused', () => {
  for (const more of [{ span: null }, { viaView: true }]) {
    const what = statement({
      tables: [tableUse('public.customers', more)],
      outputs: [plain('public.customers.name')],
    });
    assert.equal(inShort(deciding('analysts-eu', what)), 'refuse row_region');
  }
});

const mapped = (entry: string) =>
  policyFrom(`version: 1
regions: { eu: {}, us: {} }
data:
  shop:
    - { table: public.customers, ${entry} }
roles:
  eu: { members: { groups: [eu] }, databases: [shop], read: { regions: [eu] }, write: { regions: [eu] } }
`);

test('values are mapped to regions, and quoted for their engine', () => {
  const policy = mapped(`by_row: country, values: { DE: eu, "O'\\\\x": eu, US: us }`);
  const asked = (type: string, engine: 'postgres' | 'mysql') => {
    const catalog = catalogOf([table('public.customers', [`country:${type}`, 'name'])], engine);
    return predicates(deciding('eu', customers, { policy, catalog }))[0];
  };
  assert.equal(asked('text', 'postgres'), "(country IN (('DE'), (E'O''\\\\x')))");
  assert.match(asked('country_code', 'postgres') ?? '', /^\(\(country\s*::\s*text\s*\) IN /);
  assert.equal(asked('varchar', 'mysql'), "(`country` IN ('DE', 'O''\\\\x'))");
  assert.equal(asked('int', 'mysql'), "(CAST(`country` AS CHAR) IN ('DE', 'O''\\\\x'))");
});

test('a default takes every other row', () => {
  const catalog = catalogOf([table('public.customers', ['country', 'name'])]);
  const home = mapped('by_row: country, values: { US: us }, default: eu');
  assert.deepEqual(predicates(deciding('eu', customers, { policy: home, catalog })), [
    "((country IS NULL) OR (country NOT IN (('US'))))",
  ]);
  const away = mapped('by_row: country, values: { DE: eu }, default: us');
  assert.deepEqual(predicates(deciding('eu', customers, { policy: away, catalog })), [
    "(country IN (('DE')))",
  ]);
  const all = mapped('by_row: country, values: { DE: eu }, default: eu');
  assert.deepEqual(predicates(deciding('eu', customers, { policy: all, catalog })), []);
  const insert = statement({ statementKind: 'insert', tables: [tableUse('public.customers', written)] });
  assert.equal(inShort(deciding('eu', insert, { policy: all, catalog })), 'allow shop-eu');
  assert.equal(inShort(deciding('eu', insert, { policy: home, catalog })), 'refuse row_region');
});

test('rows of a table elsewhere are not moved into one that is regional by row', () => {
  const policy = policyFrom(`version: 1
regions: { eu: {}, us: {} }
data:
  shop:
    - { table: public.customers, by_row: country, values: { DE: eu }, default: eu }
    - { table: public.us_orders, region: us }
    - { table: public.orders, region: eu }
transfers: [ { from: us, to: eu, values: approval } ]
roles:
  all: { members: { groups: [all] }, databases: [shop], read: { regions: [eu, us] }, write: { regions: [eu] } }
`);
  const catalog = catalogOf([
    table('public.customers', ['country', 'name']),
    table('public.orders', ['total']),
    table('public.us_orders', ['total']),
  ]);
  const copying = (from: string) =>
    statement({
      statementKind: 'insert',
      tables: [tableUse('public.customers', written), tableUse(from)],
    });
  assert.equal(inShort(deciding('all', copying('public.orders'), { policy, catalog })), 'allow shop-eu');
  assert.equal(
    inShort(deciding('all', copying('public.us_orders'), { policy, catalog })),
    'refuse row_region',
  );
});

test('a region column that isn’t there is refused', () => {
  const policy = mapped('by_row: nation, values: { DE: eu }');
  assert.equal(inShort(deciding('eu', customers, { policy })), 'refuse row_region');
});

test('partitions inherit place and tags; those placed elsewhere count for their parent', () => {
  const policy = policyFrom(`version: 1
regions: { eu: {}, us: {} }
data:
  shop:
    - { table: public.events, region: eu, columns: { who: pii.who } }
    - { table: public.events_us, region: us }
roles:
  all: { members: { groups: [all] }, databases: [shop], read: { regions: [eu, us] } }
`);
  const columns = ['id', 'who'];
  const parents = ['public.events'];
  const catalog = catalogOf([
    table('public.events', columns, { kind: 'partitioned' }),
    table('public.events_1', columns, { parents }),
    table('public.loose', columns),
  ]);
  const child = deciding('all', selectFrom('public.events_1', ['public.events_1.who']), { policy, catalog });
  assert.ok(child.effect === 'allow');
  assert.deepEqual(child.regionsRead, ['eu']);
  assert.deepEqual(
    child.masks.map((mask) => `${mask.table}.${mask.column}`),
    ['events_1.who'],
  );
  assert.equal(
    inShort(deciding('all', selectFrom('public.loose'), { policy, catalog })),
    'refuse unplaced_table',
  );
  const split = catalogOf([
    table('public.events', columns, { kind: 'partitioned' }),
    table('public.events_us', columns, { parents }),
    table('public.events_far', columns, { parents, kind: 'foreign' }),
  ]);
  const readingAll = deciding('all', selectFrom('public.events'), { policy, catalog: split });
  assert.equal(inShort(readingAll), 'refuse unplaced_table');
  assert.match(readingAll.because.message, /events_far/);
  const two = catalogOf([
    table('public.events', columns, { kind: 'partitioned' }),
    table('public.events_us', columns, { parents }),
  ]);
  const both = deciding('all', selectFrom('public.events'), { policy, catalog: two });
  assert.equal(inShort(both), 'refuse path_upstream path_gateway path_client');
  const own = deciding(
    asking('all', { gateway: 'us', client: 'us' }),
    selectFrom('public.events_us', [], { columns: [use('public.events_us.who', 'where')] }),
    { policy, catalog: two },
  );
  assert.equal(inShort(own), 'refuse masked_use');
});

test('a plain view needs no place of its own, a materialized view and a foreign table do', () => {
  const policy = policyFrom(
    shopPolicyText.replace('    # any other', '    - { table: "public.*", region: eu }\n    # any other'),
  );
  const catalog = catalogOf([
    table('public.v', ['total'], { kind: 'view', definition: 'SELECT total FROM public.us_orders' }),
    table('public.m', ['total'], { kind: 'materialized_view' }),
    table('public.f', ['total'], { kind: 'foreign' }),
    table('public.orders', ['total']),
    table('public.us_orders', ['total']),
  ]);
  const view = (name: string, behind: string) =>
    statement({
      tables: [tableUse(`public.${name}`, { view: true }), tableUse(behind, { viaView: true, span: null })],
    });
  const ask = (what: Parameters<typeof deciding>[1], by = policy) =>
    inShort(deciding('analysts-eu', what, { policy: by, catalog }));
  assert.equal(ask(view('v', 'public.orders')), 'allow shop-eu');
  assert.equal(ask(view('v', 'public.us_orders')).split(' ')[1], 'region_read');
  assert.equal(ask(selectFrom('public.m')), 'allow shop-eu');
  assert.equal(ask(view('m', 'public.orders'), policyFrom(shopPolicyText)), 'refuse unplaced_table');
  assert.equal(ask(selectFrom('public.f')), 'refuse unplaced_table');
});

test('DDL and maintenance on a whole table need no rows picked, copying from it does', () => {
  const whole = (kind: 'ddl' | 'maintenance', more: Partial<Parameters<typeof tableUse>[1]>) =>
    statement({ statementKind: kind, tables: [tableUse('public.customers', { span: null, ...more })] });
  assert.equal(inShort(deciding('dba', whole('ddl', { reads: true, writes: true }))), 'allow shop-eu');
  assert.equal(inShort(deciding('dba', whole('maintenance', { reads: true }))), 'allow shop-eu');
  assert.equal(inShort(deciding('dba', whole('ddl', { reads: true }))), 'refuse row_region');
  const copying = statement({ statementKind: 'ddl', tables: [tableUse('public.customers')] });
  assert.deepEqual(predicates(deciding('dba', copying)), ["(region IN (('eu')))"]);
});

test('triggers are vouched for, or a write is refused', () => {
  const catalog = catalogOf([table('public.orders', ['total'], { hasTriggers: true })]);
  const insert = statement({ statementKind: 'insert', tables: [tableUse('public.orders', written)] });
  assert.equal(inShort(deciding('support', insert, { catalog })), 'refuse function_refused');
  assert.equal(inShort(deciding('support', selectFrom('public.orders'), { catalog })), 'allow shop-eu');
  const policy = policyFrom(
    shopPolicyText.replace(
      'region: eu, columns: { card_number: pii.card }',
      'region: eu, triggers: allow, columns: { card_number: pii.card }',
    ),
  );
  assert.equal(inShort(deciding('support', insert, { catalog, policy })), 'allow shop-eu');
});

test('vouched functions pass, and bring the tables that they touch', () => {
  const policy = policyFrom(
    `${shopPolicyText}
functions: [public.slug, pg_catalog.query_to_xml, { name: public.report, reads: [public.us_orders] }]
`,
  );
  const call = (name: string, trust: 'unknown' | 'sql_text') => {
    const [schema = '', bare = ''] = name.split('.');
    return inShort(
      deciding('analysts-eu', statement({ functions: [{ schema, name: bare, trust }] }), { policy }),
    );
  };
  assert.equal(call('public.slug', 'unknown'), 'allow shop-eu');
  assert.equal(call('pg_catalog.query_to_xml', 'sql_text'), 'allow shop-eu');
  assert.equal(call('public.report', 'unknown').split(' ')[1], 'region_read');
  assert.equal(call('public.other', 'unknown'), 'refuse function_refused');
  const starred = policyFrom(`${shopPolicyText}\nfunctions: "*"\n`);
  const asked = (trust: 'unknown' | 'sql_text') =>
    inShort(
      deciding('dba', statement({ functions: [{ schema: 's', name: 'f', trust }] }), { policy: starred }),
    );
  assert.equal(asked('unknown'), 'allow shop-eu');
  assert.equal(asked('sql_text'), 'refuse function_refused');
});

test('transfers: masked masks again what a role sees clear, approval holds, an end ends', () => {
  const withTransfer = (values: string, until = '') =>
    policyFrom(
      shopPolicyText.replace(
        /^transfers: \[\].*$/m,
        `transfers: [ { from: us, to: eu, values: ${values}, purpose: support${until} } ]`,
      ),
    );
  const far = selectFrom('public.us_orders', ['public.us_orders.card_number']);
  const ask = (policy: ReturnType<typeof policyFrom>, now = 0) => deciding('dba', far, { policy, now });
  const clear = ask(withTransfer('clear'));
  assert.ok(clear.effect === 'allow');
  assert.deepEqual(clear.masks, []);
  const masked = ask(withTransfer('masked'));
  assert.ok(masked.effect === 'allow');
  assert.deepEqual(
    masked.masks.map((mask) => mask.column),
    ['card_number'],
  );
  assert.equal(inShort(ask(withTransfer('approval'))), 'hold dpo');
  const ending = withTransfer('clear', ', until: 2026-06-30');
  assert.equal(inShort(ask(ending, Date.UTC(2026, 5, 30, 23, 59))), 'allow shop-us');
  assert.equal(inShort(ask(ending, Date.UTC(2026, 6, 1))), 'refuse path_gateway path_client');
});

test('a prefix places tables, and partitions when it says more than their parent', () => {
  const policy = policyFrom(`version: 1
regions: { eu: {}, us: {} }
data:
  shop:
    - { table: public.log, region: eu }
    - { table: public.log_us*, region: us, columns: { who: pii.who } }
    - { table: public.l*, region: eu }
    - { table: public.*, global: true }
roles:
  all:
    members: { groups: [all] }
    databases: [shop]
    read: { regions: [eu, us] }
    write: { regions: [eu, us], tables: [public.log_us_2*] }
`);
  const parents = ['public.log'];
  const catalog = catalogOf([
    table('public.log', ['who'], { kind: 'partitioned' }),
    table('public.log_us_2025', ['who'], { parents }),
    table('public.log_us_2026', ['who'], { parents }),
    table('public.legs', ['who'], { parents }),
    table('public.archive', ['who'], { parents }),
    table('public.letters', ['who']),
    table('public.other', ['who']),
  ]);
  const regions = (name: string) => {
    const at = { gateway: 'us', client: 'us' };
    const there = deciding(asking('all', at), selectFrom(name), { policy, catalog });
    return there.regionsRead.join();
  };
  assert.equal(regions('public.log_us_2025'), 'us');
  assert.equal(regions('public.legs'), 'eu', 'the parent says more than a shorter prefix');
  assert.equal(regions('public.archive'), 'eu', 'the parent says more than its schema');
  assert.equal(regions('public.letters'), 'eu');
  assert.equal(regions('public.other'), '');
  assert.equal(regions('public.log'), 'eu,us', 'the partitions are read through their parent');
  const masked = deciding(asking('all', { gateway: 'us', client: 'us' }), selectFrom('public.log_us_2025'), {
    policy,
    catalog,
  });
  assert.ok(masked.effect === 'allow');
  assert.deepEqual(
    masked.masks.map((mask) => `${mask.table}.${mask.column}`),
    ['log_us_2025.who'],
  );
  const insert = (name: string) =>
    inShort(
      deciding(
        asking('all', { gateway: 'us', client: 'us' }),
        statement({ statementKind: 'insert', tables: [tableUse(name, written)] }),
        { policy, catalog },
      ),
    );
  assert.equal(insert('public.log_us_2025'), 'allow shop-us');
  assert.equal(insert('public.log_us_1'), 'refuse region_write');
});
