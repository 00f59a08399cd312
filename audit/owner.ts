/**
 * Which process owns an audit directory: the one that holds the exclusive lock on its `owner` file. The operating
 * system drops the lock with the process, so a kill leaves nothing to clean up.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** The lock; `release` gives it up. */
export interface Ownership {
  release(): void;
}

/**
 * Takes the ownership of the directory (creating it, mode 0700), or null when another process or another part of
 * this one has it. Nothing but this function may open the `owner` file: POSIX drops a process's locks on a file as
 * soon as any descriptor of it is closed.
 */
export function tryOwn(directory: string): Ownership | null {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'owner');
  const lock = new Database(path, { timeout: 0 });
  try {
    chmodSync(path, 0o600);
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return null;
    throw error;
  }
  return { release: () => lock.close() };
}
