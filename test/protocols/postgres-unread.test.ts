/** Texts that the gate did not understand, and lets the server word: its errors come, and what it takes stays refused. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type Listener, listen, noTls } from './postgres-open-gate.ts';
import { message, say } from './postgres-wire.ts';

let server: PostgresServer;
let listener: Listener;
let client: pg.Client;

before(async () => {
  server = await startPostgres();
  const { host, port, user, password } = server;
  const target = { name: 'a', host, port, database: 'postgres', user, password, tls: noTls };
  listener = await listen({ targets: [target] });
  client = new pg.Client({
    host,
    port: listener.port,
    user: 'me',
    password: 'token',
    database: 'shop',
  });
  await client.connect();
  await client.query('create sequence steps; create table customers (id int)');
});
after(async () => {
  await client.end();
  await listener.close();
  await server.stop();
});

const ways: readonly (readonly [string, (text: string) => Promise<pg.QueryResult>])[] = [
  ['a Query', (text) => client.query(text)],
  ['the unnamed statement', (text) => client.query(text, [])],
  ['a named statement', (text) => client.query({ name: 'mine', text })],
];
for (const [way, run] of ways) {
  describe(way, () => {
    it('fails with the words of the server', async () => {
      await assert.rejects(run('select nothing from customers /*unread*/'), {
        code: '42703',
        message: 'column "nothing" does not exist',
        position: '8',
      });
      await assert.rejects(run('selec 1 /*unread*/;'), {
        code: '42601',
        message: 'syntax error at or near "selec"',
      });
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1);
    });

    it('is refused when the server finds nothing wrong with it, and is not run', async () => {
      await assert.rejects(run("select nextval('steps') /*unread*/"), {
        code: '42501',
        message: 'this text was not understood',
      });
      assert.equal((await client.query('select is_called from steps')).rows[0].is_called, false);
    });

    it('leaves the transaction as a failed statement does', async () => {
      await client.query('begin');
      await assert.rejects(run('select nothing /*unread*/'), { code: '42703' });
      await assert.rejects(run('select 1 /*unread*/'), { code: '25P02' });
      await client.query('rollback');
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1);
    });

    it('is not shown to the server where it may be several statements', async () => {
      await assert.rejects(run("select 'hidden'; select nothing /*unread*/"), { code: '42501' });
      assert.doesNotMatch(server.logText(), /hidden/);
    });
  });
}

it('nobody binds what the server has parsed', async () => {
  const socket = connect(listener.port, '127.0.0.1');
  const startup = Buffer.from('\0\x03\0\0user\0me\0database\0shop\0\0', 'latin1');
  const length = Buffer.alloc(4);
  length.writeInt32BE(startup.length + 4);
  socket.write(Buffer.concat([length, startup, message('p', 'token')]));
  socket.write(Buffer.concat([say.parse('', 'select 1'), say.sync()]));
  socket.write(Buffer.concat([say.parse('x', "select nextval('steps') /*unread*/"), say.sync()]));
  socket.write(Buffer.concat([say.bind('', ''), say.execute(''), say.sync()]));
  let heard = '';
  for await (const piece of socket) {
    heard += (piece as Buffer).toString('latin1');
    // Ready after the sign-in, and after each Sync.
    if (heard.split('Z\0\0\0\x05').length > 4) break;
  }
  assert.match(heard, /C42501\0Mthis text was not understood/);
  assert.match(heard, /C26000\0/);
  assert.equal((await client.query('select is_called from steps')).rows[0].is_called, false);
});
