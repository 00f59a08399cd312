/** Signing in at real upstreams: every plugin, with and without TLS; and clients signing in over TLS. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type mysql from 'mysql2/promise';
import type { UpstreamTarget, UpstreamTls } from '../../protocols/gate.ts';
import { signEd25519 } from '../../protocols/mysql/authentication.ts';
import { readMysqlCatalog } from '../../protocols/mysql/catalog.ts';
import { connectUpstream } from '../../protocols/mysql/upstream.ts';
import { type CertificateFiles, writeCertificate } from '../servers/certificates.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { runMySqlClient } from '../servers/mysql-client.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { scratch } from '../servers/scratch.ts';
import {
  connectAdmin,
  connectClient,
  errorOf,
  type Listener,
  listen,
  noTls,
  targetOf,
} from './mysql-listener.ts';

const secret = 'pä$$ wörd';
const products = {
  mariadb: {
    start: startMariaDb,
    accounts: {
      native: `IDENTIFIED VIA mysql_native_password USING PASSWORD('${secret}')`,
      ed: `IDENTIFIED VIA ed25519 USING PASSWORD('${secret}')`,
      nothing: "IDENTIFIED BY ''",
    },
  },
  mysql: {
    start: startMySql,
    accounts: {
      caching: `IDENTIFIED WITH caching_sha2_password BY '${secret}'`,
      sha: `IDENTIFIED WITH sha256_password BY '${secret}'`,
      nothing: "IDENTIFIED BY ''",
    },
  },
};

for (const [product, { start, accounts }] of Object.entries(products)) {
  describe(product, () => {
    const { dir, remove } = scratch();
    let certificate: CertificateFiles;
    let stranger: CertificateFiles;
    let server: MySqlServer;
    let admin: mysql.Connection;
    before(async () => {
      certificate = writeCertificate(`${dir}/a`);
      stranger = writeCertificate(`${dir}/b`, ['elsewhere.example']);
      server = await start({ tls: certificate });
      admin = await connectAdmin(server);
      await admin.query('CREATE DATABASE crm; CREATE TABLE crm.t (a INT)');
      for (const [user, how] of Object.entries(accounts)) {
        await admin.query(`CREATE USER ${user}@'%' ${how}; GRANT ALL ON *.* TO ${user}@'%'`);
      }
    });
    after(async () => {
      await admin?.end();
      await server?.stop();
      remove();
    });

    const verified = (ca = certificate.ca): UpstreamTls => ({
      mode: 'verify-full',
      ca: readFileSync(ca, 'utf8'),
      cert: null,
      key: null,
    });
    async function signIn(more: Partial<UpstreamTarget>): Promise<string> {
      const connection = await connectUpstream(targetOf(server, more), 0, 5000);
      connection.socket.destroy();
      return connection.serverVersion;
    }

    for (const user of Object.keys(accounts)) {
      const password = user === 'nothing' ? '' : secret;
      test(`${user}: in clear on loopback, in TLS, and with another password`, async () => {
        // Twice each: caching_sha2_password takes the long way once and the short way afterwards.
        for (let round = 0; round < 2; round++) {
          assert.ok(await signIn({ user, password, tls: noTls }));
          if (product === 'mysql') await admin.query('FLUSH PRIVILEGES');
          assert.ok(await signIn({ user, password, tls: verified() }));
        }
        await assert.rejects(signIn({ user, password: 'other' }), /error 1045/);
        await assert.rejects(signIn({ user, password: 'other', tls: verified() }), /error 1045/);
        const { catalog } = await readMysqlCatalog(targetOf(server, { user, password, tls: verified() }), 1);
        assert.equal(catalog.table('crm', 't')?.columns[0]?.typeId, 3);
        await readMysqlCatalog(targetOf(server, { user, password }), 1);
      });
    }

    test('a server that is not who it should be gets no answer', async () => {
      await assert.rejects(signIn({ tls: verified(stranger.ca) }), /certificate|verify/);
      await assert.rejects(readMysqlCatalog(targetOf(server, { tls: verified(stranger.ca) }), 1));
      await assert.rejects(signIn({ host: 'localhost.localdomain', tls: verified() }));
      assert.ok(await signIn({ tls: { ...verified(stranger.ca), mode: 'require' } }));
      assert.ok(await signIn({ tls: { ...verified(), mode: 'verify-ca' } }));
      assert.ok(await signIn({ host: 'localhost', tls: verified() }));
    });

    test('no answer at all ends in time', async () => {
      await assert.rejects(connectUpstream(targetOf(server, { port: 1 }), 0, 500));
      const silent = await listenSilently();
      await assert.rejects(connectUpstream(targetOf(server, { port: silent.port }), 0, 200), /in time/);
      silent.close();
    });

    describe('clients over TLS', () => {
      let listener: Listener;
      before(async () => {
        listener = await listen(
          { targets: [targetOf(server, { tls: verified() })] },
          { tls: certificate, settings: { allowCleartextLoopback: false } },
        );
      });
      after(() => listener.close());

      test('with mysql2 and with the mysql client', async () => {
        const ca = readFileSync(certificate.ca, 'utf8');
        const client = await connectClient(listener.port, { ssl: { ca } });
        const [rows] = await client.query('SELECT 1 AS n');
        assert.deepEqual(rows, [{ n: 1 }]);
        client.destroy();
        assert.equal(listener.gate.credentials.at(-1)?.tls, true);
        const run = await runMySqlClient(
          { port: listener.port, user: 'ana', password: 'token', database: 'crm' },
          ['--enable-cleartext-plugin', `--ssl-ca=${certificate.ca}`, '--ssl-verify-server-cert'],
          "SELECT 'seen';\n",
        );
        assert.equal(run.stdout.includes('seen'), true, run.stderr);
      });

      test('in clear the token is never asked for', async () => {
        const before = listener.gate.credentials.length;
        const error = await errorOf(connectClient(listener.port));
        assert.equal(error.errno, 1045);
        assert.match(error.message, /TLS/);
        assert.equal(listener.gate.credentials.length, before);
      });

      test('a ClientHello in one segment with the SSLRequest is taken, a command there is not', async () => {
        const sslRequest = Buffer.alloc(36);
        sslRequest.writeUIntLE(32, 0, 3);
        sslRequest.writeUInt8(1, 3);
        sslRequest.writeUInt32LE(0x2bba0d, 4);
        sslRequest.writeUInt8(45, 12);
        const raw = connect(listener.port, '127.0.0.1');
        await new Promise((arrived) => raw.once('data', arrived));
        let before = sslRequest;
        const joining = new Duplex({
          read: () => {},
          write: (chunk: Buffer, _encoding, written) => {
            raw.write(Buffer.concat([before, chunk]));
            before = Buffer.alloc(0);
            written();
          },
        });
        raw.on('data', (chunk) => joining.push(chunk));
        const protocol = await new Promise((resolve, reject) => {
          const tls = connectTls({ socket: joining, rejectUnauthorized: false }, () =>
            resolve(tls.getProtocol()),
          );
          tls.on('error', reject);
        });
        assert.match(String(protocol), /TLSv1/);
        raw.destroy();

        const early = connect(listener.port, '127.0.0.1');
        await new Promise((arrived) => early.once('data', arrived));
        early.write(
          Buffer.concat([sslRequest, Buffer.from([7, 0, 0, 0, 3, 0x53, 0x45, 0x4c, 0x45, 0x43, 0x54])]),
        );
        await new Promise((closed) => early.on('error', () => {}).once('close', closed));
        assert.ok(!listener.gate.texts.includes('SELECT'));
      });
    });
  });
}

async function listenSilently(): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => server.close(),
  };
}

test('an ed25519 signature is a valid one for the key that the password stands for', async () => {
  const { ed25519 } = await import('@noble/curves/ed25519.js');
  const { createHash } = await import('node:crypto');
  for (const password of ['', 'foobar', secret]) {
    const expanded = createHash('sha512').update(password).digest();
    const scalar = Buffer.from(expanded.subarray(0, 32));
    scalar[0] = (scalar[0] as number) & 0xf8;
    scalar[31] = ((scalar[31] as number) & 0x3f) | 0x40;
    const number = BigInt(`0x${Buffer.from(scalar).reverse().toString('hex')}`) % ed25519.Point.Fn.ORDER;
    const publicKey = ed25519.Point.BASE.multiply(number).toBytes();
    const scramble = createHash('sha256').update(`scramble ${password}`).digest();
    assert.ok(ed25519.verify(signEd25519(scramble, password), scramble, publicKey));
  }
});
