/** Who gets in: forged, expired and misdirected tokens at both listeners, and what a client can never see. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';

let world: World;
before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
});
after(() => world?.stop());

const good = { sub: 'ana', groups: ['analysts-eu'], region: 'eu' };
const now = () => Math.floor(Date.now() / 1000);

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

async function badTokens(): Promise<Record<string, string>> {
  const { identity } = world;
  const valid = await identity.token({ ...good, exp: now() + 600 });
  const [header, payload, signature] = valid.split('.') as [string, string, string];
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), groups: ['dba'] };
  const flipped = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1);
  return {
    'forged claims': `${header}.${base64url(claims)}.${signature}`,
    'forged signature': `${header}.${payload}.${flipped}`,
    'alg none': `${base64url({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    'alg none, kept signature': `${base64url({ alg: 'none' })}.${payload}.${signature}`,
    expired: await identity.token({ ...good, iat: now() - 7200, exp: now() - 3600 }),
    'not yet valid': await identity.token({ ...good, nbf: now() + 3600, exp: now() + 7200 }),
    'wrong audience': await identity.token({ ...good, aud: 'another-service', exp: now() + 600 }),
    'wrong issuer': await identity.token({ ...good, iss: 'https://elsewhere.example', exp: now() + 600 }),
    'no token': 'hunter2',
    empty: '',
  };
}

test('bad tokens are refused alike on PostgreSQL', async () => {
  const messages = new Set<string>();
  for (const [name, token] of Object.entries(await badTokens())) {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: world.gateway.ports.postgres,
      user: 'ana',
      password: token,
      database: 'shop',
    });
    client.on('error', () => {});
    await assert.rejects(client.connect(), (error: pg.DatabaseError) => {
      assert.ok(error.code === '28P01' || error.code === '28000', `${name}: ${error.code} ${error.message}`);
      assert.equal(error.severity, 'FATAL');
      messages.add(error.message);
      return true;
    });
  }
  assert.equal(messages.size, 1, [...messages].join(' | '));
});

test('bad tokens are refused alike on MySQL', async () => {
  const messages = new Set<string>();
  for (const [name, token] of Object.entries(await badTokens())) {
    await assert.rejects(
      connectMySql('ana', token),
      (error: { errno: number; sqlState: string; message: string }) => {
        assert.equal(error.errno, 1045, `${name}: ${error.message}`);
        assert.equal(error.sqlState, '28000');
        messages.add(error.message);
        return true;
      },
    );
  }
  assert.equal(messages.size, 1, [...messages].join(' | '));
});

function connectMySql(user: string, password: string, port = world.gateway.ports.mysql) {
  return mysql.createConnection({
    host: '127.0.0.1',
    port,
    user,
    password,
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
  });
}

test('a valid token opens both, and a person without a role opens none', async () => {
  const token = await world.token('ana');
  const client = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: 'ana',
    password: token,
    database: 'shop',
  });
  await client.connect();
  await client.end();
  const connection = await connectMySql('ana', token);
  await connection.end();
  const nobody = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: 'ana',
    password: await world.token('nobody'),
    database: 'shop',
  });
  nobody.on('error', () => {});
  await assert.rejects(nobody.connect(), { severity: 'FATAL' });
  await assert.rejects(connectMySql('ana', await world.token('nobody')));
});

test("an upstream's password is in no byte that a client gets", async () => {
  const seen: Buffer[] = [];
  const tap = net.createServer((socket) => {
    const onward = net.connect(world.gateway.ports.postgres, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    onward.on('data', (bytes) => seen.push(bytes));
    for (const end of [socket, onward]) end.on('error', () => end.destroy());
  });
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
  const { port } = tap.address() as net.AddressInfo;
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'dora',
    password: await world.token('dora'),
    database: 'shop',
  });
  client.on('error', () => {});
  await client.connect();
  for (const sql of [
    'SHOW ALL',
    'SELECT current_user, session_user',
    'SELECT * FROM pg_authid',
    'SELECT * FROM pg_shadow',
    'SELECT rolname, rolpassword FROM pg_roles',
    'SELECT 1/0',
    'syntax error',
  ]) {
    await client.query(sql).catch(() => {});
  }
  await client.end();
  tap.close();
  const bytes = Buffer.concat(seen).toString('latin1');
  assert.ok(bytes.length > 1000);
  for (const secret of world.secrets) assert.ok(!bytes.includes(secret));
  assert.ok(!/SCRAM-SHA-256\$/.test(bytes));
});

test('the audit says why, and holds no token', async () => {
  const { stdout } = await world.cordon('audit', 'export', '--format', 'jsonl');
  const errors = new Set(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((row) => row.event === 'session.opened' && row.decision === 'refuse')
      .map((row) => row.error),
  );
  for (const code of ['expired', 'wrong_audience', 'wrong_issuer', 'not_yet_valid'])
    assert.ok(errors.has(code), `${code} in ${[...errors]}`);
  assert.ok(!/eyJ[\w-]{20,}/.test(stdout));
});
