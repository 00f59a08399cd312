/** The gateway as a client: authentication methods, TLS, servers that misbehave, and the catalog of a real one. */
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { ProtocolError } from '../../protocols/bytes.ts';
import type { UpstreamTarget, UpstreamTls } from '../../protocols/gate.ts';
import { readTextArray } from '../../protocols/postgres/array-literal.ts';
import { readPostgresCatalog } from '../../protocols/postgres/catalog.ts';
import { ScramClient } from '../../protocols/postgres/scram.ts';
import { connectUpstream, UpstreamUnavailable } from '../../protocols/postgres/upstream.ts';
import { writeCertificate } from '../servers/certificates.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { scratch } from '../servers/scratch.ts';
import { noTls } from './postgres-open-gate.ts';
import { answer, message } from './postgres-wire.ts';

const folder = scratch('cordon-upstream-');
const files = writeCertificate(folder.dir, ['127.0.0.1']);
const foreign = writeCertificate(`${folder.dir}/foreign`, ['elsewhere.example']);
const pem = (path: string): string => readFileSync(path, 'utf8');
let server: PostgresServer;

function target(user: string, password: string, over: Partial<UpstreamTls> = {}): UpstreamTarget {
  return {
    name: 'u',
    host: server.host,
    port: server.port,
    database: 'postgres',
    user,
    password,
    tls: { ...noTls, ...over },
  };
}
async function connects(to: UpstreamTarget): Promise<ReadonlyMap<string, string>> {
  const { socket, parameters } = await connectUpstream(to, new Map([['application_name', 'test']]));
  socket.destroy();
  return parameters;
}

before(async () => {
  server = await startPostgres({
    tls: files,
    hba: [
      'host all md5user 127.0.0.1/32 md5',
      'host all clear 127.0.0.1/32 password',
      'hostssl all tlsonly 127.0.0.1/32 scram-sha-256',
      'host all gss 127.0.0.1/32 reject',
      'host all all 127.0.0.1/32 scram-sha-256',
    ],
  });
  const admin = new pg.Client({ ...server, database: 'postgres' });
  await admin.connect();
  await admin.query("set password_encryption = md5; create role md5user login password 'geheim'");
  await admin.query(
    "set password_encryption = 'scram-sha-256'; create role clear login password 'geheim'; create role tlsonly login password 'pässwörd'; create role gss login",
  );
  await admin.query(`
    create schema "Odd schema";
    create domain positive as int check (value > 0);
    create domain small as positive;
    create table customers (id int primary key, email text not null, amount small, gone int, twice int generated always as (id * 2) stored);
    alter table customers drop column gone;
    create table orders (id int references customers, at date) partition by range (at);
    create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
    create view "Odd schema".v as select c.email as mail, o.at from customers c join orders o using (id);
    create materialized view mv as select 1 as one;
    create function noisy() returns trigger language plpgsql as 'begin return new; end';
    create trigger t before insert on customers for each row execute function noisy();
    create table ruled (a int); create rule r as on insert to ruled do also select 1;
    create function many() returns setof int language sql immutable as 'select 1';
    create type mood as enum ('a', 'b'); create sequence counter`);
  await admin.end();
});
after(async () => {
  await server.stop();
  folder.remove();
});

describe('authentication', () => {
  it('by SCRAM, md5 and password', async () => {
    assert.equal((await connects(target(server.user, server.password))).get('client_encoding'), 'UTF8');
    await connects(target('md5user', 'geheim'));
    await connects(target('clear', 'geheim'));
    await connects(target('tlsonly', 'pässwörd', { mode: 'require' }));
  });

  it('fails without a word of the password', async () => {
    for (const user of [server.user, 'md5user', 'clear', 'gss']) {
      await assert.rejects(connects(target(user, 'not-this-one')), (error: Error) => {
        assert.ok(error instanceof UpstreamUnavailable);
        assert.doesNotMatch(error.message, /not-this-one/);
        return true;
      });
    }
  });
});

describe('TLS', () => {
  it('is verified by default, chain and name', async () => {
    await connects(target(server.user, server.password, { mode: 'verify-full', ca: pem(files.ca) }));
    await connects(target(server.user, server.password, { mode: 'verify-ca', ca: pem(files.ca) }));
    await assert.rejects(
      connects(target(server.user, server.password, { mode: 'verify-full', ca: pem(foreign.ca) })),
      /TLS was not established/,
    );
    await assert.rejects(
      connects(target(server.user, server.password, { mode: 'verify-ca', ca: pem(foreign.ca) })),
      /TLS was not established/,
    );
    await assert.rejects(
      connects(target(server.user, server.password, { mode: 'verify-full' })),
      /TLS was not established/,
    );
  });

  it('asks for the name only when it is to be checked', async () => {
    const misnamed = await startPostgres({ tls: foreign });
    try {
      const to = (mode: UpstreamTls['mode']): UpstreamTarget => ({
        ...target(misnamed.user, misnamed.password, { mode, ca: pem(foreign.ca) }),
        port: misnamed.port,
      });
      await assert.rejects(connects(to('verify-full')), /TLS was not established/);
      await connects(to('verify-ca'));
      await connects({ ...to('require'), tls: { ...noTls, mode: 'require' } });
    } finally {
      await misnamed.stop();
    }
  });
});

