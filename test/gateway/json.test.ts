/** Parts of JSON values are masked on real servers in every format; all else of a value arrives as the server has it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql, connectPostgres } from './connect.ts';
import { giving, runCopy } from './copy-client.ts';

const tags = `{ "$.email": pii.email, "$.addresses[*].street": pii.address, "$.phones[*]": pii.phone, "$.born": pii.birth_date, '$["any name"]': pii.free_text }`;

/** Escaped and repeated names, nested lists, numbers in odd spellings. All that may not be seen has `canary` in it, or 0301 or 17. */
const hairy = `{"name": "Ann \\u00dc \\"x\\"", "\\u0065mail": "canary-one@example.com", "email":"canary-two@example.com",
 "addresses": [ {"street": "canary Straße 1", "city": "Köln", "n": 1.50},{"street": ["canary", {"deep": "canary"}]} ],
 "phones":["canary-030123","\\u0063anary-030156", 30], "born":"1980-05-17T10:00:00Z", "any name": "canary, any", "big":12345678901234567890}`;
const hairyMasked = `{"name": "Ann \\u00dc \\"x\\"", "\\u0065mail": "c***@example.com", "email":"c***@example.com",
 "addresses": [ {"street": "[redacted]", "city": "Köln", "n": 1.50},{"street": null} ],
 "phones":["***********23","***********56", null], "born":"1980-01-01T00:00:00Z", "any name": "[redacted]", "big":12345678901234567890}`;
const plain = '[1, {"a": "tab\\t and \\u0001", "b": null}, "Ωmega 漢字 😀"]';

/** The policy with one more entry behind a line of it, and more changes. */
function policyWith(original: string, behind: RegExp, entry: string, uses: 'refuse' | 'blank'): string {
  const text = original
    .replace(behind, (line) => `${line}\n    - ${entry}`)
    .replace('masked_use: refuse', `masked_use: ${uses}`);
  assert.ok(text.includes(entry));
  return text;
}

async function enforce(world: World, text: string): Promise<void> {
  writeFileSync(world.policyFile, text);
  const run = await world.cordon('policy', 'reload');
  assert.equal(run.code, 0, run.stderr);
}

