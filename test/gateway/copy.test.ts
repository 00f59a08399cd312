/** COPY on a real server through the gateway: by psql, and by both protocols; what comes out is what SELECT gives. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import type { Copy } from '../../sql/statement.ts';
import { encodeStream, type Row } from '../protocols/copy-format.ts';
import { runPsql } from '../servers/psql.ts';
import { connectPostgres } from './connect.ts';
import { giving, runCopy } from './copy-client.ts';

let world: World;
let admin: pg.Client;

const hairy = [
  'tab\there',
  'new\nline',
  'back\\slash',
  '"quoted"',
  "o'clock; and, more",
  '\\N',
  '\\.',
  'Ωmega 漢字',
];

before(async () => {
  world = await startWorld();
  const { host, port, user, password } = world.shopEu;
  admin = new pg.Client({ host, port, user, password, database: 'shop' });
  await admin.connect();
  for (const [i, text] of hairy.entries()) {
    const born = i % 2 === 0 ? null : '1980-05-06';
    await admin.query(
      `INSERT INTO customers (name, email, phone, ssn, born, region) VALUES ($1, $2, $3, $4, $5, 'eu')`,
      [text, `${text}@example.com`, text, i % 3 === 0 ? null : text, born],
    );
    await admin.query(
      `INSERT INTO orders (customer_id, product_id, card_number, amount, placed_at)
       VALUES (1, 1, $1, 1.5, '2026-01-01 00:00:00+00')`,
      [text],
    );
    await admin.query('INSERT INTO products (name, price, stock) VALUES ($1, 1.5, 2)', [text]);
  }
});
after(async () => {
  await admin?.end();
  await world?.stop();
});

const connect = (persona: PersonaName, more: pg.ClientConfig = {}) => connectPostgres(world, persona, more);

async function psql(persona: PersonaName, input: string, args: readonly string[] = []) {
  const password = await world.token(persona);
  return runPsql(
    { port: world.gateway.ports.postgres, user: persona, password, database: 'shop' },
    args,
    input,
  );
}

/** What SELECT gives, in text. */
async function selected(client: pg.Client, query: string): Promise<Row[]> {
  const raw = (value: string) => Buffer.from(value);
  const config = { text: query, rowMode: 'array' as const, types: { getTypeParser: () => raw as never } };
  const { rows } = await client.query<(Buffer | null)[]>(config);
  return rows;
}
async function selectedBy(persona: PersonaName, query: string): Promise<Row[]> {
  const client = await connect(persona);
  const rows = await selected(client, query);
  await client.end();
  return rows;
}

/** What a server makes of a stream of the result of `query`, in text. */
async function read(query: string, stream: readonly Buffer[]): Promise<Row[]> {
  await admin.query('DROP TABLE IF EXISTS pg_temp.taken');
  await admin.query(`CREATE TEMP TABLE taken AS ${query} WITH NO DATA`);
  await runCopy(admin, 'COPY taken FROM STDIN (FORMAT binary)', { give: giving(...stream) });
  return selected(admin, 'SELECT * FROM taken');
}

async function reasonOf(failing: Promise<unknown>): Promise<string> {
  const error = (await assert
    .rejects(failing)
    .then(() => failing.catch((reason: unknown) => reason))) as pg.DatabaseError;
  return /reason: (\w+); decision: \S+/.exec(error.detail ?? '')?.[1] ?? `${error.code} ${error.message}`;
}

const text: Copy = {
  direction: 'out',
  format: 'text',
  delimiter: '\t',
  nullText: '\\N',
  quote: '"',
  escape: '"',
  header: false,
  forceQuote: [],
};
const csv: Copy = { ...text, format: 'csv', delimiter: ',', nullText: '' };
const layouts: readonly (readonly [string, Copy])[] = [
  ['', text],
  ["(DELIMITER '|')", { ...text, delimiter: '|' }],
  ['(FORMAT csv)', csv],
  ['(FORMAT csv, FORCE_QUOTE *)', { ...csv, forceQuote: 'all' }],
  [
    "(FORMAT csv, DELIMITER ';', NULL 'NIL', QUOTE '''', ESCAPE '\\')",
    { ...csv, delimiter: ';', nullText: 'NIL', quote: "'", escape: '\\' },
  ],
  ['CSV', csv],
  ['(FORMAT binary)', { ...text, format: 'binary' }],
];
const queries = [
  'SELECT id, name, email, phone, ssn, born, region FROM customers ORDER BY id',
  'SELECT ssn FROM customers ORDER BY id',
  'SELECT id, card_number AS c, amount FROM orders ORDER BY id',
  'SELECT * FROM products ORDER BY id',
  'WITH x AS (SELECT email, born FROM customers ORDER BY id) SELECT * FROM x UNION ALL SELECT email, born FROM x',
];

