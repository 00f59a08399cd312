/** Query attributes on real servers: MySQL gets them, MariaDB takes none; the text behind them is always the one that was decided. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import { capability } from '../../protocols/mysql/capabilities.ts';
import { command } from '../../protocols/mysql/client-messages.ts';
import { executeWithoutNames, queryCommand, readQueryHead } from '../../protocols/mysql/query-attributes.ts';
import { readErr } from '../../protocols/mysql/server-messages.ts';
import { runClient } from '../servers/client-run.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { mysqlProgram, startMySql } from '../servers/mysql.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { connectAdmin, type Listener, listen, targetOf } from './mysql-listener.ts';
import { Wire } from './mysql-wire.ts';

interface Attribute {
  readonly type: number;
  readonly name: string;
  /** Null: told by the bitmap. */
  readonly value: Buffer | null;
}

/** Types, names and values, as both commands lay them out. `names`: null for a layout without. */
function valuesOf(attributes: readonly Attribute[], withNames = true): Buffer {
  const nulls = Buffer.alloc((attributes.length + 7) >> 3);
  attributes.forEach(({ value }, index) => {
    if (value === null) nulls[index >> 3] = (nulls[index >> 3] as number) | (1 << (index & 7));
  });
  const types = attributes.map(({ type, name }) =>
    Buffer.concat([Buffer.from([type, 0]), withNames ? text(name) : Buffer.alloc(0)]),
  );
  const values = attributes.map(({ value }) => value ?? Buffer.alloc(0));
  return Buffer.concat([nulls, Buffer.from([1]), ...types, ...values]);
}

function headOf(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat([
    Buffer.from([attributes.length, 1]),
    attributes.length === 0 ? Buffer.alloc(0) : valuesOf(attributes),
  ]);
}

/** A short string with its length in front. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)]);
}

function execute(id: number, flags: number, attributes: readonly Attribute[]): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt8(command.STMT_EXECUTE, 0);
  head.writeUInt32LE(id, 1);
  head.writeUInt8(flags, 5);
  head.writeUInt32LE(1, 6);
  const count = Buffer.from([attributes.length]);
  return Buffer.concat([
    head,
    ...(flags & 8 ? [count] : []),
    ...(attributes.length ? [valuesOf(attributes)] : []),
  ]);
}

const name = 'trace';
/** One of each type that clients send, each followed by what would be read as text if its end were looked for elsewhere. */
const attributes: readonly Attribute[] = [
  { type: 0xfe, name, value: text('SELECT 1') },
  { type: 0x01, name, value: Buffer.from('S') },
  { type: 0x02, name, value: Buffer.from('SE') },
  { type: 0x03, name, value: Buffer.from('SELE') },
  { type: 0x08, name, value: Buffer.from('SELECT 1') },
  { type: 0x04, name, value: Buffer.alloc(4) },
  { type: 0x05, name, value: Buffer.alloc(8) },
  { type: 0x0a, name, value: Buffer.from([4, 0xe8, 0x07, 1, 2]) },
  { type: 0x0c, name, value: Buffer.from([7, 0xe8, 0x07, 1, 2, 3, 4, 5]) },
  { type: 0x0c, name, value: Buffer.from([0]) },
  { type: 0x07, name, value: Buffer.from([11, 0xe8, 0x07, 1, 2, 3, 4, 5, 1, 0, 0, 0]) },
  { type: 0x0b, name, value: Buffer.from([8, 0, 0, 0, 0, 0, 1, 2, 3]) },
  { type: 0x0f, name, value: text('') },
  { type: 0xfd, name: '', value: text('x') },
  { type: 0xfc, name, value: Buffer.concat([Buffer.from([0xfc, 44, 1]), Buffer.alloc(300, 0x20)]) },
  { type: 0xf6, name, value: text('1.5') },
  { type: 0xfe, name, value: null },
  { type: 0x08, name, value: null },
];

