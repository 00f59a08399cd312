/** What a driver may do with a prepared statement and its connection, byte by byte against real servers; and what is not on offer. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { command } from '../../protocols/mysql/client-messages.ts';
import { readColumn, readErr } from '../../protocols/mysql/server-messages.ts';
import { runClient } from '../servers/client-run.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { mysqlProgram, startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, type Listener, listen, targetOf } from './mysql-listener.ts';
import { type Response, Wire } from './mysql-wire.ts';

/** `bound`: types and values of parameters; `values` alone: the types are those of the last execution. */
function execute(id: number, values: Buffer, types: readonly number[] | null): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt8(command.STMT_EXECUTE, 0);
  head.writeUInt32LE(id, 1);
  head.writeUInt32LE(1, 6);
  const bound = types === null ? [0] : [1, ...types.flatMap((type) => [type, 0])];
  return Buffer.concat([head, Buffer.from([0, ...bound]), values]);
}

function longData(id: number, parameter: number, data: string): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(command.STMT_SEND_LONG_DATA, 0);
  head.writeUInt32LE(id, 1);
  head.writeUInt16LE(parameter, 5);
  return Buffer.concat([head, Buffer.from(data)]);
}

const long = 0x03;
const blob = 0xfc;

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
         CREATE TABLE contacts (id INT PRIMARY KEY, name VARCHAR(100));
         INSERT INTO contacts VALUES (1, 'Ana'), (2, NULL)`,
      );
      listener = await listen({ targets: [targetOf(server)] });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });

    for (const deprecatesEof of [false, true]) {
      test(`types bound once, long data in pieces, reset in between: DEPRECATE_EOF ${deprecatesEof}`, async () => {
        const direct = await Wire.direct(targetOf(server), deprecatesEof);
        await direct.query('SET NAMES utf8mb4');
        const through = await Wire.through(listener.port, deprecatesEof);
        const run = async (wire: Wire): Promise<Response[]> => {
          const answers: Response[] = [];
          const ask = async (payload: Buffer) => {
            wire.send(payload);
            answers.push(await wire.results());
          };
          const { id } = await wire.prepare('SELECT id, ? AS given FROM contacts WHERE id = ?');
          const one = Buffer.from([1, 0, 0, 0]);
          const two = Buffer.from([2, 0, 0, 0]);
          await ask(execute(id, Buffer.concat([Buffer.from([2, 0x68, 0x69]), one]), [blob, long]));
          await ask(execute(id, Buffer.concat([Buffer.from([1, 0x78]), two]), null));
          for (const piece of ['a long ', 'value']) wire.send(longData(id, 0, piece));
          await ask(execute(id, one, null));
          wire.send(longData(id, 0, 'forgotten'));
          const reset = Buffer.alloc(5);
          reset.writeUInt8(command.STMT_RESET, 0);
          reset.writeUInt32LE(id, 1);
          await ask(reset);
          await ask(execute(id, Buffer.concat([Buffer.from([1, 0x79]), two]), [blob, long]));
          wire.end();
          return answers;
        };
        const answers = await run(through);
        assert.deepEqual(answers, await run(direct));
        assert.ok(answers[2]?.payloads.some((row) => row.includes('a long value')));
        assert.ok(answers.every(({ status }) => status !== null));
      });
    }

    test('a table that has changed between executions: other columns, and one of them is masked', async () => {
      const through = await Wire.through(listener.port, true);
      const { id } = await through.prepare('SELECT * FROM contacts ORDER BY id');
      const columnsOf = ({ payloads }: Response): string[] =>
        payloads.slice(1, 1 + (payloads[0]?.[0] ?? 0)).map((each) => readColumn(each, 'binary').name);
      assert.deepEqual(columnsOf(await through.execute(id)), ['id', 'name']);
      await admin.query(
        "ALTER TABLE contacts ADD COLUMN email VARCHAR(50) DEFAULT 'somebody@example.com' FIRST",
      );
      const changed = await through.execute(id);
      assert.deepEqual(columnsOf(changed), ['email', 'id', 'name']);
      const bytes = Buffer.concat(changed.payloads).toString('latin1');
      assert.ok(bytes.includes('***') && !bytes.includes('somebody'));
      await admin.query('ALTER TABLE contacts DROP COLUMN email');
      assert.deepEqual(columnsOf(await through.execute(id)), ['id', 'name']);
      through.end();
    });

    test('bulk execution is refused, whether it was offered or not; the session goes on', async () => {
      const through = await Wire.through(listener.port, true);
      const { id } = await through.prepare('DELETE FROM contacts WHERE id = ?');
      const payload = Buffer.alloc(7);
      payload.writeUInt8(0xfa, 0);
      payload.writeUInt32LE(id, 1);
      through.send(payload);
      assert.match(readErr(await through.one()).message, /COM_STMT_BULK_EXECUTE/);
      assert.notEqual((await through.query('SELECT 1')).status, null);
      through.end();
    });

    test('compression is not offered: who can do without does, who insists is told', async () => {
      const run = (program: readonly string[], ...args: string[]) =>
        runClient(
          program[0] ?? '',
          [
            ...program.slice(1),
            ...['--protocol=TCP', '--host=127.0.0.1', `--port=${listener.port}`, '--user=ana', '--batch'],
            ...['--skip-column-names', '--database=crm', ...args],
          ],
          'SELECT id FROM contacts ORDER BY id;\n',
          { MYSQL_PWD: 'token' },
        );
      const theirs = [...(mysqlProgram('mysql') ?? []), '--enable-cleartext-plugin', '--ssl-mode=DISABLED'];
      const insisting = await run(theirs, '--compression-algorithms=zstd,zlib');
      assert.notEqual(insisting.status, 0);
      assert.match(insisting.stderr, /compression/i);
      for (const asking of [
        await run(theirs, '--compression-algorithms=zstd,zlib,uncompressed'),
        await run(['mariadb', '--no-defaults', '--skip-ssl'], '--compress'),
      ]) {
        assert.deepEqual(asking, { status: 0, stdout: '1\n2\n', stderr: '' });
      }
    });
  });
}
