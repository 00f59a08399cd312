import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clauses, outputs, read, refused, tables } from './mysql-reading.ts';

test('a plain copy stays plain through aliases, derived tables, CTEs, views, subqueries and UNION ALL', () => {
  const copies: readonly (readonly [string, string])[] = [
    ['select email from contacts', 'email=contacts.email'],
    ['select C.EMAIL as x from contacts C', 'x=contacts.email'],
    ['select `e` from (select email as e from contacts) d', 'e=contacts.email'],
    ['select e from (select email from contacts) d (e)', 'e=contacts.email'],
    ['with x as (select email from contacts) select email from x', 'email=contacts.email'],
    ['with x (a) as (select email from contacts) select a from x', 'a=contacts.email'],
    [
      'with accounts as (select email as title from contacts) select title from accounts',
      'title=contacts.email',
    ],
    [
      'with recursive r (n, e) as (select 1, email from contacts union all select n + 1, e from r where n < 3) select e from r',
      'e=contacts.email',
    ],
    ['select mail from v_contacts', 'mail=contacts.email'],
    ['select (select email from contacts limit 1) as e', 'e=contacts.email'],
    [
      'select e from (select email as e from contacts union all select title from accounts) d',
      'e=contacts.email+accounts.title',
    ],
    [
      '(select email from contacts order by id limit 1) union all (select title from accounts)',
      'email=contacts.email+accounts.title',
    ],
    [
      'select l.email from accounts a, lateral (select email from contacts c where c.id = a.id) l',
      'email=contacts.email',
    ],
    ['select crm.contacts.email from crm.contacts', 'email=contacts.email'],
  ];
  for (const [sql, expected] of copies) {
    assert.deepEqual(outputs(sql), [expected], sql);
  }
  assert.equal(clauses('select email from contacts where id = 1'), 'output');
});

test('every way of computing with a column is a use of its own', () => {
  const uses: readonly (readonly [string, string])[] = [
    ['select upper(email) from contacts', 'function'],
    ['select email + 0 from contacts', 'expression'],
    ['select -email from contacts', 'expression'],
    ['select email collate utf8mb4_bin from contacts', 'expression'],
    ['select cast(email as char(3)), convert(email using latin1) from contacts', 'function'],
    ["select case email when 'a' then 1 else 2 end from contacts", 'expression'],
    ["select email->'$.a' from contacts", 'expression'],
    ['select max(email) from contacts', 'aggregate'],
    ["select group_concat(name order by email separator ';') from contacts", 'aggregate'],
    ['select row_number() over (partition by email order by id) from contacts', 'window'],
    ['select count(distinct email) from contacts', 'aggregate'],
    ["select id from contacts where email like 'a%'", 'where'],
    ["select id from contacts where email between 'a' and 'b'", 'where'],
    ["select id from contacts where match(name, email) against ('x' in boolean mode)", 'where'],
    ['select id from contacts where (id, email) in (select id, title from accounts)', 'where'],
    ['select id from accounts where title in (select email from contacts)', 'where'],
    ['select id from accounts where title = any (select email from contacts)', 'where'],
    ['select id from accounts a where exists (select 1 from contacts c where c.email = a.title)', 'where'],
    ['select a.id from accounts a join contacts c on c.email = a.title', 'join'],
    ['select id from contacts order by email desc', 'order_by'],
    ['select id from contacts group by substring(email, 1, 1)', 'group_by'],
    ['select owner_id from contacts group by owner_id having max(email) > 1', 'having'],
    ['select distinct email from contacts', 'distinct output'],
    ['select email from contacts union select title from accounts', 'output set_operation'],
    ['select email from contacts intersect select title from accounts', 'output set_operation'],
    ['select email from contacts order by 1', 'order_by output'],
    ['select email as x from contacts group by x', 'group_by output'],
    ['select email as x from contacts having x > 1', 'having output'],
    ["select id from (select id, email from contacts where email = 'x') d", 'output where'],
    ["select count(*) from (select email e from contacts) d where e = 'x'", 'output where'],
    ['select up from v_upper', 'function output'],
    ['select name from contacts order by interval 1 day + email', 'order_by'],
  ];
  for (const [sql, expected] of uses) assert.equal(clauses(sql), expected, sql);
});

test('statements that leave a column alone do not mention it', () => {
  for (const sql of [
    'select id, name from contacts where id in (1, 2, 3) order by name limit 10',
    'select count(*) from contacts',
    "select 'email' as email, id from contacts",
    'select a.id from accounts a where exists (select 1 from contacts where owner_id = a.id)',
    'select email from (select title as email from accounts) contacts',
  ]) {
    assert.equal(clauses(sql), '', sql);
  }
});

