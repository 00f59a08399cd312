/** A persona's sessions at a world's gateway, by real drivers. */
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { PersonaName } from '../../fixtures/personas.ts';
import type { World } from '../../fixtures/world.ts';

/** A connected node-postgres client of database `shop`. Its end by the other side is no uncaught error. */
export async function connectPostgres(
  world: World,
  persona: PersonaName,
  more: pg.ClientConfig = {},
): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: persona,
    password: await world.token(persona),
    database: 'shop',
    ...more,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** A mysql2 connection to database `crm`; the token travels by mysql_clear_password. */
export async function connectMySql(
  world: World,
  persona: PersonaName,
  more: mysql.ConnectionOptions = {},
): Promise<mysql.Connection> {
  const password = await world.token(persona);
  return mysql.createConnection({
    host: '127.0.0.1',
    port: world.gateway.ports.mysql,
    user: persona,
    password,
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
    ...more,
  });
}
