/** An INSERT by way of a function that its text makes, calls and drops is that INSERT; any other function is code. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildCatalog } from '../../sql/catalog.ts';
import type { Analyzed } from '../../sql/statement.ts';
import { analyzer, catalog, names, statements } from './postgres-reading.ts';

const caught =
  'EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS sequelize_caught_exception = PG_EXCEPTION_DETAIL;';

interface Parts {
  readonly type?: string;
  readonly insert?: string;
  readonly body?: string;
  readonly rest?: string;
  readonly shown?: string;
}

/** The text as Sequelize 6 writes it, with some of its parts changed. */
function text(parts: Parts = {}): string {
  const { type = '"customers"', insert = `INSERT INTO "customers" ("id","email") VALUES (DEFAULT,'a@b.c')` } =
    parts;
  const { body = ` BEGIN ${insert} RETURNING * INTO response; ${caught} END ` } = parts;
  const { rest = 'LANGUAGE plpgsql', shown = '(testfunc.response)."id", (testfunc.response)."email"' } =
    parts;
  return `CREATE OR REPLACE FUNCTION pg_temp.testfunc(OUT response ${type}, OUT sequelize_caught_exception text) RETURNS RECORD AS $func_12ab$${body}$func_12ab$ ${rest}; SELECT ${shown}, testfunc.sequelize_caught_exception FROM pg_temp.testfunc(); DROP FUNCTION IF EXISTS pg_temp.testfunc();`;
}

/** What the three statements come to. */
function read(sql: string): readonly Analyzed[] {
  const found = statements(sql);
  assert.equal(found.length, 3);
  for (const one of found) assert.ok(one.kind === 'analyzed', one.kind === 'opaque' ? one.message : '');
  return found as readonly Analyzed[];
}

