/** Rarer spellings: a database in front of names, a column as a call, set_config, rules. What they come to, and what stays unsafe. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clauses, opaque, outputs, tables, understood } from './postgres-reading.ts';

describe('a database in front of a name', () => {
  it('means the same as without', () => {
    assert.equal(outputs('select id from shop.public.customers'), 'id=customers.id');
    assert.equal(
      outputs('select shop.public.customers.ssn from public.customers'),
      outputs('select ssn from customers'),
    );
    assert.equal(
      outputs('select shop.public.customers.* from customers'),
      outputs('select * from customers'),
    );
    assert.equal(understood("select shop.pg_catalog.upper('x')").functions[0]?.name, 'upper');
  });

  it('keeps a reference whose columns are named so from being replaced', () => {
    const [use] = understood('select shop.public.customers.ssn from customers').tables;
    assert.equal(use?.span, null);
    assert.notEqual(understood('select c.ssn from shop.public.customers c').tables[0]?.span, null);
  });

  it('is bounded', () => {
    opaque('select a.b.c.d.e from customers');
    opaque('select a.b.c.f(1)');
  });
});

describe('a column in the shape of a call', () => {
  it('is the column', () => {
    assert.equal(outputs('select ssn(customers) from customers'), 'ssn=customers.ssn');
    assert.equal(outputs('select ssn(c) from customers c'), 'ssn=customers.ssn');
    assert.deepEqual(clauses('select id from customers c where ssn(c) is null', 'customers.ssn'), ['where']);
  });

  it('is a call wherever a function has the name', () => {
    assert.ok(clauses('select upper(customers) from customers', 'customers.ssn').includes('whole_row'));
    assert.equal(opaque('select nothing(customers) from customers').reason, 'unknown_name');
    assert.equal(opaque('select nothing(1) from customers').reason, 'unknown_name');
  });
});

describe('set_config', () => {
  for (const [text, name, value, local] of [
    ["select pg_catalog.set_config('search_path', '', false)", 'search_path', '', false],
    ["select set_config('Role', 'postgres', true)", 'role', 'postgres', true],
    ["select set_config('work_mem', null, false)", 'work_mem', null, false],
  ] as const)
    it(text, () => {
      const found = understood(text);
      assert.deepEqual(found.effects, [{ kind: 'set', name, value, local }]);
      assert.deepEqual(found.functions, []);
      assert.equal(found.literals, 'matter');
    });

  for (const value of ['$1', '$1::text', "current_setting('application_name') || '/' || $1"])
    it(`of a value that the text does not tell: ${value}`, () => {
      const found = understood(`select set_config('application_name', ${value}, false)`);
      assert.deepEqual(found.effects, [
        { kind: 'set', name: 'application_name', local: false, value: '', computed: true },
      ]);
      assert.ok(found.functions.every((fn) => fn.trust === 'safe'));
    });

  it('of a setting that is looked for, as pg_dump does', () => {
    const found = understood("select set_config(name, 'x', false) from pg_settings where name = 'work_mem'");
    assert.deepEqual(found.effects, [{ kind: 'set', name: 'work_mem', value: 'x', local: false }]);
    assert.deepEqual(found.functions, []);
  });

  for (const text of [
    "select set_config(name, 'x', false) from pg_settings",
    "select set_config(name, 'x', false) from pg_settings where name <> 'work_mem'",
    "select set_config(name, 'x', false) from pg_settings where setting = 'work_mem'",
    "select set_config(setting, 'x', false) from pg_settings where name = 'work_mem'",
    "select set_config(name, 'x', false) from customers where name = 'work_mem'",
    "select set_config(name, 'x', false) from pg_settings where name = 'work_mem' or true",
    "select set_config('work_mem', ssn, false) from customers",
    "select set_config('work_mem', (select ssn from customers), false)",
    "select set_config('work_mem', $1 || ssn, false) from customers",
    "select set_config('work_mem', upper($1), false)",
    "select set_config('work_mem', $1, $2)",
    "select set_config($1, '4MB', false)",
    "select set_config('work_' || 'mem', '4MB', false)",
    "select set_config(setting_name => 'work_mem', new_value => '4MB', is_local => false)",
    "select set_config('work_mem', '4MB', random() > 0.5)",
  ])
    it(`stays a call: ${text}`, () => {
      assert.equal(understood(text).functions.find((fn) => fn.name === 'set_config')?.trust, 'side_effect');
    });
});

describe('a set operation over a function whose columns are not known', () => {
  it('has every column in every other', () => {
    const open = understood('select ssn from customers union all select * from unnest((select null))');
    assert.equal(open.outputs[0]?.sources, 'unknown');
    assert.ok(open.columns.some((use) => use.column === 'ssn' && use.clause === 'expression'));
  });
});

describe('CREATE RULE', () => {
  it('reads and writes what its actions do, and every column of it as written', () => {
    const text =
      'create rule r as on insert to orders where new.id > 1 do also insert into customers (id) select id from customers where ssn is null';
    assert.equal(understood(text).statementKind, 'ddl');
    assert.equal(tables(text), 'orders:rw customers:w customers:r');
    assert.ok(clauses(text, 'customers.ssn').includes('write'));
    assert.ok(clauses(text, 'orders.id').includes('write'));
    assert.equal(understood(text).withoutWhere, false);
  });

  it('knows the old and the new row by their names alone', () => {
    understood(
      'create rule r as on update to orders do instead update customers set id = new.id where id = old.id',
    );
    understood('create rule r as on delete to orders do instead nothing');
    understood('create rule r as on delete to orders do instead (delete from customers; select 1)');
    for (const text of [
      'create rule r as on insert to orders do also insert into products values (id)',
      'create rule r as on insert to orders where old.id > 1 do instead nothing',
      'create rule r as on delete to orders where new.id > 1 do instead nothing',
      'create rule r as on insert to orders where nothing > 1 do instead nothing',
    ])
      assert.equal(opaque(text).reason, 'unknown_name', text);
    opaque('create rule r as on update to orders where id > 1 do instead nothing');
    for (const event of ['insert', 'delete']) {
      const text = `create rule r as on ${event} to orders where customer_id > 1 do instead nothing`;
      assert.ok(clauses(text, 'orders.customer_id').includes('write'), text);
    }
    assert.equal(
      opaque('create rule r as on insert to orders do also insert into nothing values (1)').reason,
      'unknown_name',
    );
  });

  it('has the columns of a row in VALUES', () => {
    const text =
      "create rule r as on insert to products do also insert into products values (new.*), (new.id, 'x', 1)";
    assert.equal(understood(text).written.length, 3);
    assert.equal(outputs('select * from customers c, lateral (values (c.id, c.*)) v').split(' ').length, 15);
    assert.ok(
      outputs('select v.column4 from customers c, lateral (values (c.id, c.*)) v').endsWith(
        '=customers.email',
      ),
    );
    opaque('values (1), (2, 3)');
    opaque('select * from customers c, lateral (values (c.*), (1)) v');
  });

  it('does not hide a NOTIFY', () => {
    const found = understood("create rule r as on insert to orders do also notify x, 'y'");
    assert.ok(found.effects.some((effect) => effect.kind === 'channel' && effect.channel === 'notify'));
  });
});

describe('a call whose literal names what it reads or changes', () => {
  it('reads what a query in a literal reads', () => {
    const found = understood("select query_to_xml('select ssn from customers', true, true, '')");
    assert.deepEqual(found.functions, []);
    assert.equal(found.tables[0]?.table, 'customers');
    assert.equal(found.tables[0]?.span, null);
    assert.deepEqual(
      clauses("select query_to_xml('select ssn from customers', true, true, '')", 'customers.ssn'),
      ['function', 'output'],
    );
    assert.equal(found.literals, 'matter');
    assert.ok(
      clauses(
        "select table_to_xml('Public.\"customers\"'::regclass, true, true, '')",
        'customers.ssn',
      ).includes('function'),
    );
  });

  for (const text of [
    "select query_to_xml('delete from customers returning ssn', true, true, '')",
    "select query_to_xml('select 1; select 2', true, true, '')",
    "select query_to_xml('select ' || 'ssn from customers', true, true, '')",
    "select query_to_xml(name, true, true, '') from customers",
    "select table_to_xml('nothing', true, true, '')",
    "select table_to_xml('cust' || 'omers', true, true, '')",
  ])
    it(`stays untrusted: ${text}`, () => {
      assert.ok(understood(text).functions.some((fn) => fn.trust === 'sql_text'));
    });

  it('is opaque where the query is', () => {
    opaque("select query_to_xml('select nothing from customers', true, true, '')");
    opaque("select query_to_xml('select * from loop', true, true, '')");
  });
});

describe('a condition of CREATE POLICY', () => {
  it('may carry whatever it uses', () => {
    const text =
      'create policy p on orders using (exists (select 1 from customers where ssn is null and id = customer_id))';
    assert.equal(tables(text), 'customers:r orders:rw');
    assert.ok(clauses(text, 'customers.ssn').includes('write'));
    assert.ok(clauses(text, 'orders.customer_id').includes('write'));
  });

  it('is opaque where it is not understood', () => {
    assert.equal(opaque('create policy p on orders using (nothing(1))').reason, 'unknown_name');
    assert.equal(
      opaque('create policy p on orders using (exists (select 1 from nothing))').reason,
      'unknown_name',
    );
  });
});

describe('a call in the shape of a field', () => {
  const calls = (text: string): string[] =>
    understood(text).functions.map((fn) => `${fn.schema}.${fn.name}:${fn.trust}`);

  it('is told', () => {
    assert.deepEqual(calls('select c.mine from customers c'), ['public.mine:unknown']);
    assert.ok(clauses('select c.mine from customers c', 'customers.ssn').includes('whole_row'));
    assert.deepEqual(calls('select (c.phone).mine from customers c'), ['public.mine:unknown']);
    assert.deepEqual(calls('select (row(1, 2)).mine'), ['public.mine:unknown']);
    assert.deepEqual(calls('select ((c).phone).mine from customers c'), ['public.mine:unknown']);
  });

  it('is a column or field wherever there is one', () => {
    assert.deepEqual(calls('select c.name, (c).name, (c.phone).x from customers c'), []);
    assert.equal(opaque('select c.upper from customers c').reason, 'unknown_name');
    assert.equal(opaque('select c.nothing from customers c').reason, 'unknown_name');
  });
});

describe('calls that a kind of statement stands for', () => {
  it('are told with it', () => {
    const [call] = understood("select set_config($1, 'a', false)").functions;
    assert.equal(call?.kind, undefined);
    assert.equal(call?.trust, 'side_effect');
    const [object] = understood('select lo_get(1)').functions;
    assert.equal(object?.channel, 'large_object');
    const [file] = understood("select lo_import('/etc/passwd')").functions;
    assert.equal(file?.channel, undefined);
  });
});
