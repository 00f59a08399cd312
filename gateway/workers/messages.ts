/**
 * What the supervisor and its worker processes say to each other over the channel that Node gives a child. Structured
 * clones: Maps and byte arrays come through as they are.
 */
import type { JournalPosition } from '../../audit/store.ts';
import type { SourceError } from '../../policy/source.ts';
import type { Config } from '../config.ts';
import type { ProcessReport } from '../metrics/process-numbers.ts';
import type { Listening, ProcessStatus, SessionRow } from '../running.ts';
import type { NoSeat } from '../seats.ts';

/** All that a worker has to know to serve. The configuration is the supervisor's, secrets included. */
export interface Begin {
  /** From 1 to `workers`; the worker's stream of the journal has this number. */
  readonly index: number;
  readonly workers: number;
  readonly config: Config;
  readonly policyText: string;
  readonly position: JournalPosition;
  readonly ownerKey: Uint8Array;
}

/** A KILL by a MySQL client. */
export interface MySqlKill {
  readonly connectionId: number;
  readonly queryOnly: boolean;
  readonly owner: string;
}

/** What the supervisor asks of a worker, and the answers. */
export type WorkerAnswers = {
  begin: { in: Begin; out: readonly Listening[] };
  /** Makes a policy ready; the errors why it can't be. */
  prepare: { in: string; out: readonly SourceError[] };
  /** Puts in force what was made ready. */
  commit: { in: null; out: null };
  status: { in: null; out: ProcessStatus };
  report: { in: null; out: ProcessReport };
  sessions: { in: null; out: readonly SessionRow[] };
  kill: { in: string; out: boolean };
  /** Answered behind everything that was said before. */
  barrier: { in: null; out: boolean };
  /** Whether it has a MySQL session of this owner. */
  owns: { in: string; out: boolean };
  mysql_kill: { in: MySqlKill; out: boolean };
  settle: { in: null; out: null };
  /** Answered when the last session has ended; the worker exits by itself. */
  drain: { in: null; out: null };
};

/** What a worker asks of the supervisor. */
export type SupervisorAnswers = {
  /** A seat for a session of this subject: its number, or why there is none. */
  seat: { in: string; out: number | NoSeat };
  /** Answered when what the other workers had said has been passed on. */
  barrier: { in: null; out: boolean };
  /** Whether another worker says yes. */
  owns: { in: string; out: boolean };
  mysql_kill: { in: MySqlKill; out: boolean };
};

/** What needs no answer. */
export type Notice =
  /** The worker listens to its channel; what was said before is lost. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'followed'; readonly position: JournalPosition; readonly isIdle: boolean }
  | { readonly kind: 'wake' }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'free_seat'; readonly seat: number }
  | { readonly kind: 'catalog_stale'; readonly upstream: string }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Uint8Array };
