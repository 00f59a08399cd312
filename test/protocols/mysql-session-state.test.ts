/** Session tracking on real servers: clients that asked hear what they hear from the server itself, and Cordon hears of it anyhow. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { capability, serverStatus } from '../../protocols/mysql/capabilities.ts';
import { readErr, readOk } from '../../protocols/mysql/server-messages.ts';
import { movesSession, okFor } from '../../protocols/mysql/session-state.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, connectClient, errorOf, type Listener, listen, targetOf } from './mysql-listener.ts';
import { type Response, Wire, withoutCapabilities } from './mysql-wire.ts';

const schema = `
CREATE DATABASE other; CREATE DATABASE crm; USE crm;
CREATE TABLE contacts (id INT PRIMARY KEY, email VARCHAR(100));
INSERT INTO contacts VALUES (1, 'ana@example.com'), (2, NULL);
`;

const tracked =
  'autocommit,time_zone,sql_mode,character_set_client,character_set_connection,character_set_results,' +
  'session_track_system_variables,session_track_schema';

const texts = [
  'USE other',
  'USE crm',
  "SET time_zone = '+02:00'",
  'SET autocommit = 0',
  'SET autocommit = 1',
  'DO 1',
  'START TRANSACTION',
  'UPDATE contacts SET id = id WHERE id > 0',
  'COMMIT',
  "SET time_zone = '+01:00'; SELECT id FROM contacts",
  "SELECT id FROM contacts; SET time_zone = '+04:00'",
  "INSERT INTO contacts VALUES (3, 'x'), (4, 'y')",
  'DELETE FROM contacts WHERE id > 2',
  'SELECT nothing',
  "SELECT CAST('1x' AS SIGNED)",
];

/** The open gate takes no notice of a SET behind a comment. */
const unread = [
  "/* not read */ SET SESSION sql_mode = 'ANSI_QUOTES'",
  '/* not read */ SET SESSION character_set_client = latin1',
  "DO 2; SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
] as const;

/** One after the other, and good-bye: each session would wait for the other's locks. */
async function answersOf(wire: Wire): Promise<Response[]> {
  const answers: Response[] = [];
  for (const text of texts) answers.push(await wire.query(text));
  wire.end();
  return answers;
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
      listener = await listen({ targets: [targetOf(server)] });
      const stripped = await withoutCapabilities(targetOf(server), capability.SESSION_TRACK);
      old = { listener: await listen({ targets: [stripped.target] }), close: stripped.close };
    });
    after(async () => {
      await listener?.close();
      await old?.listener.close();
      old?.close();
      await admin?.end();
      await server?.stop();
    });

    for (const deprecatesEof of [false, true]) {
      for (const tracks of [false, true]) {
        test(`the packets of a server asked directly: DEPRECATE_EOF ${deprecatesEof}, tracking ${tracks}`, async () => {
          const more = tracks ? capability.SESSION_TRACK : 0;
          const direct = await Wire.direct(targetOf(server), deprecatesEof, more);
          await direct.query(`SET NAMES utf8mb4, SESSION session_track_system_variables = '${tracked}'`);
          const through = await Wire.through(listener.port, deprecatesEof, 'token', more);
          const found = await answersOf(through);
          assert.deepEqual(found, await answersOf(direct));
          const told = found.filter(({ status }) => (status ?? 0) & serverStatus.SESSION_STATE_CHANGED);
          assert.equal(told.length > 0, tracks);
        });
      }
    }

    test('a server that tells nothing: its packets all the same', async () => {
      const more = capability.SESSION_TRACK;
      const direct = await Wire.direct(targetOf(server), true);
      const through = await Wire.through(old.listener.port, true, 'token', more);
      await direct.query('SET NAMES utf8mb4');
      assert.deepEqual(await answersOf(through), await answersOf(direct));
    });

    test('what a text changes without being read to do so ends the session when its texts would be misread', async () => {
      for (const more of [0, capability.SESSION_TRACK]) {
        for (const text of unread) {
          for (const hidden of [false, true]) {
            const client = await Wire.through(listener.port, true, 'token', more);
            if (hidden) {
              await client.query("SET session_track_system_variables = ''");
              await client.query('SET session_track_schema = OFF');
            }
            const { payloads } = await client.query(text);
            const error = readErr(payloads.at(-1) as Buffer);
            assert.match(error.message, /session_drift/, `${text}, ${hidden}`);
            await client.closed();
          }
        }
      }
    });

    test('harmless: a change that no text is read by', async () => {
      const client = await Wire.through(listener.port, true, 'token', capability.SESSION_TRACK);
      const before = listener.gate.states.length;
      const changed = await client.query("/* not read */ SET time_zone = '+03:00'");
      assert.ok((changed.status ?? 0) & serverStatus.SESSION_STATE_CHANGED);
      await client.query('SELECT 1');
      assert.equal(listener.gate.states.length, before);
      client.end();
    });

    test('the current database is followed by what the server says', async () => {
      const client = await connectClient(listener.port);
      await client.query('/* not read */ USE other');
      assert.deepEqual(listener.gate.states.at(-1)?.path, ['other']);
      await client.end();
    });

    test('COM_RESET_CONNECTION: tracked as before', async () => {
      const client = await connectClient(listener.port);
      await client.reset();
      assert.match((await errorOf(client.query(unread[0]))).message, /session_drift/);
      client.destroy();
    });
  });
}

test('an OK_Packet whose warnings are not told keeps the state, and nothing of the words', () => {
  const state = Buffer.from([0x01, 0x04, 0x03, 0x63, 0x72, 0x6d]);
  const packet = (info: string, withState = true) =>
    Buffer.concat([
      Buffer.from([0, 0, 0, 2, withState ? 0x40 : 0, 7, 0, info.length]),
      Buffer.from(info),
      withState ? Buffer.concat([Buffer.from([state.length]), state]) : Buffer.alloc(0),
    ]);
  const ok = (payload: Buffer) => readOk(payload);
  const told = packet('Rows matched: 1');
  assert.deepEqual(okFor('both', told, ok(told), false), null);
  assert.deepEqual(
    okFor('both', told, ok(told), true),
    Buffer.concat([Buffer.from([0, 0, 0, 2, 0x40, 0, 0, 0, state.length]), state]),
  );
  assert.deepEqual(okFor('upstream', told, ok(told), true), Buffer.from([0, 0, 0, 2, 0, 0, 0]));
  assert.deepEqual(
    okFor('upstream', told, ok(told), false),
    Buffer.concat([Buffer.from([0, 0, 0, 2, 0, 7, 0, 15]), Buffer.from('Rows matched: 1')]),
  );
  assert.ok(movesSession('both', told, ok(told)));
  const untold = packet('Rows matched: 1', false);
  assert.equal(okFor('upstream', untold, ok(untold), false), null);
  assert.ok(!movesSession('both', untold, ok(untold)));
  const short = told.subarray(0, -1);
  assert.throws(() => movesSession('both', short, ok(short)), { name: 'ProtocolError' });
});
