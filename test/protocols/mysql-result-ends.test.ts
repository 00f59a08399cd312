/** EOF_Packets and DEPRECATE_EOF on real servers: each client gets what it negotiated, whatever its upstream can. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { readTextRow } from '../../protocols/mysql/server-messages.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { runMySqlClient } from '../servers/mysql-client.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, type Listener, listen, targetOf } from './mysql-listener.ts';
import { Wire, withoutDeprecateEof } from './mysql-wire.ts';

const schema = `
CREATE DATABASE crm; USE crm;
CREATE TABLE contacts (id INT PRIMARY KEY, email VARCHAR(100));
INSERT INTO contacts VALUES (1, 'ana@example.com'), (2, NULL), (3, 'bo@example.com');
CREATE TABLE big (id INT PRIMARY KEY, email LONGTEXT, body LONGTEXT);
INSERT INTO big VALUES (1, 'a@example.com', REPEAT('x', 17000000));
CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT id FROM contacts; END;
`;

const texts = [
  'SELECT 1',
  "SELECT 'a', NULL, '' FROM contacts",
  'SELECT id FROM contacts WHERE id > 9',
  "SELECT CAST('1x' AS SIGNED)",
  'DO 1',
  'SELECT nothing',
  'SELECT id, (SELECT a.id FROM contacts a, contacts b WHERE contacts.id = 2) FROM contacts',
  'SELECT 1; DO 2; SELECT id FROM contacts',
  'SELECT 1; SELECT nothing; SELECT 3',
  'CALL two()',
  'SELECT body, 7 FROM big',
  'SELECT id, body FROM big UNION ALL SELECT 5, 6',
];

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    let old: { listener: Listener; close(): void };
    before(async () => {
      server = await start({ settings: { 'max-allowed-packet': '64M' } });
      admin = await connectAdmin(server);
      await admin.query(schema);
      listener = await listen({ targets: [targetOf(server)] });
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
      { name: 'EOF_Packets, an old upstream', deprecates: false, port: () => old.listener.port },
      { name: 'DEPRECATE_EOF', deprecates: true, port: () => listener.port },
      { name: 'DEPRECATE_EOF, an old upstream', deprecates: true, port: () => old.listener.port },
    ];

    for (const { name, deprecates, port } of cases) {
      test(`${name}: the packets are those of a server that is asked directly`, async () => {
        const direct = await Wire.direct(targetOf(server), deprecates);
        const through = await Wire.through(port(), deprecates);
        await direct.query('SET NAMES utf8mb4');
        for (const text of texts) {
          assert.deepEqual(await through.query(text), await direct.query(text), text);
        }
        for (const text of texts.filter((each) => !/;|nothing/.test(each))) {
          const there = await direct.prepare(text);
          const here = await through.prepare(text);
          assert.deepEqual(here.payloads.slice(1), there.payloads.slice(1), text);
          for (let round = 0; round < 2; round++) {
            assert.deepEqual(await through.execute(here.id), await direct.execute(there.id), text);
          }
        }
        const parameters = 'SELECT ?, id FROM contacts WHERE id = ?';
        assert.deepEqual(
          (await through.prepare(parameters)).payloads.slice(1),
          (await direct.prepare(parameters)).payloads.slice(1),
        );
        const option = Buffer.from([0x1b, 0, 0]);
        for (const wire of [direct, through]) wire.send(option);
        assert.deepEqual(await through.one(), await direct.one());
        direct.end();
        through.end();
      });

      test(`${name}: masked`, async () => {
        const through = await Wire.through(port(), deprecates);
        const text = 'SELECT id, email FROM contacts ORDER BY id';
        const { payloads } = await through.query(text);
        assert.equal(payloads.length, deprecates ? 7 : 8);
        const rows = payloads.slice(deprecates ? 3 : 4, -1).map((row) => readTextRow(row, 2));
        assert.deepEqual(rows, [
          ['1', '***'],
          ['2', null],
          ['3', '***'],
        ]);
        const { id } = await through.prepare(text);
        const executed = await through.execute(id);
        assert.equal(executed.payloads.length, payloads.length);
        assert.ok(!Buffer.concat(executed.payloads).includes('example.com'));
        const large = (await through.query('SELECT email, body FROM big; SELECT email, 8 FROM big')).payloads;
        const [first] = large.slice(deprecates ? 3 : 4);
        assert.equal(first?.length, 17_000_000 + 4 + 4 + (first?.[4] === 0xfe ? 5 : 0));
        assert.deepEqual(readTextRow(large.at(-2) as Buffer, 2), ['***', '8']);
        through.end();
      });
    }

    test('the mysql client, which asks for DEPRECATE_EOF', async () => {
      for (const { port } of [listener, old.listener]) {
        const run = await runMySqlClient(
          { port, user: 'ana', password: 'token', database: 'crm' },
          ['--enable-cleartext-plugin', '--skip-ssl'],
          'select id, email from contacts; call two(); select 1 where false; select count(*) from big;\n',
        );
        assert.equal(run.stderr, '');
        assert.match(run.stdout, /1\t\*\*\*\n2\tNULL\n3\t\*\*\*\n/);
        assert.match(run.stdout, /1\n$/);
      }
    });
  });
}
