/** What the scripts of the object mappers share: how much they may do, and how MySQL's drivers send a token. */
import { connection, target, tls } from '../../clients/node/steps.mjs';

/** 'all': make, change and drop; 'keep': the same without dropping; false: read what is there. */
export const writes = { all: 'all', keep: 'keep', read: false }[process.env.CORDON_ORM];

/** Options of mysql2. */
export async function mysqlOptions() {
  const clear = Buffer.from(`${target.password}\0`);
  return {
    ...connection,
    ssl: await tls(),
    timezone: 'Z',
    authPlugins: { mysql_clear_password: () => () => clear },
  };
}
