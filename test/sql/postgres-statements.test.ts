/** Kinds, effects, functions, and what the analyzer will not vouch for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Effect } from '../../sql/statement.ts';
import { analyzer, catalog, names, opaque, statements, understood } from './postgres-reading.ts';
import { shopCatalog } from './shop-catalog.ts';

describe('statement kinds', () => {
  for (const [kind, ...texts] of [
    [
      'select',
      'select 1',
      'values (1)',
      'table orders',
      'with x as (select 1) select * from x',
      'select from orders for update',
    ],
    [
      'insert',
      'insert into orders default values',
      'with x as (insert into orders (id) values (1)) select 1',
    ],
    [
      'update',
      'update orders set id = 1',
      'with x as (update orders set id = 1) insert into orders (id) values (1)',
    ],
    ['delete', 'delete from orders', 'with x as (delete from orders returning *) select * from x'],
    ['merge', 'merge into orders o using products p on p.id = o.id when matched then delete'],
    ['truncate', 'truncate orders'],
    ['copy_out', 'copy orders to stdout', "copy (select 1) to '/x'"],
    ['copy_in', 'copy orders from stdin'],
    [
      'ddl',
      'create table x (a int)',
      'create view x as select 1',
      'select 1 into x',
      'create table x as select 1',
    ],
    [
      'ddl',
      'drop view contacts',
      'alter table orders add x int',
      "comment on table orders is 'x'",
      'create index on orders (id)',
    ],
    [
      'ddl',
      'grant select on orders to x',
      'create type t as enum ()',
      'create schema x',
      'create sequence x',
    ],
    [
      'admin',
      'create role x',
      'alter role x superuser',
      'drop role x',
      'grant x to y',
      'create database x',
      "load 'x'",
    ],
    [
      'admin',
      'alter system set a = 1',
      'create extension x',
      "create subscription s connection '' publication p",
    ],
    [
      'admin',
      'create server s foreign data wrapper w',
      "create tablespace x location '/x'",
      'drop database x',
    ],
    ['maintenance', 'vacuum', 'analyze orders', 'reindex table orders', 'cluster orders', 'checkpoint'],
    ['call', 'call mine(1)'],
    ['do', "do 'begin end'"],
    ['explain', 'explain select 1', 'explain (analyze, costs off) select 1'],
    ['show', 'show all', 'show search_path'],
    [
      'set',
      'set a.b = 1',
      'reset all',
      'discard all',
      'set role x',
      'set transaction read only',
      'discard plans',
    ],
    [
      'transaction',
      'begin',
      'start transaction',
      'commit',
      'rollback to x',
      "prepare transaction 'x'",
      'set constraints all deferred',
    ],
    ['prepare', 'prepare p as select 1', 'execute p', 'deallocate all'],
    ['cursor', 'declare c cursor for select 1', 'fetch 1 from c', 'move c', 'close all'],
    ['lock', 'lock orders'],
    ['listen', 'listen x', 'unlisten *'],
    ['notify', 'notify x'],
  ] as const)
    for (const text of texts)
      it(`${kind}: ${text}`, () => assert.equal(understood(text).statementKind, kind));

  it('knows each statement of a text by itself', () => {
    const found = statements("begin; ; select 'é', 1; /* x */ commit -- y");
    assert.deepEqual(
      found.map(({ shape }) => shape),
      ['begin', "select '?', ?", 'commit'],
    );
    assert.equal(analyzer.analyze("SELECT 1;select 'x'", catalog, names).shape, "select ?;select '?'");
    for (const text of ['', ' ', '-- x', '/* x */', ';']) assert.deepEqual(statements(text), []);
  });

  it('tells changes without a condition, hidden ones too', () => {
    for (const text of [
      'delete from orders',
      'update orders set id = 1 where true',
      'with x as (delete from orders where 1 = 1) select 1',
    ])
      assert.equal(understood(text).withoutWhere, true, text);
    for (const text of [
      'delete from orders where id = 1',
      'delete from orders where current of c',
      'select 1 from orders',
    ])
      assert.equal(understood(text).withoutWhere, false, text);
  });
});

