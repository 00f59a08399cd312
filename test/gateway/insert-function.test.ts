/** Sequelize's way to insert, by a function that the text makes and drops, on a real server: new rows, duplicates, masks, sessions. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectPostgres } from './connect.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

const inserting = (id: string, shown: string): string =>
  `CREATE OR REPLACE FUNCTION pg_temp.testfunc(OUT response "orders", OUT sequelize_caught_exception text) RETURNS RECORD AS $func_7c$ BEGIN INSERT INTO "orders" ("id","customer_id","product_id","card_number","amount","placed_at") VALUES (${id},1,1,'4000123412341234',77.5,'2026-01-02') RETURNING * INTO response; EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS sequelize_caught_exception = PG_EXCEPTION_DETAIL; END $func_7c$ LANGUAGE plpgsql; SELECT ${shown}, testfunc.sequelize_caught_exception FROM pg_temp.testfunc(); DROP FUNCTION IF EXISTS pg_temp.testfunc();`;
const shown = '(testfunc.response)."card_number", (testfunc.response)."amount"';

type Results = readonly pg.QueryResult<Record<string, unknown>>[];

/** What the three statements gave, in a transaction that goes back. */
async function answer(persona: PersonaName, ...texts: string[]): Promise<Results> {
  const client = await connectPostgres(world, persona);
  try {
    await client.query('BEGIN');
    let last: unknown;
    for (const text of texts) last = await client.query(text);
    await client.query('ROLLBACK');
    return last as Results;
  } finally {
    await client.end();
  }
}

describe('an INSERT by a function of its own text', () => {
  test('gives the row, and nothing of a message', async () => {
    const [make, call, drop] = await answer('dora', inserting('DEFAULT', shown));
    assert.deepEqual([make?.command, call?.command, drop?.command], ['CREATE', 'SELECT', 'DROP']);
    assert.deepEqual(call?.rows, [
      { card_number: '4000123412341234', amount: '77.50', sequelize_caught_exception: null },
    ]);
  });

  test('has the message of a duplicate key in place of an error', async () => {
    const [, call] = await answer('dora', inserting('1', shown));
    assert.deepEqual(call?.rows, [
      { card_number: null, amount: null, sequelize_caught_exception: 'Key (id)=(1) already exists.' },
    ]);
  });

  test('masks the row, and a message that could quote it', async () => {
    for (const columns of [shown, '(testfunc.response).*']) {
      const [, call] = await answer('sam', inserting('DEFAULT', columns));
      assert.equal(call?.rows[0]?.card_number, '************1234');
      assert.equal(call?.rows[0]?.amount, '77.50');
      assert.equal(call?.rows[0]?.sequelize_caught_exception, null);
      const [, again] = await answer('sam', inserting('1', columns));
      assert.equal(again?.rows[0]?.sequelize_caught_exception, '[redacted]');
    }
  });

  test('is refused to whoever may not insert', async () => {
    await assert.rejects(answer('ana', inserting('DEFAULT', shown)), { code: '42501' });
  });

  test('leaves the session as it was, in and out of transactions', async () => {
    const client = await connectPostgres(world, 'dora');
    const cards = 'SELECT count(*) AS n FROM orders WHERE amount = 77.5';
    try {
      await client.query(inserting('1', shown));
      assert.equal((await client.query('SELECT name FROM products WHERE id = 1')).rows.length, 1);
      await client.query('BEGIN');
      await client.query(inserting('DEFAULT', shown));
      await client.query('SAVEPOINT s');
      await client.query(inserting('DEFAULT', shown));
      assert.equal((await client.query(cards)).rows[0].n, '2');
      await assert.rejects(client.query(inserting("'x'", shown)), { code: '22P02' });
      await client.query('ROLLBACK TO s');
      await assert.rejects(client.query('SELECT * FROM pg_temp.testfunc()'));
      await client.query('ROLLBACK');
      assert.equal((await client.query(cards)).rows[0].n, '0');
      await assert.rejects(client.query('SELECT * FROM pg_temp.testfunc()'));
    } finally {
      await client.end();
    }
  });

  test('is no way to prepare several statements', async () => {
    const client = await connectPostgres(world, 'dora');
    try {
      await assert.rejects(client.query({ text: inserting('1', shown), name: 'several' }), { code: '42601' });
      assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    } finally {
      await client.end();
    }
  });
});
