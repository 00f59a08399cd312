/** System relations with one column that tells of others: any way to read it is a channel, the rest of the relation is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { understood } from './postgres-reading.ts';

const channels = (text: string): readonly string[] =>
  understood(text).effects.flatMap((effect) => (effect.kind === 'channel' ? [effect.channel] : []));

describe('a relation with one guarded column', () => {
  for (const text of [
    'select query from pg_stat_activity',
    'select * from pg_stat_activity',
    'table pg_stat_activity',
    'select a from pg_stat_activity a',
    'select a::text from pg_stat_activity a',
    'select count(a) from pg_stat_activity a',
    'select row_to_json(a) from pg_catalog.pg_stat_activity a',
    'select (a).query from pg_stat_activity a',
    'select z from pg_stat_activity a (y, z)',
    "select pid from pg_stat_activity where query like '%x%'",
    'select pid from pg_stat_activity order by query',
    'select count(*) from pg_stat_activity group by query',
    'select a.pid from pg_stat_activity a join pg_stat_activity b using (query)',
    'select a.pid from pg_stat_activity a natural join pg_stat_activity b',
    'select pid from pg_stat_activity union select length(query) from pg_stat_activity',
    'with a as (select * from pg_stat_activity) select query from a',
    'select (select query from pg_stat_activity limit 1)',
    'select id from orders where id in (select length(query) from pg_stat_activity)',
    'select x from orders, lateral (select query as x from pg_stat_activity) l',
    'select max(query) over () from pg_stat_activity',
    'copy pg_stat_activity to stdout',
    'copy (select pid from pg_stat_activity) to stdout',
    'declare c cursor for select pid from pg_stat_activity',
    'create view v as select query from pg_stat_activity',
    'explain analyze select pid from pg_stat_activity',
    'insert into orders (id) select length(query) from pg_stat_activity',
  ])
    it(`is a channel in ${text}`, () => {
      assert.ok(channels(text).includes('other_session'));
    });

  for (const text of [
    'select pid from pg_stat_activity',
    'select count(*) from pg_stat_activity',
    'select a.pid from pg_stat_activity a join orders o on o.id = a.pid where a.pid > 3 order by 1',
    'select p from (select pid as p from pg_stat_activity) x (p)',
    'select 1 from orders where exists (select pid from pg_stat_activity)',
  ])
    it(`is none in ${text}`, () => {
      assert.deepEqual(channels(text), []);
    });

  it('says nothing of a table of the same name elsewhere', () => {
    assert.deepEqual(channels('select query from (select 1 as query) pg_stat_activity'), []);
  });
});