/** A server that says `pieces`, one for each time it hears something. */
async function withFake<T>(
  pieces: Buffer[],
  work: (port: number, heard: Buffer[]) => Promise<T>,
): Promise<T> {
  const heard: Buffer[] = [];
  const sockets = new Set<net.Socket>();
  const fake = net.createServer((socket) => {
    sockets.add(socket);
    let at = 0;
    socket.on('error', () => {});
    socket.on('data', (piece: Buffer) => {
      heard.push(piece);
      const next = pieces[at++];
      if (next === undefined) socket.end();
      else socket.write(next);
    });
  });
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  try {
    return await work((fake.address() as net.AddressInfo).port, heard);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => fake.close(resolve));
  }
}

describe('a server that misbehaves', () => {
  const to = (port: number, over: Partial<UpstreamTls> = {}): UpstreamTarget => ({
    ...target('u', 'secret'),
    port,
    tls: { ...noTls, ...over },
  });
  const sasl = message('R', [0, 0, 0, 10], 'SCRAM-SHA-256', [0]);
  const cases: [string, Buffer[], Partial<UpstreamTls>][] = [
    ['offers no TLS', [Buffer.from('N')], { mode: 'require' }],
    ['sends bytes ahead of TLS', [Buffer.from('SX')], { mode: 'require' }],
    ['wants an unknown method', [message('R', [0, 0, 0, 7])], {}],
    ['wants an unknown mechanism', [message('R', [0, 0, 0, 10], 'OTHER', [0])], {}],
    ['sends half a SASL list', [message('R', [0, 0, 0, 10], Buffer.from('SCRAM'))], {}],
    ['skips the challenge', [sasl, message('R', [0, 0, 0, 12], Buffer.from(`v=${'A'.repeat(43)}=`))], {}],
    ['says OK before it has proved itself', [sasl, message('R', [0, 0, 0, 0])], {}],
    [
      'continues another nonce',
      [sasl, message('R', [0, 0, 0, 11], Buffer.from('r=other,s=QUJD,i=4096'))],
      {},
    ],
    ['sends rows during start-up', [answer.row('1')], {}],
    ['sends an impossible length', [Buffer.from([0x52, 0, 0, 0, 1])], {}],
    ['sends a huge length', [Buffer.from([0x52, 0x7f, 0, 0, 0])], {}],
    ['closes', [], {}],
  ];
  for (const [what, pieces, over] of cases) {
    it(`and ${what} is given up on`, async () => {
      await withFake(pieces, async (port, heard) => {
        await assert.rejects(connects(to(port, over)), UpstreamUnavailable);
        assert.doesNotMatch(Buffer.concat(heard).toString('latin1'), /secret/);
      });
    });
  }

  it('any bytes during start-up end the attempt', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 4 }),
        async (pieces) => {
          await withFake(
            pieces.map((piece) => Buffer.from(piece)),
            async (port) => {
              const abort = new AbortController();
              const attempt = connectUpstream(to(port), new Map(), abort.signal);
              setImmediate(() => setImmediate(() => abort.abort()));
              await assert.rejects(attempt, UpstreamUnavailable);
            },
          );
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('SCRAM', () => {
  /** The server's side, written from RFC 5802. */
  function serverSide(
    password: string,
    first: string,
    iterations = 4096,
  ): { challenge: string; final(sent: string): string } {
    const bare = first.slice(3);
    const nonce = `${/r=(.*)$/.exec(bare)![1]}server`;
    const salt = Buffer.from('0123456789abcdef');
    const challenge = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
    return {
      challenge,
      final(sent) {
        const message = `${bare},${challenge},${sent.slice(0, sent.lastIndexOf(',p='))}`;
        const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
        const clientKey = createHmac('sha256', salted).update('Client Key').digest();
        const stored = createHash('sha256').update(clientKey).digest();
        const proof = Buffer.from(sent.slice(sent.lastIndexOf(',p=') + 3), 'base64');
        const signed = createHmac('sha256', stored).update(message).digest();
        assert.deepEqual(Buffer.from(proof.map((byte, i) => byte ^ signed[i]!)), clientKey);
        const serverKey = createHmac('sha256', salted).update('Server Key').digest();
        return `v=${createHmac('sha256', serverKey).update(message).digest('base64')}`;
      },
    };
  }

  it('proves itself, and believes a server that does', async () => {
    const client = new ScramClient('pencil', 'rOprNGfwEbeRWgbNEkqO');
    const side = serverSide('pencil', client.first());
    client.verify(side.final(await client.final(side.challenge)));
  });

  it('does not believe a server that does not know the password', async () => {
    const client = new ScramClient('pencil', 'abc');
    const side = serverSide('pencil', client.first());
    await client.final(side.challenge);
    assert.throws(() => client.verify(`v=${Buffer.alloc(32).toString('base64')}`), ProtocolError);
    assert.throws(() => client.verify('e=other-error'), ProtocolError);
  });

  it('takes no challenge out of bounds', async () => {
    const challenges = [
      'r=abcX,s=QUJD,i=1',
      'r=abcX,s=QUJD,i=99999999',
      'r=abc,s=QUJD,i=4096',
      'r=zzz,s=QUJD,i=4096',
      'r=abcX,i=4096',
      '',
      'm=x,r=abcX,s=QUJD,i=4096',
    ];
    for (const challenge of challenges) {
      await assert.rejects(new ScramClient('pencil', 'abc').final(challenge), ProtocolError, challenge);
    }
  });
});

describe('array literals', () => {
  it('are read as the server writes them', () => {
    assert.deepEqual(readTextArray('{}'), []);
    assert.deepEqual(readTextArray('{a,"b c","q\\"x\\\\",NULL,"NULL",""}'), [
      'a',
      'b c',
      'q"x\\',
      null,
      'NULL',
      '',
    ]);
  });
  it('or not at all', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('{', '}', '"', '\\', ',', 'a', ' ') }), (text) => {
        try {
          readTextArray(text);
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
        }
      }),
    );
    for (const text of ['', '{', '{a', '{a,}', '{"a}', '{{a}}', 'a', '{a}b']) {
      assert.throws(() => readTextArray(text), ProtocolError, text);
    }
  });
});

