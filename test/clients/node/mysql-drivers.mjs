/** mysql2, mysql and mariadb (the first argument). */
import { connection, driverSteps, load, step, target, text, tls } from './steps.mjs';

const ssl = await tls();
const clear = Buffer.from(`${target.password}\0`);
/** A pool's way of handing a connection on: nothing of the session may be left. */
async function changeUser(client, query) {
  await query('SET @mine = 5');
  const { user, password, database } = connection;
  await client.changeUser({ user, password, database });
  return [await query('SELECT @mine'), await query(text.rows)];
}
const kinds = {
  async mysql2() {
    const mysql = load('mysql2/promise');
    const client = await mysql.createConnection({
      ...connection,
      ssl,
      rowsAsArray: true,
      supportBigNumbers: true,
      multipleStatements: true,
      timezone: 'Z',
      authPlugins: { mysql_clear_password: () => () => clear },
    });
    return {
      query: async (sql) => (await client.query(sql))[0],
      execute: async (sql, values) => (await client.execute(sql, values))[0],
      write: async (sql, values) => (await client.execute(sql, values))[0].affectedRows,
      more: async () => {
        await step('several', async () => (await client.query(`${text.after}; ${text.rows}`))[0].length);
        await step('ping', () => client.ping().then(() => 'pong'));
        await step('reset', () => client.reset?.().then(() => 'done') ?? 'done');
        await step('change_user', () => changeUser(client, async (sql) => (await client.query(sql))[0]));
        await step('streamed', async () => {
          let count = 0;
          for await (const row of client.connection.query(text.many).stream()) count += row.length;
          return count;
        });
      },
      end: () => client.end(),
    };
  },
  async mysql() {
    const mysql = load('mysql');
    const client = mysql.createConnection({ ...connection, ssl, supportBigNumbers: true, timezone: 'Z' });
    // This driver knows no plugins and no mysql_clear_password: the switch is answered in its place.
    client.config.clientFlags |= 0x80000;
    const sequence = load('mysql/lib/protocol/sequences/Handshake');
    const packets = load('mysql/lib/protocol/packets');
    sequence.prototype.AuthSwitchRequestPacket = function answer(packet) {
      if (packet.authMethodName !== 'mysql_clear_password') throw new Error('another plugin was expected');
      this.emit('packet', new packets.AuthSwitchResponsePacket({ data: clear }));
    };
    const query = (sql, values) =>
      new Promise((resolve, reject) => {
        client.query(sql, values, (error, found) => (error ? reject(error) : resolve(found)));
      });
    await new Promise((resolve, reject) => {
      client.connect((error) => (error ? reject(error) : resolve()));
    });
    const rows = async (sql, values) => {
      const found = await query(sql, values);
      return Array.isArray(found) ? found.map((row) => Object.values(row)) : found.affectedRows;
    };
    return {
      query: rows,
      execute: rows,
      write: async (sql, values) => (await query(sql, values)).affectedRows,
      end: () => new Promise((resolve) => client.end(resolve)),
    };
  },
  async mariadb() {
    const mariadb = load('mariadb');
    const client = await mariadb.createConnection({ ...connection, ssl, rowsAsArray: true, timezone: 'Z' });
    return {
      query: (sql) => client.query(sql),
      execute: (sql, values) => client.execute(sql, values),
      write: async (sql, values) => (await client.execute(sql, values)).affectedRows,
      more: async () => {
        await step('batch', async () => {
          await client.beginTransaction();
          try {
            const found = await client.batch(text.insert_prepared, [['b1@example.org'], ['b2@example.org']]);
            // One answer for all, where the server takes them in bulk.
            return [
              [found].flat().reduce((sum, one) => sum + one.affectedRows, 0),
              await client.query(text.count),
            ];
          } finally {
            await client.rollback();
          }
        });
        await step('streamed', async () => {
          let count = 0;
          for await (const row of client.queryStream(text.many)) count += row.length;
          return count;
        });
        await step('reset', () => client.reset().then(() => 'done'));
        await step('change_user', () => changeUser(client, (sql) => client.query(sql)));
        await step('ping', () => client.ping().then(() => 'pong'));
      },
      end: () => client.end(),
    };
  },
};

const driver = await kinds[process.argv[2]]();
const { query } = driver;
await driverSteps({
  ...driver,
  numbered: false,
  transaction: async (work) => {
    await query('START TRANSACTION');
    try {
      return await work({});
    } finally {
      await query('ROLLBACK');
    }
  },
});
await driver.more?.();
await step('end', () => query(text.after));
await driver.end();
