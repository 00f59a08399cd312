/** COM_CHANGE_USER: a connection that goes on as somebody else, and nothing of the one before. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { command, textCommand } from '../../protocols/mysql/client-messages.ts';
import { encodePacket } from '../../protocols/mysql/framing.ts';
import { readErr, readErrCode } from '../../protocols/mysql/server-messages.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, connectClient, errorOf, type Listener, listen, targetOf } from './mysql-listener.ts';
import { Wire } from './mysql-wire.ts';

const utf8mb4 = 45;

/** COM_CHANGE_USER as clients send it: with a scramble that proves nothing, and attributes. */
function changeUser(user: string, database = 'crm', collation = utf8mb4): Buffer {
  const attributes = Buffer.from('\x0cprogram_name\x04tool');
  return Buffer.concat([
    Buffer.from([command.CHANGE_USER]),
    Buffer.from(`${user}\0`),
    Buffer.from([20]),
    Buffer.alloc(20, 7),
    Buffer.from(`${database}\0`),
    Buffer.from([collation & 0xff, collation >>> 8]),
    Buffer.from('mysql_native_password\0'),
    Buffer.from([attributes.length]),
    attributes,
  ]);
}

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    before(async () => {
      server = await start();
      admin = await connectAdmin(server);
      await admin.query('CREATE DATABASE crm; USE crm; CREATE TABLE t (n INT) ENGINE = InnoDB');
      const home = targetOf(server);
      const options = { targets: [home, { ...home, name: 'second' }], secrets: ['bo'] };
      listener = await listen(options, { settings: { handshakeTimeoutMs: 60_000 } });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });

    test('mysql2 changes its user, and finds nothing of the one before', async () => {
      const { gate } = listener;
      let secret = 'token';
      const authPlugins = { mysql_clear_password: () => () => Buffer.from(`${secret}\0`) };
      const client = await connectClient(listener.port, { authPlugins });
      const before = gate.closed;
      await client.query('SET @mine = 5');
      await client.query('CREATE TEMPORARY TABLE own (n INT)');
      await client.query('SELECT 1 /* at second */');
      await client.query('START TRANSACTION');
      await client.query('INSERT INTO t VALUES (1)');
      await client.execute('SELECT 1');
      secret = 'bo';
      await client.changeUser({ user: 'bo' });
      assert.equal(gate.closed, before + 1);
      assert.deepEqual(
        gate.credentials.slice(-1).map(({ user, database }) => ({ user, database })),
        [{ user: 'bo', database: 'crm' }],
      );
      const [mine] = await client.query('SELECT @mine AS mine');
      assert.deepEqual(mine, [{ mine: null }]);
      assert.equal((await errorOf(client.query('SELECT * FROM own'))).errno, 1146);
      const [left] = await client.execute('SELECT COUNT(*) AS n FROM t');
      assert.deepEqual(left, [{ n: 0 }]);
      client.destroy();
    });

    test('the packet is read: user, database, program; none named is the database that was', async () => {
      const { gate } = listener;
      const client = await Wire.through(listener.port, false);
      client.send(changeUser('bo', ''));
      assert.equal((await client.prove('bo'))[0], 0x00);
      const { user, database, tls, clientAddress } = gate.credentials.at(-1)!;
      assert.deepEqual({ user, database, tls }, { user: 'bo', database: 'crm', tls: false });
      assert.match(clientAddress, /127\.0\.0\.1/);
      assert.notEqual((await client.query('SELECT 1')).status, null);
      client.send(changeUser('ana', 'nowhere'));
      assert.equal(readErrCode(await client.prove('token')), 1049);
      await client.closed();
    });

    test('a wrong token ends the connection', async () => {
      const client = await Wire.through(listener.port, false);
      const texts = listener.gate.texts.length;
      client.send(changeUser('ana'));
      const error = readErr(await client.prove('expired'));
      assert.deepEqual([error.code, error.sqlState], [1045, '28000']);
      assert.doesNotMatch(error.message, /expired/);
      await client.closed();
      assert.equal(listener.gate.texts.length, texts);
    });

    test("the old session's statements are gone, and so are their ids", async () => {
      const client = await Wire.through(listener.port, true);
      const { id } = await client.prepare('SELECT 1');
      client.send(changeUser('bo'));
      assert.equal((await client.prove('bo'))[0], 0x00);
      assert.equal(readErrCode((await client.execute(id)).payloads[0] as Buffer), 1243);
      const again = await client.prepare('SELECT 2');
      assert.notEqual((await client.execute(again.id)).status, null);
      client.end();
    });

    test('what is sent before the dialogue has ended never runs', async () => {
      const { gate } = listener;
      const client = await Wire.through(listener.port, false);
      const texts = gate.texts.length;
      const signIns = gate.credentials.length;
      client.sendRaw(
        Buffer.concat([
          encodePacket(changeUser('bo'), 0),
          encodePacket(textCommand(command.QUERY, 'SELECT 7'), 0),
        ]),
      );
      await client.next();
      assert.equal(readErrCode(await client.next()), 1156);
      await client.closed();
      const late = await Wire.through(listener.port, false);
      late.send(changeUser('bo'));
      await late.next();
      late.sendNumbered(textCommand(command.QUERY, 'SELECT 8'), 0);
      assert.equal(readErrCode(await late.next()), 1156);
      await late.closed();
      assert.equal(gate.texts.length, texts);
      assert.equal(gate.credentials.length, signIns + 1);
    });

    test('commands behind the answer wait for the new session', async () => {
      const { gate } = listener;
      const client = await Wire.through(listener.port, false);
      client.send(changeUser('bo'));
      await client.next();
      client.sendRaw(
        Buffer.concat([
          encodePacket(Buffer.from('bo\0'), 2),
          encodePacket(textCommand(command.QUERY, 'SELECT 9'), 0),
        ]),
      );
      assert.equal((await client.next())[0], 0x00);
      assert.notEqual((await client.numberedFrom(0).results()).status, null);
      assert.equal(gate.texts.at(-1), 'SELECT 9');
      client.end();
      const denied = await Wire.through(listener.port, false);
      denied.send(changeUser('bo'));
      await denied.next();
      denied.sendRaw(
        Buffer.concat([
          encodePacket(Buffer.from('wrong\0'), 2),
          encodePacket(textCommand(command.QUERY, 'SELECT 10'), 0),
        ]),
      );
      assert.equal(readErrCode(await denied.next()), 1045);
      await denied.closed();
      assert.notEqual(gate.texts.at(-1), 'SELECT 10');
    });

    test('a packet that is none, a character set that is not read, an answer without measure', async () => {
      for (const [payload, code] of [
        [Buffer.from([command.CHANGE_USER, 0x61]), 1835],
        [changeUser('bo', 'crm', 28), 1115],
      ] as const) {
        const client = await Wire.through(listener.port, false);
        const before = listener.gate.closed;
        client.send(payload);
        assert.equal(readErrCode(await client.next()), code);
        await client.closed();
        assert.equal(listener.gate.closed, before + 1);
      }
      const client = await Wire.through(listener.port, false);
      client.send(changeUser('bo', 'crm', 255));
      await client.next();
      client.sendNumbered(Buffer.alloc(20_000, 0x61), 2);
      assert.equal(readErrCode(await client.next()), 1153);
      await client.closed();
    });

    test('who was signed in before may not kill what the connection runs now', async () => {
      const other = await Wire.through(listener.port, false);
      let secret = 'token';
      const authPlugins = { mysql_clear_password: () => () => Buffer.from(`${secret}\0`) };
      const client = await connectClient(listener.port, { authPlugins });
      secret = 'bo';
      const { threadId } = client as unknown as { threadId: number };
      await client.changeUser({ user: 'bo' });
      await other.query(`KILL ${threadId}`);
      assert.ok(listener.gate.texts.includes(`KILL ${threadId}`));
      const [rows] = await client.query('SELECT 3 AS n');
      assert.deepEqual(rows, [{ n: 3 }]);
      client.destroy();
      other.end();
    });
  });
}

test('a client that does not answer is let go', async () => {
  const server = await startMariaDb();
  const admin = await connectAdmin(server);
  await admin.query('CREATE DATABASE crm');
  const impatient = await listen({ targets: [targetOf(server)] }, { settings: { handshakeTimeoutMs: 300 } });
  const client = await Wire.through(impatient.port, false);
  client.send(changeUser('ana'));
  await client.next();
  assert.equal(readErrCode(await client.next()), 1043);
  await client.closed();
  await impatient.close();
  await admin.end();
  await server.stop();
});
