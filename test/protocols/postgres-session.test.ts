/** Real clients through a real server: psql and node-postgres, both query protocols, both formats. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import type { UpstreamTarget } from '../../protocols/gate.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { runPsql } from '../servers/psql.ts';
import { type Listener, listen, noTls } from './postgres-open-gate.ts';
import { message, say } from './postgres-wire.ts';

let server: PostgresServer;
let listener: Listener;

function target(name: string, database: string): UpstreamTarget {
  const { host, port, user, password } = server;
  return { name, host, port, database, user, password, tls: noTls };
}

/** node-postgres, whose pipelining and binary results are switched by `config`. */
async function withClient<T>(
  work: (client: pg.Client) => Promise<T>,
  config: pg.ClientConfig = {},
): Promise<T> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: listener.port,
    user: 'me',
    password: 'token',
    database: 'shop',
    ...config,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}
const psql = (input: string, env: Record<string, string> = {}) =>
  runPsql({ port: listener.port, user: 'me', password: 'token', database: 'shop', env }, [], input);
const marks = (): string => server.logText();

before(async () => {
  server = await startPostgres();
  const admin = new pg.Client({ ...server, database: 'postgres' });
  await admin.connect();
  await admin.query('create database other');
  await admin.query(`create table customers (id int primary key, email text, born date);
    insert into customers select i, 'c' || i || '@example.com', '2000-01-01' from generate_series(1, 200) i`);
  await admin.end();
  listener = await listen({ targets: [target('a', 'postgres'), target('b', 'other')] });
});
after(async () => {
  await listener.close();
  await server.stop();
});
beforeEach(() => {
  listener.gate.credentials.length = 0;
});

describe('signing in', () => {
  it('hands the gate what the client said', async () => {
    await psql('select 1', { PGAPPNAME: 'till' });
    const [credentials] = listener.gate.credentials;
    assert.deepEqual(credentials, {
      protocol: 'postgres',
      user: 'me',
      secret: 'token',
      database: 'shop',
      clientAddress: '127.0.0.1',
      tls: false,
      applicationName: 'till',
    });
    assert.ok(listener.gate.last.isClosed);
  });

  it('says the same of every faulty identity, and 3D000 of an unknown database', async () => {
    await assert.rejects(
      withClient(async () => {}, { password: 'wrong' }),
      { code: '28P01', message: 'password authentication failed for user "me"' },
    );
    await assert.rejects(
      withClient(async () => {}, { database: 'nowhere' }),
      { code: '3D000' },
    );
  });

  it('refuses a start-up parameter that is not on the list, and names it', async () => {
    const refused = await psql('select 1', { PGOPTIONS: '-c session_preload_libraries=evil' });
    assert.match(refused.stderr, /FATAL: {2}start-up parameter "session_preload_libraries" is not permitted/);
    const replication = await runPsql(
      { port: listener.port, user: 'me', password: 'token', database: 'shop' },
      ['-d', 'replication=database', '-c', 'select 1'],
    );
    assert.match(replication.stderr, /replication/);
  });

  it('applies the parameters that are on it', async () => {
    const shown = await psql('show statement_timeout; show search_path; show timezone', {
      PGOPTIONS: '-c statement_timeout=12345 --search-path=pg_catalog,public',
      PGTZ: 'Europe/Berlin',
    });
    assert.equal(shown.stdout, '12345ms\npg_catalog,public\nEurope/Berlin\n');
  });

  it('passes a fault of a value on as the server words it', async () => {
    const refused = await psql('select 1', { PGOPTIONS: '-c statement_timeout=nonsense' });
    assert.match(refused.stderr, /invalid value for parameter "statement_timeout"/);
  });
});

