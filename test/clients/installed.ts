/**
 * The clients of the matrix: which Debian packages bring them, and where the npm ones lie, apart from the project's own
 * dependencies. Installing them is `install.ts`'s errand; this file knows what and where.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Debian's clients, in one line. Its own python3 has the drivers, whatever other one comes first in the path. */
export const clientPackages: readonly string[] = [
  ...['postgresql-client', 'mariadb-client', 'pgcli', 'mycli'],
  ...['python3-psycopg2', 'python3-psycopg', 'python3-asyncpg', 'python3-pymysql', 'python3-mysqldb'],
  ...['python3-sqlalchemy', 'python3-pyodbc', 'odbc-postgresql', 'odbc-mariadb', 'unixodbc'],
  ...['default-jdk-headless', 'libpostgresql-jdbc-java', 'libmariadb-java'],
  ...['libdbd-pg-perl', 'libdbd-mysql-perl', 'libdbd-mariadb-perl'],
  ...['ruby', 'ruby-pg', 'ruby-mysql2', 'php-cli', 'php-pgsql', 'php-mysql'],
];

/** Where Debian puts the two JDBC drivers. */
export const jdbcDrivers: readonly string[] = [
  '/usr/share/java/postgresql.jar',
  '/usr/share/java/mariadb-java-client.jar',
];

/** Each asks one client whether it is here. */
const probes: readonly (readonly string[])[] = [
  ['psql', '--version'],
  ['mysql', '--version'],
  ['mariadb', '--version'],
  ['pgcli', '--version'],
  ['mycli', '--version'],
  ['/usr/bin/python3', '-c', 'import psycopg2, psycopg, asyncpg, pymysql, MySQLdb, sqlalchemy, pyodbc'],
  ['perl', '-MDBD::Pg', '-MDBD::mysql', '-MDBD::MariaDB', '-e', '1'],
  ['ruby', '-e', 'require "pg"; require "mysql2"'],
  ['php', '-r', 'exit(extension_loaded("pdo_pgsql") && extension_loaded("pdo_mysql") ? 0 : 1);'],
  ['javac', '-version'],
];

/** True when every Debian client answers. */
export function debianClientsAreHere(): boolean {
  return (
    jdbcDrivers.every((file) => existsSync(file)) &&
    spawnSync('odbcinst', ['-q', '-d'], { encoding: 'utf8' }).stdout?.includes('MariaDB') === true &&
    probes.every(([program, ...args]) => spawnSync(program as string, args, { stdio: 'ignore' }).status === 0)
  );
}

const here = fileURLToPath(new URL('.', import.meta.url));

/** The folder of the npm clients: one for each state of what is asked for. */
export function npmClients(): string {
  const hash = createHash('sha256');
  for (const file of [...manifests, ...schemas]) hash.update(readFileSync(join(here, file)));
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return join(cache, 'cordon', `clients-${hash.digest('hex').slice(0, 12)}`);
}

const manifests = ['package.json', 'package-lock.json'];
const schemas = ['prisma/postgres.prisma', 'prisma/mysql.prisma'];

export function npmClientsAreHere(): boolean {
  return existsSync(join(npmClients(), 'package.json'));
}

/** Installs the npm clients and generates Prisma's. False when that fails; npm has said why. */
export function installNpmClients(): boolean {
  const folder = npmClients();
  const fresh = `${folder}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  try {
    for (const file of manifests) copyFileSync(join(here, file), join(fresh, file));
    // No scripts: what they would fetch (an engine of Prisma's) is not needed.
    if (!succeeds(fresh, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'])) return false;
    for (const dialect of ['postgres', 'mysql']) {
      const schema = readFileSync(join(here, `prisma/${dialect}.prisma`), 'utf8');
      const output = `provider = "prisma-client-js"\n  output   = "./prisma-${dialect}"`;
      writeFileSync(
        join(fresh, `${dialect}.prisma`),
        schema.replace('provider = "prisma-client-js"', output),
      );
      const args = ['node_modules/prisma/build/index.js', 'generate', '--schema', `${dialect}.prisma`];
      if (!succeeds(fresh, process.execPath, args)) return false;
    }
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
    return true;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function succeeds(cwd: string, program: string, args: readonly string[]): boolean {
  const env = {
    ...process.env,
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    // Migrations need that engine, `generate` only asks where it is.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  };
  return spawnSync(program, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
}
