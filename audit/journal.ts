/**
 * The audit log of a running gateway: takes events into the journal and keeps the store following it. The file work
 * is journal-writer.ts, the store's is the ingest worker's; no SQL is spoken here but to find the place to go on.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type AuditLog, AuditUnavailable } from './event.ts';
import { eventLine, eventTemplate } from './event-line.ts';
import type { Head } from './head.ts';
import { openIngest } from './ingest.ts';
import type { FromIngest, IngestWorkerData, ToIngest } from './ingest-messages.ts';
import { openJournalWriter, type WriterSettings } from './journal-writer.ts';
import { type Ownership, tryOwn } from './owner.ts';
import { journalFolder, segmentNumbers, segmentPath } from './segments.ts';
import { type JournalPosition, openStore } from './store.ts';

/** Settings of an audit log; each has a default. */
export interface AuditLogOptions extends Partial<WriterSettings> {
  /** Lines that are not in the store yet may take this much; beyond it `append` throws. Default 4 GiB. */
  readonly journalBytesMax?: number;
  /** Deferred events wait at most this long. Default 50. */
  readonly deferMs?: number;
  /** How long to wait for a previous owner of the directory to be gone. Default 5000. */
  readonly ownerWaitMs?: number;
  /** Told when the store can't follow (an error code, no content). The journal goes on meanwhile. */
  readonly onProblem?: (problem: string) => void;
}

/** The log and what the gateway's status shows of it. */
export interface RunningAuditLog extends AuditLog {
  /** The last row of the chain, after everything so far is in the store. */
  head(): Promise<Head>;
  /** Journal bytes that are not in the store yet. */
  lag(): number;
}

/** The store may follow this far behind: larger batches cost it half as much a row. `settle` does not wait for it. */
const pauseMs = 200;
const stopMs = 10_000;
/** Deferred lines that go out before their time. */
const deferBytes = 64 * 1024;

/**
 * Opens the log in a directory (created, mode 0700) that no other process may be using: throws AuditUnavailable when
 * one does, or when nothing can be written there.
 */
export async function openAuditLog(
  directory: string,
  options: AuditLogOptions = {},
): Promise<RunningAuditLog> {
  let owner: Ownership | null = null;
  try {
    owner = await own(directory, options.ownerWaitMs ?? 5000);
    return start(directory, options, owner);
  } catch (error) {
    owner?.release();
    if (error instanceof AuditUnavailable) throw error;
    const code = (error as { code?: string }).code ?? (error as Error).name;
    throw new AuditUnavailable(`the audit directory can't be used (${code})`);
  }
}