describe('the simple protocol', () => {
  it('relays results, several statements, errors and empty texts', async () => {
    const run = await psql('select 1 as a \\; select 2 \\; select 3;\nselect 1/0;\n;\nselect 4;\n');
    assert.equal(run.stdout, '1\n2\n3\n4\n');
    assert.match(run.stderr, /division by zero/);
    const done = listener.gate.last.completions;
    assert.deepEqual(
      done.map((c) => [c.index, c.rows, c.error]),
      [
        [0, 1, null],
        [1, 1, null],
        [2, 1, null],
        [0, 0, '22012'],
        [0, 1, null],
      ],
    );
  });

  it('refuses as the server would: the session goes on, the upstream sees nothing of the text', async () => {
    const run = await psql("select 'forbidden-1';\nselect 7;\n");
    assert.equal(run.stdout, '7\n');
    assert.match(
      run.stderr,
      /ERROR: {2}this text is forbidden\nDETAIL: {2}reason: .*\nHINT: {2}ask for less/,
    );
    assert.doesNotMatch(marks(), /forbidden-1/);
  });

  it('a refusal fails the open transaction', async () => {
    const run = await psql("begin;\nselect 'forbidden-2';\nselect 1;\ncommit;\nselect 8;\n");
    assert.equal(run.stdout, 'BEGIN\nROLLBACK\n8\n');
    assert.match(run.stderr, /current transaction is aborted/);
    assert.doesNotMatch(marks(), /forbidden-2/);
  });

  it('masks, and leaves other columns as they are', async () => {
    const run = await psql('select id, email, born from customers order by id limit 2;');
    assert.equal(run.stdout, '1|masked|2000-01-01\n2|masked|2000-01-01\n');
  });

  it('relays a large result byte for byte', async () => {
    const run = await psql("select i, repeat('x', 100) from generate_series(1, 100000) i;");
    assert.equal(run.stdout.length, run.stdout.split('\n').length - 1 + 100_000 * 101 + 488_895);
    const [completion] = listener.gate.last.completions;
    assert.equal(completion?.rows, 100_000);
  });

  it('relays one row that is larger than any read', async () => {
    await withClient(async (client) => {
      const { rows } = await client.query("select repeat('y', 5000000) as big, 'z' as small");
      assert.equal(rows[0].big.length, 5_000_000);
      const masked = await client.query("select repeat('y', 5000000) as big, 'raw' as email");
      assert.equal(masked.rows[0].big.length, 5_000_000);
      assert.equal(masked.rows[0].email, 'masked');
    });
  });

  it('closes on a COPY, and words FunctionCall as a refusal', async () => {
    const run = await psql('/* unseen */ copy customers to stdout;\n');
    assert.match(run.stderr, /began a COPY that was not admitted/);
    assert.equal(run.stdout, '');
  });
});

describe('the extended protocol', () => {
  it('masks text and binary results, with and without a name', async () => {
    await withClient(async (client) => {
      for (const binary of [false, true]) {
        for (const name of [undefined, `s${binary}`]) {
          const query = { text: 'select id, email from customers where id = $1', values: [5], binary, name };
          for (let i = 0; i < 2; i++) {
            const { rows } = await client.query(query as pg.QueryConfig);
            assert.equal(rows.length, 1);
            assert.equal(String(rows[0].email), 'masked');
            assert.equal(rows[0].id, 5);
          }
        }
      }
    });
    assert.ok(listener.gate.last.columns.some((columns) => columns.every((c) => c.format === 'binary')));
  });

  it('refuses a Parse inside and outside a transaction, and goes on', async () => {
    await withClient(async (client) => {
      await assert.rejects(client.query("select 'forbidden-3', $1::int", [1]), {
        code: '42501',
        detail: 'reason: statement_kind; decision: d1',
      });
      assert.equal((await client.query('select $1::int as n', [2])).rows[0].n, 2);
      await client.query('begin');
      await assert.rejects(client.query("select 'forbidden-4', $1::int", [1]), { code: '42501' });
      await assert.rejects(client.query('select $1::int', [1]), { code: '25P02' });
      await client.query('rollback');
      assert.equal((await client.query('select $1::int as n', [3])).rows[0].n, 3);
    });
    assert.doesNotMatch(marks(), /forbidden-[34]/);
  });

  it('asks again at each execution', async () => {
    await withClient(async (client) => {
      const query = { name: 'again', text: 'select $1::int as n', values: [1] };
      await client.query(query);
      listener.gate.last.executionsRefused = true;
      await assert.rejects(client.query(query), { code: '42501', message: 'executions are refused' });
      listener.gate.last.executionsRefused = false;
      assert.equal((await client.query(query)).rows[0].n, 1);
    });
  });

  it('withholds the words of an error when masked columns are in play, and only then', async () => {
    await withClient(async (client) => {
      const oracle = 'select email::int from customers where id = 1';
      await assert.rejects(client.query(oracle), (error: pg.DatabaseError) => {
        assert.equal(error.code, '22P02');
        assert.doesNotMatch(JSON.stringify(error) + error.message, /c1@example/);
        return true;
      });
      await assert.rejects(client.query("select 'abc'::int"), /abc/);
    });
  });

  it('answers slowly decided statements in order', async () => {
    await withClient(async (client) => {
      const answers = await Promise.all([
        client.query('select 1 as n /*slow*/'),
        client.query('select $1::int as n /*slow*/', [2]),
        client.query('select 3 as n'),
      ]);
      assert.deepEqual(
        answers.map((answer) => answer.rows[0].n),
        [1, 2, 3],
      );
    });
  });

  it("sends the gate's own text in place of the client's", async () => {
    await withClient(async (client) => {
      assert.equal((await client.query('select /*rewrite*/ 1 as n')).rows[0].n, 43);
      assert.equal((await client.query('select /*rewrite*/ $1::int as n', [1])).rows[0].n, 43);
    });
  });
});

