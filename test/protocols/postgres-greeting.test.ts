/** What comes before the sign-in: packets, TLS, protocol versions, start-up parameters; real sockets, any bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { ProtocolError } from '../../protocols/bytes.ts';
import { firstPacketLength, readFirstPacket } from '../../protocols/postgres/handshake.ts';
import { checkStartupParameters } from '../../protocols/postgres/startup-parameters.ts';
import { writeCertificate } from '../servers/certificates.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { runPsql } from '../servers/psql.ts';
import { scratch } from '../servers/scratch.ts';
import { type Listener, listen, noTls } from './postgres-open-gate.ts';
import { framesOf, message, typesOf } from './postgres-wire.ts';

function packet(major: number, minor: number, ...rest: (string | Buffer)[]): Buffer {
  const content = Buffer.concat(
    rest.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)),
  );
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + content.length, 0);
  header.writeUInt16BE(major, 4);
  header.writeUInt16BE(minor, 6);
  return Buffer.concat([header, content]);
}
const startup = (minor: number, ...words: string[]): Buffer => packet(3, minor, ...words, Buffer.from([0]));
const sslRequest = packet(1234, 5679);

describe('packets', () => {
  it('are read as the manual lays them out', () => {
    assert.deepEqual(readFirstPacket(sslRequest), { kind: 'ssl' });
    assert.deepEqual(readFirstPacket(packet(1234, 5680)), { kind: 'gssenc' });
    assert.deepEqual(readFirstPacket(packet(2, 0)), { kind: 'unsupported', major: 2, minor: 0 });
    const read = readFirstPacket(startup(2, 'user', 'u', '_pq_.x', '1'));
    assert.deepEqual(read, {
      kind: 'startup',
      minor: 2,
      parameters: new Map([['user', 'u']]),
      options: ['_pq_.x'],
    });
  });

  it('with a parameter twice, without an end, or with bytes behind it are no packets', () => {
    for (const bytes of [
      startup(0, 'user', 'a', 'user', 'b'),
      packet(3, 0, 'user', 'a'),
      packet(3, 0, 'user', 'a', Buffer.from([0, 0])),
      packet(1234, 5679, 'x'),
      packet(1234, 5678, Buffer.alloc(6)),
    ]) {
      assert.throws(() => readFirstPacket(bytes), ProtocolError);
    }
    assert.throws(() => firstPacketLength(Buffer.from([0, 1, 0, 0]), 65_536), ProtocolError);
    assert.throws(() => firstPacketLength(Buffer.from([0, 0, 0, 7]), 65_536), ProtocolError);
  });

  it('any bytes are a packet or a ProtocolError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 60 }), fc.boolean(), (bytes, versioned) => {
        const buffer = Buffer.from(bytes);
        if (versioned) buffer.set([0, 3, 0, 0], 4);
        try {
          readFirstPacket(buffer);
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('start-up parameters', () => {
  const check = (words: Record<string, string>) => checkStartupParameters(new Map(Object.entries(words)));

  it('that are harmless pass', () => {
    const checked = check({
      user: 'u',
      client_encoding: 'UTF-8',
      DateStyle: 'ISO, MDY',
      options: '-c geqo=off --statement-timeout=5s -csearch_path=a\\ b',
      application_name: 'x',
    });
    assert.ok('settings' in checked);
    assert.equal(checked.database, 'u');
    assert.deepEqual(Object.fromEntries(checked.settings), {
      datestyle: 'ISO, MDY',
      application_name: 'x',
      geqo: 'off',
      statement_timeout: '5s',
      search_path: 'a b',
      standard_conforming_strings: 'on',
    });
  });

  it('that change identity or meaning do not', () => {
    const names: Record<string, string>[] = [
      { role: 'postgres' },
      { session_authorization: 'postgres' },
      { client_encoding: 'SJIS' },
      { standard_conforming_strings: 'off' },
      { options: '-c role=postgres' },
      { options: '--session-replication-role=replica' },
      { options: '-d 5' },
      { options: '-c role' },
      { replication: 'database' },
      { 'my.own': 'x' },
      { search_path: 'x'.repeat(5000) },
    ];
    for (const words of names) {
      const checked = check({ user: 'u', ...words });
      assert.ok('sqlState' in checked, JSON.stringify(words));
    }
    assert.ok('sqlState' in check({}));
  });
});

describe('a listener', () => {
  let server: PostgresServer;
  let plain: Listener;
  let secured: Listener;
  let clear: Listener;
  let files: { ca: string; cert: string; key: string };
  const folder = scratch('cordon-greeting-');

  before(async () => {
    server = await startPostgres();
    files = writeCertificate(folder.dir);
    const { host, port, user, password } = server;
    const targets = [{ name: 'a', host, port, database: 'postgres', user, password, tls: noTls }];
    const certificate = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
    plain = await listen({ targets }, { handshakeTimeoutMs: 500 });
    secured = await listen({ targets }, { tls: certificate, allowCleartextLoopback: false });
    clear = await listen({ targets }, { allowCleartextLoopback: false });
  });
  after(async () => {
    for (const one of [plain, secured, clear]) await one.close();
    await server.stop();
    folder.remove();
  });

  /** Everything that comes back for some bytes until the other side closes. */
  function answerTo(port: number, ...pieces: Buffer[]): Promise<Buffer> {
    return new Promise((resolve) => {
      const got: Buffer[] = [];
      const socket = net.connect(port, '127.0.0.1', () => {
        for (const piece of pieces) socket.write(piece);
      });
      socket.on('data', (piece: Buffer) => got.push(piece));
      socket.on('error', () => {});
      socket.on('close', () => resolve(Buffer.concat(got)));
    });
  }

  it('serves TLS clients, verified', async () => {
    const to = { port: secured.port, user: 'me', password: 'token', database: 'shop' };
    const run = await runPsql({ ...to, sslmode: 'verify-full', env: { PGSSLROOTCERT: files.ca } }, [
      '-c',
      'select 1',
    ]);
    assert.deepEqual([run.status, run.stdout, run.stderr], [0, '1\n', '']);
    assert.equal(secured.gate.credentials.at(-1)?.tls, true);
    const unencrypted = await runPsql(to, ['-c', 'select 1']);
    assert.match(unencrypted.stderr, /FATAL: {2}this gateway takes a token as password, and only over TLS/);
  });

  it('serves direct TLS to those who name the protocol, and no others', async () => {
    const signIn = (alpn: string[]): Promise<string> =>
      new Promise((resolve) => {
        const got: Buffer[] = [];
        const socket = tls.connect(
          {
            host: '127.0.0.1',
            port: secured.port,
            rejectUnauthorized: false,
            ...(alpn.length > 0 ? { ALPNProtocols: alpn } : {}),
          },
          () => socket.write(startup(0, 'user', 'me')),
        );
        socket.on('data', (piece: Buffer) => {
          got.push(piece);
          const types = typesOf(Buffer.concat(got));
          if (types === 'R') socket.write(message('p', 'token'));
          if (types.endsWith('Z')) socket.end(message('X'));
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(typesOf(Buffer.concat(got))));
      });
    assert.match(await signIn(['postgresql']), /^RRS+KZ$/);
    assert.doesNotMatch(await signIn([]), /R/);
    assert.equal(await signIn(['http/1.1']), '');
  });

  it('closes when bytes stand in front of the TLS handshake', async () => {
    const got = await answerTo(secured.port, Buffer.concat([sslRequest, startup(0, 'user', 'me')]));
    assert.doesNotMatch(got.toString('latin1'), /^S/);
    assert.equal(secured.gate.credentials.filter((c) => !c.tls).length, 0);
  });

  it('answers N to what it does not have', async () => {
    const got = await answerTo(clear.port, packet(1234, 5680), sslRequest, startup(0, 'user', 'me'));
    assert.equal(got.toString('latin1', 0, 2), 'NN');
    assert.match(got.toString(), /C28000/);
  });

  it('speaks 3.2, negotiates what it does not know, and refuses other majors', async () => {
    const negotiated = framesOf(
      await answerTo(
        plain.port,
        startup(9, 'user', 'me', '_pq_.future', '1'),
        message('p', 'token'),
        message('X'),
      ),
    );
    assert.deepEqual(negotiated[0], message('v', [0, 3, 0, 2], [0, 0, 0, 1], '_pq_.future'));
    const key = negotiated.find((frame) => frame[0] === 0x4b);
    assert.equal(key?.length, 1 + 4 + 4 + 32);
    const old = framesOf(
      await answerTo(plain.port, startup(0, 'user', 'me'), message('p', 'token'), message('X')),
    );
    assert.equal(old.find((frame) => frame[0] === 0x4b)?.length, 1 + 4 + 4 + 4);
    assert.ok(old.every((frame) => frame[0] !== 0x76));
    assert.match((await answerTo(plain.port, packet(2, 0))).toString(), /FATAL.*C0A000/s);
    assert.match((await answerTo(plain.port, packet(4, 0))).toString(), /FATAL.*C0A000/s);
  });

  it('gives up on a client that says nothing', async () => {
    assert.match((await answerTo(plain.port)).toString(), /C57014/);
    assert.match((await answerTo(plain.port, startup(0, 'user', 'me'))).toString('latin1'), /^R.*C57014/s);
  });

  it('closes a cancel request without a word', async () => {
    assert.equal((await answerTo(plain.port, packet(1234, 5678, Buffer.alloc(8, 7)))).length, 0);
  });

  it('closes on any other bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 8, maxLength: 200 }), async (bytes) => {
        await answerTo(plain.port, Buffer.from(bytes));
      }),
      { numRuns: 20 },
    );
    const run = await runPsql({ port: plain.port, user: 'me', password: 'token', database: 'shop' }, [
      '-c',
      'select 1',
    ]);
    assert.equal(run.stdout, '1\n');
  });
});
