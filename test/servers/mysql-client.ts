/** The real `mysql` client of the system (MariaDB's, on Debian), run as a person would. */
import { type ClientRun, runClient } from './client-run.ts';

/** Where and as whom. The password travels by MYSQL_PWD. */
export interface MySqlConnection {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database?: string;
}

/** Runs `mysql` in batch mode without column names; `args` come after, so they may say otherwise. */
export function runMySqlClient(to: MySqlConnection, args: readonly string[], input = ''): Promise<ClientRun> {
  const database = to.database === undefined ? [] : [`--database=${to.database}`];
  return runClient(
    'mysql',
    [
      ...['--no-defaults', '--protocol=TCP', '--host=127.0.0.1', `--port=${to.port}`, `--user=${to.user}`],
      ...['--batch', '--skip-column-names', ...database, ...args],
    ],
    input,
    { MYSQL_PWD: to.password },
  );
}