/** A client that writes its messages itself, and reads until as many ReadyForQuery have come. */
async function raw(messages: Buffer[], readies: number): Promise<Buffer[]> {
  const words = Buffer.from('user\0me\0database\0shop\0\0');
  const startup = Buffer.alloc(8 + words.length);
  startup.writeUInt32BE(startup.length, 0);
  startup.writeUInt32BE(0x30000, 4);
  words.copy(startup, 8);
  return new Promise((resolve, reject) => {
    let got: Buffer = Buffer.alloc(0);
    let at = 0;
    const socket = net.connect(listener.port, '127.0.0.1', () => socket.write(startup));
    socket.on('error', reject);
    socket.on('data', (piece: Buffer) => {
      got = Buffer.concat([got, piece]);
      const frames = wholeFrames(got);
      const ready = frames.filter((frame) => frame[0] === 0x5a).length;
      if (at === 0 && frames.length > 0) {
        at = 1;
        socket.write(message('p', 'token'));
      } else if (at === 1 && ready === 1) {
        at = 2;
        socket.write(Buffer.concat(messages));
      } else if (at === 2 && ready === readies + 1) {
        socket.end(say.terminate());
        resolve(frames.slice(frames.findIndex((frame) => frame[0] === 0x5a) + 1));
      }
    });
  });
}
function wholeFrames(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (end > bytes.length) break;
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}
const types = (frames: Buffer[]): string => frames.map((frame) => String.fromCharCode(frame[0]!)).join('');

describe('pipelines', () => {
  const run = (text: string): Buffer[] => [say.parse('', text), say.bind('', ''), say.execute('')];

  it('come back in order, refusals and failures in their places', async () => {
    const frames = await raw(
      [
        ...run('select 1'),
        say.sync(),
        ...run("select 'forbidden-5'"),
        ...run('select 2'),
        say.sync(),
        ...run('select 1/0'),
        ...run("select 'forbidden-6'"),
        say.sync(),
        ...run('select 3'),
        say.sync(),
        say.query("select 'forbidden-7'"),
        say.query('select 4'),
      ],
      6,
    );
    assert.equal(types(frames), '12DCZEZ1EZ12DCZEZTDCZ');
    const errors = frames
      .filter((frame) => frame[0] === 0x45)
      .map((frame) => /C(\w{5})/.exec(frame.toString().slice(5))?.[1]);
    assert.deepEqual(errors, ['42501', '22012', '42501']);
    assert.doesNotMatch(marks(), /forbidden-[567]/);
  });

  it('mask what the server still holds under a name whose Parse it skipped', async () => {
    const frames = await raw(
      [
        say.parse('', 'select email from customers where id = 1'),
        say.sync(),
        say.parse('x', 'select broken from'),
        say.parse('', 'select 1'),
        say.sync(),
        say.bind('', ''),
        say.execute(''),
        say.sync(),
      ],
      3,
    );
    assert.equal(types(frames), '1ZEZ2DCZ');
    assert.match(frames.at(-3)!.toString(), /masked/);
  });

  it('fetch a portal in pieces, masked without Describe', async () => {
    const frames = await raw(
      [
        say.query('begin'),
        say.parse('s', 'select email from customers order by id'),
        say.bind('p', 's'),
        say.execute('p', 2),
        say.execute('p', 2),
        say.flush(),
        say.sync(),
        say.execute('p', 1),
        say.sync(),
        say.query('commit'),
      ],
      4,
    );
    assert.equal(types(frames), 'CZ12DDsDDsZDsZCZ');
    assert.doesNotMatch(Buffer.concat(frames).toString(), /example/);
  });
});

