/**
 * Moves the lines of every stream of the journal into the one store. Runs in the ingest worker while the gateway is
 * up and in the caller's thread when leftovers are caught up.
 */
import { type Head, readHead, writeHead } from './head.ts';
import { journalStreams } from './segments.ts';
import { type JournalPosition, openStore } from './store.ts';
import { StoredTemplates } from './stored-templates.ts';
import { openStreamIngest, type Step, type StreamIngest } from './stream-ingest.ts';

/** A running ingest. Its methods throw what SQLite or the file system throws; calling again tries again. */
export interface Ingest {
  /** Ingests the next batch of each stream; says what the one that is furthest behind says. */
  step(): Step;
  /** By stream. */
  positions(): ReadonlyMap<number, JournalPosition>;
  head(): Head;
  /** Brings the head record up to date. */
  saveHead(): void;
  close(): void;
}

/**
 * Opens the ingest of a directory that the caller owns. `live` says that the last segment of each stream may still be
 * written to.
 */
export function openIngest(directory: string, live: boolean): Ingest {
  const store = openStore(directory);
  const streams = new Map<number, StreamIngest>();
  const templates = new StoredTemplates();
  let saved: Head | null = null;

  const mismatch = headMismatch(readHead(directory));
  if (mismatch !== null) store.add([], [mismatch], 0, store.position(0));
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

  function step(): Step {
    let found: Step = 'idle';
    for (const stream of journalStreams(directory)) {
      let ingest = streams.get(stream);
      if (ingest === undefined) {
        ingest = openStreamIngest(directory, stream, store, templates, live);
        streams.set(stream, ingest);
      }
      const step = ingest.step();
      if (found !== 'full' && step !== 'idle') found = step;
    }
    return found;
  }

  return {
    step,
    positions: () => new Map([...streams].map(([stream, ingest]) => [stream, ingest.position()])),
    head: () => store.head(),
    saveHead,
    close: () => store.close(),
  };
}