describe('an INSERT inside a function of its own text', () => {
  it('is the INSERT with RETURNING that stands in it', () => {
    const [make, call, drop] = read(text());
    const [plain] = statements(
      `INSERT INTO "customers" ("id","email") VALUES (DEFAULT,'a@b.c') RETURNING *`,
    ) as readonly Analyzed[];
    assert.ok(make && call && drop && plain);
    for (const one of [make, call, drop]) {
      assert.equal(one.statementKind, 'insert');
      assert.equal(one.literals, 'matter');
      assert.deepEqual(one.functions, []);
    }
    assert.deepEqual(call.tables, plain.tables);
    assert.deepEqual(call.columns, plain.columns);
    assert.deepEqual(call.written, plain.written);
    assert.deepEqual(
      call.outputs.slice(0, 2),
      plain.outputs.filter(({ name }) => name === 'id' || name === 'email'),
    );
    assert.deepEqual([make.tables, drop.tables], [[], []]);
    assert.deepEqual(drop.effects, [{ kind: 'temporary', name: 'testfunc' }]);
  });

  it('has a message that may quote any column of the row', () => {
    const message = read(text())[1]!.outputs.at(-1)!;
    assert.equal(message.quoted, true);
    assert.equal(message.sources.length, 7);
  });

  it('records what the values read', () => {
    const insert = `INSERT INTO "customers" ("name") VALUES ((SELECT max(card_number) FROM orders))`;
    const call = read(text({ insert }))[1]!;
    assert.ok(call.tables.some((use) => use.table === 'orders' && use.reads));
    assert.ok(call.columns.some((use) => use.column === 'card_number' && use.clause === 'write'));
  });

  it('sets off the triggers of its table', () => {
    const insert = `INSERT INTO "audited" ("note") VALUES ('x')`;
    const call = read(text({ type: 'audited', insert, shown: '(testfunc.response).*' }))[1]!;
    assert.deepEqual(
      call.functions.map((fn) => [fn.name, fn.trust]),
      [['audited:triggers', 'unknown']],
    );
    assert.deepEqual(
      call.outputs.map((one) => one.name),
      ['id', 'note', 'sequelize_caught_exception'],
    );
  });

  for (const parts of [
    { type: '"public"."customers"', insert: `INSERT INTO "public"."customers" ("id") VALUES (1)` },
    { shown: '(testfunc.response).*' },
    { insert: `INSERT INTO "customers" ("id") VALUES (1) /* ; -- */` },
    { insert: `INSERT INTO "customers" ("name","email") VALUES ('x; -- INTO /* y','it''s $$ \\')` },
    { insert: `INSERT INTO "customers" ("name") VALUES (E'a\\nb\nc')` },
    { insert: `INSERT INTO "customers" ("name","born") VALUES (upper('x'),now())` },
    {
      type: '"Größen"',
      insert: `INSERT INTO "Größen" ("id") VALUES (1)`,
      shown: '(testfunc.response)."email"',
    },
  ] satisfies Parts[])
    it(`is understood with ${JSON.stringify(parts)}`, () => {
      read(text(parts));
    });

  const refused: readonly (Parts & { readonly why: RegExp })[] = [
    { type: '"orders"', why: /row of another type/ },
    { insert: `INSERT INTO "orders" ("id") VALUES (1)`, why: /row of another type/ },
    { type: 'name', insert: `INSERT INTO "customers" ("id") VALUES (1)`, why: /row of another type/ },
    { insert: `INSERT INTO "nowhere" ("id") VALUES (1)`, why: /"nowhere" does not exist/ },
    { insert: `INSERT INTO "customers" ("id") VALUES (found)`, why: /does not exist/ },
    { shown: '(testfunc.response)."nothing"', why: /"nothing" not found/ },
    { shown: '(testfunc.response)."tableoid"', why: /"tableoid" not found/ },
  ];
  for (const { why, ...parts } of refused)
    it(`is refused with ${JSON.stringify(parts)}`, () => {
      const call = statements(text(parts))[1];
      assert.ok(call?.kind === 'opaque', JSON.stringify(call));
      assert.match(call.message, why);
      assert.equal(call.position, null);
    });

  const table = [...catalog.tables()].find((one) => one.name === 'customers')!;
  const contents = {
    ...{ engine: 'postgres' as const, version: 1, serverVersion: 150_000, isMariaDb: false },
    ...{ foldsTableNames: false, schemas: ['public', 'other'], functions: [], types: [] },
    tables: [table],
  };
  it('is refused where another name could be meant', () => {
    const path = { path: ['pg_temp_3', 'other', 'public', 'pg_catalog'] };
    const callIn = (more: Partial<typeof contents> | object, sql = text()) =>
      analyzer.analyze(sql, buildCatalog({ ...contents, ...more }), path).statements[1];
    assert.equal(callIn({})?.kind, 'analyzed');
    for (const name of ['customers', 'text'])
      assert.equal(callIn({ types: [{ schema: 'other', name }] })?.kind, 'opaque', name);
    const fn = { schema: 'pg_temp_3', name: 'testfunc', oid: 20_000, kind: 'function' as const };
    const functions = [{ ...fn, volatility: 'volatile' as const, builtin: false, returnsSet: false }];
    assert.equal(callIn({ functions })?.kind, 'opaque');
    const insert = `INSERT INTO "customers" ("id") VALUES (0x1F)`;
    assert.equal(callIn({}, text({ insert }))?.kind, 'opaque');
    assert.equal(callIn({ serverVersion: 160_000 }, text({ insert }))?.kind, 'analyzed');
  });

  it('leaves other texts that make a function as they are', () => {
    const found = statements(
      "CREATE FUNCTION f(x text) RETURNS text LANGUAGE sql AS 'SELECT 1'; SELECT concat('a', ''), 1; SELECT 2",
    );
    assert.deepEqual(
      found.map((one) => (one.kind === 'analyzed' ? one.statementKind : one.message)),
      ['ddl', 'select', 'select'],
    );
  });

  const form = text();
  const insert = `INSERT INTO "customers" ("id","email") VALUES (DEFAULT,'a@b.c')`;
  const returning = 'RETURNING * INTO response;';
  for (const sql of [
    text({ insert: 'DELETE FROM customers' }),
    text({ insert: `${insert} RETURNING * INTO response; DELETE FROM customers` }),
    text({ insert: `DELETE FROM orders; ${insert}` }),
    text({ insert: `EXECUTE 'DELETE FROM orders'; ${insert}` }),
    text({ insert: `PERFORM set_config('a', 'b', false); ${insert}` }),
    text({ insert: `INSERT INTO "customers" SELECT * FROM customers` }),
    text({ insert: `INSERT INTO "customers" ("id") SELECT id FROM orders` }),
    text({ insert: `INSERT INTO "customers" ("id") VALUES (1),(2)` }),
    text({ insert: `INSERT INTO "customers" ("id") VALUES ($1)` }),
    text({ insert: `INSERT INTO "customers" DEFAULT VALUES` }),
    text({ insert: `${insert} ON CONFLICT (id) DO UPDATE SET email = 'x'` }),
    text({ insert: `WITH x AS (DELETE FROM orders RETURNING id) ${insert}` }),
    text({ insert: `${insert} -- hidden` }),
    text({ insert: `${insert} /* hidden` }),
    text({ insert: `INSERT INTO "customers" ("id") VALUES ((SELECT 1 INTO response))` }),
    text({ body: ` BEGIN ${insert} RETURNING id INTO response; ${caught} END ` }),
    text({ body: ` BEGIN ${insert} RETURNING * INTO STRICT response; ${caught} END ` }),
    text({ body: ` BEGIN ${insert} RETURNING email, ssn INTO response; ${caught} END ` }),
    text({ body: ` BEGIN ${insert} ${returning} ${caught.replace('unique_violation', 'others')} END ` }),
    text({
      body: ` BEGIN ${insert} ${returning} ${caught.replace('THEN', "THEN RAISE NOTICE 'x';")} END `,
    }),
    text({
      body: ` BEGIN ${insert} ${returning} ${caught.replace('EXCEPTION_DETAIL', 'EXCEPTION_CONTEXT')} END `,
    }),
    text({ body: ` BEGIN ${insert} ${returning} END ` }),
    text({ body: ` DECLARE x int; BEGIN ${insert} ${returning} ${caught} END ` }),
    text({ body: `#variable_conflict use_variable\n BEGIN ${insert} ${returning} ${caught} END ` }),
    text({ body: ` <<l>> BEGIN ${insert} ${returning} ${caught} END ` }),
    text({ rest: 'LANGUAGE plpython3u' }),
    text({ rest: 'LANGUAGE plpgsql SECURITY DEFINER' }),
    text({ rest: 'LANGUAGE plpgsql SET search_path TO other' }),
    text({ type: '"customers"[]' }),
    text({ type: 'customers.id%TYPE' }),
    text({ type: 'SETOF "customers"' }),
    text({ type: 'shop.public."customers"' }),
    text({ shown: 'upper((testfunc.response)."email")' }),
    text({ shown: 'testfunc.response' }),
    text({ shown: '(testfunc.response)."id" AS x' }),
    text({ shown: '(SELECT max(ssn) FROM customers)' }),
    form.replace('testfunc();', 'testfunc() WHERE id = 1;'),
    form.replace('FROM pg_temp', 'FROM customers, pg_temp'),
    form.replaceAll('pg_temp.testfunc', 'public.testfunc'),
    form.replaceAll('pg_temp.testfunc', 'testfunc'),
    form.replaceAll('testfunc', 'otherfunc'),
    form.replace('FROM pg_temp', 'FROM public'),
    form.replace('DROP FUNCTION IF EXISTS pg_temp.testfunc()', 'SELECT 1'),
    form.replace(' DROP FUNCTION IF EXISTS pg_temp.testfunc();', ''),
    form.replace('IF EXISTS pg_temp.testfunc()', 'pg_temp.testfunc()'),
    form.replace('DROP', 'SELECT 1; DROP'),
    form.replace('CREATE OR REPLACE', 'CREATE'),
    form.replace('OUT response', 'INOUT response'),
    form.replace('exception text)', 'exception text, IN x int)'),
  ]) {
    assert.notEqual(sql, form);
    it(`is code in ${sql}`, () => {
      const inserts = analyzer
        .analyze(sql, catalog, names)
        .statements.filter((one) => one.kind === 'analyzed' && one.statementKind === 'insert');
      assert.deepEqual(inserts, []);
    });
  }
});