for (const [product, start] of Object.entries({ mariadb: startMariaDb, mysql: startMySql })) {
  describe(product, () => {
    const takes = product === 'mysql';
    let server: MySqlServer;
    let admin: mysql.Connection;
    let listener: Listener;
    before(async () => {
      server = await start();
      admin = await connectAdmin(server);
      await admin.query(
        `CREATE DATABASE crm; USE crm;
         CREATE TABLE contacts (id INT PRIMARY KEY, email VARCHAR(100));
         INSERT INTO contacts VALUES (1, 'ana@example.com'), (2, NULL)`,
      );
      if (takes) await admin.query("INSTALL COMPONENT 'file://component_query_attributes'");
      listener = await listen({ targets: [targetOf(server)] });
    });
    after(async () => {
      await listener?.close();
      await admin?.end();
      await server?.stop();
    });
    const through = () => Wire.through(listener.port, true, 'token', capability.QUERY_ATTRIBUTES);
    const refused = (payload: Buffer | undefined): void => {
      const { code, message } = readErr(payload as Buffer);
      assert.equal(code, 1142);
      assert.match(message, /query attributes/);
    };
    const query = (wire: Wire, sql: string, sent: readonly Attribute[]) => {
      wire.send(queryCommand(sql, true, headOf(sent)));
      return wire.results();
    };

    test('no attribute: texts of both kinds, rewritten ones too, masked and not', async () => {
      const wire = await through();
      const plain = await Wire.through(listener.port, true);
      for (const sql of [
        'SELECT id FROM contacts',
        'SELECT email FROM contacts',
        'SELECT rewrite_me',
        'SELECT forbidden',
        'USE crm',
        'SELECT 1; SELECT 2',
        'SELECT nothing',
      ]) {
        assert.deepEqual(await query(wire, sql, []), await plain.query(sql), sql);
      }
      wire.send(Buffer.concat([Buffer.from([command.INIT_DB]), Buffer.from('crm')]));
      assert.notEqual((await wire.results()).status, null);
      wire.send(Buffer.concat([Buffer.from([command.FIELD_LIST]), Buffer.from('contacts\0')]));
      for (const first of [3, 3, 0xfe]) assert.equal((await wire.one())[0], first);
      const { id } = await wire.prepare('SELECT id FROM contacts WHERE id = ? AND 1 = ?');
      const values = [2, 1].map((value) => ({ type: 0x01, name: '', value: Buffer.from([value]) }));
      for (const cursor of [0, 1]) {
        wire.send(execute(id, 8 | cursor, values));
        const { payloads } = await wire.results();
        assert.equal(payloads[0]?.[0], 1);
        if (cursor === 0) assert.deepEqual([...(payloads[2] as Buffer)], [0, 0, 2, 0, 0, 0]);
      }
      const none = await wire.prepare('SELECT 7');
      for (const flags of [0, 8]) {
        wire.send(execute(none.id, flags, []));
        assert.notEqual((await wire.results()).status, null);
      }
      wire.end();
      plain.end();
    });

    test('an attribute of every type, and the text behind it', async () => {
      const wire = await through();
      const direct = await Wire.direct(targetOf(server), true, capability.QUERY_ATTRIBUTES);
      for (const sent of [...attributes.map((each) => [each]), attributes]) {
        const found = await query(wire, 'SELECT 42', sent);
        if (!takes) refused(found.payloads[0]);
        else {
          assert.deepEqual(found, await query(direct, 'SELECT 42', sent));
          assert.equal(listener.gate.texts.at(-1), 'SELECT 42');
          assert.equal(found.payloads[2]?.toString('latin1'), '\x0242');
        }
      }
      wire.end();
      direct.end();
    });

    test('what was sent is what the server hears, for the text that it gets', async () => {
      const wire = await through();
      const sent = [{ type: 0xfe, name, value: text('of the client') }];
      const sql = "SELECT mysql_query_attribute_string('trace')";
      for (const each of [sql, `${sql}, rewrite_me`]) {
        const { payloads, status } = await query(wire, each, sent);
        if (!takes) refused(payloads[0]);
        else assert.ok(status !== null && payloads.some((row) => row.includes('of the client')), each);
      }
      if (takes) {
        const { id } = await wire.prepare(sql);
        wire.send(execute(id, 8, sent));
        assert.ok((await wire.results()).payloads.some((row) => row.includes('of the client')));
      } else {
        const { id } = await wire.prepare('SELECT 1');
        wire.send(execute(id, 8, sent));
        refused((await wire.results()).payloads[0]);
        wire.send(execute(id, 8, []));
        assert.notEqual((await wire.results()).status, null);
      }
      wire.end();
    });

    test('malformed ones end the session, and no server hears of them', async () => {
      const before = listener.gate.texts.length;
      const value = valuesOf([{ type: 0xfe, name, value: text('x') }]);
      for (const head of [
        Buffer.from([1, 2]),
        Buffer.from([0xfb, 1]),
        Buffer.from([1, 1]),
        Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        Buffer.concat([Buffer.from([2, 1]), value]),
        Buffer.concat([Buffer.from([1, 1]), valuesOf([{ type: 0x10, name, value: text('x') }])]),
      ]) {
        const wire = await through();
        wire.send(queryCommand('SELECT 1', true, head));
        assert.equal(readErr(await wire.one()).code, 1835, head.toString('hex'));
        await wire.closed();
      }
      assert.equal(listener.gate.texts.length, before);
    });

    test('the mysql client of MySQL, which always negotiates them', async () => {
      const [program = '', ...first] = mysqlProgram('mysql') ?? assert.fail('no mysql client');
      const run = (input: string) =>
        runClient(
          program,
          [
            ...first,
            ...['--protocol=TCP', '--host=127.0.0.1', `--port=${listener.port}`, '--user=ana', '--batch'],
            ...[
              '--enable-cleartext-plugin',
              '--ssl-mode=DISABLED',
              '--skip-column-names',
              '--database=crm',
              '--named-commands',
              '--loose-commands',
            ],
          ],
          input,
          { MYSQL_PWD: 'token' },
        );
      const plain = await run('SELECT id, email FROM contacts ORDER BY id;\n');
      assert.deepEqual(plain, { status: 0, stdout: '1\t***\n2\tNULL\n', stderr: '' });
      const named = await run("query_attributes trace abc\nSELECT mysql_query_attribute_string('trace');\n");
      if (takes) assert.deepEqual(named, { status: 0, stdout: 'abc\n', stderr: '' });
      else assert.match(named.stderr, /ERROR 1142 .*query attributes/);
    });
  });
}

test('an execution without names: the same values', () => {
  const parameters = attributes.slice(0, 9);
  const named = execute(5, 9, parameters);
  const plain = execute(5, 1, []);
  assert.deepEqual(executeWithoutNames(named, 9), Buffer.concat([plain, valuesOf(parameters, false)]));
  // Bound before: neither types nor names.
  const bound = Buffer.concat([execute(5, 8, []).subarray(0, 10), Buffer.from([2, 0, 0, 1, 2])]);
  assert.deepEqual(
    executeWithoutNames(bound, 2),
    Buffer.concat([execute(5, 0, []), Buffer.from([0, 0, 1, 2])]),
  );
  assert.equal(executeWithoutNames(named, 8), null);
  assert.throws(() => executeWithoutNames(named, 10), { name: 'ProtocolError' });
  assert.throws(() => executeWithoutNames(named.subarray(0, 14), 9), { name: 'ProtocolError' });
});

test('without the flag the text begins behind the code, whatever it looks like', () => {
  assert.equal(readQueryHead(Buffer.from('\x03\0\x01SELECT 1'), false).textAt, 1);
  assert.equal(readQueryHead(Buffer.from('\x03\0\x01SELECT 1'), true).textAt, 3);
});
