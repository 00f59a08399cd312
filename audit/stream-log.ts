/**
 * The log of one process: takes events into its stream of the journal, and knows how far the store has followed. The
 * file work is journal-writer.ts; who ingests, and in which process, is not known here.
 */
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { type AuditEvent, type AuditLog, AuditUnavailable, type EventTemplate } from './event.ts';
import { eventRest, eventTemplate, type JournalTemplate } from './event-line.ts';
import type { IngestPort } from './follower.ts';
import { openJournalWriter, type WriterSettings } from './journal-writer.ts';
import { journalFolder, segmentNumbers, segmentPath } from './segments.ts';
import type { JournalPosition } from './store.ts';

/** Settings of a log; each has a default. */
export interface StreamLogOptions extends Partial<WriterSettings> {
  /** Lines that are not in the store yet may take this much; beyond it `append` throws. Default 4 GiB. */
  readonly journalBytesMax?: number;
  /** Deferred events wait at most this long. Default 50. */
  readonly deferMs?: number;
  /** Told when lines are lost on closing (no content). */
  readonly onProblem?: (problem: string) => void;
}

/** The log, and what follows it needs of it. */
export interface StreamLog extends AuditLog {
  /** Journal bytes that are not in the store yet. */
  lag(): number;
  /** An `append` would be tried: nothing that was to be written is stuck, and the store is not too far behind. */
  takes(): boolean;
  /** The store has come so far in this stream. `isIdle`: the ingest sleeps until it is woken. */
  followed(position: JournalPosition, isIdle: boolean): void;
  /** Writes what is deferred and lets go of the stream; nothing is taken from then on. */
  end(): void;
}

/** Deferred lines that go out before their time. */
const deferBytes = 64 * 1024;
/** Staged lines beyond which the next one is written at once, with all of them. */
const stagedBytesMax = 1024 * 1024;

/** `start` is where the store stands in the stream. Throws AuditUnavailable or what the file system throws. */
export function openStreamLog(
  directory: string,
  stream: number,
  start: JournalPosition,
  options: StreamLogOptions,
  ingest: IngestPort,
): StreamLog {
  const folder = journalFolder(directory, stream);
  const existing = segmentNumbers(folder);
  const isFresh = existing.length === 0 && start.segment === 1 && start.offset === 0;
  const first = isFresh ? 1 : Math.max(start.segment, ...existing) + 1;
  const journalBytesMax = options.journalBytesMax ?? 4 * 1024 * 1024 * 1024;
  const deferMs = options.deferMs ?? 50;
  const onProblem = options.onProblem ?? (() => {});
  let position = start;
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
  const writer = openJournalWriter(folder, randomUUID(), first, settings, (segment, bytes) => {
    unread.set(segment, bytes);
    unreadBytes += bytes;
  });

  let isAwake = true;
  let isClosed = false;
  let deferTimer: NodeJS.Timeout | null = null;
  let isStuck = false;
  /** Counts turns of the event loop in which something was staged. */
  let turn = 1;
  let hasStaged = false;
  let writtenWaiters: ((isWritten: boolean) => void)[] = [];
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

  function wake(): void {
    if (isAwake) return;
    isAwake = true;
    ingest.wake();
  }

  function flush(): boolean {
    try {
      writer.flush();
      isStuck = false;
      wake();
      return true;
    } catch {
      isStuck = true;
      return false;
    }
  }

  function flushDeferred(): void {
    deferTimer = null;
    if (!flush()) deferTimer = setTimeout(flushDeferred, 1000).unref();
  }

  function endTurn(): void {
    if (!hasStaged) return;
    hasStaged = false;
    turn++;
    const waiters = writtenWaiters;
    writtenWaiters = [];
    const isWritten = !isClosed && flush();
    if (!isWritten && !isClosed) deferTimer ??= setTimeout(flushDeferred, 1000).unref();
    for (const waiter of waiters) waiter(isWritten);
  }

  function append(template: EventTemplate, at: number, more: Omit<AuditEvent, 'at' | 'event'>): void {
    writer.write(template as JournalTemplate, eventRest(at, more));
    isStuck = false;
    if (!isAwake) wake();
  }

  function refuseWhenFull(): void {
    if (isClosed) throw new AuditUnavailable('the audit log is closed');
    if (lag() > journalBytesMax) throw new AuditUnavailable('the audit store is too far behind the journal');
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
      // Nothing else may be left that keeps the process.
      const kept = setInterval(() => {}, 60_000);
      waiting.push({
        until,
        resolve: () => {
          clearInterval(kept);
          resolve();
        },
      });
      isAwake = true;
      ingest.hurry();
    });
  }

  function end(): void {
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
  }

  return {
    template: eventTemplate,
    append(template, at, more) {
      refuseWhenFull();
      append(template, at, more);
    },
    stage(template, at, more) {
      refuseWhenFull();
      const isStagedNow =
        !isStuck && writer.stage(template as JournalTemplate, eventRest(at, more), stagedBytesMax);
      if (!isStagedNow) {
        append(template, at, more);
        return 0;
      }
      if (!hasStaged) {
        hasStaged = true;
        setImmediate(endTurn);
      }
      return turn;
    },
    isStaged: (staged) => hasStaged && staged === turn,
    onWritten(waiter) {
      writtenWaiters.push(waiter);
    },
    defer(template, at, more) {
      if (isClosed) return;
      const kept = writer.defer(template as JournalTemplate, eventRest(at, more));
      if (kept >= deferBytes && deferTimer !== null && !isStuck) {
        clearTimeout(deferTimer);
        flushDeferred();
      }
      deferTimer ??= setTimeout(flushDeferred, deferMs).unref();
    },
    settle,
    lag,
    takes: () => !isClosed && !isStuck && lag() <= journalBytesMax,
    followed(next, isIdle) {
      position = next;
      for (const [number, size] of unread) {
        if (number >= position.segment) continue;
        unread.delete(number);
        unreadBytes -= size;
      }
      if (waiting.length > 0) {
        for (const each of waiting) if (passed(each.until)) each.resolve();
        waiting = waiting.filter((each) => !passed(each.until));
        if (waiting.length > 0) ingest.hurry();
      }
      isAwake = !isIdle;
      if (!isClosed && !passed(writer.end())) wake();
    },
    end,
    close: async () => end(),
  };
}
