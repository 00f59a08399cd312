/** What the server says of itself: for administrators who see every column clear, and for nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import { catalogOf, deciding, inShort, policyFrom, table } from './shop.ts';

const policy = policyFrom(`version: 1
regions: { eu: {} }
data:
  shop:
    - { table: public.people, region: eu, columns: { mail: pii.email } }
roles:
  all: { members: { groups: [all] }, databases: [shop], read: { regions: [eu] }, statements: ['*'], clear: ['*'] }
  masked: { members: { groups: [masked] }, databases: [shop], read: { regions: [eu] }, statements: ['*'] }
  clear: { members: { groups: [clear] }, databases: [shop], read: { regions: [eu] }, clear: ['*'] }
`);
const system = (name: string, columns: readonly string[]) =>
  table(`pg_catalog.${name}`, columns, { kind: 'system' });
const catalog = catalogOf([
  table('public.people', ['id', 'mail']),
  system('pg_stat_activity', ['pid', 'query']),
  system('pg_subscription', ['subname', 'subconninfo']),
  system('pg_user_mappings', ['srvname', 'umoptions']),
  system('pg_file_settings', ['name', 'setting']),
  system('pg_authid', ['rolname', 'rolpassword']),
  system('pg_stats', ['tablename', 'histogram_bounds']),
]);

const forAdministrators = [
  'select query from pg_stat_activity',
  'select * from pg_subscription',
  'select * from pg_user_mappings',
  'select * from pg_file_settings',
  'select id, query from people, pg_stat_activity',
];
const forEverybody = ['select pid from pg_stat_activity', 'select subname from pg_subscription'];
const forNobody = [
  'select * from pg_authid',
  'select * from pg_stats',
  'copy (select query from pg_stat_activity) to stdout',
  'select 1 from pg_stat_activity where query = any (select histogram_bounds from pg_stats)',
];

test('reads of what the server says of itself', async () => {
  const analyzer = await postgresAnalyzer();
  const ask = (group: string, sql: string): string => {
    const [one] = analyzer.analyze(sql, catalog, { path: ['pg_catalog', 'public'] }).statements;
    assert.equal(one?.kind, 'analyzed', sql);
    return inShort(deciding(group, one!, { policy, catalog }));
  };
  for (const sql of forEverybody)
    for (const group of ['all', 'masked', 'clear']) assert.equal(ask(group, sql), 'allow shop-eu', sql);
  for (const sql of forAdministrators) {
    assert.equal(ask('all', sql), 'allow shop-eu', sql);
    for (const group of ['masked', 'clear']) assert.equal(ask(group, sql), 'refuse channel_refused', sql);
  }
  for (const sql of forNobody)
    for (const group of ['all', 'masked', 'clear'])
      assert.match(ask(group, sql), /^refuse channel_refused/, sql);
});
