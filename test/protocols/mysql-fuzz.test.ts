/** Bytes that make no sense, from clients and from upstreams: the process lives, sessions end, nothing hangs. */
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import type { UpstreamTarget } from '../../protocols/gate.ts';
import { encodePacket, PacketFramer } from '../../protocols/mysql/framing.ts';
import { encodeGreeting } from '../../protocols/mysql/handshake.ts';
import { numbered, okPayload, resultPayloads, textRowPayload } from './mysql-chunks.ts';
import { connectClient, listen, noTls } from './mysql-listener.ts';

function upstreamAt(port: number): UpstreamTarget {
  return { name: 'home', host: '127.0.0.1', port, database: 'crm', user: 'u', password: 'p', tls: noTls };
}

/** Signs everybody in, answers the gateway's own queries, and a client's with `answer`. */
async function fakeUpstream(answer: () => Buffer): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const greeting = encodeGreeting({
      serverVersion: '8.0.0',
      connectionId: 1,
      scramble: Buffer.alloc(20, 65),
      capabilities: 0x3fffff & ~0x80,
      status: 2,
      plugin: 'mysql_native_password',
    });
    socket.write(encodePacket(greeting, 0));
    const framer = new PacketFramer(
      {
        starting: () => true,
        passed: () => {},
        packet: (buffer, start, end, sequence) => {
          const text = buffer.toString('latin1', start + 1, end);
          if (sequence === 1) socket.write(encodePacket(okPayload(2), 2));
          else if (text.startsWith('SELECT DATABASE()')) {
            const row = [['crm', '', 'utf8mb4', 'utf8mb4']];
            socket.write(numbered(resultPayloads(['a', 'b', 'c', 'd'], row)));
          } else if (text.startsWith('SELECT @@')) socket.write(numbered(resultPayloads(['m'], [['']])));
          else if (text.startsWith('SET') || text.startsWith('KILL')) socket.write(numbered([okPayload(2)]));
          else socket.end(answer());
        },
      },
      1 << 20,
    );
    socket.on('data', (chunk) => framer.feed(chunk));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function exchange(port: number, chunks: readonly Buffer[]): Promise<void> {
  return new Promise((closed) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => closed());
    socket.resume();
    socket.once('data', () => {
      for (const chunk of chunks) socket.write(chunk);
      socket.end();
    });
  });
}

const hello = Buffer.concat([
  Buffer.from([0x0d, 0xa2, 0x3a, 0, 0, 0, 0, 1, 45]),
  Buffer.alloc(23),
  Buffer.from('ana\0\0crm\0mysql_native_password\0'),
]);

test('bytes of a client before, during and after sign-in', async () => {
  const upstream = await fakeUpstream(() => numbered([okPayload(2)]));
  const listener = await listen({ targets: [upstreamAt(upstream.port)], messageBytesMax: 100_000 });
  const anything = fc.uint8Array({ maxLength: 200 });
  const packets = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.nat(2), anything, packets, async (depth, bytes, payloads) => {
      const chunks: Buffer[] = [];
      if (depth > 0) chunks.push(encodePacket(hello, 1));
      if (depth > 1) chunks.push(encodePacket(Buffer.from('token\0'), 3));
      const commands = payloads.map((payload) => encodePacket(payload, depth > 1 ? 0 : 2 * depth + 1));
      await exchange(listener.port, [...chunks, ...commands, Buffer.from(bytes)]);
    }),
    { numRuns: 150 },
  );
  const client = await connectClient(listener.port);
  await client.query('SELECT 1');
  client.destroy();
  assert.ok(listener.gate.closed > 0);
  await listener.close();
  upstream.close();
});

test('bytes of an upstream in place of an answer', async () => {
  let next: Buffer = Buffer.alloc(0);
  const upstream = await fakeUpstream(() => next);
  const listener = await listen({ targets: [upstreamAt(upstream.port)], messageBytesMax: 100_000 });
  const damaged = fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => {
    const wire = numbered(
      resultPayloads(
        ['id', 'email'],
        [
          ['1', 'secret-value'],
          ['2', null],
        ],
      ),
    );
    wire[at % wire.length] = value;
    return wire;
  });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
        damaged,
      ),
      async (bytes) => {
        next = bytes;
        const client = await connectClient(listener.port);
        client.on('error', () => {});
        await client.query('SELECT email').catch(() => {});
        client.destroy();
      },
    ),
    { numRuns: 150 },
  );
  await listener.close();
  upstream.close();
});

test('an upstream that greets with anything', async () => {
  let next: Buffer = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(next);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const listener = await listen({ targets: [upstreamAt((server.address() as AddressInfo).port)] });
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 120 }), async (bytes) => {
      next = encodePacket(Buffer.from([10, ...bytes]), 0);
      await assert.rejects(connectClient(listener.port), /reached/);
    }),
    { numRuns: 50 },
  );
  await listener.close();
  server.close();
});

test('a client that says too much, or nothing, before it is signed in', async () => {
  const listener = await listen(
    { targets: [upstreamAt(1)] },
    { settings: { handshakeBytesMax: 1000, handshakeTimeoutMs: 200 } },
  );
  await exchange(listener.port, [encodePacket(Buffer.alloc(5000, 1), 1)]);
  const silent = connect(listener.port, '127.0.0.1');
  silent.resume();
  await new Promise((closed) => silent.once('close', closed));
  assert.equal(listener.gate.credentials.length, 0);
  await listener.close();
});

test('a command over the limit is answered and ends the session', async () => {
  const upstream = await fakeUpstream(() => numbered([okPayload(2)]));
  const listener = await listen({ targets: [upstreamAt(upstream.port)], messageBytesMax: 1000 });
  const client = await connectClient(listener.port);
  client.on('error', () => {});
  await assert.rejects(client.query(`SELECT '${'x'.repeat(2000)}'`), { errno: 1153 });
  client.destroy();
  const other = await connectClient(listener.port);
  await other.query(`SELECT '${'x'.repeat(900)}'`);
  other.destroy();
  await listener.close();
  upstream.close();
});

test('masked rows come out whole or not at all when the upstream breaks off', async () => {
  const payloads = resultPayloads(['email'], [['one'], ['two']]).slice(0, -1);
  const broken = Buffer.concat([numbered([...payloads, textRowPayload(['three'])]).subarray(0, -3)]);
  const upstream = await fakeUpstream(() => broken);
  const listener = await listen({ targets: [upstreamAt(upstream.port)] });
  const client = await connectClient(listener.port);
  client.on('error', () => {});
  await assert.rejects(client.query('SELECT email FROM t'), { errno: 1105 });
  client.destroy();
  assert.equal(listener.gate.completions.at(-1)?.error, '2013');
  await listener.close();
  upstream.close();
});
