/**
 * Makes sure that the servers and clients that the tests start are on this machine. On Debian, as root, it
 * installs them; elsewhere it says what is missing and fails. `CORDON_TEST_WITHOUT=mysql,mariadb,psql,clients` names
 * parts to leave out.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  clientPackages,
  debianClientsAreHere,
  installNpmClients,
  npmClients,
  npmClientsAreHere,
} from '../clients/installed.ts';
import { mariaDbIsHere } from './mariadb.ts';
import { mysqlCache, mysqlProgram } from './mysql.ts';
import { postgresBinaries } from './postgres-binaries.ts';

interface Part {
  readonly name: string;
  readonly what: string;
  isHere(): boolean;
  /** Debian packages; none when they are not the way to have it. */
  readonly packages: readonly string[];
}

const PARTS: readonly Part[] = [
  { name: 'postgres', what: 'PostgreSQL 18 from npm (npm ci)', isHere: postgresIsHere, packages: [] },
  { name: 'psql', what: 'psql', isHere: () => runs('psql'), packages: ['postgresql-client'] },
  {
    name: 'mariadb',
    what: 'mariadbd and the mysql client',
    isHere: () => mariaDbIsHere() && runs('mysql'),
    packages: ['mariadb-server', 'mariadb-client'],
  },
  { name: 'mysql', what: 'MySQL 8 or 9', isHere: () => mysqlProgram('mysqld') !== undefined, packages: [] },
  { name: 'clients', what: 'the client matrix', isHere: debianClientsAreHere, packages: clientPackages },
  { name: 'clients', what: 'the npm clients of the matrix', isHere: npmClientsAreHere, packages: [] },
];

const leftOut = new Set((process.env.CORDON_TEST_WITHOUT ?? '').split(','));
const wanted = PARTS.filter((part) => !leftOut.has(part.name));
const packages = wanted.filter((part) => !part.isHere()).flatMap((part) => part.packages);
const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
if (packages.length > 0 && canInstall) aptInstall(packages);
if (wanted.some((part) => part.name === 'mysql' && !part.isHere()) && existsSync('/usr/bin/apt-get')) {
  console.log(`unpacking MySQL into ${mysqlCache()}`);
  spawnSync(fileURLToPath(new URL('./install-mysql.sh', import.meta.url)), [mysqlCache()], {
    stdio: 'inherit',
  });
}
if (wanted.some((part) => part.isHere === npmClientsAreHere) && !npmClientsAreHere()) {
  console.log(`npm ci for the client matrix into ${npmClients()}`);
  installNpmClients();
}
const missing = wanted.filter((part) => !part.isHere());
for (const part of missing) {
  const debian = part.packages.length > 0 ? ` (Debian: ${part.packages.join(' ')})` : '';
  console.error(
    `cordon: missing for the tests: ${part.what}${debian}; CORDON_TEST_WITHOUT=${part.name} leaves it out`,
  );
}
process.exit(missing.length > 0 ? 1 : 0);

function aptInstall(names: readonly string[]): void {
  console.log(`apt-get install ${names.join(' ')}`);
  // The packages would start servers of their own on the default ports; this file is Debian's way to forbid it.
  const forbids = '/usr/sbin/policy-rc.d';
  const isOurs = !existsSync(forbids);
  if (isOurs) writeFileSync(forbids, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['-qq', 'update'], { stdio: 'inherit', env });
    spawnSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...names], {
      stdio: 'inherit',
      env,
    });
  } finally {
    if (isOurs) rmSync(forbids);
  }
}

function runs(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

function postgresIsHere(): boolean {
  try {
    return postgresBinaries(18) !== undefined;
  } catch {
    return false;
  }
}
