/**
 * Moves journal lines into the store, in order, each exactly once. Runs in the ingest worker while the gateway is up
 * and in the caller's thread when leftovers are caught up. Never writes to a segment.
 */
import { closeSync, openSync, readSync, renameSync, unlinkSync } from 'node:fs';
import { type Cell, cellsOf } from './columns.ts';
import { type Head, readHead, writeHead } from './head.ts';
import { journalFolder, segmentNumbers, segmentPath, segmentWriter } from './segments.ts';
import { type JournalPosition, openStore } from './store.ts';

/** A running ingest. Its methods throw what SQLite or the file system throws; calling again tries again. */
export interface Ingest {
  /** Ingests the next batch; false when there is nothing more for now. */
  step(): boolean;
  position(): JournalPosition;
  head(): Head;
  /** Brings the head record up to date. */
  saveHead(): void;
  close(): void;
}

const batchRows = 2000;
const lineBytesMax = 64 * 1024 * 1024;

/**
 * Opens the ingest of a directory that the caller owns. `live` says that the last segment is still being written.
 */
export function openIngest(directory: string, live: boolean): Ingest {
  const folder = journalFolder(directory);
  const store = openStore(directory);
  let buffer = Buffer.allocUnsafe(1024 * 1024);
  let { segment, offset } = store.position();
  let saved: Head | null = null;
  let isDamaged = false;

  const before = readHead(directory);
  const mismatch = headMismatch(before);
  if (mismatch !== null) store.add([], [mismatch], { segment, offset });
  saveHead();

  function headMismatch(record: Head | null | 'unreadable'): string | null {
    const { seq } = store.head();
    if (record === 'unreadable') return 'the head record is unreadable';
    if (record === null) return seq === 0 ? null : 'the head record is missing';
    if (record.seq > seq) return `rows ${seq + 1} to ${record.seq} are missing`;
    if (record.seq > 0 && store.hashOf(record.seq) !== record.hash) {
      return `row ${record.seq} is not the one in the head record`;
    }
    return null;
  }

  function saveHead(): void {
    const head = store.head();
    if (saved !== null && saved.seq === head.seq) return;
    writeHead(directory, head);
    saved = head;
  }

  /** Reads from the position up to the last whole line that fits; null when the segment has no file. */
  function readLines(): { length: number; whole: number } | null {
    let file: number;
    try {
      file = openSync(segmentPath(folder, segment), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      for (;;) {
        let length = 0;
        while (length < buffer.length) {
          const read = readSync(file, buffer, length, buffer.length - length, offset + length);
          if (read === 0) break;
          length += read;
        }
        const whole = buffer.subarray(0, length).lastIndexOf(0x0a) + 1;
        if (whole > 0 || length < buffer.length || length >= lineBytesMax) return { length, whole };
        buffer = Buffer.allocUnsafe(buffer.length * 2);
      }
    } finally {
      closeSync(file);
    }
  }

  function step(): boolean {
    // Listed before reading: a later segment means that this one was complete by then.
    const numbers = segmentNumbers(folder);
    const next = numbers.find((number) => number > segment);
    const lines = readLines();
    if (lines === null) {
      if (next === undefined) return false;
      const gap = `journal segments ${segment} to ${next - 1} are missing`;
      store.add([], [gap], { segment: next, offset: 0 });
      segment = next;
      offset = 0;
      return true;
    }
    if (lines.whole > 0) return ingestLines(lines.whole);
    if (lines.length >= lineBytesMax) return leave(next, lines.length, true);
    if (next !== undefined) {
      const nextWriter = segmentWriter(folder, next);
      const isLastListed = next === numbers[numbers.length - 1];
      if (nextWriter === null && isLastListed && live) return false;
      const torn = lines.length > 0 && nextWriter !== null && nextWriter === segmentWriter(folder, segment);
      return leave(next, lines.length, torn);
    }
    return false;
  }

  function ingestLines(whole: number): boolean {
    const rows: Cell[][] = [];
    const damage: string[] = [];
    let start = 0;
    while (start < whole && rows.length < batchRows) {
      const end = buffer.indexOf(0x0a, start);
      const problem = readLine(buffer.toString('utf8', start, end), rows);
      if (problem !== null) damage.push(`journal segment ${segment}, byte ${offset + start}: ${problem}`);
      start = end + 1;
    }
    const position = { segment, offset: offset + start };
    store.add(rows, damage, position);
    offset = position.offset;
    if (damage.length > 0) isDamaged = true;
    if (buffer.length > 1024 * 1024) buffer = Buffer.allocUnsafe(1024 * 1024);
    return true;
  }

  /** Goes on to segment `next`. What a crash tore off is left out; `isBreach` says that no crash did it. */
  function leave(next: number | undefined, tornBytes: number, isBreach: boolean): boolean {
    const passed = segment;
    if (next === undefined) throw new Error(`journal segment ${segment}: a line has no end`);
    const damage = isBreach
      ? [`journal segment ${segment}, byte ${offset}: ${tornBytes} bytes of a line without end`]
      : [];
    store.add([], damage, { segment: next, offset: 0 });
    segment = next;
    offset = 0;
    const path = segmentPath(folder, passed);
    // What is damaged stays, as evidence.
    if (isBreach || isDamaged) renameSync(path, `${path}.damaged`);
    else unlinkSync(path);
    isDamaged = false;
    return true;
  }

  return {
    step,
    position: () => ({ segment, offset }),
    head: () => store.head(),
    saveHead,
    close: () => store.close(),
  };
}

/** Adds a line's cells to `rows`; returns what is wrong with the line (never its content), or null. */
function readLine(text: string, rows: Cell[][]): string | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return 'a line is not JSON';
  }
  if (typeof line === 'object' && line !== null) {
    if ('journal' in line) return null;
    if ('problem' in line) return String(line.problem);
  }
  try {
    rows.push(cellsOf(line));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
