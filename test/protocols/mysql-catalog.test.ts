/** The catalog as read from real servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMysqlCatalog } from '../../protocols/mysql/catalog.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { connectAdmin, targetOf } from './mysql-listener.ts';

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  test(`${product}: tables, columns, views, routines, triggers`, async () => {
    const server = await start();
    try {
      const admin = await connectAdmin(server);
      await admin.query(`CREATE DATABASE crm; USE crm;
        CREATE TABLE contacts (id INT PRIMARY KEY, name VARCHAR(50), note TEXT, upper_name VARCHAR(50) AS (UPPER(name)));
        CREATE TABLE parts (a BIGINT) ENGINE=MyISAM;
        CREATE TABLE merged (a BIGINT) ENGINE=MRG_MyISAM UNION=(parts);
        CREATE VIEW names AS SELECT name FROM contacts;
        CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN 2 * a;
        CREATE PROCEDURE one() SELECT 1;
        CREATE TRIGGER watch BEFORE INSERT ON contacts FOR EACH ROW SET NEW.note = 'seen'`);
      const [version] = (await admin.query('SELECT VERSION() AS v')) as unknown as [{ v: string }[]];
      await admin.end();
      const { catalog } = await readMysqlCatalog(targetOf(server), 7);
      const [major = 0, minor = 0] = (version[0]?.v ?? '')
        .split('.')
        .map((part) => Number.parseInt(part, 10));
      assert.equal(Math.floor(catalog.serverVersion / 100), 100 * major + minor);
      assert.deepEqual([catalog.version, catalog.isMariaDb], [7, product === 'mariadb']);
      const contacts = catalog.table('crm', 'contacts');
      assert.deepEqual(
        contacts?.columns.map(({ name, position, typeId, notNull, generated }) => [
          name,
          position,
          typeId,
          notNull,
          generated,
        ]),
        [
          ['id', 1, 0x03, true, false],
          ['name', 2, 0xfd, false, false],
          ['note', 3, 0xfc, false, false],
          ['upper_name', 4, 0xfd, false, true],
        ],
      );
      assert.deepEqual([contacts?.kind, contacts?.hasTriggers], ['table', true]);
      assert.deepEqual(
        [catalog.table('crm', 'parts')?.kind, catalog.table('crm', 'parts')?.hasTriggers],
        ['table', false],
      );
      assert.equal(catalog.table('crm', 'merged')?.kind, 'foreign');
      assert.equal(catalog.table('crm', 'names')?.kind, 'view');
      assert.match(catalog.table('crm', 'names')?.definition ?? '', /`crm`\.`contacts`\.`name`/);
      assert.equal(catalog.table('information_schema', 'TABLES')?.kind, 'system');
      assert.deepEqual(
        catalog.functions('crm', 'twice').map(({ kind, volatility, builtin }) => [kind, volatility, builtin]),
        [['function', 'immutable', false]],
      );
      assert.equal(catalog.functions('crm', 'one')[0]?.kind, 'procedure');
      await assert.rejects(readMysqlCatalog(targetOf(server), 1, AbortSignal.abort()));
    } finally {
      await server.stop();
    }
  });
}
