/**
 * The audit takes nothing: as on a full disk, no file of the gateway can grow. Statements are refused and do not reach the
 * upstream, sessions and transactions live on, and it goes on by itself when there is room.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql, connectPostgres } from './connect.ts';

let world: World;
before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
});
after(() => world?.stop());

function disk(state: 'full' | 'free'): void {
  const size = state === 'full' ? '1' : 'unlimited';
  execFileSync('prlimit', ['--pid', String(world.gateway.process.pid), `--fsize=${size}:`]);
}

/** Runs both at once with the disk full: one of them finds out, together with the other or before it. */
async function refused(...asked: (() => Promise<unknown>)[]): Promise<void> {
  disk('full');
  try {
    const results = await Promise.allSettled(asked.map((ask) => ask()));
    for (const result of results) {
      assert.equal(result.status, 'rejected');
      if (result.status === 'rejected') assert.match(String(result.reason), /audit journal/);
    }
  } finally {
    disk('free');
  }
}

const seen = (word: string): boolean => world.shopEu.logText().includes(word);

describe('PostgreSQL', () => {
  let a: pg.Client;
  let b: pg.Client;
  before(async () => {
    [a, b] = await Promise.all([connectPostgres(world, 'ana'), connectPostgres(world, 'ana')]);
    // What is said once about a session or statement is said: only the decisions are missing.
    await a.query('SELECT 1 AS first_look');
    await b.query('SELECT 1 AS first_look');
  });
  after(() => Promise.all([a?.end(), b?.end()]));

  test('simple and extended statements of one turn are refused, and do not reach the upstream', async () => {
    await refused(
      () => a.query('SELECT name AS unseen_simple FROM products'),
      () => b.query('SELECT name AS unseen_extended FROM products WHERE id = $1', [1]),
    );
    await refused(
      () => a.query('SELECT name AS unseen_again FROM products'),
      () =>
        b.query({
          name: 'p',
          text: 'SELECT name AS unseen_prepared FROM products WHERE id = $1',
          values: [1],
        }),
    );
    assert.ok(!seen('unseen_'), 'the upstream saw nothing of them');
    assert.equal((await a.query('SELECT name AS seen_after FROM products WHERE id = 1')).rowCount, 1);
    const prepared = {
      name: 'p',
      text: 'SELECT name AS seen_prepared FROM products WHERE id = $1',
      values: [1],
    };
    assert.equal((await b.query(prepared)).rowCount, 1);
    assert.ok(seen('seen_after') && seen('seen_prepared'));
  });

  test('a prepared statement is refused at its execution, and runs again afterwards', async () => {
    const prepared = { name: 'q', text: 'SELECT name FROM products WHERE id = $1', values: [1] };
    assert.equal((await a.query(prepared)).rowCount, 1);
    await refused(() => a.query(prepared));
    assert.equal((await a.query(prepared)).rowCount, 1);
  });

  test('an open transaction fails as by any refusal', async () => {
    await a.query('BEGIN');
    await refused(() => a.query('SELECT name FROM products'));
    await assert.rejects(a.query('SELECT name FROM products'), /current transaction is aborted/);
    await a.query('ROLLBACK');
    assert.equal((await a.query('SELECT 1')).rowCount, 1);
  });
});

describe('MariaDB', () => {
  let crm: mysql.Connection;
  before(async () => {
    crm = await connectMySql(world, 'ana');
  });
  after(() => crm?.end());

  test('statements and executions are refused, and run again afterwards', async () => {
    const text = 'SELECT name FROM contacts WHERE id = ?';
    await crm.execute(text, [1]);
    await refused(() => crm.query('SELECT name FROM contacts'));
    await refused(() => crm.execute(text, [1]));
    const [rows] = await crm.execute<mysql.RowDataPacket[]>(text, [1]);
    assert.equal(rows.length, 1);
  });

  test('those of one turn too, in and out of a transaction, and none reaches the upstream', async () => {
    const other = await connectMySql(world, 'ana');
    await other.query('SELECT 1 AS first_look');
    await crm.query('BEGIN');
    await refused(
      () => crm.query('SELECT name AS unseen_in_crm FROM contacts'),
      () => other.query('SELECT name AS unseen_in_crm FROM contacts WHERE id = 1'),
    );
    assert.ok(!world.crm?.logText().includes('unseen_in_crm'));
    for (const client of [crm, other]) await client.query('SELECT name AS seen_in_crm FROM contacts');
    assert.ok(world.crm?.logText().includes('seen_in_crm'));
    await crm.query('COMMIT');
    await other.end();
  });
});

test('what was decided and could not be journaled in time stands as completed with an error, and the chain holds', async () => {
  const { stdout } = await world.cordon('audit', 'export', '--format', 'jsonl');
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; protocol: string; error: string | null });
  const errors = (protocol: string) =>
    rows.flatMap((row) =>
      row.event === 'statement.completed' && row.protocol === protocol ? (row.error ?? []) : [],
    );
  assert.ok(errors('postgres').includes('42501'));
  assert.ok(errors('mysql').includes('1142'));
  const { code } = await world.cordon('audit', 'verify');
  assert.equal(code, 0);
});
