/** The test servers themselves: what the other tests take for granted about them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { writeCertificate } from './certificates.ts';
import { startMariaDb } from './mariadb.ts';
import { startMySql } from './mysql.ts';
import { runMySqlClient } from './mysql-client.ts';
import { startPostgres } from './postgres.ts';
import { runPsql } from './psql.ts';
import { freePort, scratch } from './scratch.ts';

test('PostgreSQL signs in by SCRAM over verified TLS and logs each statement', async () => {
  const { dir, remove } = scratch();
  const tls = writeCertificate(dir);
  const server = await startPostgres({ tls, settings: { application_name: 'set by the test' } });
  try {
    const client = new pg.Client({
      ...{
        host: '127.0.0.1',
        port: server.port,
        user: server.user,
        password: server.password,
        database: 'postgres',
      },
      ssl: { ca: readFileSync(tls.ca, 'utf8'), servername: 'localhost' },
    });
    await client.connect();
    const { rows } = await client.query(
      "select current_setting('password_encryption') as how, 'seen by the log' as mark",
    );
    await client.end();
    assert.equal(rows[0].how, 'scram-sha-256');
    assert.match(server.logText(), /seen by the log/);
    await assert.rejects(
      new pg.Client({ port: server.port, host: '127.0.0.1', user: 'postgres', password: 'wrong' }).connect(),
      { code: '28P01' },
    );
    const ran = await runPsql(
      { ...server, database: 'postgres', sslmode: 'verify-full', env: { PGSSLROOTCERT: tls.ca } },
      ['-c', 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'],
    );
    assert.deepEqual(ran, { status: 0, stdout: 't\n', stderr: '' });
  } finally {
    await server.stop();
    remove();
  }
  assert.equal(existsSync(server.dir), false);
  await assert.rejects(reach(server.port), { code: 'ECONNREFUSED' });
});

test('PostgreSQL takes its host-based rules from the caller', async () => {
  const server = await startPostgres({
    hba: ['host all postgres 127.0.0.1/32 password', 'host all all 127.0.0.1/32 reject'],
    superuserPassword: 'chosen',
  });
  try {
    const ran = await runPsql({ ...server, database: 'postgres' }, ['-c', 'select 1']);
    assert.equal(ran.stdout, '1\n');
    assert.equal(server.password, 'chosen');
    const refused = await runPsql({ ...server, user: 'someone', database: 'postgres' }, ['-c', 'select 1']);
    assert.match(refused.stderr, /pg_hba.conf rejects connection/);
  } finally {
    await server.stop();
  }
});

for (const [name, start, version] of [
  ['MariaDB', startMariaDb, /MariaDB/],
  ['MySQL', startMySql, /^[89]\./],
] as const) {
  test(`${name} signs in over TLS, has no anonymous account and logs each statement`, async () => {
    const { dir, remove } = scratch();
    const tls = writeCertificate(dir);
    const server = await start({ tls, settings: { 'wait-timeout': '1234' } });
    try {
      const { port, user, password } = server;
      const ca = readFileSync(tls.ca, 'utf8');
      const client = await createConnection({ host: '127.0.0.1', port, user, password, ssl: { ca } });
      const [rows] = await client.query(
        "select version() as version, @@global.wait_timeout as wait, (select count(*) from mysql.user where user = '') as anonymous",
      );
      await client.end();
      const [row] = rows as { version: string; wait: number; anonymous: number }[];
      assert.match(row?.version ?? '', version);
      assert.equal(row?.wait, 1234);
      assert.equal(row?.anonymous, 0);
      assert.match(server.logText(), /count\(\*\) from mysql\.user/);
      await assert.rejects(createConnection({ host: '127.0.0.1', port, user, password: 'wrong' }), {
        code: 'ER_ACCESS_DENIED_ERROR',
      });
    } finally {
      await server.stop();
      remove();
    }
    assert.equal(existsSync(server.dir), false);
  });
}

test('the mysql client reports what the server answered and how it ended', async () => {
  const server = await startMariaDb();
  try {
    const good = await runMySqlClient(server, ['-e', "select 'one', 2"]);
    assert.deepEqual(good, { status: 0, stdout: 'one\t2\n', stderr: '' });
    const bad = await runMySqlClient(server, ['-e', 'select nonsense']);
    assert.equal(bad.status, 1);
    assert.match(bad.stderr, /ERROR 1054 \(42S22\)/);
  } finally {
    await server.stop();
  }
});

test('a certificate is refused for another name, another authority and another time', async () => {
  const { dir, remove } = scratch();
  const server = writeCertificate(`${dir}/a`, ['db.example', '127.0.0.1']);
  const other = writeCertificate(`${dir}/b`);
  const past = writeCertificate(`${dir}/c`, ['db.example'], { notAfter: new Date(Date.now() - 1000) });
  const { createServer } = await import('node:tls');
  const codes: string[] = [];
  for (const [files, ca, servername] of [
    [server, server.ca, 'db.example'],
    [server, server.ca, 'elsewhere.example'],
    [server, other.ca, 'db.example'],
    [past, past.ca, 'db.example'],
  ] as const) {
    const listener = createServer(
      { cert: readFileSync(files.cert), key: readFileSync(files.key) },
      (socket) => socket.on('error', () => socket.destroy()).end(),
    );
    listener.on('tlsClientError', () => undefined);
    const port = await freePort();
    await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
    codes.push(
      await new Promise((resolve) => {
        const socket = connectTls({ port, host: '127.0.0.1', ca: readFileSync(ca), servername });
        socket.once('secureConnect', () => resolve('accepted'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      }),
    );
    listener.close();
  }
  remove();
  assert.deepEqual(codes, [
    'accepted',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_HAS_EXPIRED',
  ]);
});

function reach(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
