/** SCRAM-SHA-256-PLUS towards upstreams: a real server takes the binding, and one who stands between does not get through. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import type { UpstreamTarget } from '../../protocols/gate.ts';
import { endPointHash } from '../../protocols/postgres/channel-binding.ts';
import { connectUpstream } from '../../protocols/postgres/upstream.ts';
import { writeCertificate } from '../servers/certificates.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { scratch } from '../servers/scratch.ts';
import { noTls } from './postgres-open-gate.ts';
import { message } from './postgres-wire.ts';

const folder = scratch('cordon-binding-');
const files = writeCertificate(folder.dir);
const foreign = writeCertificate(`${folder.dir}/foreign`);
const sslRequest = Buffer.from('0000000804d2162f', 'hex');
let server: PostgresServer;

before(async () => {
  server = await startPostgres({ tls: files, hba: ['hostssl all all 127.0.0.1/32 scram-sha-256'] });
});
after(() => server.stop());

async function connects(port: number): Promise<void> {
  const { host, user, password } = server;
  const to: UpstreamTarget = {
    ...{ name: 'u', host, port, database: 'postgres', user, password },
    tls: { ...noTls, mode: 'require' },
  };
  const { socket } = await connectUpstream(to, new Map());
  socket.destroy();
}

/** TLS of its own on one side and the server's on the other. `change` rewrites what the server says. */
async function between(
  certificate: { readonly cert: string; readonly key: string },
  work: (port: number) => Promise<void>,
  change: (piece: Buffer) => Buffer = (piece) => piece,
): Promise<void> {
  const secureContext = tls.createSecureContext({
    cert: readFileSync(certificate.cert),
    key: readFileSync(certificate.key),
  });
  const sockets: net.Socket[] = [];
  const listener = net.createServer((plain) => {
    plain.once('data', () => {
      plain.write('S');
      const client = new tls.TLSSocket(plain, { isServer: true, secureContext });
      const behind = net.connect(server.port, server.host, () => behind.write(sslRequest));
      behind.once('data', () => {
        const upstream = tls.connect({ socket: behind, rejectUnauthorized: false });
        upstream.on('data', (piece: Buffer) => client.write(change(piece)));
        upstream.on('end', () => client.end());
        client.on('data', (piece: Buffer) => upstream.write(piece));
        for (const socket of [client, upstream]) socket.on('error', () => {});
      });
      sockets.push(client, behind);
    });
    plain.on('error', () => {});
    sockets.push(plain);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    await work((listener.address() as net.AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
}

describe('channel binding, where certificates are not verified', () => {
  it('holds with the server itself, and with one who has its key', async () => {
    await connects(server.port);
    await between(files, connects);
  });

  it('refuses one who stands between with another certificate', async () => {
    await between(foreign, (port) =>
      assert.rejects(connects(port), /refused the connection \(28000\)|28P01|08P01/),
    );
    assert.match(server.logText(), /SCRAM channel binding check failed/);
  });

  it('refuses one who hides that the server offers it', async () => {
    const offered = Buffer.from('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0', 'latin1');
    const plain = message('R', Buffer.from([0, 0, 0, 10]), 'SCRAM-SHA-256', Buffer.from([0]));
    await between(
      foreign,
      (port) => assert.rejects(connects(port), /refused the connection/),
      (piece) => (piece.includes(offered) ? plain : piece),
    );
    assert.match(server.logText(), /client supports SCRAM channel binding but thinks the server does not/);
  });
});

describe('the hash of a certificate', () => {
  it('is by the hash of its signature', () => {
    const { raw } = new X509Certificate(readFileSync(files.cert));
    assert.deepEqual(endPointHash(raw), createHash('sha256').update(raw).digest());
  });

  it('is none where the signature has none, or the certificate can not be read', () => {
    const { raw } = new X509Certificate(readFileSync(files.cert));
    for (let length = 0; length < 60; length++) assert.equal(endPointHash(raw.subarray(0, length)), null);
    const other = Buffer.from(raw);
    const identifier = other.lastIndexOf(Buffer.from('2a8648ce3d040302', 'hex'));
    other[identifier + 7] = 0x7f;
    assert.equal(endPointHash(other), null);
    assert.equal(endPointHash(Buffer.alloc(64, 0x30)), null);
  });
});
