/**
 * Real PostgreSQL servers, majors 14 to 18, from the binaries that npm carries. What they hold (tables,
 * users) is the business of whoever starts them.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, openSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type PostgresBinaries, postgresBinaries, runAsServerUser } from './postgres-binaries.ts';
import { end, freePort, logText, scratch, untilReady, whenProcessEnds } from './scratch.ts';

/** A running server. `logText()` holds every statement that reached it (`log_statement=all`). */
export interface PostgresServer {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The superuser. */
  readonly user: string;
  readonly password: string;
  readonly dir: string;
  readonly pid: number;
  logText(): string;
  /** Fast shutdown; the folder is gone afterwards. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster, as in a crash. `stop()` is still needed, or the end of the process. */
  kill(): void;
}

export interface PostgresOptions {
  /** Default 18; the others exist on x86-64 Linux only. */
  readonly major?: 14 | 15 | 16 | 17 | 18;
  /** Programs from elsewhere, in place of npm's of that major. */
  readonly binaries?: PostgresBinaries;
  /** Settings as in postgresql.conf. To see a Parse that is never executed, set `log_min_messages: 'debug2'`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Paths of PEM files; they are copied. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly superuserPassword?: string;
  /** Lines of pg_hba.conf, in place of scram-sha-256 for everybody on 127.0.0.1. */
  readonly hba?: readonly string[];
}

const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  max_connections: '200',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_statement: 'all',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

/** Initialises and starts a server on a free port; resolves when it takes connections. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const binaries = options.binaries ?? postgresBinaries(options.major ?? 18);
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(binaries, options);
    } catch (error) {
      const portTaken = error instanceof Error && /Address already in use/.test(error.message);
      if (!portTaken || attempt === 5) throw error;
    }
  }
}

async function startOnce(binaries: PostgresBinaries, options: PostgresOptions): Promise<PostgresServer> {
  const { dir, remove } = scratch('cordon-postgres-');
  const { account } = binaries;
  const own = (path: string) => {
    if (account !== undefined) chownSync(path, account.uid, account.gid);
    return path;
  };
  own(dir);
  const data = join(dir, 'data');
  const log = join(dir, 'server.log');
  const password = options.superuserPassword ?? randomBytes(12).toString('hex');
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  own(passwordFile);
  runAsServerUser(binaries, binaries.initdb, [
    ...['-D', data, '-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
    ...['--encoding=UTF8', '--locale=C', '--no-sync'],
  ]);
  const hba = options.hba ?? [
    'host all all 127.0.0.1/32 scram-sha-256',
    'host replication all 127.0.0.1/32 scram-sha-256',
  ];
  writeFileSync(join(data, 'pg_hba.conf'), `${hba.join('\n')}\n`);

  const settings: Record<string, string> = { ...DEFAULTS };
  if (options.tls !== undefined) {
    for (const [setting, source] of [
      ['ssl_cert_file', options.tls.cert],
      ['ssl_key_file', options.tls.key],
    ] as const) {
      const copy = join(dir, `${setting}.pem`);
      copyFileSync(source, copy);
      chmodSync(copy, 0o600);
      settings[setting] = own(copy);
    }
    settings.ssl = 'on';
  }
  const port = await freePort();
  const all = Object.entries({ ...settings, ...options.settings, port: String(port) });
  const output = openSync(log, 'a', 0o600);
  const child = spawn(
    binaries.postgres,
    ['-D', data, ...all.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    {
      cwd: dir,
      env: binaries.env,
      stdio: ['ignore', output, output],
      detached: true,
      ...account,
    },
  );
  child.unref();
  child.on('error', (error) => writeFileSync(log, `${error.message}\n`, { flag: 'a' }));
  // SIGQUIT makes the postmaster take its children along, which SIGKILL would not.
  const forget = whenProcessEnds(() => child.kill('SIGQUIT'));
  try {
    await untilReady('postgres', child, log, () => accepts(port));
  } catch (error) {
    await end(child, 'SIGQUIT');
    forget();
    remove();
    throw error;
  }
  return {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    dir,
    pid: child.pid ?? 0,
    logText: () => logText(log),
    stop: async () => {
      await end(child, 'SIGINT');
      forget();
      remove();
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

/** True when a start-up packet gets any answer but 57P03 ("the database system is starting up"). */
function accepts(port: number): Promise<boolean> {
  const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0');
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + parameters.length, 0);
  head.writeInt32BE(196_608, 4);
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([head, parameters])));
    socket.once('data', (bytes) => {
      resolve(!bytes.includes('57P03'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
