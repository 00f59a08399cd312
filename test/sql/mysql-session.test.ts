import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channels, clauses, outputs, read, refused, statements } from './mysql-reading.ts';

test('what clients send when they connect or look around is understood and has no channel', () => {
  const harmless: readonly (readonly [string, string])[] = [
    ['select @@version_comment limit 1', 'select'],
    ['SELECT DATABASE()', 'select'],
    ['SET AUTOCOMMIT = 0', 'set'],
    ['SET NAMES utf8mb4', 'set'],
    ["SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'", 'set'],
    ['SET character_set_results = NULL', 'set'],
    ["SET sql_mode=CONCAT(@@sql_mode,',STRICT_TRANS_TABLES')", 'set'],
    ['SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', 'set'],
    [
      '/* connector (Revision: x) */SELECT @@session.auto_increment_increment AS a, @@sql_mode AS sql_mode, @@wait_timeout AS w',
      'select',
    ],
    ['SELECT VERSION() AS `version`', 'select'],
    [
      "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = 'crm'",
      'select',
    ],
    ['SHOW FULL COLUMNS FROM `contacts`', 'show'],
    ['SHOW INDEX FROM `contacts` FROM `crm`', 'show'],
    ['SHOW CREATE TABLE `contacts`', 'show'],
    ["SHOW VARIABLES WHERE Variable_name IN ('a','b') OR Variable_name = 'c'", 'show'],
    ["SHOW SESSION STATUS LIKE 'Ssl_cipher'", 'show'],
    ['SHOW FULL TABLES', 'show'],
    ['DESCRIBE contacts', 'show'],
    ['EXPLAIN SELECT * FROM contacts', 'explain'],
    ['BEGIN', 'transaction'],
    ['START TRANSACTION READ ONLY', 'transaction'],
    ['COMMIT', 'transaction'],
    ['ROLLBACK TO SAVEPOINT `a`', 'transaction'],
    ['LOCK TABLES `contacts` READ /*!32311 LOCAL */', 'lock'],
    ['UNLOCK TABLES', 'lock'],
    ["/*!40100 SET @@SQL_MODE='' */", 'set'],
    ["/*!40103 SET TIME_ZONE='+00:00' */;", 'set'],
    ['SELECT /*!40001 SQL_NO_CACHE */ * FROM `contacts`', 'select'],
    ['START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */', 'transaction'],
    [
      'SELECT `User`.`id` FROM `contacts` AS `User` LEFT OUTER JOIN `accounts` AS `a` ON `User`.`owner_id` = `a`.`id` WHERE (`User`.`id` = 1) LIMIT 1;',
      'select',
    ],
    ['set @x = 1', 'set'],
    ['do 1', 'do'],
    ['use other', 'set'],
  ];
  for (const [sql, kind] of harmless) {
    assert.equal(read(sql).statementKind, kind, sql);
    assert.deepEqual(channels(sql), [], sql);
  }
});

test('settings come out with their values', () => {
  const settings = (sql: string): string[] =>
    read(sql).effects.flatMap((effect) => (effect.kind === 'set' ? [`${effect.name}=${effect.value}`] : []));
  assert.deepEqual(settings("set session sql_mode = 'ANSI_QUOTES', @@autocommit = 1, @a := -1"), [
    'sql_mode=ANSI_QUOTES',
    'autocommit=1',
    '@a=-1',
  ]);
  assert.deepEqual(settings('set names utf8mb4'), ['names=utf8mb4']);
  assert.deepEqual(settings('set character set latin1'), ['character set=latin1']);
  assert.deepEqual(settings('set transaction isolation level read committed, read only'), [
    'transaction_isolation=READ-COMMITTED',
    'transaction_read_only=ON',
  ]);
  assert.deepEqual(settings('set sql_mode = default'), ['sql_mode=null']);
});

test('SET STATEMENT is its settings and the statement behind FOR', () => {
  const found = read(
    'set statement max_statement_time=1, sort_buffer_size = 100 for select email from contacts for update',
  );
  assert.equal(found.statementKind, 'select');
  assert.deepEqual(found.effects, [
    { kind: 'set', name: 'max_statement_time', value: '1', local: true },
    { kind: 'set', name: 'sort_buffer_size', value: '100', local: true },
  ]);
  assert.equal(found.literals, 'matter');
  assert.equal(found.outputs[0]?.direct, true);
  assert.notEqual(found.tables[0]?.span, null);
  assert.ok(
    channels('set statement max_statement_time=(select id from contacts) for select 1').includes(
      'user_variable',
    ),
  );
  for (const sql of [
    'set statement max_statement_time=1 for set autocommit = 0',
    'set statement max_statement_time=1 for call p()',
    'set statement @a = 1 for select 1',
    'set statement max_statement_time=1',
  ])
    refused(sql);
});