describe('the catalog', () => {
  it('holds what the server says exists', async () => {
    const { catalog } = await readPostgresCatalog(target(server.user, server.password), 7);
    assert.equal(catalog.version, 7);
    assert.equal(Math.floor(catalog.serverVersion / 10_000), 18);
    const customers = catalog.table('public', 'customers')!;
    assert.deepEqual(
      customers.columns.map((c) => [c.name, c.position, c.type, c.typeId, c.notNull, c.generated]),
      [
        ['id', 1, 'int4', 23, true, false],
        ['email', 2, 'text', 25, true, false],
        ['amount', 3, 'int4', 23, false, false],
        ['twice', 5, 'int4', 23, false, true],
      ],
    );
    assert.equal(customers.hasTriggers, true);
    assert.equal(catalog.tableByOid(customers.oid), customers);
    assert.equal(catalog.table('public', 'orders')?.kind, 'partitioned');
    assert.equal(catalog.table('public', 'orders')?.hasTriggers, false);
    assert.equal(catalog.table('public', 'ruled')?.hasTriggers, true);
    assert.deepEqual(catalog.table('public', 'orders_2026')?.parents, ['public.orders']);
    const view = catalog.table('Odd schema', 'v')!;
    assert.equal(view.kind, 'view');
    assert.match(view.definition!, /public\.customers c[\s\S]*public\.orders o/);
    assert.doesNotMatch(view.definition!, /;/);
    assert.equal(view.hasTriggers, false);
    assert.equal(catalog.table('public', 'mv')?.kind, 'materialized_view');
    assert.equal(catalog.table('public', 'counter')?.kind, 'sequence');
    const activity = catalog.table('pg_catalog', 'pg_stat_activity');
    assert.equal(activity?.kind, 'system');
    assert.ok(activity.columns.some((column) => column.name === 'query'));
    assert.equal(catalog.table('information_schema', 'tables')?.kind, 'system');
    assert.ok(
      catalog.hasSchema('Odd schema') &&
        catalog.hasType('public', 'mood') &&
        catalog.hasType('public', 'small'),
    );
    const [lower] = catalog.functions('pg_catalog', 'lower');
    assert.ok(lower?.builtin && lower.volatility === 'immutable');
    const [many] = catalog.functions('public', 'many');
    assert.deepEqual([many?.builtin, many?.returnsSet, many?.kind], [false, true, 'function']);
    assert.ok(catalog.functions('pg_catalog', 'count').every((fn) => fn.kind === 'aggregate'));
  });

  it('can be given up on', async () => {
    const abort = new AbortController();
    const reading = readPostgresCatalog(target(server.user, server.password), 1, abort.signal);
    abort.abort();
    await assert.rejects(reading, UpstreamUnavailable);
  });
});