describe("a session's state", () => {
  it('is read again after a setting, inside a transaction and after its end', async () => {
    await psql(
      'set search_path = pg_catalog;\nbegin;\nset local search_path = public;\nselect 1;\nrollback;\nselect 2;\n',
    );
    assert.deepEqual(
      listener.gate.last.states.map((state) => state.path.join()),
      ['pg_catalog,public', 'pg_catalog', 'pg_catalog,public', 'pg_catalog'],
    );
  });

  it('is read again after ROLLBACK TO', async () => {
    await psql(
      'begin;\nsavepoint s;\nset local search_path = pg_catalog;\nrollback to s;\ncommit;\nselect 1;\n',
    );
    assert.deepEqual(
      listener.gate.last.states.map((state) => state.path.join()),
      ['pg_catalog,public', 'pg_catalog', 'pg_catalog,public', 'pg_catalog,public'],
    );
  });

  it('ends the session when the meaning of literals would change', async () => {
    const run = await psql('set standard_conforming_strings = off;\nselect 1;\n');
    assert.match(run.stderr, /FATAL: {2}the session was closed: standard_conforming_strings changed/);
    assert.doesNotMatch(run.stdout, /1/);
    assert.ok(listener.gate.last.isClosed);
  });
});

describe('routes', () => {
  it("go to another upstream between transactions, with the session's settings", async () => {
    const run = await psql(
      "set application_name = 'carried';\nselect current_database() /* route:b */;\nselect current_setting('application_name') /* route:b */;\nselect current_database();\n",
    );
    assert.equal(run.stdout, 'SET\nother\ncarried\npostgres\n');
  });

  it('stay put inside a transaction', async () => {
    const run = await psql('begin;\nselect current_database() /* route:b */;\nrollback;\nselect 5;\n');
    assert.match(run.stderr, /ERROR: {2}the open transaction or pipeline is on upstream "a"/);
    assert.equal(run.stdout, 'BEGIN\nROLLBACK\n5\n');
    assert.ok(listener.gate.last.pins.includes('a'));
    assert.equal(listener.gate.last.pins.at(-1), null);
  });

  it('keep prepared statements where they were parsed', async () => {
    await withClient(async (client) => {
      const there = { name: 'there', text: 'select current_database() as d /* route:b */' };
      const here = { name: 'here', text: 'select current_database() as d' };
      for (let i = 0; i < 2; i++) {
        assert.equal((await client.query(there)).rows[0].d, 'other');
        assert.equal((await client.query(here)).rows[0].d, 'postgres');
      }
    });
  });
});

