/**
 * Brings journal lines that a gone process left behind into the store, so that the command line can read everything
 * without a gateway.
 */
import { existsSync } from 'node:fs';
import { openIngest } from './ingest.ts';
import { tryOwn } from './owner.ts';

/**
 * Ingests what is left in the journal, unless a running process owns the directory (it does so by itself). A
 * directory that doesn't exist is left so. Throws what SQLite or the file system throws.
 */
export async function catchUp(directory: string): Promise<'caught_up' | 'owned_by_running_process'> {
  if (!existsSync(directory)) return 'caught_up';
  const owner = tryOwn(directory);
  if (owner === null) return 'owned_by_running_process';
  try {
    const ingest = openIngest(directory, false);
    try {
      while (ingest.step());
      ingest.saveHead();
    } finally {
      ingest.close();
    }
  } finally {
    owner.release();
  }
  return 'caught_up';
}
