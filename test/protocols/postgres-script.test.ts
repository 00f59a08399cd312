/** A Query that the gate takes apart: its statements run one after another, and the client sees what it would of one text. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { runPsql } from '../servers/psql.ts';
import { type Listener, listen, noTls } from './postgres-open-gate.ts';

let server: PostgresServer;
let listener: Listener;

before(async () => {
  server = await startPostgres();
  const { host, port, user, password } = server;
  const target = { name: 'a', host, port, database: 'postgres', user, password, tls: noTls };
  listener = await listen({ targets: [target] });
});
after(async () => {
  await listener.close();
  await server.stop();
});

async function withClient<T>(work: (client: pg.Client) => Promise<T>, port = listener.port): Promise<T> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'me', password: 'token', database: 'shop' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
const count = async (client: pg.Client, table: string): Promise<string> =>
  (await client.query(`select count(*) as n from ${table}`)).rows[0].n;

describe('a text that is taken apart', () => {
  it('has one answer for each statement, and is done when all are', async () => {
    await withClient(async (client) => {
      const results = (await client.query(
        '/*apart*/create table a (n int); insert into a values (1), (2); select n from a order by n',
      )) as unknown as pg.QueryResult[];
      assert.deepEqual(
        results.map((result) => [result.command, result.rowCount]),
        [
          ['CREATE', null],
          ['INSERT', 2],
          ['SELECT', 2],
        ],
      );
      assert.deepEqual(listener.gate.last.texts.map((text) => text.trim()).slice(-5), [
        'BEGIN',
        '/*parts*/create table a (n int)',
        'insert into a values (1), (2)',
        'select n from a order by n',
        'COMMIT',
      ]);
    });
  });

  it('is undone when a statement fails, and those behind it are not run', async () => {
    await withClient(async (client) => {
      await assert.rejects(
        client.query('/*apart*/create table b (n int); insert into b values (1/0); select pg_sleep(60)'),
        { code: '22012' },
      );
      await assert.rejects(client.query('select * from b'), { code: '42P01' });
      assert.deepEqual(listener.gate.last.texts.slice(-2), ['COMMIT', 'select * from b']);
    });
  });

  it('is undone when a statement is refused', async () => {
    await withClient(async (client) => {
      await assert.rejects(client.query("/*apart*/create table c (n int); select 'forbidden'; select 1"), {
        code: '42501',
      });
      await assert.rejects(client.query('select * from c'), { code: '42P01' });
    });
  });

  it('is undone where rows of the client would be copied in, and the session goes on', async () => {
    await withClient(async (client) => {
      await assert.rejects(client.query('/*apart*/create table g (n int); copy g from stdin; select 1'), {
        code: '42501',
      });
      await assert.rejects(client.query('select * from g'), { code: '42P01' });
    });
  });

  it('belongs to the transaction that is open', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      await client.query('/*apart*/create table d (n int); insert into d values (1)');
      assert.equal(await count(client, 'd'), '1');
      await assert.rejects(client.query('/*apart*/insert into d values (2); select 1/0; commit'), {
        code: '22012',
      });
      await assert.rejects(client.query('/*apart*/select 1; select 2'), { code: '25P02' });
      await client.query('rollback');
      await assert.rejects(client.query('select * from d'), { code: '42P01' });
    });
  });

  it('may be a transaction itself', async () => {
    await withClient(async (client) => {
      await client.query('/*apart*//*own*/begin; create table e (n int); insert into e values (1); commit');
      assert.equal(await count(client, 'e'), '1');
      await assert.rejects(
        client.query('/*apart*//*own*/begin; insert into e values (2); select 1/0; commit'),
        {
          code: '22012',
        },
      );
      await assert.rejects(client.query('select 1'), { code: '25P02' });
      await client.query('rollback');
      assert.equal(await count(client, 'e'), '1');
    });
  });

  it('fails at its COMMIT as one text would', async () => {
    await withClient(async (client) => {
      await client.query('create table f (n int primary key deferrable initially deferred)');
      await assert.rejects(client.query('/*apart*/insert into f values (1); insert into f values (1)'), {
        code: '23505',
      });
      assert.equal(await count(client, 'f'), '0');
    });
  });

  it('keeps the order among the messages around it', async () => {
    await withClient(async (client) => {
      const answers = await Promise.all([
        client.query('select 1 as n'),
        client.query('/*apart*/select 2 as n; select 3 as n'),
        client.query('select 4 as n'),
      ]);
      const numbers = answers.flat().map((result) => (result as pg.QueryResult).rows[0].n);
      assert.deepEqual(numbers, [1, 2, 3, 4]);
    });
  });

  it('shows psql positions in the whole of it', async () => {
    const to = { port: listener.port, user: 'me', password: 'token', database: 'shop' };
    const run = await runPsql(to, ['-c', '/*apart*/select 1;\nselect nothing']);
    assert.match(run.stderr, /LINE 2: select nothing\n {15}\^/);
  });
});