describe('postgres', () => {
  let world: World;
  let admin: pg.Client;
  let original: string;
  const entry = `{ table: public.profiles, region: eu, columns: { data: ${tags}, raw: ${tags}, said: ${tags}, list: ${tags} } }`;
  const policy = (uses: 'refuse' | 'blank') =>
    policyWith(original, /^ {4}- \{ table: public\.products.*$/m, entry, uses);
  const columns = 'id, data, raw, said, list';

  before(async () => {
    world = await startWorld();
    original = readFileSync(world.policyFile, 'utf8');
    const { host, port, user, password } = world.shopEu;
    admin = new pg.Client({ host, port, user, password, database: 'shop' });
    await admin.connect();
    await admin.query(
      'CREATE TABLE profiles (id int PRIMARY KEY, data jsonb, raw json, said text, list jsonb[]); GRANT ALL ON profiles TO cordon',
    );
    const deep = `${'['.repeat(600)}"canary"${']'.repeat(600)}`;
    for (const [id, raw] of [hairy, plain, '"canary, at the top"', null, deep].entries()) {
      await admin.query(
        'INSERT INTO profiles VALUES ($1, $2::text::jsonb, $2::text::json, $2::text, ARRAY[$2::text::jsonb])',
        [id, raw],
      );
    }
    await enforce(world, policy('refuse'));
  });
  after(async () => {
    await admin?.end();
    await world?.stop();
  });

  /** Values as text, in either format. */
  async function rows(client: pg.Client, text: string, binary = false): Promise<(string | null)[][]> {
    const types = { getTypeParser: () => (value: unknown) => String(value) };
    const config = { text, rowMode: 'array' as const, binary, types, ...(binary ? { values: [0] } : {}) };
    return (await client.query<(string | null)[]>(config as never)).rows;
  }

  /** What the masks make of the server's own text of the jsonb. */
  const jsonbMasked =
    '{"big": 12345678901234567890, "born": "1980-01-01T00:00:00Z", "name": "Ann Ü \\"x\\"", "email": "c***@example.com", ' +
    '"phones": ["***********23", "***********56", null], "any name": "[redacted]", ' +
    '"addresses": [{"n": 1.50, "city": "Köln", "street": "[redacted]"}, {"street": null}]}';
  const expected = [
    ['0', jsonbMasked, hairyMasked, null, null],
    ['1', plain, plain, null, null],
    ['2', '"canary, at the top"', '"canary, at the top"', null, null],
    ['3', null, null, null, null],
    ['4', null, null, null, null],
  ];

  test('text and binary results, prepared or not', async () => {
    const client = await connectPostgres(world, 'ana');
    const all = `SELECT ${columns} FROM profiles`;
    assert.deepEqual(await rows(client, `${all} ORDER BY id`), expected);
    assert.deepEqual(
      await rows(client, 'SELECT * FROM (SELECT * FROM profiles p) AS q ORDER BY id'),
      expected,
    );
    const binary = await rows(
      client,
      `SELECT data, raw, said, list FROM profiles WHERE id >= $1 ORDER BY id`,
      true,
    );
    assert.deepEqual(
      binary,
      expected.map(([, data, ...more]) => [data === null ? null : `\u0001${data}`, ...more]),
    );
    const named = { name: 'one', text: 'SELECT data, raw FROM profiles WHERE id = $1', values: [0] };
    for (let i = 0; i < 2; i++) {
      const [row] = (await client.query<{ data: { phones: unknown }; raw: unknown }>(named)).rows;
      assert.deepEqual(row?.data, JSON.parse(jsonbMasked));
      assert.deepEqual(row?.raw, JSON.parse(hairyMasked));
    }
    await client.end();
  });

  test('COPY in its three formats', async () => {
    const client = await connectPostgres(world, 'ana');
    for (const from of [
      'profiles (id, data, raw, said, list)',
      `(SELECT ${columns} FROM profiles ORDER BY id)`,
    ]) {
      for (const format of ['text', 'csv', 'binary']) {
        const copied = await runCopy(client, `COPY ${from} TO STDOUT (FORMAT ${format})`);
        assert.ok(!Buffer.concat(copied.chunks).includes('canary-'), format);
        await admin.query('DROP TABLE IF EXISTS pg_temp.taken');
        await admin.query('CREATE TEMP TABLE taken AS SELECT * FROM profiles WITH NO DATA');
        await runCopy(admin, `COPY taken FROM STDIN (FORMAT ${format})`, { give: giving(...copied.chunks) });
        assert.deepEqual(await rows(admin, 'SELECT * FROM taken ORDER BY id'), expected, `${from} ${format}`);
      }
    }
    await client.end();
  });

  test('a role sees the parts that it clears; who clears all sees the server’s bytes', async () => {
    const sam = await connectPostgres(world, 'sam');
    const [[raw]] = (await rows(sam, 'SELECT raw FROM profiles WHERE id = 0')) as [[string]];
    assert.equal(raw, hairyMasked.replace('"c***@', '"canary-one@').replace('"c***@', '"canary-two@'));
    await sam.end();
    const dora = await connectPostgres(world, 'dora');
    const query = `SELECT ${columns} FROM profiles ORDER BY id`;
    assert.deepEqual(await rows(dora, query), await rows(admin, query));
    assert.equal(
      (await dora.query("SELECT data->>'born' AS born FROM profiles WHERE id = 0")).rows[0].born,
      '1980-05-17T10:00:00Z',
    );
    await dora.end();
  });

  const uses = [
    "SELECT data->'name' FROM profiles",
    "SELECT data->>'email' FROM profiles",
    "SELECT raw #>> '{phones,0}' FROM profiles",
    'SELECT data::text FROM profiles',
    'SELECT CAST(raw AS jsonb) FROM profiles',
    "SELECT data['email'] FROM profiles",
    "SELECT jsonb_path_query(data, '$.**') FROM profiles",
    "SELECT id FROM profiles WHERE data ? 'email'",
    "SELECT id FROM profiles WHERE data @> '{}'",
    'SELECT to_jsonb(p) FROM profiles p',
    'SELECT p FROM profiles p',
    'SELECT row_to_json(p) FROM profiles p',
    'SELECT jsonb_agg(data) FROM profiles',
    'SELECT key FROM profiles, jsonb_each(data) AS e(key, value)',
    'SELECT e FROM profiles, jsonb_array_elements(data) AS e',
    "SELECT j.e FROM profiles, JSON_TABLE(data, '$' COLUMNS (e text PATH '$.email')) AS j",
    "SELECT JSON_VALUE(data, '$.email') FROM profiles",
    'SELECT data FROM profiles ORDER BY data',
    'SELECT DISTINCT data FROM profiles',
    'COPY (SELECT data::text FROM profiles) TO STDOUT',
    "DECLARE c CURSOR WITH HOLD FOR SELECT data->'email' FROM profiles",
  ];
  test('every other use is one of a masked column', async () => {
    const client = await connectPostgres(world, 'ana');
    for (const text of uses)
      await assert.rejects(client.query(text), { code: '42501', detail: /reason: masked_use/ }, text);
    const run = await world.cordon(
      ...['policy', 'explain', '--groups', 'support', '--from', 'eu', '--database', 'shop', '--json'],
      'SELECT data FROM profiles',
    );
    const told = JSON.parse(run.stdout);
    assert.ok(told.masked.includes('public.profiles.data'));
    assert.deepEqual(told.masked_paths['public.profiles.data'], [
      ...['$.addresses[*].street', '$.phones[*]', '$.born', '$["any name"]'],
    ]);
    await client.end();
  });

  test('or sees NULL, where the role says so', async () => {
    await enforce(world, policy('blank'));
    const client = await connectPostgres(world, 'ana');
    const [row] = await rows(
      client,
      "SELECT data->>'name', raw::text, data IS NULL, id FROM profiles WHERE id = 0",
    );
    assert.deepEqual(row, [null, null, 't', '0']);
    const [shown] = await rows(client, 'SELECT raw FROM profiles WHERE id = 0');
    assert.deepEqual(shown, [hairyMasked]);
    for (const text of uses.filter((one) => /^SELECT/.test(one))) {
      const answer = await client.query(text).then(
        ({ rows: found }) => JSON.stringify(found),
        (error: Error) => error.message,
      );
      assert.ok(!/canary|example\.com|0301|-17/.test(answer), text);
    }
    await client.end();
  });
});

for (const product of ['mariadb', 'mysql'] as const)
  describe(product, () => {
    let world: World;
    let admin: mysql.Connection;
    before(async () => {
      world = await startWorld({ mysql: product });
      const { crm } = world;
      assert.ok(crm);
      const { host, port, user, password } = crm;
      admin = await mysql.createConnection({
        host,
        port,
        user,
        password,
        database: 'crm',
        jsonStrings: true,
      });
      await admin.query(
        'CREATE TABLE profiles (id INT PRIMARY KEY, data JSON, said TEXT) DEFAULT CHARSET = utf8mb4',
      );
      for (const [id, raw] of [hairy, plain, '"canary, at the top"', null].entries()) {
        await admin.query('INSERT INTO profiles VALUES (?, ?, ?)', [id, raw, raw]);
      }
      await enforce(
        world,
        policyWith(
          readFileSync(world.policyFile, 'utf8'),
          /^ {4}- \{ table: crm\.contacts.*$/m,
          `{ table: crm.profiles, region: eu, columns: { data: ${tags}, said: ${tags} } }`,
          'refuse',
        ),
      );
    });
    after(async () => {
      await admin?.end();
      await world?.stop();
    });

    type Row = mysql.RowDataPacket & { data: string | null; said: string | null };

    test('text and binary rows', async () => {
      const connection = await connectMySql(world, 'ana', { jsonStrings: true });
      const [own] = await admin.query<Row[]>('SELECT data FROM profiles ORDER BY id');
      const [text] = await connection.query<Row[]>('SELECT id, data, said FROM profiles ORDER BY id');
      const [binary] = await connection.execute<Row[]>(
        'SELECT id, data, said FROM profiles WHERE id >= ? ORDER BY id',
        [0],
      );
      assert.deepEqual(binary, text);
      const [first, ...more] = text.map((row) => row.data);
      assert.deepEqual(
        more,
        own.slice(1).map((row) => row.data),
      );
      for (const row of text) assert.equal(row.said, null);
      if (product === 'mariadb') assert.equal(first, hairyMasked);
      else {
        assert.ok(first && !/canary|0301|-17/.test(first), first ?? 'NULL');
        // The server keeps one of several members of a name.
        const { big: _big, ...shown } = JSON.parse(first);
        const { big: _own, ...masked } = JSON.parse(hairyMasked);
        assert.deepEqual(shown, masked);
        assert.ok(first.includes('"city": "Köln"') && first.includes('12345678901234567890'), first);
      }
      await connection.end();
    });

    test('every other use is one of a masked column', async () => {
      const connection = await connectMySql(world, 'ana');
      for (const text of [
        "SELECT JSON_EXTRACT(data, '$.name') FROM profiles",
        "SELECT JSON_VALUE(data, '$.email') FROM profiles",
        'SELECT CAST(data AS CHAR) FROM profiles',
        'SELECT CONCAT(data) FROM profiles',
        'SELECT JSON_KEYS(data) FROM profiles',
        'SELECT JSON_ARRAYAGG(data) FROM profiles',
        "SELECT j.e FROM profiles, JSON_TABLE(data, '$' COLUMNS (e VARCHAR(99) PATH '$.email')) AS j",
        "SELECT id FROM profiles WHERE JSON_CONTAINS_PATH(data, 'one', '$.email')",
        'SELECT data FROM profiles ORDER BY data',
        'SELECT DISTINCT data FROM profiles',
        ...(product === 'mysql'
          ? ["SELECT data->'$.name' FROM profiles", "SELECT data->>'$.email' FROM profiles"]
          : []),
      ])
        await assert.rejects(connection.query(text), { errno: 1142, message: /reason: masked_use/ }, text);
      await connection.end();
    });

    test('who clears all sees the server’s bytes', async () => {
      const dora = await connectMySql(world, 'dora', { jsonStrings: true });
      const query = 'SELECT id, data, said FROM profiles ORDER BY id';
      assert.deepEqual((await dora.query<Row[]>(query))[0], (await admin.query<Row[]>(query))[0]);
      await dora.end();
    });
  });
