/**
 * `npm run bench:mysql`: what the gateway costs in front of a MariaDB, beside a direct connection and a plain byte relay in Node, in
 * one run and in rotating order, with sysbench. Writes its page of bench/RESULTS.md.
 * Options: --quick (3 runs of 2 s, prints only), --runs N, --seconds N, --profile DIR (a CPU profile of the gateway).
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import mysql from 'mysql2/promise';
import { mariaDbIsHere, startMariaDb } from '../test/servers/mariadb.ts';
import type { MySqlServer } from '../test/servers/mysql-family.ts';
import { end, freePort, whenProcessEnds } from '../test/servers/scratch.ts';
import { startGateway } from './gateway-process.ts';
import { median, whole } from './report.ts';
import { keep } from './results.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    profile: { type: 'string' },
  },
});
const quick = options.quick === true;
const runs = Number(options.runs ?? (quick ? 3 : 5));
const seconds = Number(options.seconds ?? (quick ? 2 : 5));
const tableRows = 10_000;
/** Of whatever else the machine was doing. */
const loadBefore = loadavg()[0]!.toFixed(1);
const upstreamPassword = 'bench-upstream-password';

interface Path {
  readonly name: 'direct' | 'byte relay' | 'gateway';
  readonly port: number;
  readonly password: string;
}

interface Rate {
  /** sysbench's transactions: one lookup, or fourteen queries between BEGIN and COMMIT. */
  readonly transactionsPerSecond: number;
  readonly averageMs: number;
}

const policy = {
  version: 1,
  regions: { eu: {}, us: {} },
  data: { bench: [{ table: 'bench.sbtest1', region: 'eu', columns: { pad: 'pii.pad' } }] },
  masks: { 'pii.pad': { method: 'redact' } },
  roles: Object.fromEntries(
    ['clear', 'masked'].map((name) => [
      name,
      {
        ...{ members: { groups: [name] }, databases: ['bench'] },
        ...{ read: { regions: ['eu'] }, write: { regions: [] } },
        ...(name === 'clear' ? { clear: ['*'] } : {}),
      },
    ]),
  ),
};

if (!mariaDbIsHere() || spawnSync('sysbench', ['--version']).status !== 0)
  throw new Error('mariadbd and sysbench are needed: Debian and Ubuntu have both');

