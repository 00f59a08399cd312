/** Temporary tables of MySQL and MariaDB: harmless work runs, and nothing masked gets out by way of them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql } from './connect.ts';

/** Analysts who may define things: what is refused to them is refused for the values, not for the kind. */
const makers = `
  makers:
    members: { groups: [analysts-eu] }
    databases: [crm]
    read:  { regions: [eu] }
    write: { regions: [eu], global: true }
    statements: [select, insert, update, delete, truncate, ddl, set, transaction, explain, show, maintenance, do, lock]
`;
const maskedEmail = /^.\*\*\*@/;

type Rows = readonly Record<string, unknown>[];

async function script(client: mysql.Connection, ...texts: readonly string[]): Promise<Rows> {
  let last: Rows = [];
  for (const text of texts) {
    try {
      last = (await client.query(text))[0] as unknown as Rows;
    } catch (error) {
      throw new Error(`${text}: ${(error as Error).message}`);
    }
  }
  return last;
}

async function refused(client: mysql.Connection, text: string, reason: string): Promise<void> {
  await assert.rejects(client.query(text), (error: Error) => {
    assert.match(error.message, new RegExp(`reason: ${reason};`), text);
    return true;
  });
}

for (const product of ['mariadb', 'mysql'] as const) {
  describe(product, () => {
    let world: World;
    before(async () => {
      world = await startWorld({ mysql: product });
      const original = readFileSync(world.policyFile, 'utf8');
      writeFileSync(
        world.policyFile,
        original
          .replace(/\nroles:\n/, `\nroles:${makers}`)
          .replace(
            '    - { table: crm.contacts,',
            "    - { table: 'crm.scratch_*', global: true }\n    - { table: crm.contacts,",
          ),
      );
      const reloaded = await world.cordon('policy', 'reload');
      assert.equal(reloaded.code, 0, reloaded.stderr);
    });
    after(() => world?.stop());
    const connect = (persona: PersonaName = 'ana', more: mysql.ConnectionOptions = {}) =>
      connectMySql(world, persona, more);

    test('harmless: made, filled, altered, joined, renamed, dropped', async () => {
      const client = await connect();
      await script(
        client,
        'DROP TEMPORARY TABLE IF EXISTS mine',
        'CREATE TEMPORARY TABLE mine AS SELECT id, name FROM contacts',
        'INSERT INTO mine SELECT id + 1000, name FROM contacts',
        "UPDATE mine SET name = 'x' WHERE id > 1000",
        'ALTER TABLE mine ADD COLUMN extra INT DEFAULT 7, ADD INDEX (id)',
      );
      assert.deepEqual(await script(client, 'SELECT COUNT(*) AS n, MIN(extra) AS e FROM mine'), [
        { n: 10, e: 7 },
      ]);
      const joined = await script(client, 'SELECT m.id, c.email FROM mine m JOIN contacts c USING (id)');
      assert.equal(joined.length, 5);
      for (const row of joined) assert.match(String(row.email), maskedEmail);
      const [bound] = await client.execute('SELECT name FROM mine WHERE id = ?', [1001]);
      assert.deepEqual(bound, [{ name: 'x' }]);
      await script(client, 'ALTER TABLE mine RENAME TO yours', 'DELETE FROM yours WHERE id > 1000');
      await refused(client, 'SELECT * FROM mine', 'unknown_name');
      assert.equal((await script(client, 'SELECT * FROM yours')).length, 5);
      await script(
        client,
        'TRUNCATE TABLE yours',
        'CREATE TEMPORARY TABLE blank_one LIKE contacts',
        "INSERT INTO blank_one (id, name, email, created_at) VALUES (1, 'n', 'e', NOW())",
      );
      assert.deepEqual(await script(client, 'SELECT id, email FROM blank_one'), [{ id: 1, email: 'e' }]);
      await script(client, 'DROP TABLE yours, blank_one');
      await refused(client, 'SELECT * FROM yours', 'unknown_name');
      await client.end();
    });

    test('harmless: by a prepared statement, in a transaction, beside tables with masks', async () => {
      const client = await connect();
      await client.execute('CREATE TEMPORARY TABLE p (id INT, label VARCHAR(20))');
      await client.execute('INSERT INTO p VALUES (?, ?)', [1, 'one']);
      await script(client, 'START TRANSACTION', 'CREATE TEMPORARY TABLE q (id INT)');
      const [row] = await script(client, 'SELECT email FROM contacts WHERE id = 1');
      assert.match(String(row?.email), maskedEmail);
      await script(client, 'INSERT INTO q SELECT id FROM p', 'ROLLBACK');
      assert.deepEqual(await script(client, 'SELECT p.label FROM p LEFT JOIN q USING (id)'), [
        { label: 'one' },
      ]);
      await client.end();
    });

    test('masked columns do not get in', async () => {
      const client = await connect();
      await refused(client, 'CREATE TEMPORARY TABLE t AS SELECT email FROM contacts', 'masked_write');
      await refused(
        client,
        'CREATE TEMPORARY TABLE t (email TEXT) SELECT UPPER(email) AS email FROM contacts',
        'masked_(write|use)',
      );
      await script(client, 'CREATE TEMPORARY TABLE t (id INT, email VARCHAR(200))');
      await refused(client, 'INSERT INTO t SELECT id, email FROM contacts', 'masked_write');
      await refused(client, 'UPDATE t SET email = (SELECT MAX(email) FROM contacts)', 'masked_(write|use)');
      await refused(client, 'INSERT INTO t (id) SELECT id FROM contacts ORDER BY email', 'masked_use');
      await client.end();
    });

    test('a name that others see something under is not hidden', async () => {
      const client = await connect();
      await refused(client, 'CREATE TEMPORARY TABLE contacts (email TEXT)', 'opaque_statement');
      await refused(
        client,
        'CREATE TEMPORARY TABLE IF NOT EXISTS crm.contacts (email TEXT)',
        'opaque_statement',
      );
      await script(client, 'CREATE TEMPORARY TABLE t (email TEXT)');
      await refused(client, 'ALTER TABLE t RENAME TO contacts', 'opaque_statement');
      await refused(client, 'ALTER TABLE t ADD COLUMN n INT, RENAME contacts', 'opaque_statement');
      await refused(client, 'RENAME TABLE t TO contacts', 'opaque_statement');
      const [row] = await script(client, 'SELECT email FROM contacts WHERE id = 1');
      assert.match(String(row?.email), maskedEmail);
      await client.end();
    });

    test('nor does it lend its place to what others see', async () => {
      const client = await connect();
      await script(
        client,
        'CREATE TEMPORARY TABLE t (id INT)',
        'CREATE TABLE scratch_p (id INT PRIMARY KEY)',
      );
      await refused(client, 'CREATE TABLE t (id INT)', 'opaque_statement');
      await refused(client, 'CREATE TABLE t AS SELECT id, name FROM contacts', 'opaque_statement');
      await refused(client, 'CREATE VIEW t AS SELECT id FROM contacts', 'opaque_statement');
      await refused(client, 'DROP VIEW t', 'opaque_statement');
      await refused(client, 'RENAME TABLE scratch_p TO t', 'opaque_statement');
      await refused(client, 'ALTER TABLE scratch_p RENAME t', 'opaque_statement');
      await refused(
        client,
        'CREATE TABLE scratch_f (id INT, FOREIGN KEY (id) REFERENCES t (id))',
        'opaque_statement',
      );
      await refused(client, 'CREATE TABLE unplaced (id INT)', 'unplaced_table');
      await script(client, 'DROP TABLE scratch_p');
      await client.end();
    });

    test('what others come to see under its name is neither of the two, until it is gone', async () => {
      const [one, two] = [await connect(), await connect('dora')];
      await script(
        one,
        'CREATE TEMPORARY TABLE scratch_late (email TEXT)',
        "INSERT INTO scratch_late VALUES ('mine')",
      );
      await script(
        two,
        'CREATE TABLE scratch_late AS SELECT name AS email FROM contacts',
        'CREATE VIEW scratch_view AS SELECT email FROM scratch_late',
      );
      await refused(one, 'SELECT email FROM scratch_late', 'unknown_name');
      await assert.rejects(one.query('SELECT email FROM scratch_view'));
      await script(one, 'DROP TEMPORARY TABLE scratch_late');
      assert.equal((await script(one, 'SELECT email FROM scratch_late')).length, 5);
      assert.equal((await script(one, 'SELECT email FROM scratch_view')).length, 5);
      await script(two, 'DROP VIEW scratch_view', 'DROP TABLE scratch_late');
      await Promise.all([one.end(), two.end()]);
    });

    test('it is gone with COM_RESET_CONNECTION and COM_CHANGE_USER, and is nobody else’s', async () => {
      const password = await world.token('ana');
      const client = await connect();
      const other = await connect();
      for (const forget of [
        () => (client as unknown as { reset(): Promise<void> }).reset(),
        () => client.changeUser({ user: 'ana', password }),
      ]) {
        await script(client, 'CREATE TEMPORARY TABLE brief (id INT)', 'INSERT INTO brief VALUES (1)');
        assert.equal((await script(client, 'SELECT id FROM brief')).length, 1);
        await refused(other, 'SELECT id FROM brief', 'unknown_name');
        await forget();
        await refused(client, 'SELECT id FROM brief', 'unknown_name');
      }
      await Promise.all([client.end(), other.end()]);
    });

    test('a text that makes one and goes on is refused; a statement prepared for it is decided anew', async () => {
      const client = await connect('ana', { multipleStatements: true });
      await refused(
        client,
        'CREATE TEMPORARY TABLE m (id INT); SELECT * FROM m',
        '(session_drift|unknown_name)',
      );
      await script(client, 'CREATE TEMPORARY TABLE scratch_m (email TEXT)');
      const text = 'SELECT email FROM scratch_m';
      const prepared = await client.prepare(text);
      assert.deepEqual((await prepared.execute([]))[0], []);
      await script(client, 'DROP TEMPORARY TABLE scratch_m');
      await assert.rejects(prepared.execute([]), /unknown_name/);
      await refused(
        client,
        'DROP TEMPORARY TABLE x; CREATE TABLE scratch_x AS SELECT id FROM contacts',
        'session_drift',
      );
      await client.end();
    });

    // The server has no part in it.
    const onMariaDb = product === 'mariadb' ? test : () => undefined;
    onMariaDb('a policy that changes takes its rows along', async () => {
      const now = readFileSync(world.policyFile, 'utf8');
      const change = async (text: string): Promise<void> => {
        writeFileSync(world.policyFile, text);
        const reloaded = await world.cordon('policy', 'reload');
        assert.equal(reloaded.code, 0, reloaded.stderr);
      };
      const client = await connect();
      await script(client, 'CREATE TEMPORARY TABLE kept AS SELECT id, name FROM contacts');
      assert.equal((await script(client, 'SELECT name FROM kept')).length, 5);
      await change(now.replace('email: pii.email, notes', 'name: pii.name, email: pii.email, notes'));
      await refused(client, 'SELECT name FROM kept', 'session_drift');
      await refused(
        client,
        'INSERT INTO scratch_x SELECT id FROM kept',
        '(session_drift|unknown_name|unplaced_table)',
      );
      await script(
        client,
        'DROP TABLE kept',
        'CREATE TEMPORARY TABLE kept AS SELECT id FROM contacts',
        'SELECT id FROM kept',
      );
      await change(now.replace('crm.contacts, region: eu', 'crm.contacts, region: us'));
      await refused(client, 'SELECT id FROM kept', 'session_drift');
      await change(now);
      await client.end();
    });

    test('a statement that fails, or finds it there, leaves what is there', async () => {
      const client = await connect();
      await assert.rejects(client.query('CREATE TEMPORARY TABLE f (id INT, id INT)'));
      await refused(client, 'SELECT * FROM f', 'unknown_name');
      await script(
        client,
        'CREATE TEMPORARY TABLE f (id INT)',
        'CREATE TEMPORARY TABLE IF NOT EXISTS f (other INT)',
      );
      assert.deepEqual(await script(client, 'SELECT id FROM f'), []);
      await assert.rejects(client.query('ALTER TABLE f DROP COLUMN nothing'));
      assert.deepEqual(await script(client, 'SELECT id FROM f'), []);
      await script(
        client,
        'USE crm',
        'LOCK TABLES contacts READ',
        'CREATE TEMPORARY TABLE g (id INT)',
        'UNLOCK TABLES',
      );
      assert.deepEqual(await script(client, 'SELECT f.id FROM f JOIN g USING (id)'), []);
      await client.end();
    });
  });
}
