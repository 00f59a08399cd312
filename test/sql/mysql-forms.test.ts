/** Forms of MySQL and MariaDB that are given to the parser in another spelling: each with what it has to find there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clauses, outputs, read, refused, tables } from './mysql-reading.ts';

test('joins as operands: nested to the right, in parentheses, with USING and NATURAL inside', () => {
  const copies: readonly (readonly [string, string])[] = [
    [
      'select c.email from accounts a join contacts c join products p on c.id = p.id on a.id = c.id',
      'email=contacts.email',
    ],
    [
      'select email from accounts a left join contacts c left join products p on c.id = p.id on a.id = c.id',
      'email=contacts.email',
    ],
    [
      'select c.email from accounts a join contacts c join products p using (id) on a.id = c.id',
      'email=contacts.email',
    ],
    ['select c.email from ((accounts a join contacts c on a.id = c.id))', 'email=contacts.email'],
    [
      'select email from ((contacts natural join accounts) natural join products) natural join accounts x',
      'email=contacts.email',
    ],
    ['select email from accounts a, (contacts c, products p)', 'email=contacts.email'],
    ['select c.email from {oj accounts a left outer join contacts c on a.id = c.id}', 'email=contacts.email'],
    ['select c.email from contacts c natural straight_join accounts', 'email=contacts.email'],
  ];
  for (const [sql, expected] of copies) assert.deepEqual(outputs(sql), [expected], sql);
  assert.equal(
    clauses('select 1 from accounts a join contacts c join products p on c.email = p.name on a.id = c.id'),
    'join',
  );
  assert.equal(
    clauses('select 1 from accounts a join contacts c join products p using (id) on a.title = c.email'),
    'join',
  );
  // a condition sees the tables of its own join alone
  assert.equal(
    refused('select 1 from accounts a join contacts c join products p on a.id = p.id on a.id = c.id').reason,
    'unknown_name',
  );
  assert.equal(refused('select 1 from (accounts a join contacts c on a.id = c.id) x').reason, 'unsupported');
  refused('select 1 from accounts a straight_join contacts c join products p on c.id = p.id on a.id = c.id');
  refused('select 1 from accounts a join contacts c on a.id = c.id on a.id = c.id');
  refused('select 1 from {oj accounts a left join contacts c on a.id = c.id');
});

test('VALUES as a query', () => {
  assert.deepEqual(outputs('values (1, 2), (3, 4)'), ['~', '~']);
  assert.deepEqual(outputs('select * from (values (1), (2)) t'), ['~']);
  assert.deepEqual(outputs('select column_1 from (values row(1, 2), row(3, 4)) t'), ['column_1~']);
  assert.deepEqual(outputs('with v (a, b) as (values (1, 2), (3, 4)) select b from v'), ['b~']);
  assert.deepEqual(outputs('values (1) union all select email from contacts'), ['=contacts.email']);
  assert.deepEqual(outputs('values ((select email from contacts limit 1))'), ['=contacts.email']);
  assert.equal(clauses('select id from contacts where email in (values (1), (2))'), 'where');
  assert.equal(
    clauses('select id from accounts where (values row(id, (select email from contacts))) = 1'),
    'where',
  );
  assert.equal(clauses('select (values row((email))) from contacts'), 'output');
  assert.equal(
    clauses('values (1), ((select upper(email) from contacts limit 1)) order by 1'),
    'function order_by',
  );
  assert.equal(read('insert into contacts (id) values (1), (2)').statementKind, 'insert');
  assert.deepEqual(tables('insert into contacts (id) (values (1), (2))'), ['contacts:w']);
  refused('values row(email)');
  refused('values');
});

test('JSON_TABLE is made of its expression', () => {
  const table =
    "json_table(c.notes, '$[*]' columns (n for ordinality, x varchar(10) path '$.x' default 'a' on empty,";
  const sql = `${table} nested path '$.b' columns (y int exists path '$.y'))) as j`;
  assert.deepEqual(outputs(`select j.y, j.n, c.id from contacts c, ${sql}`), [
    'y~contacts.notes',
    'n~contacts.notes',
    'id=contacts.id',
  ]);
  assert.equal(clauses(`select 1 from contacts c join ${sql} on j.x = 1`, 'notes'), 'function join');
  assert.deepEqual(outputs("select * from json_table('[1]', '$[*]' columns (a int path '$')) t"), ['a~']);
  assert.deepEqual(
    outputs(
      "select a from json_table((select email from contacts limit 1), '$[*]' columns (a int path '$')) t",
    ),
    ['a~contacts.email'],
  );
  refused("select * from json_table('[1]', '$[*]' columns (a int path '$'))");
  refused("select * from json_table('[1]', concat('$', '') columns (a int path '$')) t");
  refused("select * from json_table('[1]', '$' columns (a int path (select email from contacts))) t");
  refused("select json_table('[1]', '$' columns (a int path '$'))");
  refused(
    "select 1 from accounts a join (contacts c join json_table(a.data, '$' columns (a int path '$')) t) on 1",
  );
});

test('escapes of ODBC, MATCH without parentheses, types and levels inside calls', () => {
  assert.deepEqual(outputs("select {d '2020-01-01'} as a, {ts '2020-01-01 00:00:00'} as b"), ['a~', 'b~']);
  assert.equal(clauses('select {fn ucase(email)} from contacts'), 'function');
  assert.equal(clauses('select {d email} from contacts'), 'expression');
  for (const sql of [
    "select {'x'}",
    'select {d 1)',
    'select ({d 1})}',
    'select {d 1, 2',
    'select {oj 1}',
    'select 1 from {d contacts}',
  ])
    refused(sql);
  assert.equal(
    clauses("select id from contacts where match name, email against ('x' in boolean mode)"),
    'where',
  );
  assert.equal(clauses("select match contacts.email against ('x') from contacts"), 'function');
  refused("select id from contacts where match upper(email) against ('x')");
  assert.equal(
    clauses('select column_get(column_create(1, email as char(3)), 1 as int) from contacts'),
    'function',
  );
  assert.equal(clauses('select weight_string(email as char(3) level 1 desc, 2) from contacts'), 'function');
  refused('select weight_string(id level email) from contacts');
  refused('select column_get(email, 1 as int + id) from contacts');
});

test('WITHIN GROUP orders by an argument', () => {
  const sql =
    'select percentile_cont(0.5) within group (order by email desc) over (partition by id) from contacts';
  assert.equal(clauses(sql), 'aggregate');
  assert.equal(clauses(sql, 'id'), 'window');
  refused('select percentile_cont(0.5) within group (email) over () from contacts');
  refused('select percentile_cont() within group (order by id) over () from contacts');
});

test('FETCH FIRST, OFFSET ... ROWS, FOR SYSTEM_TIME', () => {
  for (const sql of [
    'select email from contacts order by id offset 2 rows fetch first 3 rows only',
    'select email from contacts order by id fetch next row with ties',
    'select email from contacts offset 1 row',
    "select email from contacts for system_time as of timestamp '2020-01-01 00:00:00'",
    'select email from contacts for system_time between now(6) and current_timestamp',
    'select c.email from contacts for system_time all as c',
  ])
    assert.deepEqual(outputs(sql), ['email=contacts.email'], sql);
  assert.equal(clauses('select id from contacts order by email fetch first 1 rows with ties'), 'order_by');
  assert.deepEqual(outputs('select email from contacts limit 1 rows examined 5'), ['email=contacts.email']);
  assert.equal(read('select id from contacts limit rows examined 5').tables[0]?.span, null);
  // what comes behind the name has no place behind a subquery
  assert.equal(read('select id from contacts for system_time all').tables[0]?.span, null);
  assert.notEqual(read('select id from contacts').tables[0]?.span, null);
  refused('select 1 from accounts for system_time as of (select email from contacts)');
  refused('select 1 from contacts c, accounts for system_time as of c.created_at');
  refused('select id from contacts fetch first (select 1) rows only');
});

test('tables of numbers that MariaDB makes up have no rows of anybody', () => {
  assert.deepEqual(outputs('select seq from seq_1_to_10 s'), ['seq~']);
  assert.deepEqual(tables('select * from seq_1_to_10_step_2 join contacts on seq = id'), ['contacts:r']);
  assert.equal(refused('select * from seq_1_to_ten').reason, 'unknown_name');
  assert.equal(refused('insert into seq_1_to_10 values (1)').reason, 'unsupported');
});

test('a name in GROUP BY that is a select item and ambiguous in FROM means all that have it', () => {
  const sql = 'select c.id from contacts c, accounts a where c.id = a.id group by id';
  assert.match(clauses(sql, 'id'), /group_by/);
  assert.match(clauses(sql, 'id', 'accounts'), /group_by/);
  assert.equal(refused('select 1 from contacts c, accounts a where id = 1').reason, 'unknown_name');
});