describe('endings', () => {
  it('a cancel request reaches the running statement, a false key does not', async () => {
    await withClient(async (client) => {
      const sleeping = client.query('select pg_sleep(60)');
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
      // Sent again until the statement has begun and is hit.
      const timer = setInterval(() => sendCancel(processID, secretKey), 50);
      await assert.rejects(sleeping, { code: '57014' }).finally(() => clearInterval(timer));
      const short = client.query('select pg_sleep(0.3), 1 as n');
      sendCancel(processID, secretKey ^ 1);
      assert.equal((await short).rows[0].n, 1);
    });
  });

  it('a client knows itself by the process id that the server names it by', async () => {
    await withClient(async (client) => {
      const { processID } = client as unknown as { processID: number };
      const heard = new Promise<pg.Notification>((resolve) => client.once('notification', resolve));
      await client.query('listen news');
      await client.query('notify news');
      assert.equal((await heard).processId, processID);
      assert.equal((await client.query('select pg_backend_pid() as own')).rows[0].own, processID);
    });
  });

  it('a cancel request ends the wait for a decision', async () => {
    await withClient(async (client) => {
      const held = client.query('select 1 /*held*/');
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
      const timer = setInterval(() => sendCancel(processID, secretKey), 50);
      await assert.rejects(held, { message: 'the wait was ended' }).finally(() => clearInterval(timer));
      assert.equal((await client.query('select 2 as n')).rows[0].n, 2);
    });
  });

  it('a client that leaves while a decision is awaited is noticed', async () => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: listener.port,
      user: 'me',
      password: 'token',
      database: 'shop',
    });
    client.on('error', () => {});
    await client.connect();
    const session = listener.gate.last;
    const held = client.query('select 1 /*held*/').catch(() => 'ended');
    while (!session.texts.some((text) => text.includes('held')))
      await new Promise((resolve) => setImmediate(resolve));
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await held;
    while (!session.isClosed) await new Promise((resolve) => setImmediate(resolve));
  });

  it('kill and drain end the session with 57P01', async () => {
    for (const end of ['kill', 'drain'] as const) {
      await withClient(async (client) => {
        const gone = new Promise<Error & { code?: string }>((resolve) => client.once('error', resolve));
        const control = listener.gate.controls.at(-1)!;
        if (end === 'kill') control.kill('revoked');
        else control.drain();
        assert.equal((await gone).code, '57P01');
      });
      assert.ok(listener.gate.last.isClosed);
    }
  });

  it('draining lets an open transaction finish', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      listener.gate.controls.at(-1)!.drain();
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1);
      const gone = new Promise<Error & { code?: string }>((resolve) => client.once('error', resolve));
      await client.query('commit');
      assert.equal((await gone).code, '57P01');
    });
  });

  it('a client that leaves stops what it was running', async () => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: listener.port,
      user: 'me',
      password: 'token',
      database: 'shop',
    });
    client.on('error', () => {});
    await client.connect();
    const running = client.query('select pg_sleep(61)').catch(() => 'ended');
    const admin = new pg.Client({ ...server, database: 'postgres' });
    await admin.connect();
    const count = async (): Promise<number> =>
      (
        await admin.query(
          "select 1 from pg_stat_activity where query = 'select pg_sleep(61)' and state = 'active'",
        )
      ).rows.length;
    while ((await count()) === 0);
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await running;
    while ((await count()) > 0);
    await admin.end();
  });

  it('a client that does not read stops the upstream, and gets everything later', async () => {
    const admin = new pg.Client({ ...server, database: 'postgres' });
    await admin.connect();
    const text = "select repeat('z', 1000) as slow from generate_series(1, 100000)";
    await withClient(async (client) => {
      const { stream } = (client as unknown as { connection: { stream: net.Socket } }).connection;
      const result = client.query(text);
      stream.pause();
      const stalled = async (): Promise<boolean> => {
        const { rows } = await admin.query(
          'select wait_event from pg_stat_activity where query = $1 and pid <> pg_backend_pid()',
          [text],
        );
        return rows[0]?.wait_event === 'ClientWrite';
      };
      while (!(await stalled()));
      stream.resume();
      assert.equal((await result).rows.length, 100_000);
    });
    await admin.end();
  });

  it('an upstream that dies is told of', async () => {
    await withClient(async (client) => {
      const gone = new Promise<Error & { code?: string }>((resolve) => client.once('error', resolve));
      const admin = new pg.Client({ ...server, database: 'postgres' });
      await admin.connect();
      await admin.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename is not null',
      );
      await admin.end();
      assert.equal((await gone).code, '57P01');
    });
  });
});

function sendCancel(processId: number, key: number): void {
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(80877102, 4);
  packet.writeInt32BE(processId, 8);
  packet.writeInt32BE(key, 12);
  const socket = net.connect(listener.port, '127.0.0.1', () => socket.end(packet));
  socket.on('error', () => {});
}
