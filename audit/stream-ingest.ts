/**
 * Moves the lines of one stream into the store, in order, each exactly once. Segments that are done with are deleted,
 * damaged ones kept; never writes to a segment.
 */
import { closeSync, openSync, readSync, renameSync, unlinkSync } from 'node:fs';
import { type Cell, cellsOf, cellsWith, templateCells } from './columns.ts';
import { journalFolder, segmentNumbers, segmentPath, segmentWriter } from './segments.ts';
import type { JournalPosition, Store } from './store.ts';

/** The ingest of one stream. Throws what SQLite or the file system throws; calling again tries again. */
export interface StreamIngest {
  /** Ingests the next batch; false when there is nothing more for now. */
  step(): boolean;
  position(): JournalPosition;
}

const batchRows = 2000;
const lineBytesMax = 64 * 1024 * 1024;

/** `live` says that the last segment may still be written to. */
export function openStreamIngest(
  directory: string,
  stream: number,
  store: Store,
  live: boolean,
): StreamIngest {
  const folder = journalFolder(directory, stream);
  /** Names the stream in a report of damage. */
  const journal = stream === 0 ? 'journal' : `journal-${stream}`;
  let buffer = Buffer.allocUnsafe(1024 * 1024);
  let { segment, offset } = store.position(stream);
  let isDamaged = false;
  /** The templates that the segment has defined so far. */
  const templates = new Map<number, readonly Cell[]>();
  /** What stands before the place to go on at was read by an earlier run: its templates have to be known again. */
  let knowsTemplates = offset === 0;

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
      const gap = `${journal} segments ${segment} to ${next - 1} are missing`;
      store.add([], [gap], stream, { segment: next, offset: 0 });
      segment = next;
      offset = 0;
      begin();
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

  function readTemplates(): void {
    let text: string;
    const file = openSync(segmentPath(folder, segment), 'r');
    try {
      const before = Buffer.allocUnsafe(offset);
      text = before.toString('utf8', 0, readSync(file, before, 0, offset, 0));
    } finally {
      closeSync(file);
    }
    for (const line of text.split('\n')) {
      // What is wrong with a line was told when it was read first.
      if (line.startsWith('{"template":')) readLine(line, [], templates);
    }
    knowsTemplates = true;
  }

  function ingestLines(whole: number): boolean {
    if (!knowsTemplates) readTemplates();
    const rows: Cell[][] = [];
    const damage: string[] = [];
    let start = 0;
    while (start < whole && rows.length < batchRows) {
      const end = buffer.indexOf(0x0a, start);
      const problem = readLine(buffer.toString('utf8', start, end), rows, templates);
      if (problem !== null) damage.push(`${journal} segment ${segment}, byte ${offset + start}: ${problem}`);
      start = end + 1;
    }
    const position = { segment, offset: offset + start };
    store.add(rows, damage, stream, position);
    offset = position.offset;
    if (damage.length > 0) isDamaged = true;
    if (buffer.length > 1024 * 1024) buffer = Buffer.allocUnsafe(1024 * 1024);
    return true;
  }

  function begin(): void {
    templates.clear();
    knowsTemplates = true;
  }

  /** Goes on to segment `next`. What a crash tore off is left out; `isBreach` says that no crash did it. */
  function leave(next: number | undefined, tornBytes: number, isBreach: boolean): boolean {
    const passed = segment;
    if (next === undefined) throw new Error(`${journal} segment ${segment}: a line has no end`);
    const damage = isBreach
      ? [`${journal} segment ${segment}, byte ${offset}: ${tornBytes} bytes of a line without end`]
      : [];
    store.add([], damage, stream, { segment: next, offset: 0 });
    segment = next;
    offset = 0;
    begin();
    const path = segmentPath(folder, passed);
    // What is damaged stays, as evidence.
    if (isBreach || isDamaged) renameSync(path, `${path}.damaged`);
    else unlinkSync(path);
    isDamaged = false;
    return true;
  }

  return { step, position: () => ({ segment, offset }) };
}

/** Adds a line's cells to `rows`, or a template; returns what is wrong with the line (never its content), or null. */
function readLine(text: string, rows: Cell[][], templates: Map<number, readonly Cell[]>): string | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return 'a line is not JSON';
  }
  try {
    if (typeof line !== 'object' || line === null) throw new TypeError('not an object');
    if ('t' in line) {
      const template = templates.get(line.t as number);
      if (template === undefined) return 'a line names a template that is not there';
      rows.push(cellsWith(template, line));
    } else if ('template' in line && 'event' in line) {
      templates.set(line.template as number, templateCells(line.event));
    } else if ('problem' in line) return String(line.problem);
    else if (!('journal' in line)) rows.push(cellsOf(line));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
