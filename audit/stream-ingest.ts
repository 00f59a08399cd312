/**
 * Moves the lines of one stream into the store, in order, each exactly once. Segments that are done with are deleted,
 * damaged ones kept; never writes to a segment.
 */
import { closeSync, openSync, readSync, renameSync, unlinkSync } from 'node:fs';
import {
  type Cell,
  cellsOf,
  cellsWith,
  indexOfColumn,
  isShared,
  ownCellsOf,
  templateCells,
} from './columns.ts';
import { journalFolder, segmentNumbers, segmentPath, segmentWriter } from './segments.ts';
import type { JournalPosition, Store } from './store.ts';
import type { StoredRow, StoredTemplate, StoredTemplates } from './stored-templates.ts';

/** `idle`: there is nothing more for now. `some`: what there was. `full`: a whole batch, and there may be more. */
export type Step = 'idle' | 'some' | 'full';

/** The ingest of one stream. Throws what SQLite or the file system throws; calling again tries again. */
export interface StreamIngest {
  /** Ingests the next batch. */
  step(): Step;
  position(): JournalPosition;
}

const batchRows = 10_000;
const eventIndex = indexOfColumn('event');
/** A buffer with less room left than this was filled by what there was to read. */
const lineRoom = 4096;
const lineBytesMax = 64 * 1024 * 1024;

/** `live` says that the last segment may still be written to. */
export function openStreamIngest(
  directory: string,
  stream: number,
  store: Store,
  stored: StoredTemplates,
  live: boolean,
): StreamIngest {
  const folder = journalFolder(directory, stream);
  /** Names the stream in a report of damage. */
  const journal = stream === 0 ? 'journal' : `journal-${stream}`;
  let buffer = Buffer.allocUnsafe(1024 * 1024);
  let { segment, offset } = store.position(stream);
  let isDamaged = false;
  const templates: SegmentTemplates = new Map();
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

  function step(): Step {
    // Listed before reading: a later segment means that this one was complete by then.
    const numbers = segmentNumbers(folder);
    const next = numbers.find((number) => number > segment);
    const lines = readLines();
    if (lines === null) {
      if (next === undefined) return 'idle';
      const gap = `${journal} segments ${segment} to ${next - 1} are missing`;
      store.add([], [gap], stream, { segment: next, offset: 0 });
      segment = next;
      offset = 0;
      begin();
      return 'full';
    }
    if (lines.whole > 0) return ingestLines(lines.whole);
    if (lines.length >= lineBytesMax) return leave(next, lines.length, true);
    if (next !== undefined) {
      const nextWriter = segmentWriter(folder, next);
      const isLastListed = next === numbers[numbers.length - 1];
      if (nextWriter === null && isLastListed && live) return 'idle';
      const torn = lines.length > 0 && nextWriter !== null && nextWriter === segmentWriter(folder, segment);
      return leave(next, lines.length, torn);
    }
    return 'idle';
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
      if (line.startsWith('{"template":')) readLine(line, [], templates, stored);
    }
    knowsTemplates = true;
  }

  function ingestLines(whole: number): Step {
    if (!knowsTemplates) readTemplates();
    const rows: StoredRow[] = [];
    const damage: string[] = [];
    let start = 0;
    while (start < whole && rows.length < batchRows) {
      const end = buffer.indexOf(0x0a, start);
      const problem = readLine(buffer.toString('utf8', start, end), rows, templates, stored);
      if (problem !== null) damage.push(`${journal} segment ${segment}, byte ${offset + start}: ${problem}`);
      start = end + 1;
    }
    const position = { segment, offset: offset + start };
    store.add(rows, damage, stream, position);
    offset = position.offset;
    if (damage.length > 0) isDamaged = true;
    const isWholeBuffer = buffer.length - whole < lineRoom;
    if (buffer.length > 1024 * 1024) buffer = Buffer.allocUnsafe(1024 * 1024);
    return start < whole || isWholeBuffer ? 'full' : 'some';
  }

  function begin(): void {
    templates.clear();
    knowsTemplates = true;
  }

  /** Goes on to segment `next`. What a crash tore off is left out; `isBreach` says that no crash did it. */
  function leave(next: number | undefined, tornBytes: number, isBreach: boolean): Step {
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
    return 'full';
  }

  return { step, position: () => ({ segment, offset }) };
}

/** The templates that a segment has defined so far. */
type SegmentTemplates = Map<
  number,
  { readonly cells: readonly Cell[]; readonly shared: StoredTemplate | null }
>;

/** Adds a line's event to `rows`, or a template; returns what is wrong with the line (never its content), or null. */
function readLine(
  text: string,
  rows: StoredRow[],
  templates: SegmentTemplates,
  stored: StoredTemplates,
): string | null {
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
      const own = template.shared === null ? null : ownCellsOf(line);
      if (own === null) rows.push({ template: null, cells: cellsWith(template.cells, line) });
      else rows.push({ template: template.shared!, own });
    } else if ('template' in line && 'event' in line) {
      const cells = templateCells(line.event);
      const isStored = isShared(cells) && cells[eventIndex] !== null;
      templates.set(line.template as number, { cells, shared: isStored ? stored.of(cells) : null });
    } else if ('problem' in line) return String(line.problem);
    else if (!('journal' in line)) rows.push({ template: null, cells: cellsOf(line) });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
