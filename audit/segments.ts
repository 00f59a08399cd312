/**
 * The journal's segment files: their folders, names, order and first line. A stream is what one process writes: a
 * folder of segments of its own. Both the writer and the ingest go by this; neither events nor the store are known here.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** Stream 0 is that of the process that owns the audit directory; its workers have the others. */
const firstStream = 0;

/** The folder of a stream's segments, created private to this user when it is missing. */
export function journalFolder(directory: string, stream: number = firstStream): string {
  const folder = join(directory, stream === firstStream ? 'journal' : `journal-${stream}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** The streams that have a folder, ascending; stream 0 always does. */
export function journalStreams(directory: string): number[] {
  const streams = [firstStream];
  for (const name of readdirSync(directory)) {
    const number = /^journal-([1-9]\d{0,3})$/.exec(name)?.[1];
    if (number !== undefined) streams.push(Number(number));
  }
  return streams.sort((a, b) => a - b);
}

/** The file of segment `number` (from 1). */
export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(12, '0')}.jsonl`);
}

/** Numbers of the segments that exist, ascending. */
export function segmentNumbers(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => /^\d{12}\.jsonl$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

/**
 * A segment's first line. `writer` names the process run that wrote it: a line without its end is a crash's trace
 * only where the next segment has another writer, and damage anywhere else.
 */
export function headerLine(writer: string, number: number): string {
  return `{"journal":1,"writer":"${writer}","segment":${number}}\n`;
}

/** The writer that a segment's header names, or null while it has no whole header. */
export function segmentWriter(folder: string, number: number): string | null {
  const start = Buffer.alloc(256);
  const file = openSync(segmentPath(folder, number), 'r');
  try {
    const length = readSync(file, start, 0, start.length, 0);
    const end = start.subarray(0, length).indexOf(0x0a);
    if (end === -1) return null;
    const header: unknown = JSON.parse(start.toString('utf8', 0, end));
    if (typeof header !== 'object' || header === null || !('writer' in header)) return null;
    return typeof header.writer === 'string' ? header.writer : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  } finally {
    closeSync(file);
  }
}