describe('effects', () => {
  const set = (name: string, value: string | null, local = false): Effect => ({
    kind: 'set',
    name,
    value,
    local,
  });
  const channel = (name: string, what: string) => ({ kind: 'channel', channel: name, what }) as Effect;
  for (const [text, ...expected] of [
    ["set search_path = a, 'B c'", set('search_path', 'a, B c')],
    ['set local statement_timeout to 5', set('statement_timeout', '5', true)],
    ['set x.y = -1.5', set('x.y', '-1.5')],
    ["set time zone interval '1' hour", set('timezone', '1')],
    ['set search_path to default', set('search_path', null)],
    ['reset search_path', set('search_path', null)],
    ['reset all', set('ALL', null)],
    ['set transaction isolation level serializable', set('transaction_isolation', 'serializable', true)],
    ['set session characteristics as transaction read only', set('transaction_read_only', '1')],
    ['set role x', set('role', 'x'), channel('identity', 'role')],
    [
      'set session authorization x',
      set('session_authorization', 'x'),
      channel('identity', 'session_authorization'),
    ],
    ['rollback to a', { kind: 'transaction', action: 'rollback_to' }],
    ["commit prepared 'x'", { kind: 'transaction', action: 'prepared' }],
    ['prepare p as select 1', { kind: 'sql_prepare', name: 'p' }],
    ['execute p', { kind: 'sql_execute', name: 'p' }, channel('dynamic_sql', 'EXECUTE')],
    ['fetch all from c', { kind: 'cursor', name: 'c', action: 'fetch' }],
    ['create temp table t (a int)', { kind: 'ddl' }, { kind: 'temporary', name: 't' }],
    ['create temp view t as select 1', { kind: 'ddl' }, { kind: 'temporary', name: 't' }],
    ['select 1 into temp t', { kind: 'ddl' }, { kind: 'temporary', name: 't' }],
    ['create table pg_temp.t (a int)', { kind: 'ddl' }, { kind: 'temporary', name: 't' }],
    ['explain analyze select 1', channel('explain_analyze', 'EXPLAIN ANALYZE')],
    ['explain (analyze off) select 1'],
    ['copy orders to stdout', channel('copy', 'COPY TO')],
    ["copy orders to '/x'", channel('file', 'COPY TO')],
    ["copy orders from program 'x'", channel('program', 'COPY FROM')],
    ["notify a, 'b'", channel('notify', 'a')],
    ["do 'x'", channel('dynamic_sql', 'DO'), { kind: 'ddl' }],
    [
      'create temp table t as execute p',
      { kind: 'ddl' },
      { kind: 'temporary', name: 't' },
      { kind: 'sql_execute', name: 'p' },
      channel('dynamic_sql', 'EXECUTE'),
    ],
    ['select * from pg_stats', channel('statistics', 'pg_catalog.pg_stats')],
    ['select 1 from pg_authid', channel('identity', 'pg_catalog.pg_authid')],
    ['select query from pg_stat_activity', channel('other_session', 'pg_catalog.pg_stat_activity')],
    ['select * from far_away', channel('network', 'public.far_away')],
    ['select 1 from pg_class'],
    ['select * from information_schema.columns'],
  ] as const)
    it(text, () => assert.deepEqual(understood(text).effects, expected));
});

describe('functions', () => {
  for (const [text, ...expected] of [
    ["select upper('x'), now(), pg_catalog.to_char(now(), $1)", 'upper:safe', 'now:safe', 'to_char:safe'],
    [
      'select current_user, current_date, coalesce(1, 2), greatest(1, 2), extract(year from now())',
      'extract:safe',
      'now:safe',
    ],
    ["select set_config($1, 'a', false)", 'set_config:side_effect'],
    ["select query_to_xml($1, true, true, '')", 'query_to_xml:sql_text'],
    ["select table_to_xml($1, true, true, '')", 'table_to_xml:sql_text'],
    ["select pg_read_file('/etc/passwd')", 'pg_read_file:reads_data'],
    ['select lo_get(1)', 'lo_get:reads_data'],
    ["select lo_import('/x')", 'lo_import:side_effect'],
    ['select pg_stat_get_backend_activity(1)', 'pg_stat_get_backend_activity:reads_data'],
    ['select pg_terminate_backend(1)', 'pg_terminate_backend:side_effect'],
    ['select some_new_function()', 'some_new_function:side_effect'],
    ["select nextval('x'), random(), pg_sleep(1)", 'nextval:safe', 'random:safe', 'pg_sleep:safe'],
    ["select (information_schema._pg_expandarray('{1}'::int[])).n", '_pg_expandarray:safe'],
    ['select information_schema._pg_mine(1)', '_pg_mine:unknown'],
    ['select mine(1)', 'mine:unknown'],
    ['select * from mine(1)', 'mine:unknown'],
    ["select md5('x')", 'md5:unknown'],
    ["select pg_catalog.md5('x')", 'md5:safe'],
    ["select tools.upper('x')", 'upper:unknown'],
    ['insert into audited (id) values (1)', 'audited:triggers:unknown'],
    ['update audits set note = $1', 'audited:triggers:unknown'],
    ['select note from audited'],
    ['call mine(1)', 'mine:unknown'],
  ] as const)
    it(text, () => {
      assert.deepEqual(
        understood(text).functions.map((fn) => `${fn.name}:${fn.trust}`),
        expected,
      );
    });
});

