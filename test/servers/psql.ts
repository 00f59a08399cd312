/** The real psql, run as a person would. Asynchronous, since the gateway under test may live in this process. */
import { type ClientRun, runClient } from './client-run.ts';

/** Where and as whom. The password travels by PGPASSWORD. */
export interface PsqlConnection {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** libpq's sslmode; default disable. */
  readonly sslmode?: string;
  /** More libpq environment variables, e.g. PGSSLROOTCERT, PGOPTIONS. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs psql with no start-up file; `input` goes to standard input. Tuples only, unaligned, unless `args` say otherwise. */
export function runPsql(to: PsqlConnection, args: readonly string[], input = ''): Promise<ClientRun> {
  return runClient('psql', ['-X', '-At', ...args], input, {
    PGHOST: '127.0.0.1',
    PGPORT: String(to.port),
    PGUSER: to.user,
    PGPASSWORD: to.password,
    PGDATABASE: to.database,
    PGSSLMODE: to.sslmode ?? 'disable',
    PGGSSENCMODE: 'disable',
    PGCONNECT_TIMEOUT: '20',
    ...to.env,
  });
}
