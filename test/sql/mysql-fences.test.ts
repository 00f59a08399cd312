/** Where a condition could fail on one row and not on another, a restricted reference is closed off from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from './mysql-reading.ts';

const fenced = (sql: string): boolean => {
  const spans = read(sql).tables.flatMap(({ span }) => (span === null ? [] : [span.fence]));
  assert.equal(new Set(spans).size, 1, sql);
  return spans[0] === ' LIMIT 18446744073709551615';
};

test('a condition that could fail', () => {
  for (const sql of [
    'select id from contacts where id + 1 > 0',
    'select id from contacts where -id < 0',
    'select id from contacts where id div 2 = 1',
    'select id from contacts where exp(id) > 0',
    "select id from contacts where name rlike '('",
    "select id from contacts where notes->'$.a' = 1",
    'select id from contacts where id = (select 1 union select 2)',
    'select c.id from contacts c join accounts a on c.id = a.id * 2',
    'select c.id from contacts c join (accounts a join products p on exp(p.id) > 0) on c.id = a.id',
    'select id from contacts group by id having id + 1 > 0',
    'select id, id * 2 as x from contacts having x > 1',
    'select id from (select id, id * 2 as x from contacts) d where x > 1',
    'with d as (select exp(id) as x from contacts) select x from d',
    'select id from contacts where case when id > 1 then id * 2 else 1 end > 1',
    'select id from contacts where id in (select a.id + 1 from accounts a)',
    'select 1 from contacts where id = 1 union select id from contacts where id % 2 = 1',
    "select id from contacts, json_table(notes, '$' columns (a int path '$')) j",
    'select id from contacts where somebodys(id) = 1',
    'insert into accounts (id) select id from contacts where name = 5',
    'select @a := id from contacts where abs(id) > 1',
  ])
    assert.equal(fenced(sql), true, sql);
});

test('conditions that can not fail leave the indexes of a restricted table in use', () => {
  for (const sql of [
    'select id from contacts',
    "select id, id + 1, exp(id) from contacts where id = 5 and name like 'a%' or email is null",
    'select id from contacts where id in (1, 2, ?) and created_at between ? and ?',
    "select id from contacts where id = -5 and lower(name) = 'a' and coalesce(email, '') <> ''",
    'select id from contacts where created_at > now() order by id * 2 limit 5',
    'select count(*), year(created_at) + 1 from contacts where id > 1 group by year(created_at) + 1',
    'select count(*) as n from contacts group by owner_id having n > 1 and count(*) < 5',
    'select c.id from contacts c left join accounts a on a.id = c.owner_id where a.id is null',
    'select id from contacts where id in (select owner_id from contacts where id > 5)',
    'select id from contacts c where exists (select 1 from accounts a where a.id = c.owner_id)',
    "select id from contacts where case when id > 1 then 'a' else 'b' end = 'a'",
  ])
    assert.equal(fenced(sql), false, sql);
});