test('SLEEP is harmless where no row of a user decides about it', () => {
  const trust = (sql: string) => read(sql).functions.find(({ name }) => name === 'sleep')?.trust;
  for (const sql of [
    'select sleep(1)',
    'select SLEEP(?)',
    'do sleep(0.5)',
    'select sleep(1) from information_schema.tables',
  ])
    assert.equal(trust(sql), 'safe', sql);
  for (const sql of [
    'select sleep(1) from contacts',
    'select id from contacts where sleep(1)',
    'select sleep(1) where exists (select 1 from contacts)',
    'select sleep(1), sleep(length(version()))',
    'select sleep(length(version()))',
    'update contacts set owner_id = sleep(1)',
  ])
    assert.equal(trust(sql), 'side_effect', sql);
});

test('a user variable may have what the definitions say', () => {
  const columns =
    "select @a := character_maximum_length, case data_type when 'bit' then @dt := 1 end from information_schema.columns";
  assert.deepEqual(channels(columns), []);
  assert.ok(
    channels(columns.replace('columns', 'columns, contacts where email = 1')).includes('user_variable'),
  );
  assert.ok(channels('select @a := authentication_string from mysql.user').length > 0);
});

test('other ways out are channels', () => {
  const ways: readonly (readonly [string, string])[] = [
    ['show warnings', 'diagnostics'],
    ['show count(*) errors', 'diagnostics'],
    ['get diagnostics condition 1 @m = message_text', 'diagnostics'],
    ['show full processlist', 'other_session'],
    ['kill query 7', 'other_session'],
    ['select info from information_schema.processlist', 'other_session'],
    ['select * from performance_schema.events_statements_history'.replace('*', 'sql_text'), 'other_session'],
    ['select histogram from information_schema.column_statistics', 'statistics'],
    ['select stat_value from mysql.innodb_index_stats', 'statistics'],
    ['select authentication_string from mysql.user', 'identity'],
    ['show grants for root', 'identity'],
    ['set password = 1', 'identity'],
    ['set role r', 'identity'],
    ["create user u identified by 'x'", 'identity'],
    ['handler contacts open', 'handler'],
    ["load data infile '/x' into table contacts", 'file'],
    ["load data local infile '/x' into table contacts", 'file'],
    ["select email from contacts into outfile '/x'", 'file'],
    ["select email into dumpfile '/x' from contacts", 'file'],
    ["select load_file('/x')", 'file'],
    ['prepare s from @q', 'dynamic_sql'],
    ['execute s using @a', 'dynamic_sql'],
    ["execute immediate concat('select ', 1)", 'dynamic_sql'],
    ['select email into @v from contacts', 'user_variable'],
    ['select @v := email from contacts', 'user_variable'],
    ['select id from contacts where (@v := email) is not null', 'user_variable'],
    ['set @v = (select email from contacts limit 1)', 'user_variable'],
    ['explain analyze select id from contacts', 'explain_analyze'],
    ['analyze format=json select id from contacts', 'explain_analyze'],
    ['checksum table contacts', 'statistics'],
    ['set global general_log = 1', 'server'],
    ['set @@persist.x = 1', 'server'],
    ['flush tables', 'server'],
    ['change master to master_host = 1', 'replication'],
  ];
  for (const [sql, channel] of ways)
    assert.ok(channels(sql).includes(channel), `${sql}: ${channels(sql).join()}`);
});

test('a stored program is an unknown function', () => {
  assert.deepEqual(
    read('call other.p(1, @x)').functions.map((use) => `${use.schema}.${use.name}:${use.trust}`),
    ['other.p:unknown'],
  );
});

test('an executable comment of words inside a statement is read as the server reads it', () => {
  assert.deepEqual(outputs('select /*!50000 email, */ id from contacts'), [
    'email=contacts.email',
    'id=contacts.id',
  ]);
  assert.deepEqual(outputs('select id /*!99999 , email */ from contacts'), ['id=contacts.id']);
  assert.deepEqual(outputs('select id /*!80000 , email */ from contacts'), ['id=contacts.id']);
  assert.deepEqual(outputs('select id /*M!80000 , email */ from contacts'), [
    'id=contacts.id',
    'email=contacts.email',
  ]);
  assert.match(clauses('select id from contacts where 1 /*! or email = 1 */'), /where/);
  assert.deepEqual(channels('set /*!40003 GLOBAL */ general_log = 1'), ['server']);
  assert.equal(
    read("load data /*!40000 LOCAL */ infile '/x' into table contacts").statementKind,
    'load_local',
  );
  assert.deepEqual(channels("SHOW /*!50002 FULL*/ TABLES FROM `crm` LIKE '%'"), []);
  assert.equal(read('select id from/*!50000 contacts*/where 1').tables[0]?.span, null);
  assert.notEqual(read('select id/*!50000 ,email*/ from contacts where 1').tables[0]?.span, null);
});

