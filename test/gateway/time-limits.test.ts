/** Limits on what a session is at: idling, an open transaction, a statement; and what of a session gives it more time. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { limitsSchema } from '../../gateway/limits.ts';
import type { OpenSession } from '../../gateway/state.ts';
import { TimeLimits } from '../../gateway/time-limits.ts';
import type { SessionActivity } from '../../protocols/gate.ts';
import { connectMySql, connectPostgres } from './connect.ts';

const statementMs = 900;
let world: World;
before(async () => {
  world = await startWorld({
    mysql: 'mariadb',
    config: {
      limits: {
        idle_session_timeout_ms: 3000,
        idle_transaction_timeout_ms: 1500,
        statement_timeout_ms: statementMs,
      },
    },
  });
});
after(() => world?.stop());

interface Told {
  readonly code?: string | number;
  readonly message: string;
}

/** The error that the client hears of before its connection ends. */
function lastWords(client: pg.Client): Promise<Told> {
  return new Promise((resolve) => client.once('error', resolve));
}
function lastWordsOf(connection: mysql.Connection): Promise<Told> {
  return new Promise((resolve) => connection.once('error', resolve));
}

/** Asks again and again until `ended`. */
async function keepAsking(ended: Promise<unknown>, ask: () => Promise<unknown>): Promise<void> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over) await ask();
}

test('PostgreSQL: a session that idles ends, one that works does not', async () => {
  const working = await connectPostgres(world, 'ana');
  const ended = lastWords(await connectPostgres(world, 'ana'));
  await keepAsking(ended, () => working.query('SELECT 1'));
  assert.equal((await ended).code, '57P05');
  assert.match((await ended).message, /idle-session timeout/);
  await working.end();
});

test('PostgreSQL: a transaction that idles ends the session, failed or not', async () => {
  const [working, idle] = await Promise.all([connectPostgres(world, 'ana'), connectPostgres(world, 'ana')]);
  const ended = lastWords(idle);
  await Promise.all([idle.query('BEGIN'), working.query('BEGIN')]);
  await keepAsking(ended, () => working.query('SELECT 1'));
  assert.equal((await ended).code, '25P03');
  await working.query('COMMIT');
  await assert.rejects(idle.query('COMMIT'));
  const failed = await connectPostgres(world, 'ana');
  await failed.query('BEGIN');
  const end = lastWords(failed);
  await assert.rejects(failed.query('SELECT 1/0'), { code: '22012' });
  await keepAsking(end, () => working.query('SELECT 1'));
  assert.equal((await end).code, '25P03');
  await working.end();
});

test('PostgreSQL: a statement that takes too long is cancelled, and the session goes on', async () => {
  const client = await connectPostgres(world, 'ana');
  const timeout = { code: '57014', message: 'canceling statement due to statement timeout' };
  await assert.rejects(client.query('SELECT pg_sleep(60)'), timeout);
  await assert.rejects(client.query('SELECT pg_sleep($1)', [60]), timeout);
  await client.query('BEGIN');
  await assert.rejects(client.query('SELECT pg_sleep(60)'), timeout);
  await client.query('ROLLBACK');
  const { rows } = await client.query('SELECT 1 AS one');
  assert.deepEqual(rows, [{ one: 1 }]);
  await client.end();
});

test('PostgreSQL: the time is that of a statement, not of a session', async () => {
  const client = await connectPostgres(world, 'ana');
  const each = statementMs / 3000;
  for (let i = 0; i < 5; i++) await client.query('SELECT pg_sleep($1)', [each]);
  await client.end();
});

test('MariaDB: a session that idles ends, one that works does not', async () => {
  const working = await connectMySql(world, 'ana');
  const ended = lastWordsOf(await connectMySql(world, 'ana'));
  await keepAsking(ended, () => working.query('SELECT 1'));
  assert.equal(Number((await ended).code), 4031);
  await working.end();
});

test('MariaDB: a transaction that idles ends the session', async () => {
  const [working, idle] = await Promise.all([connectMySql(world, 'ana'), connectMySql(world, 'ana')]);
  const ended = lastWordsOf(idle);
  await Promise.all([idle.query('BEGIN'), working.query('BEGIN')]);
  await keepAsking(ended, () => working.query('SELECT 1'));
  assert.match((await ended).message, /in a transaction/);
  await working.query('COMMIT');
  await working.end();
});

test('MariaDB: a statement that takes too long is cancelled, and the session goes on', async () => {
  const connection = await connectMySql(world, 'ana', { multipleStatements: true });
  const timeout = { errno: 3024, code: 'ER_QUERY_TIMEOUT' };
  await assert.rejects(connection.query('SELECT SLEEP(60)'), timeout);
  await assert.rejects(connection.execute('SELECT SLEEP(60)'), timeout);
  const [rows] = await connection.query('SELECT 1 AS one');
  assert.deepEqual(rows, [{ one: 1 }]);
  const each = statementMs / 3000;
  await connection.query(Array.from({ length: 6 }, () => `SELECT SLEEP(${each})`).join('; '));
  await connection.end();
});

/** A session as the sweep sees it. */
function session(): { activity: SessionActivity; turns: number; readonly expired: SessionActivity[] } {
  return { activity: 'idle', turns: 0, expired: [] };
}

/** Sweeps over sessions, by a clock that the test moves. */
function sweeper(limits: object, seen: ReturnType<typeof session>[]): (ms: number) => void {
  let now = 0;
  const open = seen.map((one, index) => {
    const control = {
      get activity() {
        return one.activity;
      },
      get turns() {
        return one.turns;
      },
      expire: (activity: SessionActivity) => one.expired.push(activity),
    };
    return [String(index), { control } as unknown as OpenSession] as const;
  });
  const timeLimits = new TimeLimits(limitsSchema.parse(limits), new Map(open), () => now);
  return (ms) => {
    now += ms;
    timeLimits.sweep();
  };
}

test('a limit never acts early, and acts again when it had no effect', () => {
  const slow = session();
  const lively = session();
  slow.activity = 'statement';
  const sweep = sweeper({ statement_timeout_ms: 4000 }, [slow, lively]);
  for (let i = 0; i <= 3; i++) sweep(1000);
  assert.deepEqual(slow.expired, []);
  sweep(1000);
  assert.deepEqual(slow.expired, ['statement']);
  for (let i = 0; i < 4; i++) sweep(1000);
  assert.deepEqual(slow.expired, ['statement', 'statement']);
  for (let i = 0; i < 20; i++) {
    slow.turns++;
    sweep(1000);
  }
  assert.deepEqual([slow.expired.length, lively.expired.length], [2, 0]);
});

test('time in which the process stood still is nobody’s', () => {
  const idle = session();
  const sweep = sweeper({ idle_session_timeout_ms: 60_000 }, [idle]);
  sweep(1000);
  sweep(3_600_000);
  assert.deepEqual(idle.expired, []);
  for (let i = 0; i < 58; i++) sweep(1000);
  assert.deepEqual(idle.expired, ['idle']);
});

test('what waits for the gateway is not limited, and nothing is swept without limits', () => {
  const waiting = session();
  waiting.activity = 'waiting';
  const sweep = sweeper(
    { statement_timeout_ms: 1000, idle_session_timeout_ms: 1000, idle_transaction_timeout_ms: 1000 },
    [waiting],
  );
  for (let i = 0; i < 100; i++) sweep(250);
  assert.deepEqual(waiting.expired, []);
  assert.equal(new TimeLimits(limitsSchema.parse({}), new Map(), () => 0).intervalMs, null);
});