test('an inner name hides an outer one, and only then the outer one counts', () => {
  assert.equal(
    clauses('select id from contacts where exists (select 1 from accounts where title = email)'),
    'where',
  );
  assert.equal(
    clauses('select id from contacts where exists (select 1 from accounts where title = name)', 'name'),
    'where',
  );
  assert.equal(
    clauses('select id from contacts where exists (select 1 from products where id = name)', 'name'),
    '',
  );
});

test('a select alias that a subquery may mean counts beside the column of that name', () => {
  assert.equal(clauses("select email as id from contacts having (select id) like 'a%'"), 'having output');
  assert.equal(clauses('select email as x, (select upper(x)) from contacts'), 'function output');
});

test('a name that only an unlisted system table could have is also looked for outside', () => {
  assert.deepEqual(outputs('select (select email from information_schema.files limit 1) x from contacts'), [
    'x=FILES.email+contacts.email'.replace('FILES', 'files'),
  ]);
});

test('stars give every column in the order that the server gives', () => {
  assert.deepEqual(
    outputs('select a.*, c.email from accounts a join contacts c on c.owner_id = a.id').map(
      (output) => output.split('=')[0],
    ),
    ['id', 'title', 'balance', 'region', 'data', 'email'],
  );
  assert.deepEqual(
    outputs('select * from contacts natural join products').map((output) => output.split('=')[0]),
    ['id', 'name', 'email', 'notes', 'created_at', 'owner_id', 'price'],
  );
  assert.deepEqual(
    outputs('select * from products join contacts using (name)').map((output) => output.split('=')[0]),
    ['name', 'id', 'price', 'id', 'email', 'notes', 'created_at', 'owner_id'],
  );
  assert.deepEqual(outputs('table contacts').length, 6);
});

test('tables behind a view follow it', () => {
  assert.deepEqual(tables('select up from v_upper'), ['v_upper:r', 'v_contacts:rv', 'contacts:rv']);
  assert.equal(refused('select a from v_broken').reason, 'unsupported');
});

test('a table reference is located in the text, unless rewriting it would break the statement', () => {
  const sql = 'select c.id from `contacts` c, accounts';
  const [first, second] = read(sql).tables;
  assert.deepEqual(first?.span, { start: 17, end: 27, aliased: true });
  assert.deepEqual(second?.span, { start: 31, end: 39, aliased: false });
  assert.equal(read('select crm.contacts.id from crm.contacts').tables[0]?.span, null);
  assert.equal(read('/*!50000 select id from contacts */').tables[0]?.span, null);
  // names with a database inside a view's definition are nothing to this text
  assert.equal(read('select v.mail, crm.contacts.id from contacts, v_contacts v').tables[0]?.span, null);
  assert.notEqual(read('select v.mail, c.id from contacts c, v_contacts v').tables[0]?.span, null);
});

test('unknown names are named', () => {
  assert.match(refused('select nope from contacts').message, /Unknown column 'nope'/);
  assert.match(refused('select 1 from nope').message, /Table 'crm.nope' doesn't exist/);
  assert.equal(refused('select 1 from nope').reason, 'unknown_name');
  assert.match(refused('select id from contacts, accounts').message, /ambiguous/);
  assert.match(refused('select 1 from contacts, contacts').message, /Not unique/);
});

test('literals matter only where their value was looked at', () => {
  assert.equal(read('select id from contacts order by 1').literals, 'matter');
  assert.equal(read('select id from contacts where id = 1 order by name limit 5').literals, 'free');
});

test('functions are the engine own, dangerous, or unknown', () => {
  const trust = (sql: string): string[] =>
    read(sql).functions.map((use) => `${use.schema}.${use.name}:${use.trust}`);
  assert.deepEqual(trust('select lower(name), now(), uuid() from contacts'), [
    'mysql.lower:safe',
    'mysql.now:safe',
    'mysql.uuid:safe',
  ]);
  assert.deepEqual(trust('select sleep(id), benchmark(1, 2) from contacts'), [
    'mysql.sleep:side_effect',
    'mysql.benchmark:side_effect',
  ]);
  assert.deepEqual(trust("select load_file('/etc/passwd')"), ['mysql.load_file:reads_data']);
  assert.deepEqual(trust('select f(1), other.g(2), crm.upper(3)'), [
    'crm.f:unknown',
    'other.g:unknown',
    'crm.upper:unknown',
  ]);
  // with a space, the server looks for a stored function of that name
  assert.deepEqual(trust('select count (id) from contacts'), ['crm.count:unknown']);
});