describe('COPY to the client', () => {
  for (const [options, layout] of layouts) {
    for (const query of queries) {
      test(`gives what SELECT gives: COPY (${query}) TO STDOUT ${options}`, async () => {
        const rows = await selectedBy('ana', query);
        assert.ok(rows.length > hairy.length);
        const client = await connect('ana');
        for (const extended of [false, true]) {
          const copied = await runCopy(client, `COPY (${query}) TO STDOUT ${options}`, { extended });
          assert.equal(copied.tag, `COPY ${rows.length}`);
          if (layout.format === 'binary') assert.deepEqual(await read(query, copied.chunks), rows);
          else assert.equal(Buffer.concat(copied.chunks).toString(), encodeStream(rows, layout).toString());
        }
        await client.end();
      });
    }
  }

  test('a table, with and without its columns named, restricted to permitted rows', async () => {
    for (const [copying, query] of [
      ['customers', 'SELECT * FROM customers ORDER BY id'],
      ['public.customers (born, "email" , id)', 'SELECT born, email, id FROM customers ORDER BY id'],
      ['orders(card_number)', 'SELECT card_number FROM orders ORDER BY id'],
    ] as const) {
      const rows = await selectedBy('ana', query);
      const client = await connect('ana');
      const { chunks } = await runCopy(client, `COPY ${copying} TO STDOUT (FORMAT csv)`);
      const lines = (all: readonly Buffer[]) => all.map((line) => line.toString('latin1')).sort();
      assert.deepEqual(lines(chunks), lines(rows.map((row) => encodeStream([row], csv))));
      await client.end();
    }
  });

  test('a generated column is left out of a table and can be named in a query', async () => {
    const dora = await connect('dora');
    await dora.query('ALTER TABLE products ADD total numeric GENERATED ALWAYS AS (price * stock) STORED');
    const client = await connect('ana');
    const { chunks } = await runCopy(client, 'COPY products TO STDOUT');
    assert.equal(chunks[0]?.toString().split('\t').length, 4);
    await runCopy(client, 'COPY (SELECT total FROM products) TO STDOUT');
    await client.end();
    await dora.query('ALTER TABLE products DROP COLUMN total');
    await dora.end();
  });

  test('psql: \\copy into a file in each format, with a header', async () => {
    const query = 'SELECT id, email, ssn, born FROM customers ORDER BY id';
    for (const [options, layout] of layouts) {
      const file = join(world.dir, 'copied');
      const header = layout.format === 'csv' && options.startsWith('(');
      const more = header ? options.replace(')', ', HEADER)') : options;
      const run = await psql('ana', `\\copy (${query}) to '${file}' ${more}\n`);
      assert.equal(run.stderr, '');
      if (layout.format === 'binary') {
        const rows = await read(query.replace(/ ORDER BY id$/, ''), [readFileSync(file)]);
        assert.deepEqual(rows, await selectedBy('ana', query));
        continue;
      }
      const rows = await selectedBy('ana', query);
      const names = encodeStream([['id', 'email', 'ssn', 'born'].map((name) => Buffer.from(name))], {
        ...layout,
        forceQuote: [],
      });
      const expected = encodeStream(rows, layout);
      assert.deepEqual(readFileSync(file), header ? Buffer.concat([names, expected]) : expected);
    }
  });

  test('psql: COPY to its standard output among other statements', async () => {
    const run = await psql('ana', 'SELECT 1\\; COPY products (id) TO STDOUT\\; SELECT 2;\nSELECT 3;\n');
    assert.equal(run.stderr, '');
    const lines = run.stdout.trim().split('\n');
    assert.equal(lines[0], '1');
    assert.deepEqual(lines.slice(-2), ['2', '3']);
  });

  test('several COPYs of one text each have their own plan', async () => {
    const client = await connect('ana');
    const { chunks } = await runCopy(
      client,
      'COPY (SELECT id FROM products WHERE id = 1) TO STDOUT; COPY (SELECT email FROM customers WHERE id = 1) TO STDOUT',
    );
    assert.equal(Buffer.concat(chunks).toString(), '1\na***@example.se\n');
    await client.end();
  });

  test('rows that a DELETE returns', async () => {
    const etl = await connect('etl');
    const { chunks, tag } = await runCopy(
      etl,
      "COPY (UPDATE orders SET status = 'seen' WHERE id = 1 RETURNING id, status) TO STDOUT",
    );
    assert.equal(tag, 'COPY 1');
    assert.equal(Buffer.concat(chunks).toString(), '1\tseen\n');
    await etl.end();
  });

  const refused: readonly (readonly [PersonaName, string, string])[] = [
    ['ana', "COPY orders TO '/tmp/x'", 'channel_refused'],
    ['ana', "COPY orders TO PROGRAM 'cat'", 'channel_refused'],
    ['ana', 'COPY us_orders TO STDOUT', 'region_read'],
    ['ana', 'COPY newsletter TO STDOUT', 'unplaced_table'],
    ['ana', 'COPY (SELECT upper(email) FROM customers) TO STDOUT', 'masked_use'],
    ['ana', "COPY orders TO STDOUT (NULL '4111111111111111')", 'channel_refused'],
    ['ana', "COPY orders TO STDOUT (NULL '')", 'channel_refused'],
    ['ana', "COPY orders TO STDOUT (ENCODING 'latin1')", 'opaque_statement'],
    ['ana', "COPY orders TO STDOUT (FORMAT 'mine')", 'opaque_statement'],
    ['ana', 'COPY orders FROM STDIN', 'region_write'],
    ['sam', 'COPY products FROM STDIN', 'region_write'],
    ['etl', 'COPY customers FROM STDIN', 'row_region'],
    ['dora', 'COPY customers FROM STDIN', 'row_region'],
    ['dora', "COPY products FROM '/tmp/x'", 'channel_refused'],
    ['ana', 'COPY (DELETE FROM orders WHERE id = 1 RETURNING id) TO STDOUT', 'region_write'],
  ];
  for (const [persona, sql, reason] of refused) {
    test(`refused for ${persona}: ${sql}`, async () => {
      const client = await connect(persona);
      for (const extended of [false, true]) {
        assert.equal(await reasonOf(runCopy(client, sql, { extended })), reason);
      }
      assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
      await client.end();
    });
  }

  test('harmless markers and options pass', async () => {
    const client = await connect('ana');
    for (const sql of [
      "COPY products TO STDOUT (NULL '')",
      "COPY orders TO STDOUT (NULL '\\X')",
      "COPY orders TO STDOUT (FORMAT csv, NULL '4111111111111111', ENCODING 'utf-8', HEADER true)",
      "COPY orders TO STDOUT WITH CSV HEADER DELIMITER AS ';' FORCE QUOTE card_number",
      "COPY products TO STDOUT USING DELIMITERS '|'",
      'COPY BINARY products TO STDOUT',
    ]) {
      const { tag } = await runCopy(client, sql);
      assert.match(tag, /^COPY [1-9]/, sql);
    }
    await client.end();
  });
});

