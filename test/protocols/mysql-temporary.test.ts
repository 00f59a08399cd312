/** What the gate hears of a session's temporary tables: by the server's own word, on each upstream for itself. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, connectClient, type Listener, listen, targetOf } from './mysql-listener.ts';

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    before(async () => {
      server = await start();
      admin = await connectAdmin(server);
      await admin.query('CREATE DATABASE crm; USE crm; CREATE TABLE plain (id INT)');
      const home = targetOf(server);
      listener = await listen({ targets: [home, { ...home, name: 'second' }] });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });
    /** `upstream: table(column type, ...) ...` of what the gate heard last. */
    const heard = (): string => {
      const state = listener.gate.states.at(-1);
      const tables = state?.temporary?.map(
        ({ name, columns, temporary }) =>
          `${temporary ? '' : '!'}${name}(${columns.map((column) => `${column.name} ${column.type}${column.generated ? ' generated' : ''}`).join(', ')})`,
      );
      return `${state?.upstream}: ${tables?.join(' ')}`;
    };

    test('tables with their columns, as long as they are there', async () => {
      const client = await connectClient(listener.port);
      await client.query(
        `CREATE TEMPORARY TABLE one (id INT UNSIGNED, label VARCHAR(20), price DECIMAL(10,2), made DATETIME(6),
           kind ENUM('a', 'b'), twice INT AS (id * 2))`,
      );
      const one = 'one(id int, label varchar, price decimal, made datetime, kind enum, twice int generated)';
      assert.equal(heard(), `home: ${one}`);
      await client.query('CREATE TEMPORARY TABLE `t``wo` (`Ä` TEXT)');
      assert.equal(heard(), `home: ${one} t\`wo(Ä text)`);
      await client.query('ALTER TABLE one DROP COLUMN twice, DROP COLUMN kind, DROP COLUMN made');
      await client.query('DROP TEMPORARY TABLE `t``wo`');
      assert.equal(heard(), 'home: one(id int, label varchar, price decimal)');
      await client.query('DROP TABLE one');
      assert.equal(heard(), 'home: ');
      await client.query('CREATE TEMPORARY TABLE plain (other INT)');
      assert.equal(heard(), 'home: plain(other int)');
      await client.query('DROP TABLE plain');
      assert.equal(heard(), 'home: ');
      client.destroy();
    });

    test('each upstream has its own, and a reset forgets all of them', async () => {
      const { gate } = listener;
      const client = await connectClient(listener.port);
      await client.query('CREATE TEMPORARY TABLE here (id INT)');
      await client.query('CREATE TEMPORARY TABLE there (id INT) /* at second */');
      assert.equal(heard(), 'second: there(id int)');
      const before = gate.states.length;
      await (client as unknown as { reset(): Promise<void> }).reset();
      await client.ping();
      assert.deepEqual(
        gate.states.slice(before).map(({ upstream, temporary }) => ({ upstream, temporary })),
        [
          { upstream: 'second', temporary: [] },
          { upstream: 'home', temporary: [] },
        ],
      );
      await assert.rejects(client.query('SELECT * FROM there /* at second */'));
      client.destroy();
    });
  });
}