describe('what the analyzer does not vouch for', () => {
  for (const [text, reason, message, position] of [
    ['select * from nowhere', 'unknown_name', /^relation "nowhere" does not exist$/, 15],
    ['select * from public.nowhere', 'unknown_name', /^relation "public.nowhere" does not exist$/, 15],
    ["select 'é😀', nothing from customers", 'unknown_name', /^column "nothing" does not exist$/, 14],
    ['select c.nothing from customers c', 'unknown_name', /^column c.nothing does not exist$/, 8],
    [
      'select customers.id from customers c',
      'unknown_name',
      /^missing FROM-clause entry for table "customers"$/,
      8,
    ],
    ['select nothing(1)', 'unknown_name', /^function nothing does not exist$/, 8],
    ['select id from customers, orders', 'unknown_name', /ambiguous/, 8],
    ['select $1::nothing', 'unknown_name', /^type "nothing" does not exist$/, 12],
    ['select x.a from (select 1 as b) x', 'unknown_name', /column x.a does not exist/, 8],
    ['select * from orders, (select customer_id) x', 'unknown_name', /"customer_id" does not exist/, 31],
    ['insert into orders (nothing) values (1)', 'unknown_name', /"nothing" of relation "orders"/, 21],
    ['selec 1', 'syntax', /syntax error/, 1],
    ["select 'secret' 'words'", 'syntax', /^syntax error at or near a literal or name$/, 17],
    ['select é from', 'syntax', /end of input/, 14],
    ['select 1\0', 'syntax', /NUL/, null],
    ['select 1 operator(public.+) 2', 'unsupported', /operator public\.\+/, 10],
    ['select * from loop', 'unsupported', /view public.loop/, 15],
    ['select id from customers order by 9', 'syntax', /position/, 35],
  ] as const)
    it(JSON.stringify(text), () => {
      const found = opaque(text);
      assert.equal(found.reason, reason, found.message);
      assert.match(found.message, message);
      assert.equal(found.position, position);
    });

  it('a text over its bound', () => {
    assert.equal(opaque(`select '${'x'.repeat(1_000_000)}'`).reason, 'too_long');
  });

  it('deep nesting, without a crash and without harm to what comes after', () => {
    const deep = [
      `select ${'('.repeat(100_000)}1${')'.repeat(100_000)}`,
      `select ${'1+'.repeat(100_000)}1`,
      `select ${'(select '.repeat(5000)}1${')'.repeat(5000)}`,
      `select ${'not '.repeat(50_000)}true`,
    ];
    for (const text of deep) assert.equal(opaque(text).kind, 'opaque');
    assert.equal(understood('select 1 + (2 * (3 - (4)))').statementKind, 'select');
  });

  it('work that a short text can multiply', () => {
    const doubling = Array.from(
      { length: 40 },
      (_, i) => `, a${i + 1} as (select x.*, y.* from a${i} x, a${i} y)`,
    );
    assert.equal(
      opaque(`with a0 as (select * from orders)${doubling.join('')} select * from a40`).kind,
      'opaque',
    );
  });

  it('numbers that an older server would read differently', () => {
    const read = (text: string, version: number) =>
      analyzer.analyze(text, shopCatalog(version), names).statements[0]?.kind;
    assert.equal(read('select 1_000', 150_018), 'opaque');
    assert.equal(read('select 1_000', 160_000), 'analyzed');
    assert.equal(read('select 1000', 150_018), 'analyzed');
  });

  it('never throws', () => {
    const ours = analyzer.analyze.bind(analyzer);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        ours(text, catalog, names);
      }),
    );
    const word = fc.constantFrom(
      ...'select from where group by order customers c orders . * , ( ) id ssn = 1 $1 as with x union all join using on'.split(
        ' ',
      ),
      ...'lateral insert into values update set returning delete case when then end in exists count max over ; ::text'.split(
        ' ',
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 14 }), (words) => {
        ours(words.join(' '), catalog, names);
      }),
      { numRuns: 500 },
    );
  });
});