describe('COPY from the client', () => {
  const count = async (where: string): Promise<number> =>
    (await admin.query(`SELECT count(*)::int AS n FROM products WHERE ${where}`)).rows[0].n;

  for (const options of ['', '(FORMAT csv)', '(FORMAT binary)']) {
    test(`psql: \\copy out and in again ${options}`, async () => {
      const file = join(world.dir, 'products');
      const run = await psql(
        'dora',
        `\\copy (SELECT id + 1000, name, price, stock FROM products WHERE id < 1000) to '${file}' ${options}
         \\copy products from '${file}' ${options}\n`,
        ['-v', 'ON_ERROR_STOP=1'],
      );
      assert.equal(run.stderr, '');
      const { rows } = await admin.query(
        `SELECT count(*)::int AS n FROM products a JOIN products b ON b.id = a.id + 1000
         WHERE (a.name, a.price, a.stock) = (b.name, b.price, b.stock)`,
      );
      assert.equal(rows[0].n, await count('id < 1000'));
      await admin.query('DELETE FROM products WHERE id >= 1000');
    });
  }

  test('both protocols, a failure of either side, and what comes too late', async () => {
    const client = await connect('dora');
    const sql = 'COPY products (name, price, stock) FROM STDIN';
    for (const extended of [false, true]) {
      const done = await runCopy(client, sql, { extended, give: giving('given\t1.5\t', '1\ngiven\t2\t2\n') });
      assert.equal(done.tag, 'COPY 2');
      await assert.rejects(
        runCopy(client, sql, { extended, give: giving('late\tnot a number\t1\n', 'late\t1\t1\n') }),
        { code: '22P02' },
      );
      await assert.rejects(runCopy(client, sql, { extended }), { code: '57014' });
      assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    }
    assert.equal(await count("name = 'given'"), 4);
    assert.equal(await count("name = 'late'"), 0);
    await client.end();
  });

  test('a large stream, both ways', async () => {
    const client = await connect('dora');
    const line = `large\t1\t${'7'.repeat(8)}\n`;
    const chunk = line.repeat(4000);
    const { tag } = await runCopy(client, 'COPY products (name, price, stock) FROM STDIN', {
      give: giving(...Array<string>(25).fill(chunk)),
    });
    assert.equal(tag, 'COPY 100000');
    const { chunks } = await runCopy(
      client,
      "COPY (SELECT name, price::int, stock FROM products WHERE name = 'large') TO STDOUT",
    );
    assert.equal(chunks.length, 100_000);
    assert.equal(Buffer.concat(chunks).length, line.length * 100_000);
    await client.end();
  });
});

