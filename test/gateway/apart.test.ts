/** Texts whose later statements mean what earlier ones have made: they run as one, each statement decided with the names of its time. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectPostgres } from './connect.ts';

let world: World;
let client: pg.Client;

/** An analyst who may define things, and still sees e-mail addresses masked. */
const makers = `
  makers:
    members: { groups: [analysts-eu] }
    databases: [shop]
    read:  { regions: [eu] }
    write: { regions: [eu], global: true }
    statements: [select, insert, update, delete, truncate, ddl, set, transaction, explain, show, prepare, copy_out]
`;

before(async () => {
  world = await startWorld();
  const original = readFileSync(world.policyFile, 'utf8');
  writeFileSync(
    world.policyFile,
    original
      .replace(/\nroles:\n/, `\nroles:${makers}`)
      .replace(
        '    - { table: public.products,',
        "    - { table: 'public.scratch_*', global: true }\n    - { table: public.products,",
      ),
  );
  const reloaded = await world.cordon('policy', 'reload');
  assert.equal(reloaded.code, 0, reloaded.stderr);
  client = await connectPostgres(world, 'ana');
});
after(async () => {
  await client?.end();
  await world?.stop();
});

async function run(text: string): Promise<readonly pg.QueryResult[]> {
  const results: unknown = await client.query(text);
  return (Array.isArray(results) ? results : [results]) as pg.QueryResult[];
}
const rows = (result: pg.QueryResult | undefined): unknown => result?.rows;

test('a migration makes a table and fills it', async () => {
  const done = await run(`
    create table scratch_a (n int primary key, title text);
    create index on scratch_a (title);
    insert into scratch_a values (1, 'one'), (2, 'two');
    update scratch_a set title = upper(title) where n = 2;
    select title from scratch_a order by n`);
  assert.deepEqual(
    done.map(({ command }) => command),
    ['CREATE', 'CREATE', 'INSERT', 'UPDATE', 'SELECT'],
  );
  assert.deepEqual(rows(done.at(-1)), [{ title: 'one' }, { title: 'TWO' }]);
});

test('in a transaction of its own', async () => {
  await run('begin; create table scratch_b (n int); insert into scratch_b values (1); commit');
  assert.deepEqual(rows((await run('select n from scratch_b'))[0]), [{ n: 1 }]);
});

test('a statement that fails or is refused undoes all of it', async () => {
  await assert.rejects(run('create table scratch_c (n int); insert into scratch_c values (1/0)'), {
    code: '22012',
  });
  await assert.rejects(
    run('create table scratch_c (n int); insert into scratch_c values (1); select pg_read_file($$x$$)'),
    { code: '42501' },
  );
  await assert.rejects(run('select * from scratch_c'), /does not exist/);
});

test('names that the text moves show no masked value', async () => {
  const clear = await run('select email from customers order by id limit 1');
  const email = clear[0]!.rows[0].email as string;
  for (const before of [
    'create temp table scratch_t (n int)',
    'create temp table orders (n int)',
    'set search_path = public',
    'create table scratch_d (n int)',
  ]) {
    const last = (await run(`begin; ${before}; select email from customers order by id limit 1; commit`)).at(
      -2,
    );
    assert.equal(last?.rows[0].email, email, before);
    await client.query('discard temp');
    await client.query('drop table if exists scratch_d');
  }
  await assert.rejects(
    run('create table scratch_e (email text); insert into scratch_e select email from customers'),
    { code: '42501' },
  );
  await assert.rejects(run('alter table customers rename to scratch_f; select * from scratch_f'), {
    code: '42501',
  });
});

test('a text that copies rows into what it makes is refused, and the session goes on', async () => {
  await assert.rejects(run('create table scratch_g (n int); copy scratch_g from stdin; select 1'), {
    code: '42501',
  });
  assert.equal((await run('select 1'))[0]?.rowCount, 1);
  await assert.rejects(run('select * from scratch_g'), /does not exist/);
});