test('one whose end may be elsewhere for the server is refused', () => {
  for (const sql of [
    "select id /*!50000 , 'x*/ from contacts where name = '*/'",
    "select id /*!50000 , '-- ' */ from contacts",
    "select id /*!50000 , '\\n' */ from contacts",
    'select id /*!50000 , 2 /*/ from contacts',
    'select id /*!50000 , ? */ from contacts',
    'select id /*!50000 , 1 /* 2 */ , email */ from contacts',
    'select id /*!50000 , `*/ , email from contacts where `id` */ = 1',
    'select id /*!50000 -- */ from contacts',
    'select id /*!50000 # */ from contacts',
    'select 1 /*!50000 ; select email from contacts */',
    'select id /*!500001, email */ from contacts',
    'select id /*!5000 */ from contacts',
    'select (id /*!50000 ), ( */ ) from contacts',
  ]) {
    assert.match(refused(sql).message, /executable comment|not closed|unexpected/, sql);
  }
  const literal = read("select id /*!50000 , 'x', email */ from contacts");
  assert.equal(literal.outputs.length, 3);
  assert.equal(literal.shape.includes('x'), false);
  const view =
    '/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */\n' +
    '/*!50001 VIEW `v` AS select `contacts`.`id` AS `id` from `contacts` */';
  assert.equal(read(view).statementKind, 'ddl');
  const behind = read('/*!99999 nothing */ \n/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE="" */;');
  assert.deepEqual(
    behind.effects.flatMap((effect) => (effect.kind === 'set' ? [effect.name] : [])),
    ['@OLD_SQL_MODE', 'sql_mode'],
  );
  assert.equal(statements('/*!999999 drop table contacts */').length, 0);
  assert.equal(statements('/*!50701 drop table contacts */').length, 0);
  assert.equal(read('/*!50699 drop table contacts */').statementKind, 'ddl');
});

test('comments that are no comments, and the other way round', () => {
  assert.equal(read('select 1--1').statementKind, 'select');
  assert.deepEqual(read('select id -- , email\nfrom contacts').outputs.length, 1);
  assert.deepEqual(read('select id # , email\nfrom contacts').outputs.length, 1);
  assert.deepEqual(read('select id /* , email */ from contacts').outputs.length, 1);
  assert.equal(read('select id --\n, email from contacts').outputs.length, 2);
  assert.match(refused("select /*+ SET_VAR(sql_mode='ANSI_QUOTES') */ id from contacts").message, /SET_VAR/);
  assert.equal(read('select /*+ MAX_EXECUTION_TIME(1000) */ id from contacts').outputs.length, 1);
  assert.equal(refused('select 1\u0000').reason, 'unsupported');
});

test('quotes follow the pinned session settings', () => {
  assert.equal(read(`select "email" from contacts`).columns.length, 0);
  assert.equal(read(String.raw`select 'it\'s', id from contacts`).outputs.length, 2);
  assert.equal(read("select 'it''s', id from contacts").outputs.length, 2);
  assert.equal(read(String.raw`select 'a\', email, ' from contacts`).columns.length, 0);
  assert.equal(read(String.raw`select 'a\\', email, '' from contacts`).columns.length, 1);
});

test('several statements are told apart, and USE holds for those after it', () => {
  const all = statements('select 1; use other; select label from things; ;');
  assert.deepEqual(
    all.map((statement) => statement.kind),
    ['analyzed', 'analyzed', 'analyzed'],
  );
  assert.equal(statements('select label from things')[0]?.kind, 'opaque');
});

test('a query can not hide in SHOW', () => {
  assert.equal(
    refused("show tables where (select 1 from contacts where email like 'a%')").reason,
    'unsupported',
  );
  assert.equal(read("show tables where f('x')").functions[0]?.trust, 'unknown');
});

test('what is not understood is refused with its name and without a literal', () => {
  for (const sql of [
    "values row(1, 'secret') values",
    "select * from json_table('secret', '$' columns (a int path '$'))",
    "signal sqlstate 'secret'",
    "frob 'secret'",
    "select 'secret' from from",
    "select 'secret",
    "select 'secret' from contacts window w (order by id)",
    "select {'secret'}",
  ]) {
    const { message, shape } = refused(sql);
    assert.doesNotMatch(message + shape, /secret/, sql);
  }
  assert.equal(refused(`select ${'('.repeat(5000)}1${')'.repeat(5000)}`).reason, 'unsupported');
  assert.equal(refused(`select ${'id,'.repeat(400_000)}id from contacts`).reason, 'too_long');
});

test('a forward reference in WITH RECURSIVE, which MariaDB follows, is refused', () => {
  assert.match(
    refused(
      'with recursive a as (select name from products), products as (select email as name from contacts) select name from a',
    ).message,
    /forward reference/,
  );
  assert.deepEqual(
    read('with a as (select name from products), b as (select name from a) select name from b').outputs
      .length,
    1,
  );
});
