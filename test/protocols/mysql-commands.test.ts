/** Commands besides queries and prepared statements, byte by byte against real servers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { command } from '../../protocols/mysql/client-messages.ts';
import { matchesWildcard } from '../../protocols/mysql/field-list.ts';
import { encodePacket } from '../../protocols/mysql/framing.ts';
import { readColumn, readErrCode } from '../../protocols/mysql/server-messages.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, type Listener, listen, targetOf } from './mysql-listener.ts';
import { Wire } from './mysql-wire.ts';

function fieldList(table: string, wildcard = ''): Buffer {
  return Buffer.concat([Buffer.from([command.FIELD_LIST]), Buffer.from(`${table}\0${wildcard}`)]);
}

/** The packets of an answer to COM_FIELD_LIST: definitions, then an end. */
async function fields(wire: Wire, payload: Buffer): Promise<{ definitions: Buffer[]; end: Buffer }> {
  wire.send(payload);
  const definitions: Buffer[] = [];
  for (;;) {
    const packet = await wire.one();
    if (packet[0] === 0xfe || packet[0] === 0xff) return { definitions, end: packet };
    definitions.push(packet);
  }
}

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    before(async () => {
      server = await start();
      admin = await connectAdmin(server);
      await admin.query(
        `CREATE DATABASE crm; USE crm;
         CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(50) DEFAULT 'somebody@example.com', note TEXT);
         CREATE TABLE forbidden (id INT)`,
      );
      const home = targetOf(server);
      listener = await listen({ targets: [home, { ...home, name: 'second' }] });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });

    for (const deprecatesEof of [false, true]) {
      test(`COM_FIELD_LIST gives the columns and no default, DEPRECATE_EOF ${deprecatesEof}`, async () => {
        const direct = await Wire.direct(targetOf(server), deprecatesEof);
        await direct.query('SET NAMES utf8mb4');
        const client = await Wire.through(listener.port, deprecatesEof);
        const columns = (found: readonly Buffer[]) =>
          found.map((payload) => {
            // The end of the fixed part; what follows is the default.
            const { format: _, ...column } = readColumn(payload, 'text');
            return column;
          });
        const expected = await fields(direct, fieldList('t'));
        const found = await fields(client, fieldList('t'));
        assert.deepEqual(columns(found.definitions), columns(expected.definitions));
        assert.equal(found.end.length, expected.end.length);
        assert.ok(found.definitions.every((definition) => definition.at(-1) === 0xfb));
        assert.ok(!Buffer.concat(found.definitions).includes('somebody'));
        const some = await fields(client, fieldList('t', '%E%'));
        assert.deepEqual(
          columns(some.definitions).map(({ name }) => name),
          ['email', 'note'],
        );
        assert.equal((await fields(client, fieldList('t', 'nothing'))).definitions.length, 0);
        assert.notEqual((await client.query('SELECT 1')).status, null);
        direct.end();
        client.end();
      });
    }

    test('COM_FIELD_LIST is decided as the query that it stands for', async () => {
      const { gate } = listener;
      const client = await Wire.through(listener.port, true);
      const refused = await fields(client, fieldList('forbidden'));
      assert.equal(readErrCode(refused.end), 1142);
      assert.equal(gate.texts.at(-1), 'SELECT * FROM `forbidden` LIMIT 0');
      const strange = await fields(client, fieldList('t` WHERE SLEEP(9) --x'));
      assert.equal(readErrCode(strange.end), 1146);
      assert.equal(gate.texts.at(-1), 'SELECT * FROM `t`` WHERE SLEEP(9) --x` LIMIT 0');
      assert.equal((await fields(client, fieldList('t'))).definitions.length, 3);
      const done = gate.completions.at(-1);
      assert.deepEqual([done?.rows, done?.error], [0, null]);
      client.end();
    });

    test('COM_STATISTICS is answered without asking anybody', async () => {
      const texts = listener.gate.texts.length;
      const client = await Wire.through(listener.port, true);
      client.send(Buffer.from([command.STATISTICS]));
      assert.match((await client.one()).toString(), /^Uptime: \d+ {2}Threads: 1 {2}Questions: 0/);
      assert.equal(listener.gate.texts.length, texts);
      client.end();
    });

    test('COM_SET_OPTION holds on every upstream, those of later too', async () => {
      const client = await Wire.through(listener.port, true);
      const two = (where: string) => `SELECT 1; SELECT 2 ${where}`;
      const set = async (off: number) => {
        client.send(Buffer.from([command.SET_OPTION, off, 0]));
        assert.equal((await client.one())[0], 0xfe);
      };
      assert.notEqual((await client.query(two(''))).status, null);
      await set(1);
      assert.equal((await client.query(two(''))).status, null);
      assert.equal((await client.query(two('/* at second */'))).status, null);
      await set(0);
      assert.notEqual((await client.query(two('/* at second */'))).status, null);
      assert.notEqual((await client.query(two(''))).status, null);
      await set(1);
      assert.equal((await client.query(two('/* at second */'))).status, null);
      client.send(Buffer.from([command.SET_OPTION, 2, 0]));
      assert.equal(readErrCode(await client.one()), 1835);
      await client.closed();
    });

    test('a statement is executed in the same breath as it is prepared', async () => {
      const client = await Wire.through(listener.port, true);
      const prepare = Buffer.concat([Buffer.from([command.STMT_PREPARE]), Buffer.from('SELECT 41 + 1')]);
      const execute = Buffer.from([command.STMT_EXECUTE, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0]);
      client.sendRaw(Buffer.concat([encodePacket(prepare, 0), encodePacket(execute, 0)]));
      assert.equal((await client.next())[0], 0x00);
      assert.ok((await client.next()).length > 10);
      const { payloads } = await client.numberedFrom(0).results();
      assert.equal(payloads.at(-2)?.readInt8(2), 42);
      client.send(Buffer.concat([Buffer.from([command.STMT_PREPARE]), Buffer.from('SELECT forbidden')]));
      assert.equal(readErrCode(await client.one()), 1142);
      assert.equal(readErrCode((await client.execute(0xffff_ffff)).payloads[0] as Buffer), 1243);
      client.end();
    });
  });
}

test('wildcards', () => {
  for (const [name, pattern, matches] of [
    ['email', '', true],
    ['Email', 'e%', true],
    ['email', '_mail', true],
    ['email', '_ail', false],
    ['email', '%a%l', true],
    ['email', '%a%', true],
    ['email', 'emai', false],
    ['e%', 'e\\%', true],
    ['ex', 'e\\%', false],
    ['', '%', true],
    ['abcabd', '%abd', true],
    ['a'.repeat(60), '%a'.repeat(30), true],
    ['a'.repeat(60), `${'%a'.repeat(30)}b`, false],
  ] as const) {
    assert.equal(matchesWildcard(name, pattern), matches, `${name} like ${pattern}`);
  }
});