describe('an end in the middle', () => {
  /** Waits until no backend of the gateway runs a COPY. */
  async function untilNoneCopies(): Promise<void> {
    for (;;) {
      const { rows } = await admin.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'cordon' AND state <> 'idle' AND query ILIKE 'copy%'",
      );
      if (rows[0].n === 0) return;
    }
  }
  const endless = 'COPY (SELECT generate_series(1, 1000000000)) TO STDOUT';
  const into = 'COPY products (name, price, stock) FROM STDIN';

  test('cancel', async () => {
    const client = await connect('ana');
    const copying = runCopy(client, endless, {
      take: once(() => {
        const canceller = new pg.Client({ host: '127.0.0.1', port: world.gateway.ports.postgres });
        canceller.on('error', () => {});
        const { activeQuery } = client as unknown as { activeQuery: unknown };
        (canceller as unknown as { cancel(client: pg.Client, query: unknown): void }).cancel(
          client,
          activeQuery,
        );
      }),
    });
    await assert.rejects(copying, { code: '57014' });
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    await client.end();
  });

  test('a client that vanishes while it takes', async () => {
    const client = await connect('ana');
    const copying = runCopy(client, endless, { take: once((wire) => wire.stream.destroy()) });
    await assert.rejects(copying);
    await untilNoneCopies();
  });

  test('a client that vanishes while it gives leaves nothing behind', async () => {
    const client = await connect('dora');
    const copying = runCopy(client, into, {
      give: (wire) => {
        wire.sendCopyFromChunk(Buffer.from('vanished\t1\t1\n'));
        wire.stream.end();
      },
    });
    await assert.rejects(copying);
    await untilNoneCopies();
    const { rows } = await admin.query("SELECT count(*)::int AS n FROM products WHERE name = 'vanished'");
    assert.equal(rows[0].n, 0);
  });

  test('a session that is killed while its client gives leaves nothing behind', async () => {
    const client = await connect('dora');
    const copying = runCopy(client, into, {
      give: (wire) => {
        wire.sendCopyFromChunk(Buffer.from('killed\t1\t1\n'));
        void world.cordon('sessions', 'list').then(async ({ stdout }) => {
          const id = /^(\S+)\s.*dora/m.exec(stdout)?.[1] ?? '';
          await world.cordon('sessions', 'kill', id);
        });
      },
    });
    await assert.rejects(copying, { code: '57P01' });
    await untilNoneCopies();
    const { rows } = await admin.query("SELECT count(*)::int AS n FROM products WHERE name = 'killed'");
    assert.equal(rows[0].n, 0);
  });

  test('a draining gateway lets a COPY come to its end, and journals it', async () => {
    const client = await connect('dora');
    let stopped: Promise<void> | undefined;
    const copying = await runCopy(client, into, {
      give: (wire) => {
        wire.sendCopyFromChunk(Buffer.from('drained\t1\t1\n'));
        stopped = world.gateway.stop();
        giving('drained\t1\t1\n')(wire);
      },
    });
    assert.equal(copying.tag, 'COPY 2');
    await stopped;
    const { rows } = await admin.query("SELECT count(*)::int AS n FROM products WHERE name = 'drained'");
    assert.equal(rows[0].n, 2);
    const { stdout } = await world.cordon('audit', 'export', '--format', 'jsonl');
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const last = events.findLast((event) => event.event === 'statement.completed');
    assert.equal(last.statement_kind, 'copy_in');
    assert.equal(last.rows, 2);
    assert.equal(last.bytes, 2 * (5 + 'drained\t1\t1\n'.length));
    assert.ok(!stdout.includes('drained'), 'values stay out');
  });
});

function once<T>(work: (given: T) => void): (given: T) => void {
  let done = false;
  return (given) => {
    if (done) return;
    done = true;
    work(given);
  };
}
