/** The MySQL protocol from a real client through the gateway's session to real servers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { readErrCode } from '../../protocols/mysql/server-messages.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { runMySqlClient } from '../servers/mysql-client.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, connectClient, errorOf, type Listener, listen, targetOf } from './mysql-listener.ts';
import { Wire } from './mysql-wire.ts';

const products = { mariadb: startMariaDb, mysql: startMySql };

const schema = `
CREATE DATABASE crm; CREATE DATABASE other; USE crm;
CREATE TABLE contacts (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), email VARCHAR(100) NOT NULL);
INSERT INTO contacts (name, email) VALUES ('Ana', 'ana@example.com'), (NULL, 'bo@example.com');
CREATE TABLE kinds (id INT PRIMARY KEY, t TINYINT, s SMALLINT, m MEDIUMINT, b BIGINT, f FLOAT, d DOUBLE, n DECIMAL(20,5),
  da DATE, ti TIME(3), dt DATETIME(6), ts TIMESTAMP(6) NULL, y YEAR, c CHAR(5), email VARCHAR(100), bl BLOB, tx TEXT, bi BIT(9),
  e ENUM('x','y'), st SET('p','q'), j JSON);
INSERT INTO kinds VALUES
  (1, -1, 300, 70000, 9007199254740993, 1.5, 2.25, '123456789.12345', '2024-02-29', '-12:34:56.789', '2024-02-29 01:02:03.000004',
   '2024-02-29 01:02:03', 2024, 'abc', 'ana@example.com', x'00ff', 'text', b'101', 'y', 'p,q', '{"a": 1}'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE big (id INT PRIMARY KEY, email LONGTEXT, body LONGTEXT);
CREATE TABLE numbers (n INT PRIMARY KEY, email VARCHAR(100));
INSERT INTO numbers SELECT a.n + 10*b.n + 100*c.n + 1000*d.n + 10000*e.n, 'someone@example.com' FROM
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) a,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) b,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) c,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) d,
  (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) e;
CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END;
CREATE PROCEDURE mails() SELECT email FROM contacts;
`;

type Rows = readonly Record<string, unknown>[];

for (const [product, start] of Object.entries(products)) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    before(async () => {
      server = await start({ settings: { 'max-allowed-packet': '64M' } });
      admin = await connectAdmin(server);
      await admin.query(schema);
      const home = targetOf(server);
      listener = await listen({ targets: [home, { ...home, name: 'second' }] });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });

    async function withClient<T>(
      use: (client: mysql.Connection) => Promise<T>,
      more: mysql.ConnectionOptions = {},
    ): Promise<T> {
      const client = await connectClient(listener.port, more);
      try {
        return await use(client);
      } finally {
        client.destroy();
      }
    }
    const rows = async (run: Promise<unknown>): Promise<Rows> => ((await run) as [Rows])[0];

    test('every type arrives as it does without a gateway, in text and binary, but for the masked column', async () => {
      const direct = await connectAdmin(server, { jsonStrings: true });
      await direct.query("USE crm; SET time_zone = '+00:00'");
      await withClient(
        async (client) => {
          await client.query("SET time_zone = '+00:00'");
          const text = 'SELECT * FROM kinds ORDER BY id';
          const masked = (list: Rows): Rows =>
            list.map((row) => ({ ...row, email: row.email === null ? null : '***' }));
          assert.deepEqual(await rows(client.query(text)), masked(await rows(direct.query(text))));
          assert.deepEqual(await rows(client.execute(text)), masked(await rows(direct.execute(text))));
          const harmless = text.replace(
            '*',
            'id, t, s, m, b, f, d, n, da, ti, dt, ts, y, c, bl, tx, bi, e, st, j',
          );
          assert.deepEqual(await rows(client.query(harmless)), await rows(direct.query(harmless)));
          assert.deepEqual(await rows(client.execute(harmless)), await rows(direct.execute(harmless)));
        },
        { jsonStrings: true },
      );
      direct.destroy();
    });

    test('parameters of a prepared statement, again and again', async () => {
      await withClient(async (client) => {
        const text = 'SELECT id, email, ? AS given FROM contacts WHERE id = ?';
        for (let id = 1; id <= 3; id++) {
          const expected = id <= 2 ? [{ id, email: '***', given: `v${id}` }] : [];
          assert.deepEqual(await rows(client.execute(text, [`v${id}`, id])), expected);
        }
        await client.unprepare(text);
        assert.deepEqual(await rows(client.execute(text, ['x', 1])), [{ id: 1, email: '***', given: 'x' }]);
      });
    });

    test('a prepared statement that is not known, and more of them than allowed', async () => {
      const few = await listen({ targets: [targetOf(server)], preparedMax: 2 });
      const client = await connectClient(few.port);
      await client.prepare('SELECT 1');
      await client.prepare('SELECT 2');
      assert.equal((await errorOf(client.prepare('SELECT 3'))).errno, 1461);
      assert.deepEqual(await rows(client.query('SELECT 4 AS n')), [{ n: 4 }]);
      client.destroy();
      await few.close();
    });

    test('errors of the server come as they are; the session goes on', async () => {
      await withClient(async (client) => {
        const error = await errorOf(client.query('SELECT nothing FROM contacts'));
        assert.equal(error.errno, 1054);
        assert.match(error.message, /nothing/);
        assert.equal((await errorOf(client.execute('SELECT FROM'))).errno, 1064);
        assert.deepEqual(await rows(client.query('SELECT 1 AS n')), [{ n: 1 }]);
      });
    });

    test("an error of a watched statement doesn't bring the server's words", async () => {
      await withClient(async (client) => {
        const text =
          "SELECT email FROM contacts WHERE extractvalue(1, concat('~', (SELECT 'ana@example.com')))";
        const error = await errorOf(client.query(text));
        assert.equal(error.errno, 1105);
        assert.doesNotMatch(error.message, /ana@/);
      });
    });

    test('a refusal is an error of its own and never reaches the server', async () => {
      await withClient(async (client) => {
        await client.query('START TRANSACTION');
        await client.query("INSERT INTO contacts (name, email) VALUES ('kept', 'k@example.com')");
        for (const run of [client.query("SELECT 'forbidden-a'"), client.execute("SELECT 'forbidden-b'")]) {
          const error = await errorOf(run);
          assert.equal(error.errno, 1142);
          assert.equal(error.sqlState, '42000');
          assert.match(error.message, /reason: region_read; decision: 1/);
        }
        assert.equal((await rows(client.query("SELECT id FROM contacts WHERE name = 'kept'"))).length, 1);
        await client.query('ROLLBACK');
        assert.equal((await rows(client.query("SELECT id FROM contacts WHERE name = 'kept'"))).length, 0);
      });
      assert.doesNotMatch(server.logText(), /forbidden/);
    });

    test('a transaction pins its upstream until it ends', async () => {
      const { gate } = listener;
      await withClient(async (client) => {
        const from = gate.pins.length;
        await client.beginTransaction();
        await client.query('SELECT 1');
        await client.commit();
        await client.query('START TRANSACTION');
        await client.rollback();
        assert.deepEqual(gate.pins.slice(from), ['home', null, 'home', null]);
      });
    });

    test('several statements in one text, and how each ended', async () => {
      const { gate } = listener;
      await withClient(
        async (client) => {
          const text = 'SELECT 1 AS a; UPDATE contacts SET name = name; SELECT 2 AS b UNION ALL SELECT 3';
          const [results] = await client.query(text);
          assert.deepEqual((results as unknown[])[0], [{ a: 1 }]);
          assert.deepEqual((results as unknown[])[2], [{ b: 2 }, { b: 3 }]);
          const seen = gate.completions.filter((completion) => completion.text === text);
          assert.deepEqual(
            seen.map(({ index, rows, error }) => [index, rows, error]),
            [
              [0, 1, null],
              [1, 0, null],
              [2, 2, null],
            ],
          );
          const failing = 'SELECT 1; SELECT nothing; SELECT 3';
          await errorOf(client.query(failing));
          assert.deepEqual(
            gate.completions.filter(({ text }) => text === failing).map(({ index, error }) => [index, error]),
            [
              [0, null],
              [1, '1054'],
            ],
          );
        },
        { multipleStatements: true },
      );
      await withClient(async (client) => {
        assert.equal((await errorOf(client.query('SELECT 1; SELECT 2'))).errno, 1064);
      });
    });

    test('a CALL brings all its results', async () => {
      await withClient(async (client) => {
        const [results] = await client.query('CALL two()');
        assert.deepEqual((results as unknown[]).slice(0, 2), [[{ a: 1 }], [{ b: 2 }]]);
        assert.deepEqual(await rows(client.execute('CALL mails()')).then((r) => r[0]), [
          { email: '***' },
          { email: '***' },
        ]);
      });
    });

    test('a value of more than 16 MiB, both ways, masked and not', async () => {
      const body = 'x'.repeat(17 * 1024 * 1024);
      await withClient(async (client) => {
        await client.query(`REPLACE INTO big VALUES (1, 'a@example.com', '${body}')`);
        const [row] = await rows(client.query('SELECT id, body FROM big'));
        assert.equal(row?.body, body);
        const [masked] = await rows(client.query('SELECT id, body, email, 7 AS last FROM big'));
        assert.equal(masked?.body, body);
        assert.deepEqual([masked?.email, masked?.last], ['***', 7]);
        await client.query('UPDATE big SET email = body');
        const [shrunk] = await rows(client.execute('SELECT email, 7 AS last FROM big UNION ALL SELECT 1, 2'));
        assert.equal(shrunk?.last, 7);
        const [short] = await rows(client.query('SELECT email, 8 AS last FROM big'));
        assert.deepEqual(short, { email: '***', last: 8 });
        await client.query('DELETE FROM big');
      });
    });

    test('100,000 rows, masked and not, with a slow reader', async () => {
      const { gate } = listener;
      await withClient(async (client) => {
        assert.equal((await rows(client.query('SELECT n FROM numbers'))).length, 100_000);
        const masked = await rows(client.query('SELECT n, email FROM numbers'));
        assert.equal(masked.length, 100_000);
        assert.ok(masked.every((row) => row.email === '***'));
        assert.equal(gate.completions.at(-1)?.rows, 100_000);
        const binary = await rows(client.execute('SELECT n, email FROM numbers'));
        assert.ok(binary.length === 100_000 && binary.every((row) => row.email === '***'));
      });
    });

    test('the current database is followed', async () => {
      const { gate } = listener;
      await withClient(async (client) => {
        await client.query('USE other');
        assert.deepEqual(gate.states.at(-1)?.path, ['other']);
        await client.changeUser({ database: 'crm' }).catch(() => {});
      });
      const run = await runMySqlClient(
        { port: listener.port, user: 'ana', password: 'token', database: 'crm' },
        ['--enable-cleartext-plugin', '--skip-ssl', '--no-auto-rehash'],
        'use other\nselect database();\n',
      );
      assert.equal(run.stderr, '');
      assert.match(run.stdout, /other\n$/);
      assert.ok(gate.texts.includes('USE `other`') || gate.texts.includes('use other'));
    });

    test('commands that are not handled are refused; the session goes on', async () => {
      const client = await Wire.through(listener.port, false);
      client.send(Buffer.from([0x0d]));
      assert.equal(readErrCode(await client.one()), 1142);
      assert.ok(listener.gate.refusedMessages.includes('COM_DEBUG'));
      assert.notEqual((await client.query('SELECT 1 AS n')).status, null);
      client.end();
    });

    test('COM_RESET_CONNECTION forgets, and pins again', async () => {
      await withClient(async (client) => {
        await client.query('SET @a = 5');
        await client.execute('SELECT 1');
        await client.reset();
        assert.deepEqual(await rows(client.query('SELECT @a AS a, @@character_set_client AS c')), [
          { a: null, c: 'utf8mb4' },
        ]);
        assert.deepEqual(await rows(client.execute('SELECT email FROM contacts WHERE id = 1')), [
          { email: '***' },
        ]);
      });
    });

    test('a session whose texts would be read in another way is ended', async () => {
      for (const text of [
        "SET sql_mode = 'ANSI_QUOTES'",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        'SET NAMES latin1',
      ]) {
        await withClient(async (client) => {
          const error = await errorOf(client.query(text));
          assert.match(error.message, /session_drift/);
          await assert.rejects(client.query('SELECT 1'));
        });
      }
      await withClient(async (client) => {
        await client.query("SET sql_mode = 'STRICT_ALL_TABLES'");
        assert.deepEqual(await rows(client.query('SELECT "a" AS a')), [{ a: 'a' }]);
      });
    });

    test("an upstream's own sql_mode is put right at the start", async () => {
      await admin.query("SET GLOBAL sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_TRANS_TABLES'");
      try {
        await withClient(async (client) => {
          assert.deepEqual(await rows(client.query('SELECT "a" AS a, @@sql_mode AS m')), [
            { a: 'a', m: 'STRICT_TRANS_TABLES' },
          ]);
        });
      } finally {
        await admin.query('SET GLOBAL sql_mode = DEFAULT');
      }
    });

    test('another upstream is opened when a route leads there, with settings and database', async () => {
      await withClient(async (client) => {
        await client.query('SET SESSION lock_wait_timeout = 77');
        const [here] = await rows(client.query('SELECT CONNECTION_ID() AS id'));
        const text =
          'SELECT CONNECTION_ID() AS id, @@lock_wait_timeout AS t, DATABASE() AS d /* at second */';
        const [there] = await rows(client.query(text));
        assert.notEqual(there?.id, here?.id);
        assert.deepEqual([there?.t, there?.d], [77, 'crm']);
        await client.query('USE other');
        assert.equal((await rows(client.query(text)))[0]?.d, 'other');
        const [again] = await rows(client.execute('SELECT CONNECTION_ID() AS id /* at second */'));
        assert.equal(again?.id, there?.id);
        await client.query('START TRANSACTION');
        assert.equal((await rows(client.query('SELECT CONNECTION_ID() AS id')))[0]?.id, here?.id);
      });
    });

    test('a rewritten text goes up in place of the client’s', async () => {
      await withClient(async (client) => {
        assert.deepEqual(await rows(client.query('SELECT rewrite_me AS a')), [{ a: 'rewritten' }]);
        assert.deepEqual(await rows(client.execute('SELECT rewrite_me AS a')), [{ a: 'rewritten' }]);
      });
    });

    test('a contradiction delivers nothing and ends the session', async () => {
      await withClient(async (client) => {
        const error = await errorOf(client.query("SELECT 'raw' AS contradiction"));
        assert.equal(error.errno, 1142);
        assert.match(error.message, /witnesses disagree/);
        await assert.rejects(client.query('SELECT 1'));
      });
    });

    test('LOCAL INFILE is not offered and not followed', async () => {
      await withClient(async (client) => {
        const error = await errorOf(client.query("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE big"));
        assert.ok([1148, 3948, 4166].includes(error.errno), String(error.errno));
      });
    });

    test('text that is no UTF-8 is refused', async () => {
      const run = await runMySqlClient(
        { port: listener.port, user: 'ana', password: 'token', database: 'crm' },
        ['--enable-cleartext-plugin', '--skip-ssl', '--force'],
        Buffer.from("select '\xe9';\nselect 7;\n", 'latin1') as unknown as string,
      );
      assert.match(run.stderr, /1300/);
      assert.match(run.stdout, /7/);
    });

    test('sign-in: the same answer for a wrong token, another for an unknown database', async () => {
      const wrong = await errorOf(connectClient(listener.port, {}, 'wrong'));
      assert.deepEqual([wrong.errno, wrong.sqlState], [1045, '28000']);
      const unknown = await errorOf(connectClient(listener.port, { database: 'nowhere' }));
      assert.equal(unknown.errno, 1049);
      const none = await errorOf(connectClient(listener.port, { database: '' }));
      assert.equal(none.errno, 1046);
    });

    test('a long token', async () => {
      const secret = 'x'.repeat(15_000);
      const long = await listen({ targets: [targetOf(server)], secret });
      const client = await connectClient(long.port, {}, secret);
      await client.ping();
      client.destroy();
      await assert.rejects(connectClient(long.port, {}, 'x'.repeat(17_000)), { errno: 1045 });
      await long.close();
    });

    test('a gate that takes its time, or fails, or is asked in haste', async () => {
      const slow = await listen({ targets: [targetOf(server)], slow: true });
      const client = await connectClient(slow.port);
      const seen = await Promise.all([1, 2, 3].map((n) => rows(client.execute('SELECT ? AS n', [n]))));
      assert.deepEqual(seen, [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
      assert.equal((await errorOf(client.query('SELECT broken_gate'))).errno, 1105);
      assert.equal((await errorOf(client.query("SELECT 'forbidden'"))).errno, 1142);
      assert.deepEqual(await rows(client.query('SELECT 1 AS n')), [{ n: 1 }]);
      client.destroy();
      await slow.close();
    });

    test('an upstream that cannot be had', async () => {
      const dead = await listen({ targets: [targetOf(server, { password: 'wrong' })] });
      const error = await errorOf(connectClient(dead.port));
      assert.equal(error.errno, 1040);
      assert.doesNotMatch(error.message, /wrong|admin/);
      await dead.close();
    });

    test('a client that goes away has its statement stopped', async () => {
      const client = await connectClient(listener.port);
      const [row] = await rows(client.query('SELECT CONNECTION_ID() AS id'));
      client.query('SELECT SLEEP(60)').catch(() => {});
      const running = async (): Promise<boolean> => {
        const [list] = await admin.query('SELECT ID FROM information_schema.PROCESSLIST WHERE INFO = ?', [
          'SELECT SLEEP(60)',
        ]);
        return (list as { ID: number }[]).some(({ ID }) => ID === row?.id);
      };
      while (!(await running()));
      client.destroy();
      while (await running());
      assert.ok(true);
    });

    test('a second connection with the same token cancels what the first one runs', async () => {
      const { gate } = listener;
      const busy = await connectClient(listener.port);
      const { threadId } = busy as unknown as { threadId: number };
      const sleeping = errorOf(busy.query('SELECT SLEEP(62), 1 FROM contacts'));
      while (gate.texts.at(-1) !== 'SELECT SLEEP(62), 1 FROM contacts') await admin.ping();
      await withClient(async (other) => {
        await other.query(`KILL QUERY ${threadId}`);
        assert.ok(!gate.texts.some((text) => text.startsWith('KILL')));
        assert.equal((await sleeping).errno, 1317);
        assert.deepEqual(await rows(busy.query('SELECT 1 AS n')), [{ n: 1 }]);
        await errorOf(other.query('KILL QUERY 999999999'));
        assert.ok(gate.texts.includes('KILL QUERY 999999999'));
      });
      const ctrlC = await connectClient(listener.port, { database: '' });
      const again = errorOf(busy.query('SELECT SLEEP(63), 1 FROM contacts'));
      while (gate.texts.at(-1) !== 'SELECT SLEEP(63), 1 FROM contacts') await admin.ping();
      await ctrlC.query(`KILL QUERY ${threadId}`);
      assert.equal((await again).errno, 1317);
      await ctrlC.ping();
      assert.equal((await errorOf(ctrlC.query('KILL QUERY 999999999'))).errno, 1094);
      assert.equal((await errorOf(ctrlC.query('SELECT 1'))).errno, 1046);
      assert.notEqual(gate.texts.at(-1), 'SELECT 1');
      await ctrlC.end();
      const stranger = await listen({ targets: [targetOf(server)], secret: 'another' });
      const foreign = await connectClient(stranger.port, {}, 'another');
      await errorOf(foreign.query(`KILL ${threadId}`));
      assert.deepEqual(await rows(busy.query('SELECT 2 AS n')), [{ n: 2 }]);
      foreign.destroy();
      await stranger.close();
      busy.destroy();
    });

    test('kill and drain', async () => {
      const { gate } = listener;
      const killed = await connectClient(listener.port);
      const sleeping = errorOf(killed.query('SELECT SLEEP(61)'));
      while (gate.texts.at(-1) !== 'SELECT SLEEP(61)') await admin.ping();
      gate.controls.at(-1)?.kill('test');
      assert.equal((await sleeping).errno, 1053);
      killed.destroy();

      const draining = await connectClient(listener.port);
      await draining.query('START TRANSACTION');
      gate.controls.at(-1)?.drain();
      assert.deepEqual(await rows(draining.query('SELECT 1 AS n')), [{ n: 1 }]);
      await draining.query('COMMIT');
      await assert.rejects(draining.query('SELECT 1'));
    });
  });
}