const server = await startMariaDb({ settings: { 'innodb-buffer-pool-size': '256M' } });
const version = await fill(server);
const relay = await startRelay(server.port);
const gateway = await startGateway({
  ...{ protocol: 'mysql', port: server.port, password: upstreamPassword, policy, workers: 1 },
  node: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`],
});
const direct: Path = { name: 'direct', port: server.port, password: upstreamPassword };
const plain: Path = { ...direct, name: 'byte relay', port: relay.port };
const guarded: Path = { name: 'gateway', port: gateway.port, password: gateway.clear };
const paths = [direct, plain, guarded];
await assertGuarded();

const workloads = [
  { name: 'point select, prepared', script: 'oltp_point_select', ps: 'auto' },
  { name: 'point select, text', script: 'oltp_point_select', ps: 'disable' },
  { name: 'read-only, prepared', script: 'oltp_read_only', ps: 'auto' },
] as const;
type Workload = (typeof workloads)[number];

// A process that has just started is still being compiled.
for (const path of paths) for (const workload of workloads) await sysbench(path, workload, 4, seconds);

const lines: string[] = [];
for (const workload of workloads) {
  for (const threads of [1, 16]) {
    const found = new Map<Path, Rate[]>(paths.map((path) => [path, []]));
    for (let round = 0; round < runs; round++) {
      for (let step = 0; step < paths.length; step++) {
        const path = paths[(round + step) % paths.length]!;
        found.get(path)!.push(await sysbench(path, workload, threads, seconds));
      }
    }
    lines.push(line(workload, threads, found));
    process.stderr.write(`${lines.at(-1)}\n`);
  }
}
await gateway.stop();
await relay.stop();
await server.stop();

const page = `# What the gateway costs in front of MariaDB

Measured ${new Date().toISOString().slice(0, 10)} on ${cpus()[0]?.model.trim() ?? 'an unknown processor'} (${cpus().length} cores), Node ${process.versions.node}, MariaDB ${version}; clients,
database, relay and gateway shared the machine. Policy and audit were on, connections without TLS. The relay is one process in Node that
hands bytes on and reads none of them; the gateway is one process. The machine's load average was ${loadBefore} before the run began.
\`npm run bench:mysql\` measures again.

sysbench \`oltp_point_select\` and \`oltp_read_only\` (BEGIN, ten lookups, four ranges of 100 rows, COMMIT), transactions a second: medians
of ${runs} runs of ${seconds} s in rotating order; ratios are medians of those within each rotation.

| workload | clients | direct | byte relay | gateway | gateway / byte relay | relay / direct | added latency over the relay |
|---|---|---|---|---|---|---|---|
${lines.join('\n')}
`;
if (!quick) keep(page);
process.stdout.write(page);

function line(workload: Workload, threads: number, found: ReadonlyMap<Path, readonly Rate[]>): string {
  const of = (path: Path) => found.get(path)!;
  const rate = (path: Path) => median(of(path).map((run) => run.transactionsPerSecond));
  const latency = (path: Path) => median(of(path).map((run) => run.averageMs));
  const ratio = (path: Path, to: Path) =>
    median(of(path).map((run, i) => run.transactionsPerSecond / of(to)[i]!.transactionsPerSecond));
  const cells = [
    ...[workload.name, threads, whole(rate(direct)), whole(rate(plain)), whole(rate(guarded))],
    ...[ratio(guarded, plain).toFixed(2), ratio(plain, direct).toFixed(2)],
    `${(latency(guarded) - latency(plain)).toFixed(2)} ms`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** One run. Throws when a statement failed. */
async function sysbench(path: Path, workload: Workload, threads: number, time: number): Promise<Rate> {
  const args = [
    workload.script,
    ...connection(path.port, path.password),
    ...[`--db-ps-mode=${workload.ps}`, `--threads=${threads}`, `--time=${time}`, 'run'],
  ];
  let stdout = '';
  for (let attempt = 1; ; attempt++) {
    const ended = await runSysbench(args);
    stdout = ended.stdout;
    if (ended.code === 0) break;
    // Its threads load the plugin for tokens at once, and the client library takes the second for an error.
    if (attempt === 20 || !stdout.includes('it is already loaded'))
      throw new Error(`sysbench over ${path.name}: ${stdout}`);
  }
  const transactionsPerSecond = Number(/transactions:\s+\d+\s+\(([\d.]+) per sec/.exec(stdout)?.[1]);
  const averageMs = Number(/^\s+avg:\s+([\d.]+)/m.exec(stdout)?.[1]);
  const errors = Number(/ignored errors:\s+(\d+)/.exec(stdout)?.[1] ?? 0);
  if (!(transactionsPerSecond > 0) || errors > 0) throw new Error(`sysbench over ${path.name}: ${stdout}`);
  return { transactionsPerSecond, averageMs };
}

function runSysbench(args: readonly string[]): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sysbench', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout }));
  });
}

function connection(port: number, password: string): string[] {
  return [
    ...['--db-driver=mysql', '--mysql-host=127.0.0.1', `--mysql-port=${port}`, '--mysql-db=bench'],
    ...['--mysql-user=cordon', `--mysql-password=${password}`, '--tables=1', `--table-size=${tableRows}`],
  ];
}

/** Answers the server's version. */
async function fill(target: MySqlServer): Promise<string> {
  const { host, port, user, password } = target;
  const admin = await mysql.createConnection({ host, port, user, password });
  // Logging each statement would be measured too.
  await admin.query('SET GLOBAL general_log = OFF');
  await admin.query('CREATE DATABASE bench');
  await admin.query(`CREATE USER cordon@'%' IDENTIFIED BY '${upstreamPassword}'`);
  await admin.query("GRANT ALL PRIVILEGES ON bench.* TO cordon@'%'");
  await admin.query('CREATE TABLE bench.unplaced (id INT)');
  const [rows] = await admin.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version');
  await admin.end();
  await promisify(execFile)('sysbench', ['oltp_read_only', ...connection(port, upstreamPassword), 'prepare']);
  return String(rows[0]?.version).replace(/-.*/, '');
}

async function startRelay(upstreamPort: number): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const script = fileURLToPath(new URL('byte-relay.ts', import.meta.url));
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), script, String(port), String(upstreamPort)],
    { stdio: 'inherit' },
  );
  const forget = whenProcessEnds(() => child.kill('SIGKILL'));
  for (;;) {
    const client = await mysql
      .createConnection({ host: '127.0.0.1', port, user: 'cordon', password: upstreamPassword })
      .catch(() => null);
    if (child.exitCode !== null) throw new Error('the relay has ended');
    if (client === null) continue;
    await client.end();
    break;
  }
  return {
    port,
    stop: async () => {
      await end(child, 'SIGKILL');
      forget();
    },
  };
}

/** A gateway that lets everything through would be fast: make sure that what is measured is a guarded path. */
async function assertGuarded(): Promise<void> {
  const as = (password: string) =>
    mysql.createConnection({
      ...{ host: '127.0.0.1', port: gateway.port, user: 'cordon', password, database: 'bench' },
      authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
    });
  const clear = await as(gateway.clear);
  const masked = await as(gateway.masked);
  const pad = 'SELECT pad FROM sbtest1 WHERE id = 1';
  const [[shown]] = await clear.query<mysql.RowDataPacket[]>(pad);
  const [[hidden]] = await masked.query<mysql.RowDataPacket[]>(pad);
  if (!/^\d+-/.test(shown?.pad) || /^\d/.test(hidden?.pad)) throw new Error('not masked');
  const refused = await clear.query('SELECT * FROM unplaced').catch((error: Error) => error.message);
  if (!String(refused).includes('unplaced_table')) throw new Error(`not refused: ${refused}`);
  await clear.end();
  await masked.end();
}
