/** node-postgres, with pg-cursor. */
import { connection, driverSteps, load, step, text } from './steps.mjs';

const { Client } = load('pg');
const Cursor = load('pg-cursor');
const client = new Client(connection);
client.on('error', () => {});
await client.connect();
const query = async (sql) => (await client.query({ text: sql, rowMode: 'array' })).rows;
await driverSteps({
  query,
  execute: async (sql, values) =>
    (await client.query({ name: sql.slice(0, 40), text: sql, values, rowMode: 'array' })).rows,
  write: async (sql, values) => (await client.query(sql, values)).rowCount,
  numbered: true,
  transaction: async (work) => {
    await client.query('BEGIN');
    try {
      return await work({});
    } finally {
      await client.query('ROLLBACK');
    }
  },
});
await step('masked_binary', async () => {
  const sql = text.masked_prepared.replace('?', '$1');
  const { rows } = await client.query({ text: sql, values: [1], rowMode: 'array', binary: true });
  return rows.map((row) => row.slice(0, 4));
});
await step('cursor', async () => {
  const cursor = client.query(new Cursor(text.rows, [], { rowMode: 'array' }));
  const all = [];
  for (let rows = await cursor.read(2); rows.length > 0; rows = await cursor.read(2)) all.push(...rows);
  await cursor.close();
  return all;
});
await step('several', async () =>
  (await client.query(`${text.after}; ${text.rows}`)).map((one) => one.rowCount),
);
await step('sleep', async () => {
  const side = new Client(connection);
  const sleeping = client.query(text.sleep);
  setTimeout(() => {
    // As `pg` itself cancels: a connection of its own with the key of the first.
    side.connection.on('connect', () => side.connection.cancel(client.processID, client.secretKey));
    side.connection.connect(connection.port, connection.host);
    side.connection.on('error', () => {});
  }, 300);
  return (await sleeping).rows;
});
await step('end', () => query(text.after));
await client.end();
