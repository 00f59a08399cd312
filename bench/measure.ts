/** Single measurements: one pgbench run, one streamed result. Which are made, and in what order, is for `run.ts`. */
import { spawn } from 'node:child_process';
import type { Path } from './paths.ts';

/** pgbench's `--protocol`. */
export type QueryMode = 'simple' | 'extended' | 'prepared';

/** What a pgbench run reported. */
export interface Rate {
  readonly transactionsPerSecond: number;
  readonly latencyMs: number;
}

/** `pgbench -S` for some seconds. Throws when any transaction failed. */
export async function selectOnly(
  path: Path,
  mode: QueryMode,
  clients: number,
  seconds: number,
): Promise<Rate> {
  const threads = Math.min(clients, 2);
  const output = await run('pgbench', path, [
    ...[
      '-n',
      '-S',
      '-M',
      mode,
      '-c',
      String(clients),
      '-j',
      String(threads),
      '-T',
      String(seconds),
      path.database,
    ],
  ]);
  const rate = Number(/^tps = ([\d.]+)/m.exec(output)?.[1]);
  const latencyMs = Number(/^latency average = ([\d.]+) ms/m.exec(output)?.[1]);
  const failed = Number(/^number of failed transactions: (\d+)/m.exec(output)?.[1] ?? 0);
  if (!(rate > 0) || failed > 0) throw new Error(`pgbench over ${path.name}: ${output}`);
  return { transactionsPerSecond: rate, latencyMs };
}

/** Seconds that psql needs to receive `rows` rows of the table `stream` and to write them nowhere. */
export async function streamSeconds(path: Path, rows: number): Promise<number> {
  const sql = `select id, name, email, amount, placed from stream limit ${rows}`;
  const started = process.hrtime.bigint();
  await run('psql', path, ['-X', '-At', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-c', sql]);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function run(program: string, path: Path, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: {
        ...{ PATH: process.env.PATH, LC_ALL: 'C', PGHOST: '127.0.0.1', PGPORT: String(path.port) },
        ...{ PGUSER: path.user, PGPASSWORD: path.password, PGDATABASE: path.database },
        ...{ PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' },
      },
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${program} over ${path.name} ended with ${status}: ${errors}`));
    });
  });
}
