/**
 * The audit log of a running gateway: who owns the directory, the owner's own log, the logs of its worker processes,
 * and the one ingest that follows them all. No SQL is spoken here but to find the places to go on.
 */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type AuditLog, AuditUnavailable } from './event.ts';
import { type Follower, type IngestPort, startFollower } from './follower.ts';
import type { Head } from './head.ts';
import { openIngest } from './ingest.ts';
import type { IngestReport } from './ingest-messages.ts';
import { type Ownership, tryOwn } from './owner.ts';
import { journalFolder, journalStreams } from './segments.ts';
import { type JournalPosition, openStore } from './store.ts';
import { openStreamLog, type StreamLog, type StreamLogOptions } from './stream-log.ts';

/** Settings of an audit log; each has a default. */
export interface AuditLogOptions extends StreamLogOptions {
  /** How long to wait for a previous owner of the directory, or of the stream, to be gone. Default 5000. */
  readonly ownerWaitMs?: number;
  /** Told when the store can't follow (an error code, no content). The journal goes on meanwhile. */
  readonly onProblem?: (problem: string) => void;
}

/** The owner's log, what the gateway's status shows of it, and what its workers need. */
export interface RunningAuditLog extends AuditLog {
  /** The last row of the chain, after everything of this process so far is in the store. */
  head(): Promise<Head>;
  /** Journal bytes of this process that are not in the store yet. */
  lag(): number;
  /** As in StreamLog. */
  takes(): boolean;
  /** Where the store stands in a stream. */
  position(stream: number): JournalPosition;
  /** Hands on each report of the ingest, for the logs of other processes. */
  subscribe(listener: (report: IngestReport) => void): void;
  readonly ingest: IngestPort;
}

/**
 * Opens the log in a directory (created, mode 0700) that no other process may be using: throws AuditUnavailable when
 * one does, or when nothing can be written there.
 */
export async function openAuditLog(
  directory: string,
  options: AuditLogOptions = {},
): Promise<RunningAuditLog> {
  return opened(directory, options.ownerWaitMs, (owner) => start(directory, options, owner));
}

/** A worker's log: one stream of a directory that another process owns and ingests. */
export interface WorkerAuditLog extends AuditLog {
  /** As in StreamLog. */
  lag(): number;
  /** As in StreamLog. */
  takes(): boolean;
  /** To be told how far the store has come in this stream. */
  followed(position: JournalPosition, isIdle: boolean): void;
}

/**
 * Opens the log of a worker process. `stream` (from 1) is the worker's alone, `start` is where the store stands in it.
 * Throws AuditUnavailable, as openAuditLog does.
 */
export async function openWorkerAuditLog(
  directory: string,
  stream: number,
  start: JournalPosition,
  ingest: IngestPort,
  options: AuditLogOptions = {},
): Promise<WorkerAuditLog> {
  return opened(journalFolder(directory, stream), options.ownerWaitMs, (owner) => {
    const log = openStreamLog(directory, stream, start, options, ingest);
    // It may be asleep; what it reports next tells this log whether it is.
    ingest.wake();
    return {
      ...log,
      async close() {
        log.end();
        owner.release();
      },
    };
  });
}

async function opened<T>(
  directory: string,
  waitMs: number | undefined,
  open: (owner: Ownership) => T,
): Promise<T> {
  let owner: Ownership | null = null;
  try {
    owner = await own(directory, waitMs ?? 5000);
    return open(owner);
  } catch (error) {
    owner?.release();
    if (error instanceof AuditUnavailable) throw error;
    const code = (error as { code?: string }).code ?? (error as Error).name;
    throw new AuditUnavailable(`the audit directory can't be used (${code})`);
  }
}

async function own(directory: string, waitMs: number): Promise<Ownership> {
  const until = performance.now() + waitMs;
  for (;;) {
    const owner = tryOwn(directory);
    if (owner !== null) return owner;
    if (performance.now() >= until) {
      throw new AuditUnavailable('the audit directory is in use by another process');
    }
    await delay(50);
  }
}

function start(directory: string, options: AuditLogOptions, owner: Ownership): RunningAuditLog {
  const store = openStore(directory);
  const positions = new Map<number, JournalPosition>();
  for (const stream of journalStreams(directory)) positions.set(stream, store.position(stream));
  let head: Head = store.head();
  store.close();
  const position = (stream: number): JournalPosition => positions.get(stream) ?? { segment: 1, offset: 0 };

  let follower: Follower | null = null;
  const ingest: IngestPort = { wake: () => follower?.wake(), hurry: () => follower?.hurry() };
  const log: StreamLog = openStreamLog(directory, 0, position(0), options, ingest);
  const running = startFollower(directory, options.onProblem ?? (() => {}));
  follower = running;
  running.subscribe((report) => {
    head = report.head;
    for (const [stream, at] of report.positions) positions.set(stream, at);
    log.followed(position(0), report.isIdle);
  });
  let isClosed = false;

  return {
    template: log.template,
    append: log.append,
    stage: log.stage,
    isStaged: log.isStaged,
    onWritten: log.onWritten,
    defer: log.defer,
    settle: log.settle,
    lag: log.lag,
    takes: log.takes,
    position,
    subscribe: running.subscribe,
    ingest,
    async head() {
      await log.settle();
      return head;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      log.end();
      await running.stop();
      owner.release();
    },
  };
}

/**
 * Ingests what a gone process left in the journal, so that the command line can read everything without a gateway.
 * A running process owns its directory and does so by itself. A directory that doesn't exist is left so. Throws what
 * SQLite or the file system throws.
 */
export async function catchUp(directory: string): Promise<'caught_up' | 'owned_by_running_process'> {
  if (!existsSync(directory)) return 'caught_up';
  const owner = tryOwn(directory);
  if (owner === null) return 'owned_by_running_process';
  try {
    const ingest = openIngest(directory, false);
    try {
      while (ingest.step() !== 'idle');
      ingest.saveHead();
    } finally {
      ingest.close();
    }
  } finally {
    owner.release();
  }
  return 'caught_up';
}
