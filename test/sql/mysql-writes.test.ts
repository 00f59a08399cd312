import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channels, clauses, outputs, read, refused, tables } from './mysql-reading.ts';

const written = (sql: string): string =>
  read(sql)
    .written.map((ref) => `${ref.table}.${ref.column}`)
    .join(' ');

test('INSERT in all its forms names what it writes', () => {
  assert.equal(
    written("insert into contacts (id, email) values (1, 'a'), (2, ?)"),
    'contacts.id contacts.email',
  );
  assert.equal(
    written('insert into accounts values (1, 2, 3, 4, 5)'),
    'accounts.id accounts.title accounts.balance accounts.region accounts.data',
  );
  assert.equal(written("insert ignore into contacts set name = upper('x')"), 'contacts.name');
  assert.equal(written('replace into contacts (id) values (default)'), 'contacts.id');
  assert.deepEqual(tables('insert into contacts (id) values (1)'), ['contacts:w']);
  assert.deepEqual(tables('insert into accounts (title) select email from contacts'), [
    'accounts:w',
    'contacts:r',
  ]);
});

test('INSERT ... SELECT from its own table may say what a duplicate key does, in values that read nothing', () => {
  const insert =
    'insert into accounts (id, title) select id + 1, title from accounts on duplicate key update title =';
  assert.deepEqual(tables(`${insert} 'again'`), ['accounts:rw', 'accounts:r']);
  assert.deepEqual(tables(`${insert} default`), ['accounts:rw', 'accounts:r']);
  assert.equal(refused(`${insert} region`).reason, 'unknown_name');
});

test('values read for a write count as written on', () => {
  assert.equal(clauses('insert into accounts (title) select email from contacts'), 'write');
  assert.equal(clauses('insert into accounts (title) select upper(email) from contacts'), 'function write');
  assert.equal(
    clauses('insert into accounts (title) values ((select email from contacts limit 1))'),
    'write',
  );
  assert.equal(clauses('update contacts set name = email'), 'write');
  assert.equal(clauses('update accounts a join contacts c on c.id = a.id set a.title = c.email'), 'write');
  assert.equal(clauses('create table t2 as select email from contacts'), 'write');
  assert.equal(clauses('create view v2 as select email from contacts'), 'write');
});

test('an upsert of the statement own values reads nothing', () => {
  for (const sql of [
    "insert into contacts (id, email) values (1, 'x') on duplicate key update email = values(email)",
    "insert into contacts (id, email) values (1, 'x') as new on duplicate key update email = new.email",
  ]) {
    assert.equal(clauses(sql), '', sql);
    assert.deepEqual(tables(sql), ['contacts:w'], sql);
  }
  const sql = "insert into contacts (id) values (1) on duplicate key update name = concat(email, 'x')";
  assert.equal(clauses(sql), 'conflict function write');
  assert.deepEqual(tables(sql), ['contacts:rw']);
});

test('RETURNING is an output', () => {
  assert.deepEqual(outputs('insert into contacts (id) values (1) returning id, email'), [
    'id=contacts.id',
    'email=contacts.email',
  ]);
  assert.deepEqual(outputs('delete from contacts where id = 1 returning email'), ['email=contacts.email']);
  assert.equal(refused('update contacts set id = 1 returning email').reason, 'unsupported');
});

test('UPDATE and DELETE: targets, other tables, and whether there is a WHERE', () => {
  assert.deepEqual(tables("update contacts set name = 'x'"), ['contacts:w']);
  assert.equal(read("update contacts set name = 'x'").withoutWhere, true);
  assert.deepEqual(tables("update contacts set name = 'x' where id = 1"), ['contacts:rw']);
  assert.equal(read("update contacts set name = 'x' where id = 1").withoutWhere, false);
  assert.deepEqual(tables('update contacts c join accounts a on a.id = c.owner_id set c.name = a.title'), [
    'contacts:rw',
    'accounts:r',
  ]);
  assert.deepEqual(tables('delete from contacts'), ['contacts:w']);
  assert.equal(read('delete from contacts limit 5').withoutWhere, true);
  assert.deepEqual(tables('delete c from contacts c, accounts a where a.id = c.id'), [
    'contacts:rw',
    'accounts:r',
  ]);
  assert.deepEqual(tables('delete from c using contacts c join accounts a on a.id = c.id'), [
    'contacts:rw',
    'accounts:r',
  ]);
  assert.equal(clauses('delete from contacts order by email limit 1'), 'order_by');
  assert.equal(
    clauses(
      "with x as (select id from contacts where email = 'x') delete from accounts where id in (select id from x)",
    ),
    'where',
  );
  assert.equal(written('update v_contacts set mail = 1'), 'contacts.email');
  assert.deepEqual(tables('update v_contacts set mail = 1'), ['v_contacts:w', 'contacts:rwv']);
});

test('definitions name their tables', () => {
  assert.deepEqual(tables('drop table if exists contacts, zork'), ['contacts:w', 'zork:w']);
  assert.deepEqual(tables('truncate table contacts'), ['contacts:w']);
  assert.equal(read('truncate contacts').statementKind, 'truncate');
  assert.deepEqual(tables('alter table contacts rename to c2'), ['contacts:rw', 'c2:w']);
  assert.deepEqual(tables('rename table contacts to a1, accounts to contacts'), [
    'contacts:rw',
    'a1:w',
    'accounts:rw',
    'contacts:w',
  ]);
  assert.deepEqual(tables('create table c2 like contacts'), ['c2:w', 'contacts:r']);
  assert.deepEqual(tables('create index i on contacts (email)'), ['contacts:w']);
  assert.deepEqual(tables('alter table accounts exchange partition p with table contacts'), [
    'accounts:rw',
    'contacts:rw',
  ]);
  assert.ok(
    read('create temporary table t2 (id int)').effects.some(
      (effect) => effect.kind === 'temporary' && effect.name === 't2',
    ),
  );
  assert.ok(read('drop database crm').tables.length >= 3);
  assert.deepEqual(channels("create table f (id int) engine=federated connection='mysql://x'"), [
    'network',
    'network',
  ]);
  for (const sql of [
    'create procedure p() select 1',
    'create function f() returns int return 1',
    'create trigger t before insert on contacts for each row set @a = 1',
    'create event e on schedule every 1 day do select 1',
  ]) {
    assert.equal(refused(sql).reason, 'unsupported', sql);
  }
});

test('a long INSERT costs what its first row costs', () => {
  const rows = Array.from({ length: 5000 }, (_, at) => `(${at}, 'name ${at}', ?)`).join(', ');
  const long = read(`insert into contacts (id, name, email) values ${rows}`);
  const short = read("insert into contacts (id, name, email) values (1, 'a', ?)");
  assert.equal(long.shape.length < 120, true);
  assert.deepEqual({ ...long, shape: '' }, { ...short, shape: '' });
  assert.equal(
    clauses(
      "insert into accounts (id, title) values (1, 'a'), (2, (select email from contacts limit 1)), (3, 'b')",
    ),
    'write',
  );
});
