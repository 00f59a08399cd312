/** postgres.js. */
import { connection, driverSteps, load, step, target, text } from './steps.mjs';

const postgres = load('postgres');
const { user, ...rest } = connection;
const sql = postgres({
  ...rest,
  username: user,
  max: 2,
  ssl: target.ca === null ? false : 'prefer',
  onnotice: () => {},
});
const rows = (found) => found.map((row) => Object.values(row));
const query = async (one) => rows(await sql.unsafe(one));
const rollback = Symbol('rollback');
await driverSteps({
  query,
  execute: async (one, values) => rows(await sql.unsafe(one, values, { prepare: true })),
  write: async (one, values) => (await sql.unsafe(one, values)).count,
  numbered: true,
  transaction: async (work) => {
    let value;
    await sql
      .begin(async (inner) => {
        value = await work({
          write: async (one, values) => (await inner.unsafe(one, values)).count,
          query: async (one) => rows(await inner.unsafe(one)),
        });
        throw rollback;
      })
      .catch((error) => {
        if (error !== rollback) throw error;
      });
    return value;
  },
});
await step('tagged', () => sql`SELECT id, name FROM products WHERE id = ANY (${[1, 2]}) ORDER BY id`);
await step('cursor', async () => {
  const all = [];
  await sql.unsafe(text.rows).cursor(2, (some) => void all.push(...rows(some)));
  return all;
});
await step('described', async () =>
  (await sql.unsafe(text.rows).describe()).columns.map((column) => column.name),
);
await step('sleep', () => {
  const sleeping = sql.unsafe(text.sleep);
  setTimeout(() => sleeping.cancel(), 300);
  return sleeping;
});
await step('end', () => query(text.after));
await sql.end();
