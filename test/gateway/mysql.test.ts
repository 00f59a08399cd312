/** The main job on real MariaDB and MySQL servers with real clients. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { runMySqlClient } from '../servers/mysql-client.ts';
import { connectMySql } from './connect.ts';

interface ServerError {
  errno: number;
  sqlState: string;
  message: string;
}

for (const product of ['mariadb', 'mysql'] as const) {
  describe(product, () => {
    let world: World;
    before(async () => {
      world = await startWorld({ mysql: product });
    });
    after(() => world?.stop());

    const connect = (persona: PersonaName) => connectMySql(world, persona);

    async function refusal(run: Promise<unknown>): Promise<ServerError> {
      try {
        await run;
      } catch (error) {
        return error as ServerError;
      }
      return assert.fail('not refused');
    }

    test('the mysql client sees tagged columns masked', async () => {
      const password = await world.token('ana');
      const run = await runMySqlClient(
        { port: world.gateway.ports.mysql, user: 'ana', password, database: 'crm' },
        ['--skip-ssl'],
        'SELECT id, name, email, notes FROM contacts ORDER BY id LIMIT 3;\n',
      );
      assert.equal(run.stderr, '');
      const rows = run.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t'));
      assert.equal(rows.length, 3);
      for (const row of rows) {
        assert.match(row[2]!, /^.\*\*\*@[\w.-]+$/);
        assert.ok(row[3] === '[redacted]' || row[3] === 'NULL', row[3]);
      }
    });

    test('mysql2: text and prepared (binary) results, executed again', async () => {
      const connection = await connect('ana');
      const [plain] = await connection.query<mysql.RowDataPacket[]>(
        'SELECT id, email, created_at FROM contacts ORDER BY id LIMIT 2',
      );
      const statement = await connection.prepare(
        'SELECT id, email, created_at FROM contacts WHERE id >= ? ORDER BY id LIMIT 2',
      );
      for (let i = 0; i < 3; i++) {
        const [rows] = (await statement.execute([1])) as unknown as [mysql.RowDataPacket[]];
        assert.deepEqual(rows, plain);
      }
      for (const row of plain) assert.match(row.email, /^.\*\*\*@/);
      await connection.end();
    });

    test('refusals name their reason and the session lives on', async () => {
      const connection = await connect('ana');
      const cases: readonly (readonly [string, string])[] = [
        ['SELECT UPPER(email) FROM contacts', 'masked_use'],
        ["SELECT id FROM contacts WHERE email LIKE 'a%'", 'masked_use'],
        ['SELECT id FROM contacts ORDER BY email', 'masked_use'],
        ['SELECT CONCAT(name, email) AS name FROM contacts', 'masked_use'],
        ['SELECT email FROM contacts UNION SELECT name FROM contacts', 'masked_use'],
        ['SELECT * FROM nowhere', 'unknown_name'],
        ['SELECT nothing FROM contacts', 'unknown_name'],
        ["SELECT LOAD_FILE('/etc/passwd')", 'function_refused'],
        ['SELECT name FROM contacts INTO OUTFILE "/tmp/x"', 'channel_refused'],
        ['DELETE FROM contacts WHERE id = 1', 'region_write'],
        ['CREATE TABLE copy_of AS SELECT * FROM contacts', 'statement_kind'],
        ['SELECT /*!50000 UPPER(email) */ FROM contacts', 'masked_use'],
        ["SET sql_mode = 'ANSI_QUOTES'", 'session_drift'],
      ];
      for (const [sql, reason] of cases) {
        const error = await refusal(connection.query(sql));
        assert.equal(error.errno, 1142, `${sql}: ${error.message}`);
        assert.equal(error.sqlState, '42000');
        assert.match(error.message, new RegExp(`reason: ${reason}; decision: `), sql);
      }
      const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT 1 AS one');
      assert.equal(rows[0]!.one, 1);
      await connection.end();
    });

    test('harmless statements pass', async () => {
      const connection = await connect('ana');
      for (const sql of [
        'SELECT 1',
        'SELECT NOW(), VERSION(), DATABASE()',
        'SHOW TABLES',
        'SHOW COLUMNS FROM contacts',
        "SHOW VARIABLES LIKE 'version'",
        'SET NAMES utf8mb4',
        "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'",
        'SET autocommit = 1',
        'START TRANSACTION',
        'COMMIT',
        'SELECT UPPER(name), COUNT(*) FROM contacts GROUP BY name HAVING COUNT(*) > 0 ORDER BY 1',
        'DESCRIBE contacts',
        'EXPLAIN SELECT name FROM contacts',
        'SELECT c.email AS contact FROM contacts c WHERE c.name IN (SELECT name FROM contacts) LIMIT 1',
        'SELECT email FROM (SELECT * FROM contacts) AS x',
        'SELECT table_name FROM information_schema.tables LIMIT 3',
      ]) {
        await assert.doesNotReject(connection.query(sql), sql);
      }
      await connection.ping();
      await connection.end();
    });

    test("the upstream's log never saw a refused statement", async () => {
      const connection = await connect('ana');
      await refusal(connection.query('SELECT UPPER(email) AS never_sent_marker FROM contacts'));
      await refusal(
        connection.execute('SELECT UPPER(email) AS never_sent_marker FROM contacts WHERE id = ?', [1]),
      );
      await connection.query('SELECT 1 AS sent_marker');
      const log = world.crm!.logText();
      assert.ok(log.includes('AS sent_marker'));
      assert.ok(!log.includes('never_sent_marker'));
      await connection.end();
    });

    test('a value over 16 MiB passes whole', async () => {
      const connection = await connect('ana');
      const [rows] = await connection.query<mysql.RowDataPacket[]>(
        "SELECT REPEAT('x', 17000000) AS big, 'end' AS marker",
      );
      assert.equal(rows[0]!.big?.length ?? 0, 17_000_000);
      assert.equal(rows[0]!.marker, 'end');
      await connection.end();
    });

    test('writes: a support desk may not write here, a refused write inside a transaction leaves it open', async () => {
      const connection = await connect('dora');
      await connection.query('START TRANSACTION');
      await connection.query(
        "INSERT INTO contacts (name, email, created_at) VALUES ('Test Person', 'test@example.org', NOW())",
      );
      await refusal(connection.query('SELECT * FROM nowhere'));
      const [rows] = await connection.query<mysql.RowDataPacket[]>(
        "SELECT COUNT(*) AS n FROM contacts WHERE name = 'Test Person'",
      );
      assert.equal(rows[0]!.n, 1);
      await connection.query('ROLLBACK');
      const [after] = await connection.query<mysql.RowDataPacket[]>(
        "SELECT COUNT(*) AS n FROM contacts WHERE name = 'Test Person'",
      );
      assert.equal(after[0]!.n, 0);
      await connection.end();
    });
  });
}
