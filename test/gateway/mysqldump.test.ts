/** `mysqldump | mysql` through the gateway by somebody who may do everything, and what it gives somebody who gets masked values. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { parse, stringify } from 'yaml';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { type ClientRun, runClient } from '../servers/client-run.ts';
import { mysqlProgram } from '../servers/mysql.ts';
import { connectMySql } from './connect.ts';

const schema = `
  CREATE TABLE books (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, isbn CHAR(13) UNIQUE, title VARCHAR(200) NOT NULL DEFAULT 'untitled',
    price DECIMAL(10,2), cover BLOB, state ENUM('in', 'out') DEFAULT 'in', tags JSON, added DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3),
    long_title VARCHAR(210) AS (CONCAT(title, '!')) STORED, CONSTRAINT fair CHECK (price >= 0), KEY by_title (title(20)))
    DEFAULT CHARSET = utf8mb4 COMMENT = 'what we lend';
  CREATE TABLE loans (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, book INT, day DATE NOT NULL, note TEXT,
    CONSTRAINT of_book FOREIGN KEY (book) REFERENCES books (id) ON DELETE CASCADE) DEFAULT CHARSET = latin1;
  CREATE TABLE visits (day DATE NOT NULL, n INT) PARTITION BY RANGE (YEAR(day))
    (PARTITION p0 VALUES LESS THAN (2026), PARTITION p1 VALUES LESS THAN MAXVALUE);
  CREATE VIEW lent AS SELECT b.title, l.day FROM books b JOIN loans l ON l.book = b.id;
  INSERT INTO books (isbn, title, price, cover, state, tags, added) VALUES
    ('1', 'It''s "quoted" \\\\ and\\nbroken', 1.50, x'00ff1a27', 'out', '{"a": [1, null]}', '2026-01-02 03:04:05.678'),
    ('2', 'Łódź 📚', NULL, NULL, 'in', NULL, '2026-01-03 00:00:00');
  INSERT INTO books (isbn, title, added) SELECT CONCAT(isbn, 'x'), REPEAT(title, 3), added FROM books;
  INSERT INTO loans (book, day, note) VALUES (1, '2026-02-01', 'caf\u00e9'), (2, '2026-02-02', NULL);
  INSERT INTO visits VALUES ('2025-12-31', 3), ('2026-01-01', NULL)`;
const trigger = 'CREATE TRIGGER counted AFTER INSERT ON loans FOR EACH ROW SET @loans = 1';

for (const product of ['mariadb', 'mysql'] as const) {
  describe(product, () => {
    let world: World;
    let admin: mysql.Connection;
    const dumpers =
      product === 'mariadb' ? (['mariadb-dump'] as const) : (['mariadb-dump', 'mysqldump'] as const);

    before(async () => {
      const upstream = (database: string) => ({
        protocol: 'mysql',
        region: 'eu',
        database,
        user: 'cordon',
        password: { env: 'CRM_PASSWORD' },
        tls: { mode: 'disable' },
      });
      world = await startWorld({ mysql: product });
      await world.gateway.stop();
      const { host, port, user, password } = world.crm!;
      admin = await mysql.createConnection({ host, port, user, password, multipleStatements: true });
      for (const database of ['lending', 'restored']) {
        await admin.query(`CREATE DATABASE ${database}`);
        await admin.query(`GRANT ALL PRIVILEGES ON ${database}.* TO cordon@'%'`);
      }
      // By the gateway's account, which may restore a view as nobody else's.
      const owner = { host, port, user: 'cordon', password: world.secrets[1]!, database: 'lending' };
      const maker = await mysql.createConnection({ ...owner, multipleStatements: true });
      await maker.query(schema);
      await maker.end();
      await admin.query('USE lending');
      await admin.query(trigger);
      const config = parse(readFileSync(world.configFile, 'utf8'));
      for (const database of ['lending', 'restored']) {
        config.upstreams[database] = { address: `127.0.0.1:${port}`, ...upstream(database) };
        config.databases[database] = { upstreams: [database] };
      }
      writeFileSync(world.configFile, stringify(config));
      const policy = parse(readFileSync(world.policyFile, 'utf8'));
      const everywhere = [{ table: '*', region: 'eu', triggers: 'allow' }];
      policy.data = { ...policy.data, lending: everywhere, restored: everywhere };
      const all = {
        read: { regions: ['eu'] },
        write: { regions: ['eu'], global: true },
        statements: ['*'],
        clear: ['*'],
      };
      policy.roles = {
        'eu-analyst': policy.roles['eu-analyst'],
        keeper: { members: { groups: ['dba'] }, databases: ['lending'], ...all },
        restorer: { members: { groups: ['support'] }, databases: ['restored'], ...all },
        both: { members: { subjects: [etl] }, databases: ['lending', 'restored'], ...all },
      };
      writeFileSync(world.policyFile, stringify(policy));
      world.gateway = await world.startGateway();
    });
    after(async () => {
      await admin?.end();
      await world?.stop();
    });

    const etl = 'repo:acme/etl:ref:refs/heads/main';

    function run(
      program: 'mysql' | (typeof dumpers)[number],
      port: number,
      user: string,
      password: string,
      args: readonly string[],
      input = '',
    ): Promise<ClientRun> {
      const [file = program, ...first] = (program === 'mysqldump' ? mysqlProgram(program) : undefined) ?? [
        program,
        '--no-defaults',
      ];
      const clear =
        program === 'mysqldump' ? ['--enable-cleartext-plugin', '--set-gtid-purged=OFF'] : ['--skip-ssl'];
      const to = ['--protocol=TCP', '--host=127.0.0.1', `--port=${port}`, `--user=${user}`];
      return runClient(file, [...first, ...to, ...clear, ...args], input, { MYSQL_PWD: password });
    }
    const through = async (
      program: 'mysql' | (typeof dumpers)[number],
      who: PersonaName,
      args: readonly string[],
      input = '',
    ) => run(program, world.gateway.ports.mysql, who, await world.token(who), args, input);
    const quiet = ['--skip-comments', '--no-tablespaces'];

    /** What the server itself says of a database, by a dump that did not go through the gateway. */
    async function bare(program: (typeof dumpers)[number], args: readonly string[]): Promise<string> {
      const dumped = await run(program, world.crm!.port, 'cordon', world.secrets[1]!, [...quiet, ...args]);
      assert.equal(dumped.status, 0, dumped.stderr);
      return dumped.stdout;
    }

    for (const program of dumpers) {
      test(`${program}: what is dumped is what there is`, async () => {
        for (const args of [
          ['lending'],
          ['--single-transaction', '--quick', '--skip-lock-tables', 'lending'],
          ['--no-data', '--routines', '--events', 'lending'],
          ['--skip-extended-insert', '--complete-insert', '--hex-blob', '--where=id > 1', 'lending', 'books'],
          ['--databases', 'lending'],
        ]) {
          const dumped = await through(program, 'dora', [...quiet, ...args]);
          assert.equal(dumped.status, 0, `${args.join(' ')}: ${dumped.stderr}`);
          assert.equal(dumped.stdout, await bare(program, args), args.join(' '));
        }
      });

      // MariaDB's program writes values of generated columns, which MySQL does not take.
      const tables = program === 'mariadb-dump' && product === 'mysql' ? ['loans', 'visits'] : [];
      test(`${program}: it restores to the same`, async () => {
        const args = ['--skip-triggers', '--single-transaction', '--quick', '--hex-blob'];
        const dumped = await through(program, 'dora', [...quiet, ...args, 'lending', ...tables]);
        assert.equal(dumped.status, 0, dumped.stderr);
        const restored = await through('mysql', 'sam', ['restored'], dumped.stdout);
        assert.equal(restored.status, 0, restored.stderr);
        assert.equal(await bare(program, [...args, 'restored', ...tables]), dumped.stdout);
      });

      test(`${program}: masked for whom values are masked, with no value in it`, async () => {
        const [rows] = await admin.query<mysql.RowDataPacket[]>('SELECT email, notes FROM crm.contacts');
        const values = rows.flatMap((row) => [row.email as string, row.notes as string | null]);
        for (const args of [
          [],
          // MariaDB's program then asks for modes that MySQL has not.
          program === 'mysqldump' || product === 'mariadb' ? ['--skip-opt', '--quick'] : ['--quick'],
          ['--hex-blob', '--xml'],
          ['--default-character-set=utf8mb3'],
        ]) {
          const dumped = await through(program, 'ana', [
            ...quiet,
            '--skip-lock-tables',
            ...args,
            'crm',
            'contacts',
          ]);
          assert.equal(dumped.status, 0, `${args.join(' ')}: ${dumped.stderr}`);
          assert.match(dumped.stdout, /a\*\*\*@example\.se/);
          assert.match(dumped.stdout, /Anna Lindqvist/);
          for (const value of values)
            assert.ok(value === null || !dumped.stdout.includes(value), args.join(' '));
        }
      });
    }

    /** What the client hears at sign-in: an error, or nothing. */
    const refusedAs = async (who: PersonaName, more: mysql.ConnectionOptions = {}) => {
      const code = await connectMySql(world, who, { database: '', ...more }).then(
        async (client) => {
          await client.end();
          return null;
        },
        (error: { errno: number }) => error.errno,
      );
      return code;
    };
    const withToken = (token: string) => ({
      password: token,
      authPlugins: { mysql_clear_password: () => () => Buffer.from(`${token}\0`) },
    });

    test('no database named: the only one there is, or none', async () => {
      const client = await connectMySql(world, 'ana', { database: '' });
      const [rows] = await client.query('SELECT DATABASE() AS d, email FROM contacts WHERE id = 1');
      assert.deepEqual(rows, [{ d: 'crm', email: 'a***@example.se' }]);
      await client.end();
      assert.equal(await refusedAs('etl'), 1046);
      assert.equal(await refusedAs('nobody'), 1046);
      const [head, claims] = (await world.token('ana')).split('.');
      assert.equal(await refusedAs('ana', withToken(`${head}.${claims}.${'A'.repeat(86)}`)), 1045);
      const { stdout } = await world.cordon('audit', 'export', '--format', 'jsonl');
      const opened = stdout
        .split('\n')
        .filter((line) => line.includes('"session.opened"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual(
        opened
          .slice(-4)
          .map(({ decision, database, subject, error }) => [decision, database, subject ?? '', error ?? '']),
        [
          ['allow', 'crm', 'ana', ''],
          ['refuse', '', etl, 'several_databases'],
          ['refuse', '', 'nobody', 'no_role'],
          ['refuse', '', '', 'bad_signature'],
        ],
      );
    });

    test('a token with an open session: KILL needs no seat, anything else is a session', async () => {
      const token = withToken(await world.token('ana'));
      const sessions = async () =>
        (JSON.parse((await world.cordon('sessions', 'list', '--json')).stdout) as unknown[]).length;
      const first = await connectMySql(world, 'ana', token);
      const other = await connectMySql(world, 'sam', { database: 'restored' });
      const before = await sessions();
      const second = await connectMySql(world, 'ana', { ...token, database: '', multipleStatements: true });
      await second.ping();
      await assert.rejects(second.query(`KILL ${other.threadId}`), { errno: 1094 });
      assert.equal(await sessions(), before);
      const [rows] = await second.query('SELECT email FROM contacts WHERE id = 1');
      assert.deepEqual(rows, [{ email: 'a***@example.se' }]);
      assert.equal(await sessions(), before + 1);
      await assert.rejects(second.query(`KILL ${other.threadId}`), /reason: |1094|Unknown/);
      await other.ping();
      const large = `SELECT '${'x'.repeat(100_000)}' AS x`;
      const third = await connectMySql(world, 'ana', { ...token, database: '' });
      assert.equal(((await third.query(large))[0] as { x: string }[])[0]?.x.length, 100_000);
      for (const client of [first, second, third, other]) await client.end();
    });

    test('a dump beside an open session with the same token', async () => {
      const token = await world.token('dora');
      const client = await connectMySql(world, 'dora', { ...withToken(token), database: 'lending' });
      for (const program of dumpers) {
        const dumped = await run(program, world.gateway.ports.mysql, 'dora', token, [
          ...quiet,
          'lending',
          'books',
        ]);
        assert.equal(dumped.status, 0, dumped.stderr);
        assert.match(dumped.stdout, /INSERT INTO `books`/);
      }
      await client.end();
    });

    test('settings from variables: back to what they were, and to nothing else', async () => {
      const put = (value: string) => `SET @old = ${value}`;
      for (const [setting, value] of [
        ['character_set_client', '@@character_set_client'],
        ['character_set_results', '@@character_set_results'],
        ['collation_connection', '@@collation_connection'],
        ['sql_mode', '@@sql_mode'],
      ] as const) {
        const client = await connectMySql(world, 'ana', { database: 'crm' });
        await client.query(put(value));
        await client.query(`SET ${setting} = @old`);
        await client.query('SELECT id FROM contacts');
        await client.end();
      }
      for (const [setting, value] of [
        ['character_set_client', "'gbk'"],
        ['character_set_results', "'utf16'"],
        ['character_set_results', "'latin1'"],
        ['collation_connection', "'latin1_bin'"],
        ['sql_mode', "'ANSI_QUOTES'"],
      ] as const) {
        const client = await connectMySql(world, 'ana', { database: 'crm' });
        client.on('error', () => {});
        await client.query(put(value));
        await assert.rejects(client.query(`SET ${setting} = @old`), `${setting} = ${value}`);
        await assert.rejects(client.query('SELECT id FROM contacts'));
        client.destroy();
      }
    });

    test('nothing stands behind such a setting in one text', async () => {
      const client = await connectMySql(world, 'ana', { database: 'crm', multipleStatements: true });
      await client.query("SET @old = 'gbk'");
      for (const text of [
        'SET character_set_client = @old; SELECT 1',
        "SET character_set_client = @old; SET @a = '\u7e17', @b = 1",
        '/*!40101 SET character_set_client = @old */; SET @b = 1',
        ...(product === 'mariadb' ? ['SET STATEMENT sql_mode = @old FOR SELECT 1'] : []),
      ])
        await assert.rejects(client.query(text), /reason: (session_drift|opaque_statement)/, text);
      await client.query('SELECT 1');
      await client.end();
    });
  });
}
