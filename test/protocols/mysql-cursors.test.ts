/** Server-side cursors on real servers: fetched rows are masked as was planned when the statement was executed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { serverStatus } from '../../protocols/mysql/capabilities.ts';
import { command } from '../../protocols/mysql/client-messages.ts';
import { readErrCode } from '../../protocols/mysql/server-messages.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, type Listener, listen, targetOf } from './mysql-listener.ts';
import { type Response, Wire, withoutDeprecateEof } from './mysql-wire.ts';

const schema = `
CREATE DATABASE crm; USE crm;
CREATE TABLE contacts (id INT PRIMARY KEY, email VARCHAR(100));
INSERT INTO contacts VALUES (1, 'ana@example.com'), (2, NULL), (3, 'bo@example.com'), (4, 'cy@example.com'), (5, 'di@example.com');
`;

function statementCommand(code: number, id: number, rows?: number): Buffer {
  const payload = Buffer.alloc(rows === undefined ? 5 : 9);
  payload.writeUInt8(code, 0);
  payload.writeUInt32LE(id, 1);
  if (rows !== undefined) payload.writeUInt32LE(rows, 5);
  return payload;
}

async function fetch(wire: Wire, id: number, rows: number): Promise<Response> {
  wire.send(statementCommand(command.STMT_FETCH, id, rows));
  return await wire.rows();
}

async function errorOfFetch(wire: Wire, id: number): Promise<number> {
  const { status, payloads } = await fetch(wire, id, 1);
  assert.equal(status, null);
  return readErrCode(payloads.at(-1) as Buffer);
}

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    let old: { listener: Listener; close(): void };
    before(async () => {
      server = await start();
      admin = await connectAdmin(server);
      await admin.query(schema);
      listener = await listen({ targets: [targetOf(server)], portalsMax: 2 });
      const stripped = await withoutDeprecateEof(targetOf(server));
      old = { listener: await listen({ targets: [stripped.target] }), close: stripped.close };
    });
    after(async () => {
      await listener?.close();
      await old?.listener.close();
      old?.close();
      await admin?.end();
      await server?.stop();
    });
    const cases = [
      { name: 'EOF_Packets', deprecates: false, port: () => listener.port },
      { name: 'DEPRECATE_EOF', deprecates: true, port: () => listener.port },
      { name: 'DEPRECATE_EOF, an old upstream', deprecates: true, port: () => old.listener.port },
    ];

    for (const { name, deprecates, port } of cases) {
      test(`${name}: the packets are those of a server that is asked directly`, async () => {
        const direct = await Wire.direct(targetOf(server), deprecates);
        const through = await Wire.through(port(), deprecates);
        for (const text of [
          'SELECT id FROM contacts ORDER BY id',
          'SELECT id FROM contacts WHERE id > 9',
          'DO 1',
        ]) {
          const there = await direct.prepare(text);
          const here = await through.prepare(text);
          for (let round = 0; round < 2; round++) {
            const opened = await through.execute(here.id, 1);
            assert.deepEqual(opened, await direct.execute(there.id, 1), text);
            if (!((opened.status ?? 0) & serverStatus.CURSOR_EXISTS)) continue;
            for (let more = true; more; ) {
              const rows = await fetch(through, here.id, 2);
              assert.deepEqual(rows, await fetch(direct, there.id, 2));
              more = !((rows.status ?? 0) & serverStatus.LAST_ROW_SENT);
            }
            assert.equal(await errorOfFetch(through, here.id), 1421);
          }
        }
        direct.end();
        through.end();
      });

      test(`${name}: masked`, async () => {
        const through = await Wire.through(port(), deprecates);
        const { id } = await through.prepare('SELECT id, email FROM contacts ORDER BY id');
        const opened = await through.execute(id, 1);
        assert.ok((opened.status ?? 0) & serverStatus.CURSOR_EXISTS);
        const seen: string[] = [];
        for (let status = 0; !(status & serverStatus.LAST_ROW_SENT); ) {
          const rows = await fetch(through, id, 2);
          status = rows.status ?? assert.fail('an error');
          for (const row of rows.payloads.slice(0, -1)) {
            const isNull = ((row[1] ?? 0) & 8) !== 0;
            seen.push(`${row[2]} ${isNull ? 'NULL' : row.toString('latin1', 7)}`);
          }
        }
        assert.deepEqual(seen, ['1 ***', '2 NULL', '3 ***', '4 ***', '5 ***']);
        through.end();
      });
    }

    test('an execution is completed when its cursor ends, with the rows that were fetched', async () => {
      const { gate } = listener;
      const through = await Wire.through(listener.port, true);
      const text = 'SELECT id, email FROM contacts /* counted */';
      const { id } = await through.prepare(text);
      const counted = (): (number | null)[] =>
        gate.completions.filter((each) => each.text === text).map(({ rows }) => rows);
      await through.execute(id, 1);
      await fetch(through, id, 2);
      assert.deepEqual(counted(), []);
      await through.execute(id, 1);
      assert.deepEqual(counted(), [2]);
      await fetch(through, id, 3);
      through.send(statementCommand(command.STMT_RESET, id));
      await through.one();
      assert.deepEqual(counted(), [2, 3]);
      assert.equal(await errorOfFetch(through, id), 1421);
      await through.execute(id, 1);
      await fetch(through, id, 100);
      await fetch(through, id, 100);
      assert.deepEqual(counted(), [2, 3, 5]);
      await through.execute(id, 1);
      await fetch(through, id, 1);
      through.send(statementCommand(command.STMT_CLOSE, id));
      assert.equal(await errorOfFetch(through, id), 1243);
      assert.deepEqual(counted(), [2, 3, 5, 1]);
      await through.query('SELECT 1');
      through.end();
    });

    test('more cursors than allowed, other kinds of them, and none', async () => {
      const through = await Wire.through(listener.port, false);
      const ids: number[] = [];
      for (let index = 0; index < 3; index++) ids.push((await through.prepare('SELECT id FROM contacts')).id);
      const [first = 0, second = 0, third = 0] = ids;
      assert.equal(await errorOfFetch(through, first), 1421);
      await through.execute(first, 1);
      await through.execute(second, 1);
      assert.equal((await through.execute(third, 1)).status, null);
      await through.execute(second, 1);
      through.send(statementCommand(command.STMT_RESET, second));
      await through.one();
      assert.equal(await errorOfFetch(through, second), 1421);
      assert.notEqual((await through.execute(third, 1)).status, null);
      assert.equal((await through.execute(second, 2)).status, null);
      assert.equal((await fetch(through, first, 9)).payloads.length, 6);
      through.send(Buffer.from([command.RESET_CONNECTION]));
      await through.one();
      assert.equal(await errorOfFetch(through, first), 1243);
      through.end();
    });
  });
}
