/**
 * What starting MariaDB and starting MySQL share: options, one init file, readiness, the end.
 * Which program runs and how its data folder is made is said by `mariadb.ts` and `mysql.ts`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { end, freePort, logText, scratch, untilReady, whenProcessEnds } from './scratch.ts';

/** A running server. `logText()` is its general log: every statement that reached it. */
export interface MySqlServer {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** An account with every privilege. */
  readonly user: string;
  readonly password: string;
  readonly dir: string;
  readonly pid: number;
  readonly socket: string;
  logText(): string;
  /** Clean shutdown; the folder is gone afterwards. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash. `stop()` is still needed, or the end of the process. */
  kill(): void;
}

export interface MySqlOptions {
  /** Options of the server without their dashes: `{ 'max-allowed-packet': '64M' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Paths of PEM files; they are copied. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** One product: the programs with the arguments that come first, and the SQL that makes the account. */
export interface MySqlProduct {
  readonly name: string;
  readonly server: readonly string[];
  /** Fills a data folder: a program and its arguments. */
  install(data: string): readonly string[];
  /** Statements, one a line, for the start. `password` holds letters and digits only. */
  accounts(user: string, password: string): readonly string[];
  readonly settings: Readonly<Record<string, string>>;
}

/** Initialises and starts a server on a free port; resolves when it takes connections. */
export async function startMySqlProduct(product: MySqlProduct, options: MySqlOptions): Promise<MySqlServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(product, options);
    } catch (error) {
      const portTaken = error instanceof Error && /Address already in use/i.test(error.message);
      if (!portTaken || attempt === 5) throw error;
    }
  }
}

async function startOnce(product: MySqlProduct, options: MySqlOptions): Promise<MySqlServer> {
  const { dir, remove } = scratch(`cordon-${product.name}-`);
  const data = join(dir, 'data');
  const log = join(dir, 'server.log');
  const generalLog = join(dir, 'general.log');
  const socket = join(dir, 'server.sock');
  const initFile = join(dir, 'accounts.sql');
  const user = 'admin';
  const password = randomBytes(12).toString('hex');
  const [program = '', ...installArguments] = product.install(data);
  // A server that starts clears what it takes for its own leftovers there: others' temporary tables in a shared folder.
  const temporary = join(dir, 'tmp');
  mkdirSync(temporary, { mode: 0o700 });
  const env = { ...process.env, TMPDIR: temporary };
  const installed = spawnSync(program, installArguments, { encoding: 'utf8', cwd: dir, env });
  if (installed.status !== 0) {
    remove();
    throw new Error(
      `${program} failed: ${installed.error?.message ?? `${installed.stdout}${installed.stderr}`}`,
    );
  }
  writeFileSync(
    initFile,
    product
      .accounts(user, password)
      .map((line) => `${line}\n`)
      .join(''),
    { mode: 0o600 },
  );

  const settings: Record<string, string> = {
    ...product.settings,
    'bind-address': '127.0.0.1',
    socket,
    'pid-file': join(dir, 'server.pid'),
    'init-file': initFile,
    'general-log': '1',
    'general-log-file': generalLog,
    'innodb-flush-log-at-trx-commit': '0',
    'innodb-buffer-pool-size': '32M',
    'character-set-server': 'utf8mb4',
  };
  if (options.tls !== undefined) {
    for (const [setting, source] of [
      ['ssl-cert', options.tls.cert],
      ['ssl-key', options.tls.key],
    ] as const) {
      settings[setting] = join(dir, `${setting}.pem`);
      copyFileSync(source, settings[setting]);
      chmodSync(settings[setting], 0o600);
    }
  }
  const port = await freePort();
  const all = Object.entries({ ...settings, ...options.settings, port: String(port) });
  const [server = '', ...firstArguments] = product.server;
  const output = openSync(log, 'a', 0o600);
  const child = spawn(
    server,
    [
      ...firstArguments,
      `--datadir=${data}`,
      ...all.map(([name, value]) => `--${name}=${value}`),
      '--skip-log-bin',
    ],
    { cwd: dir, env, stdio: ['ignore', output, output], detached: true },
  );
  child.unref();
  child.on('error', (error) => writeFileSync(log, `${error.message}\n`, { flag: 'a' }));
  const forget = whenProcessEnds(() => child.kill('SIGKILL'));
  try {
    await untilReady(product.name, child, log, () => greets(port));
  } catch (error) {
    await end(child, 'SIGKILL');
    forget();
    remove();
    throw error;
  }
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    dir,
    pid: child.pid ?? 0,
    socket,
    logText: () => logText(generalLog),
    stop: async () => {
      await end(child, 'SIGTERM');
      forget();
      remove();
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

/** True when a HandshakeV10 arrives; the init file has been run by then. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', (bytes) => {
      resolve(bytes[4] === 10);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
