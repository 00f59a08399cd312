/** What the follower and its ingest worker say to each other. */
import type { Head } from './head.ts';
import type { JournalPosition } from './store.ts';

/** Given to the worker at its start. */
export interface IngestWorkerData {
  readonly directory: string;
  /** Pause between batches while lines keep coming, so that one commit serves many. */
  readonly pauseMs: number;
}

/** `wake`: there are new lines. `hurry`: no pause until the journal's end. `stop`: to the end, then exit. */
export type ToIngest = 'wake' | 'hurry' | 'stop';

/** How far the store has come. */
export interface IngestReport {
  /** By stream. */
  readonly positions: ReadonlyMap<number, JournalPosition>;
  readonly head: Head;
  /** The end was reached; the ingest sleeps until it is woken. */
  readonly isIdle: boolean;
}

/** `problem`: nothing could be ingested for now (an error code, no content); it is tried again. */
export type FromIngest =
  | { readonly kind: 'ingested'; readonly report: IngestReport }
  | { readonly kind: 'problem'; readonly code: string };
