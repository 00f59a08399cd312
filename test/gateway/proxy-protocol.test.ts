/** PROXY headers at the listeners: believed of trusted proxies, refused from everybody else. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import { startWorld, type World } from '../../fixtures/world.ts';
import { binaryHeader } from '../protocols/proxy-wire.ts';
import { type ForwarderOptions, startForwarder } from './forwarder.ts';

/** The proxy; nothing else on this machine is one. */
const proxy = '127.0.0.2';
let world: World;
/** Ana's, without a word on where she is: her address tells. */
let token: string;
before(async () => {
  world = await startWorld({
    mysql: 'mariadb',
    config: {
      limits: { handshake_timeout_ms: 6000 },
      identity: { networks: { eu: ['127.0.0.0/8'], us: ['10.2.0.0/16', '2001:db8::/32'] } },
    },
  });
  await world.gateway.stop();
  const config = parse(readFileSync(world.configFile, 'utf8'));
  for (const listener of Object.values(config.listeners as Record<string, Record<string, unknown>>)) {
    listener.proxy_protocol = { from: [`${proxy}/32`] };
  }
  const { oidc } = config.identity;
  assert.ok(oidc !== undefined);
  writeFileSync(world.configFile, stringify(config));
  world.gateway = await world.startGateway();
  const now = Math.floor(Date.now() / 1000);
  token = await world.identity.token({
    sub: 'ana',
    groups: ['analysts-eu'],
    iat: now,
    exp: now + 3600,
  });
});
after(() => world?.stop());

const line = (source: string): Buffer => Buffer.from(`PROXY TCP4 ${source} 127.0.0.1 4711 5432\r\n`);
const american = line('10.2.0.7');
const binary = binaryHeader({ source: Buffer.from([10, 2, 0, 8]), tlvs: 300 });

type How = Omit<ForwarderOptions, 'from'> & { readonly from?: string };

/** Runs `use` with the port of a forwarder to a listener. */
async function through<T>(
  protocol: 'postgres' | 'mysql',
  how: How,
  use: (port: number) => Promise<T>,
): Promise<T> {
  const forwarder = await startForwarder(world.gateway.ports[protocol], { from: proxy, ...how });
  try {
    return await use(forwarder.port);
  } finally {
    await forwarder.close();
  }
}

const tls = () => ({ ca: readFileSync(world.caFile, 'utf8'), servername: 'localhost' });

async function postgres(port: number, more: object = {}): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'ana',
    password: token,
    database: 'shop',
    ...more,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

