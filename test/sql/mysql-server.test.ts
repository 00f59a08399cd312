/** What sql/mysql says about results, held against what a real server says about the same statements. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Connection, createConnection, type FieldPacket } from 'mysql2/promise';
import { mariaDbIsHere, startMariaDb } from '../servers/mariadb.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { read } from './mysql-reading.ts';

const selects: readonly string[] = [
  'select * from contacts',
  'select C.EMAIL, name n from contacts C',
  'select a.*, c.email from accounts a join contacts c on c.owner_id = a.id',
  'select * from contacts natural join products',
  'select * from products join contacts using (name)',
  'select * from products right join contacts using (name, id)',
  'select * from products natural left join contacts',
  'select * from products natural right join contacts',
  'select * from products p right join contacts c on c.id = p.id',
  'select * from products p right join contacts c using (id) join accounts a using (id)',
  'select * from accounts join products using (id) right join contacts using (id, name)',
  'select c.*, p.* from products p right join contacts c using (name)',
  'with d as (select 1 as price, 2 as region) select * from contacts join accounts on contacts.id = accounts.id natural join d',
  'select id, name from products natural join contacts where name = 1 group by name having id > 1 order by id',
  'select id from (select id from contacts) d join products using (id)',
  'select * from (select * from contacts) d join (select id, title from accounts) e using (id)',
  'select exists(select 1) a, (select max(id) from contacts) b, all_.id from contacts all_',
  'select distinct name, id from contacts limit 1, 2',
  'select 1 union select 2 except select 3 intersect select 4',
  'select name from contacts union all select name from products union select title from accounts',
  'select x.e from (select email e, name from contacts) x where x.name in (select name from products)',
  'select timestampdiff(day, created_at, now()) a, created_at + interval id day b, interval(1, 2, 3) c, date_add(created_at, interval 1 month) d from contacts',
  'select c.id day, c.id as date, c.id year from contacts c',
  'select id between 1 and 2 and id is not true a, name sounds like email b, not id c, - id d from contacts',
  'select * from accounts, products join contacts using (id)',
  'select * from (contacts c join accounts a on a.id = c.owner_id) left join products p on p.id = c.id',
  'with x (a, b) as (select id, email from contacts) select b, a from x',
  'with recursive r (n, e) as (select 1, email from contacts union all select n + 1, e from r where n < 3) select e, n from r',
  'select e from (select email as e from contacts union all select title from accounts) d',
  '(select email from contacts order by id limit 1) union all (select title from accounts) order by 1 limit 5',
  '((select email from contacts) union (select title from accounts)) order by email',
  'select (select email from contacts limit 1) as e, exists (select * from accounts) as x',
  'select mail, contact from v_contacts',
  'select up from v_upper',
  'select if(id > 1, \'a\', "b") a, left(name, 3) b, convert(name using utf8mb4) c, char(77 using utf8mb4) d from contacts',
  "select count(distinct id, owner_id) a, group_concat(id order by id desc separator ', ') b from contacts",
  "select extract(year from created_at) a, trim(both 'x' from name) b, substring(name from 2 for 3) c, position('a' in name) d from contacts",
  "select id from contacts where created_at > now() - interval 7 day and name not like 'a%' escape '|' and id not in (1,2)",
  'select sum(id) over (partition by owner_id order by id rows between unbounded preceding and current row) s from contacts',
  "select name as 'Full Name', id 'n' from contacts",
  'select owner_id, count(*) as n from contacts group by owner_id with rollup having n > 1',
  "select date '2020-01-01' a, timestamp'2020-01-01 00:00:00' b, x'41' c, 0x41 d, b'1' e, N'x' f, _utf8mb4'x' collate utf8mb4_bin g, -1 h, 1e5 i, .5 j",
  'select `id`from`contacts`where`id`=1',
  'select id from contacts where id <=> null and name regexp "^a" and binary name = "x" or id div 2 = 1 xor id mod 2',
  'select (id, name) = (1, "x") a, row(1,2) = (select 1, 2) b from contacts',
  'select id from contacts use index (primary) where id = 1 for update',
  'select a.id from contacts a straight_join accounts b on a.id = b.id',
  'select id as email from contacts order by email, length(name) desc',
  'select email as x, (select upper(x)) u from contacts',
  "select email as id from contacts having (select id) like 'a%'",
  "select c.id from contacts c where match(c.name, c.email) against ('x' in boolean mode)",
  'select case id when 1 then name else email end e, cast(id as char(3)) i, !id n, ~id m from contacts',
];

let server: MySqlServer | undefined;
let connection: Connection;
before(async () => {
  if (!mariaDbIsHere()) throw new Error('mariadbd is not here');
  server = await startMariaDb();
  const { host, port, user, password } = server;
  connection = await createConnection({ host, port, user, password, multipleStatements: true });
  await connection.query(`create database crm; use crm;
    create table contacts (id int primary key, name varchar(50), email varchar(50), notes text, created_at datetime, owner_id int, fulltext (name, email));
    create table accounts (id int primary key, title varchar(50), balance int, region varchar(5), data text);
    create table products (id int primary key, name varchar(50), price int);
    create view v_contacts as select name as contact, email as mail from contacts;
    create view v_upper as select ucase(v.mail) as up from v_contacts v where v.contact <> 'x'`);
});
after(async () => {
  await connection?.end();
  await server?.stop();
});

test('a real server gives the columns that were foretold, in that order, from those tables', async () => {
  for (const sql of selects) {
    const [, fields] = (await connection.query(sql)) as unknown as [unknown, FieldPacket[]];
    const { outputs } = read(sql);
    assert.equal(outputs.length, fields.length, sql);
    for (const [at, field] of fields.entries()) {
      const output = outputs[at];
      assert.ok(output, sql);
      if (output.name !== '') assert.equal(output.name, field.name, sql);
      const base = ['contacts', 'accounts', 'products'].includes(field.orgTable ?? '');
      if (base && output.sources !== 'unknown') {
        const told = output.sources.some(
          (ref) => ref.table === field.orgTable && ref.column === field.orgName,
        );
        assert.ok(told, `${sql}: ${field.name} is ${field.orgTable}.${field.orgName}`);
      }
    }
  }
});

test('the definitions that the server stores for views can be followed', async () => {
  const [rows] = (await connection.query(
    "select view_definition d from information_schema.views where table_schema = 'crm'",
  )) as unknown as [{ d: string }[]];
  assert.equal(rows.length, 2);
  for (const { d } of rows) assert.equal(read(d).outputs.length > 0, true);
});
