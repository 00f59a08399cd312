/**
 * The head record: the file `head` beside the store that says how far the chain had come. It is what shows that rows
 * were cut off the end, which a chain by itself can't show. It proves nothing against someone who can write both the
 * store and this file: compare with a head that was kept elsewhere (`audit verify` prints it).
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The last row of the chain; seq 0 and the genesis hash when there is none. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** Replaces the record in one step, after its bytes are on disk. */
export function writeHead(directory: string, head: Head): void {
  const next = join(directory, 'head.next');
  const file = openSync(next, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify({ seq: head.seq, hash: head.hash })}\n`);
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, join(directory, 'head'));
}

/** The record; null when there is no file, 'unreadable' when it isn't a head record. */
export function readHead(directory: string): Head | null | 'unreadable' {
  let text: string;
  try {
    text = readFileSync(join(directory, 'head'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { seq, hash } = JSON.parse(text) as { seq?: unknown; hash?: unknown };
    if (typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 && typeof hash === 'string') {
      return { seq, hash };
    }
  } catch {
    return 'unreadable';
  }
  return 'unreadable';
}
