/** DO, large objects and statistics: decided as if they read and wrote everything, for those who may be decided so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Analyzed, Channel, Opaque } from '../../sql/statement.ts';
import { asking, catalogOf, deciding, inShort, policyFrom, statement, table } from './shop.ts';

const policyOf = (more: { data?: string; role?: string; kinds?: string; top?: string } = {}) =>
  policyFrom(`
version: 1
regions: { eu: {}, us: {} }
masks: { pii.*: { method: redact } }
${more.top ?? ''}
data:
  shop:
    - { table: public.items, region: eu }
    - ${more.data ?? '{ table: public.people, region: eu, columns: { ssn: pii.id } }'}
roles:
  keeper:
    members: { groups: [keepers] }
    databases: [shop]
    read: { regions: [eu, us] }
    write: { regions: [eu, us], global: true }
    statements: ${more.kinds ?? "['*']"}
${more.role ?? "    functions: ['*']\n    clear: ['*']"}
`);
const catalog = catalogOf([
  table('public.items', ['id', 'title']),
  table('public.people', ['id', 'ssn', 'region']),
]);

const by = (channel: Channel, more: Partial<Analyzed> = {}): Analyzed =>
  statement({ effects: [{ kind: 'channel', channel, what: 'it' }], ...more });
const code = by('dynamic_sql', { statementKind: 'do' });
const object = statement({
  functions: [{ schema: 'pg_catalog', name: 'lo_get', trust: 'reads_data', channel: 'large_object' }],
});
const decided = (what: Analyzed, more: Parameters<typeof policyOf>[0] = {}, tables = catalog): string =>
  inShort(deciding(asking('keepers'), what, { policy: policyOf(more), catalog: tables }));

for (const [name, what] of [
  ['a DO block', code],
  ['statistics', by('statistics')],
  ['large objects', by('large_object')],
  ['a function on large objects', object],
] as const) {
  test(`${name}: for somebody who may do everything`, () => {
    assert.equal(decided(what), 'allow shop-eu');
  });

  test(`${name}: not where anything in the database is out of reach`, () => {
    for (const more of [
      { role: "    functions: ['*']" },
      { data: '{ table: public.other, region: eu }' },
      { data: '{ table: public.people, region: us }' },
      { data: '{ table: public.people, by_row: region }' },
      { role: "    functions: ['*']\n    clear: ['*']", kinds: '[select, do, large_object]' },
      { role: "    clear: ['*']" },
    ])
      assert.match(decided(what, more), /^refuse/, JSON.stringify(more));
    assert.match(
      decided(what, {}, catalogOf([...catalog.tables(), table('public.new', ['id'])])),
      /^refuse unplaced_table/,
    );
    const far = [...catalog.tables(), table('public.far', ['id'], { kind: 'foreign' })];
    assert.match(decided(what, {}, catalogOf(far)), /^refuse (channel|function)_refused/);
  });
}

test('ways out of the database stay closed', () => {
  for (const channel of ['file', 'program', 'network', 'other_session', 'identity', 'replication'] as const)
    assert.match(decided(by(channel)), /channel_refused/, channel);
  // SQL given as text by another statement than DO has to be understood.
  assert.match(decided(by('dynamic_sql', { statementKind: 'prepare' })), /channel_refused/);
});

test('the server words what is wrong with a text that was not understood, for who may do everything alone', () => {
  const opaque = (reason: Opaque['reason']): Opaque => ({
    kind: 'opaque',
    shape: '?',
    reason,
    message: 'not understood',
    position: null,
  });
  const words = (reason: Opaque['reason'], more: Parameters<typeof policyOf>[0] = {}): boolean => {
    const decision = deciding(asking('keepers'), opaque(reason), { policy: policyOf(more), catalog });
    assert.equal(decision.effect, 'refuse');
    return decision.because.serverMayWord === true;
  };
  for (const reason of ['syntax', 'unknown_name', 'unsupported'] as const) assert.ok(words(reason), reason);
  assert.ok(!words('too_long'));
  for (const more of [
    { data: '{ table: public.people, region: us }' },
    { data: '{ table: public.people, by_row: region }' },
    { role: "    clear: ['*']" },
    { kinds: '[select, do]' },
  ])
    assert.ok(!words('unknown_name', more), JSON.stringify(more));
});
