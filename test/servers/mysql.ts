/**
 * Real MySQL 8 or 9 servers: the system's own where it is MySQL (Debian's `mysqld` is MariaDB), else the
 * one that `install-mysql.sh` unpacked into the cache folder.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type MySqlOptions, type MySqlServer, startMySqlProduct } from './mysql-family.ts';

/** Starts a MySQL on a free port. Accounts use `caching_sha2_password` (or `sha256_password`). */
export function startMySql(options: MySqlOptions = {}): Promise<MySqlServer> {
  const program = mysqlProgram('mysqld');
  if (program === undefined)
    throw new Error('no MySQL server here: test/servers/install-mysql.sh brings one on Debian');
  const first = [
    ...program,
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ...folders(),
  ];
  return startMySqlProduct(
    {
      name: 'mysql',
      server: first,
      install: (data) => ['cp', '-R', template(first), data],
      accounts: (user, password) => [
        `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}';`,
        `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION;`,
        "DROP USER 'root'@'localhost';",
      ],
      settings: { mysqlx: 'OFF', 'secure-file-priv': '', ...SMALL },
    },
    options,
  );
}

const SMALL = { 'innodb-redo-log-capacity': '8M' };

/** An initialised data folder to copy: making one takes MySQL several seconds, copying it a fraction of one. */
function template(server: readonly string[]): string {
  const [program = '', ...args] = server;
  const version = spawnSync(program, [...args, '--version'], { encoding: 'utf8' });
  const name = /Ver (\S+)/.exec(version.stdout ?? '')?.[1] ?? 'unknown';
  const folder = join(mysqlCache(), `data-${name}`);
  if (existsSync(folder)) return folder;
  mkdirSync(mysqlCache(), { recursive: true });
  const parent = mkdtempSync(join(mysqlCache(), 'initialize-'));
  const fresh = join(parent, 'data');
  const settings = Object.entries(SMALL).map(([setting, value]) => `--${setting}=${value}`);
  const made = spawnSync(program, [...args, ...settings, '--initialize-insecure', `--datadir=${fresh}`], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`mysqld --initialize failed: ${made.error?.message ?? made.stderr}`);
  // The server's identity: each copy makes one of its own.
  rmSync(join(fresh, 'auto.cnf'), { force: true });
  try {
    renameSync(fresh, folder);
  } catch (error) {
    // Another process was faster.
    if (!existsSync(folder)) throw error;
  }
  rmSync(parent, { recursive: true, force: true });
  return folder;
}

/** How to run a program of the real MySQL: a program and its first arguments. Undefined when it isn't here. */
export function mysqlProgram(name: 'mysqld' | 'mysql' | 'mysqldump'): readonly string[] | undefined {
  const root = unpackedRoot();
  if (root !== undefined) {
    // The packages come from a newer Debian, so the programs need its loader and C library too.
    const libraries = libraryFolder(root);
    const loader = readdirSync(libraries).find((file) => /^ld-linux.*\.so\.\d+$/.test(file));
    if (loader === undefined) return undefined;
    const search = `${libraries}:${join(root, 'usr/lib/mysql/private')}`;
    const binary = join(root, name === 'mysqld' ? 'usr/sbin/mysqld' : `usr/bin/${name}`);
    const plugins =
      name === 'mysqld' ? [] : ['--no-defaults', `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`];
    return [join(libraries, loader), '--library-path', search, binary, ...plugins];
  }
  const version = spawnSync(name, ['--version'], { encoding: 'utf8' });
  return version.status === 0 && !/MariaDB/.test(version.stdout) ? [name] : undefined;
}

/** Where `install-mysql.sh` unpacks to. */
export function mysqlCache(): string {
  return (
    process.env.CORDON_MYSQL_DIR ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cordon', 'mysql')
  );
}

function unpackedRoot(): string | undefined {
  const root = join(mysqlCache(), 'root');
  return existsSync(join(root, 'usr/sbin/mysqld')) ? root : undefined;
}

function libraryFolder(root: string): string {
  const triplet = readdirSync(join(root, 'usr/lib')).find((name) => name.endsWith('-linux-gnu'));
  return join(root, 'usr/lib', triplet ?? '');
}

/** A server that doesn't lie where it was built to lie has to be told where its files are. */
function folders(): string[] {
  const root = unpackedRoot();
  if (root === undefined) return [];
  return [
    `--basedir=${join(root, 'usr')}`,
    `--lc-messages-dir=${join(root, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(root, 'usr/share/mysql/charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
  ];
}