describe('whether literals matter', () => {
  for (const text of [
    'select id from customers order by 1',
    'select id from customers group by 1',
    "select 'orders'::regclass",
    "set a.b = 'x'",
    'create table x (a int)',
    "do 'x'",
    'select distinct on (1) id from customers',
    'explain (analyze off) select 1',
  ])
    it(`they do: ${text}`, () => assert.equal(understood(text).literals, 'matter'));
  for (const text of [
    "select id from customers where id = 1 and name = 'x' limit 5",
    'select row_number() over (order by 1) from orders',
    'begin',
    'fetch 5 from c',
    'insert into orders (id) values (1)',
    "select 'x'::text",
  ])
    it(`they don't: ${text}`, () => assert.equal(understood(text).literals, 'free'));
});

describe('one analysis for all texts of a shape', () => {
  const templates: readonly ((n: number, s: string) => string)[] = [
    (n, s) => `select id, ${n}, ${s} from customers where ssn = ${s} and id in (${n}, 7) limit ${n}`,
    (n, s) => `insert into orders (id, amount) values (${n}, ${s}), (default, upper(${s}))`,
    (n, s) =>
      `with x as (select ${n} as a, ${s}::text as b) select x.*, name from x, customers order by a, left(b, ${n})`,
    (n, s) => `select * from customers order by ${n}, length(${s})`,
    (n, s) => `update orders set amount = ${s} where id = ${n} returning id, ${s}`,
    (n, s) => `select ${s}::regclass, ${n} from generate_series(1, ${n}) g where g = ${n}`,
    (n, s) => `set a.b = ${s}, ${n}`,
  ];
  it('holds where literals are free', () => {
    const literal = fc.string({ maxLength: 8 }).filter((s) => !s.includes('\0'));
    const read = (text: string): unknown =>
      analyzer
        .analyze(text, catalog, names)
        .statements.map((statement) =>
          statement.kind === 'opaque'
            ? statement.kind
            : { ...statement, tables: statement.tables.map((use) => ({ ...use, span: use.span !== null })) },
        );
    fc.assert(
      fc.property(
        fc.constantFrom(...templates),
        fc.nat(),
        fc.nat(),
        literal,
        literal,
        (template, n, m, a, b) => {
          const quoted = (s: string): string => `'${s.replaceAll("'", "''")}'`;
          const [one, other] = [template(n, quoted(a)), template(m, quoted(b))];
          assert.equal(analyzer.shapeOf(one), analyzer.shapeOf(other));
          const [first] = statements(one);
          if (first?.kind === 'analyzed' && first.literals === 'free')
            assert.deepEqual(read(one), read(other));
        },
      ),
    );
  });
});

describe('catalog queries of common clients', () => {
  for (const text of [
    `SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' END as "Type",
       pg_catalog.pg_get_userbyid(c.oid) as "Owner" FROM pg_catalog.pg_class c
       LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2`,
    `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default`,
    `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       (SELECT pg_catalog.pg_get_expr(a.atttypmod, a.attrelid) FROM pg_catalog.pg_class d WHERE d.oid = a.attrelid)
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16384' AND NOT a.attisdropped ORDER BY a.attnum`,
    `SELECT pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(c.reloptions) x), ', ')
     FROM pg_catalog.pg_class c WHERE c.oid = 'orders'::pg_catalog.regclass`,
    `select table_name from information_schema.columns where column_name = 'ssn'`,
  ])
    it(text.slice(0, 60).replace(/\s+/g, ' '), () => {
      const found = understood(text);
      assert.ok(found.tables.every((use) => use.system));
      assert.ok(found.functions.every((fn) => fn.trust === 'safe'));
      assert.deepEqual(found.effects, []);
      assert.ok(found.outputs.every((output) => output.sources !== 'unknown'));
    });
});