function maria(port: number, encrypted: boolean): Promise<mysql.Connection> {
  return mysql.createConnection({
    host: '127.0.0.1',
    port,
    user: 'ana',
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${token}\0`) },
    ...(encrypted ? { ssl: { ca: readFileSync(world.caFile, 'utf8'), rejectUnauthorized: false } } : {}),
  });
}

/** Where the gateway takes each client to be: address and region of every open session. */
async function places(): Promise<[string, string | null][]> {
  const { stdout } = await world.cordon('sessions', 'list', '--json');
  const listed = JSON.parse(stdout) as { client_address: string; client_region: string | null }[];
  return listed.map((one): [string, string | null] => [one.client_address, one.client_region]).sort();
}

/** Opens sessions of the header's maker through forwarders, and tells where they are. */
async function placesOf(opened: readonly (() => Promise<{ end(): Promise<void> }>)[]) {
  const sessions = await Promise.all(opened.map((open) => open()));
  const found = await places();
  await Promise.all(sessions.map((session) => session.end()));
  while ((await places()).length > 0);
  return found;
}

/** A session that ends its forwarder too. */
async function session(
  protocol: 'postgres' | 'mysql',
  how: How,
  connect: (port: number) => Promise<{ query(text: string): Promise<unknown>; end(): Promise<void> }>,
): Promise<{ end(): Promise<void> }> {
  const forwarder = await startForwarder(world.gateway.ports[protocol], { from: proxy, ...how });
  const client = await connect(forwarder.port);
  await client.query('SELECT 1');
  return {
    end: async () => {
      await client.end();
      await forwarder.close();
    },
  };
}

test('PostgreSQL: the address of the header is the client’s, TLS or direct TLS behind it', async () => {
  const cases = (['whole', 'bytes', 'joined'] as const).flatMap((sent) =>
    ['postgres', 'direct'].map((sslnegotiation) => ({ sent, sslnegotiation })),
  );
  const opened = cases.flatMap(({ sent, sslnegotiation }, index) =>
    [line(`10.2.1.${index}`), binaryHeader({ source: Buffer.from([10, 2, 2, index]), tlvs: 300 })].map(
      (header) => () =>
        session('postgres', { header, sent }, (port) => postgres(port, { ssl: tls(), sslnegotiation })),
    ),
  );
  const expected = [1, 2].flatMap((net) => cases.map((_, index) => [`10.2.${net}.${index}`, 'us']));
  assert.deepEqual(await placesOf(opened), expected);
});

test('MariaDB: the address of the header is the client’s', async () => {
  const opened = (['whole', 'bytes'] as const).flatMap((sent, index) =>
    [line(`10.2.1.${index}`), binaryHeader({ source: Buffer.from([10, 2, 2, index]), tlvs: 300 })].map(
      (header) => () => session('mysql', { header, sent }, (port) => maria(port, true)),
    ),
  );
  const expected = ['10.2.1.0', '10.2.1.1', '10.2.2.0', '10.2.2.1'].map((address) => [address, 'us']);
  assert.deepEqual(await placesOf(opened), expected);
});

test('cleartext is for clients that are local to a local proxy, and never by the proxy’s own address', async () => {
  const silent = [
    Buffer.from('PROXY UNKNOWN\r\n'),
    binaryHeader({ command: 0, source: Buffer.from([127, 0, 0, 1]) }),
    binaryHeader({ family: 0 }),
  ];
  for (const header of [american, binary, ...silent]) {
    await assert.rejects(
      through('postgres', { header }, (port) => postgres(port)),
      { code: '28000' },
    );
    await assert.rejects(
      through('mysql', { header }, (port) => maria(port, false)),
      /over TLS only/,
    );
  }
  const header = line('127.0.0.9');
  const found = await placesOf([
    () => session('postgres', { header }, (port) => postgres(port)),
    () => session('mysql', { header }, (port) => maria(port, false)),
  ]);
  assert.deepEqual(found, [
    ['127.0.0.9', 'eu'],
    ['127.0.0.9', 'eu'],
  ]);
});

test('where the proxy does not say whose it is, the client is nowhere; who is no proxy is where it is', async () => {
  const header = Buffer.from('PROXY UNKNOWN\r\n');
  const found = await placesOf([
    () => session('postgres', { header }, (port) => postgres(port, { ssl: tls() })),
    () => session('mysql', { header }, (port) => maria(port, true)),
    () => session('postgres', { header: Buffer.alloc(0), from: '127.0.0.3' }, (port) => postgres(port)),
    () => session('mysql', { header: Buffer.alloc(0), from: '127.0.0.3' }, (port) => maria(port, false)),
  ]);
  assert.deepEqual(found, [
    ['', null],
    ['', null],
    ['127.0.0.3', 'eu'],
    ['127.0.0.3', 'eu'],
  ]);
});

/** Everything that the gateway says to these bytes until it closes. */
function answerTo(protocol: 'postgres' | 'mysql', bytes: Buffer, from: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = world.gateway.ports[protocol];
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: from, family: 4 });
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      answer += part;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
    socket.write(bytes);
  });
}

test('who is no proxy can’t send a header', async () => {
  for (const header of [american, binary, line('127.0.0.1')]) {
    assert.match(await answerTo('postgres', header, '127.0.0.1'), /protocol violation/);
    assert.match(await answerTo('mysql', header, '127.0.0.1'), /Bad handshake/);
    await assert.rejects(through('postgres', { header, from: '127.0.0.3' }, (port) => postgres(port)));
    await assert.rejects(through('mysql', { header, from: '127.0.0.3' }, (port) => maria(port, false)));
  }
});

test('a proxy’s connection without a header, or with another thing in its place, is closed without a word', async () => {
  const startup = Buffer.from('0000000804d2162f', 'hex');
  const tooLate = Buffer.from('PROXY TCP4 10.2.0.7 ');
  const twice = Buffer.concat([american, line('127.0.0.1')]);
  const all = [startup, tooLate, Buffer.from('\r\n\r\n'), binaryHeader({ family: 0x31 })];
  const answers = all.flatMap((bytes) => [
    answerTo('postgres', bytes, proxy),
    answerTo('mysql', bytes, proxy),
  ]);
  for (const answer of await Promise.all(answers)) assert.equal(answer, '');
  // The second one is the client's, who may not send any.
  assert.match(await answerTo('postgres', twice, proxy), /protocol violation/);
  await assert.rejects(
    through('postgres', { header: Buffer.alloc(0) }, (port) => postgres(port, { ssl: tls() })),
  );
});