/** Compiled, the worker lies beside this file as JavaScript; from source its thread needs a loader first. */
function workerUrl(): URL {
  const url = new URL('./ingest-worker.ts', import.meta.url);
  if (!import.meta.url.endsWith('.ts')) {
    url.pathname = url.pathname.replace(/\.ts$/, '.js');
    return url;
  }
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const text = `import { register } from ${loader}; register(); await import(${JSON.stringify(url.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
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
  let position: JournalPosition = store.position();
  let head: Head = store.head();
  store.close();

  const folder = journalFolder(directory);
  const existing = segmentNumbers(folder);
  const isFresh = existing.length === 0 && position.segment === 1 && position.offset === 0;
  const first = isFresh ? 1 : Math.max(position.segment, ...existing) + 1;
  const journalBytesMax = options.journalBytesMax ?? 4 * 1024 * 1024 * 1024;
  const deferMs = options.deferMs ?? 50;
  const onProblem = options.onProblem ?? (() => {});
  /** Bytes of the complete segments that the store has not passed. */
  const unread = new Map<number, number>();
  for (const number of existing) {
    if (number >= position.segment) unread.set(number, statSync(segmentPath(folder, number)).size);
  }
  let unreadBytes = 0;
  for (const size of unread.values()) unreadBytes += size;
  const settings: WriterSettings = {
    sync: options.sync ?? 'write',
    segmentBytesMax: options.segmentBytesMax ?? 16 * 1024 * 1024,
    lineBytesMax: options.lineBytesMax ?? 8 * 1024 * 1024,
    deferredBytesMax: options.deferredBytesMax ?? 16 * 1024 * 1024,
    syncMs: options.syncMs ?? 200,
  };
  const writer = openJournalWriter(directory, randomUUID(), first, settings, (segment, bytes) => {
    unread.set(segment, bytes);
    unreadBytes += bytes;
  });

  let worker: Worker | null = null;
  let isAwake = true;
  let isClosed = false;
  let deferTimer: NodeJS.Timeout | null = null;
  let isStuck = false;
  let waiting: { until: JournalPosition; resolve: () => void }[] = [];

  function passed(until: JournalPosition): boolean {
    return (
      position.segment > until.segment ||
      (position.segment === until.segment && position.offset >= until.offset)
    );
  }

  function lag(): number {
    const end = writer.end();
    return unreadBytes - position.offset + end.offset;
  }

  function send(message: ToIngest): void {
    worker?.postMessage(message);
  }

  function wake(): void {
    if (isAwake) return;
    isAwake = true;
    send('wake');
  }

  function onIngested(message: Extract<FromIngest, { kind: 'ingested' }>): void {
    position = message.position;
    head = message.head;
    for (const [number, size] of unread) {
      if (number >= position.segment) continue;
      unread.delete(number);
      unreadBytes -= size;
    }
    if (waiting.length > 0) {
      for (const each of waiting) if (passed(each.until)) each.resolve();
      waiting = waiting.filter((each) => !passed(each.until));
      if (waiting.length > 0) send('hurry');
      else worker?.unref();
    }
    isAwake = !message.isIdle;
    if (!passed(writer.end())) wake();
  }

  function startWorker(): void {
    const data: IngestWorkerData = { directory, pauseMs };
    const started = new Worker(workerUrl(), { workerData: data, execArgv: [] });
    worker = started;
    isAwake = true;
    started.on('message', (message: FromIngest) => {
      if (message.kind === 'ingested') onIngested(message);
      else onProblem(`the audit store can't follow the journal (${message.code})`);
    });
    started.on('error', (error) => {
      onProblem(
        `the audit store can't follow the journal (${(error as { code?: string }).code ?? error.name})`,
      );
    });
    started.on('exit', () => {
      if (worker !== started) return;
      worker = null;
      if (isClosed) return;
      const timer = setTimeout(() => {
        if (!isClosed) startWorker();
      }, 1000);
      if (waiting.length === 0) timer.unref();
    });
    if (waiting.length === 0) started.unref();
  }

  function flushDeferred(): void {
    deferTimer = null;
    try {
      writer.flush();
      isStuck = false;
      wake();
    } catch {
      isStuck = true;
      deferTimer = setTimeout(flushDeferred, 1000).unref();
    }
  }

  function settle(): Promise<void> {
    try {
      writer.flush();
    } catch (error) {
      return Promise.reject(error);
    }
    const until = writer.end();
    if (passed(until)) return Promise.resolve();
    return new Promise((resolve) => {
      waiting.push({ until, resolve });
      worker?.ref();
      isAwake = true;
      send('hurry');
    });
  }

  startWorker();

  return {
    template: eventTemplate,
    append(template, at, more) {
      if (isClosed) throw new AuditUnavailable('the audit log is closed');
      if (lag() > journalBytesMax)
        throw new AuditUnavailable('the audit store is too far behind the journal');
      writer.write(eventLine(template, at, more));
      if (!isAwake) wake();
    },
    defer(template, at, more) {
      if (isClosed) return;
      if (writer.defer(eventLine(template, at, more)) >= deferBytes && deferTimer !== null && !isStuck) {
        clearTimeout(deferTimer);
        flushDeferred();
      }
      deferTimer ??= setTimeout(flushDeferred, deferMs).unref();
    },
    settle,
    lag,
    async head() {
      await settle();
      return head;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      if (deferTimer !== null) clearTimeout(deferTimer);
      try {
        writer.flush();
      } catch {
        onProblem('deferred audit events were lost on closing');
      }
      try {
        writer.close();
      } catch {
        onProblem("the audit journal's last lines may not be on disk");
      }
      const last = worker;
      if (last !== null) {
        last.ref();
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => void last.terminate(), stopMs);
          last.once('exit', () => {
            clearTimeout(timer);
            resolve();
          });
          send('stop');
        });
      }
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
