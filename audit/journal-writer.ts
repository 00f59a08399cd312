/**
 * Puts lines into the journal's segment files, whole or not at all, and sees to it that each segment defines the
 * templates that its lines name. Nothing is read back.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs';
import { AuditUnavailable } from './event.ts';
import { definitionLine, eventLine, type JournalTemplate } from './event-line.ts';
import { headerLine, segmentPath } from './segments.ts';

/** How the journal writes. */
export interface WriterSettings {
  /** `write`: a line outlives this process; `disk`: it also outlives the machine's power. */
  readonly sync: 'write' | 'disk';
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentBytesMax: number;
  /** A line larger than this is refused. */
  readonly lineBytesMax: number;
  /** Deferred lines that can't be written are kept up to this size. */
  readonly deferredBytesMax: number;
  /** With `write`: how long a line may wait for its fdatasync. */
  readonly syncMs: number;
}

/** The writer of one process run. */
export interface JournalWriter {
  /**
   * Writes the deferred events and this one, in that order. `rest` is as from eventRest. Throws AuditUnavailable: then
   * this one isn't there.
   */
  write(template: JournalTemplate, rest: string): void;
  /** Keeps the event for the next write or flush. false, and it isn't kept: it is too large, or `keptBytesMax` would be passed. */
  stage(template: JournalTemplate, rest: string, keptBytesMax: number): boolean;
  /** Keeps the event for the next write or flush. Never throws. Returns the bytes that are kept. */
  defer(template: JournalTemplate, rest: string): number;
  /** Writes the deferred lines. Throws AuditUnavailable and keeps those that weren't written. */
  flush(): void;
  /** Where the next line goes. */
  end(): { readonly segment: number; readonly offset: number };
  close(): void;
}

const bufferBytes = 64 * 1024;

/**
 * Starts segment `first` in the folder of a stream; it must not exist. `onComplete` is told each segment's size when the next one begins.
 * Throws AuditUnavailable.
 */
export function openJournalWriter(
  folder: string,
  writer: string,
  first: number,
  settings: WriterSettings,
  onComplete: (segment: number, bytes: number) => void,
): JournalWriter {
  let segment = first - 1;
  let file = -1;
  /** Bytes of whole lines in the segment. */
  let size = 0;
  let hasHeader = false;
  /** A partial line may stand behind `size`. */
  let isTorn = false;
  let mustRotate = true;
  let syncTimer: NodeJS.Timeout | null = null;
  let lost = 0;

  // Deferred lines, encoded; a line to be written at once is put behind them and all go out in one call.
  let pending = Buffer.allocUnsafe(bufferBytes);
  let used = 0;

  // Of the kept lines: a segment that they come to stand in has to define them.
  const pendingTemplates: JournalTemplate[] = [];
  let flushes = 1;
  /** Counts begun segments: templates that were defined in another one have to be defined again. */
  let begun = 0;
  let numbers = 0;

  /** The event's line, behind the template's definition where the segment has none yet. */
  function textOf(template: JournalTemplate, rest: string): string {
    if (template.pendingFor !== flushes) {
      template.pendingFor = flushes;
      pendingTemplates.push(template);
    }
    if (template.definedIn === begun) return eventLine(template, rest);
    if (template.number === 0) template.number = ++numbers;
    template.definedIn = begun;
    return definitionLine(template) + eventLine(template, rest);
  }

  function encode(line: string): number {
    const most = used + line.length * 3;
    if (most > pending.length) {
      const larger = Buffer.allocUnsafe(Math.max(most, pending.length * 2));
      pending.copy(larger, 0, 0, used);
      pending = larger;
    }
    return pending.write(line, used, 'utf8');
  }

  function rotate(): void {
    mustRotate = true;
    if (file === -1 || hasHeader) {
      const next = openSync(
        segmentPath(folder, segment + 1),
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND,
        0o600,
      );
      if (file !== -1) {
        retire(file, segment);
        onComplete(segment, size);
      }
      file = next;
      segment++;
      size = 0;
      hasHeader = false;
    }
    begun++;
    const header = Buffer.from(headerLine(writer, segment));
    put(header, header.length);
    syncFolder();
    hasHeader = true;
    mustRotate = false;
  }

  /** A segment's name has to outlive a loss of power as well. */
  function syncFolder(): void {
    const handle = openSync(folder, constants.O_RDONLY);
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  }

  function retire(old: number, number: number): void {
    fdatasync(old, (error) => {
      closeSync(old);
      if (error !== null) lose(`fdatasync of segment ${number} failed (${error.code ?? 'EIO'})`);
    });
  }

  /** Appends bytes [0, length). When it throws, a prefix may be in the file: `written` tells how much. */
  let written = 0;
  function put(bytes: Buffer, length: number): void {
    written = 0;
    isTorn = true;
    while (written < length) {
      const count = writeSync(file, bytes, written, length - written);
      if (count === 0) throw new Error('nothing could be written');
      written += count;
    }
    size += length;
    isTorn = false;
  }

  /** Whole lines stay (the ingest may have read them already); a partial line is cut off. */
  function mend(): void {
    const kept = pending.subarray(0, written).lastIndexOf(0x0a) + 1;
    if (kept > 0) {
      size += kept;
      if (kept < used) pending.copyWithin(0, kept, used);
      used = Math.max(0, used - kept);
    }
    written = 0;
    cut();
  }

  /** Puts the definitions that a new segment lacks in front of the first `length` bytes; how many bytes they take. */
  function defineAnew(length: number): number {
    let text = '';
    for (const template of pendingTemplates) {
      template.definedIn = begun;
      text += definitionLine(template);
    }
    const lines = Buffer.from(text);
    if (length + lines.length > pending.length) {
      const larger = Buffer.allocUnsafe(length + lines.length);
      pending.copy(larger, 0, 0, length);
      pending = larger;
    }
    pending.copyWithin(lines.length, 0, length);
    lines.copy(pending);
    used += lines.length;
    return lines.length;
  }

  function cut(): void {
    ftruncateSync(file, size);
    isTorn = false;
  }

  /** Writes the first `length` bytes of `pending`: the deferred ones, and perhaps a line behind them. */
  function flushTo(length: number): void {
    let isPut = false;
    try {
      if (isTorn) cut();
      let bytes = length;
      if (mustRotate || size >= settings.segmentBytesMax) {
        rotate();
        bytes += defineAnew(length);
      }
      isPut = true;
      put(pending, bytes);
      used = 0;
      flushes++;
      pendingTemplates.length = 0;
      if (settings.sync === 'disk') {
        mustRotate = true;
        fdatasyncSync(file);
        mustRotate = false;
      } else syncTimer ??= setTimeout(syncLater, settings.syncMs).unref();
    } catch (error) {
      if (!isPut) written = 0;
      let code = (error as NodeJS.ErrnoException).code ?? 'EIO';
      if (isTorn) {
        try {
          if (isPut) mend();
          else cut();
        } catch (second) {
          code += `, then ${(second as NodeJS.ErrnoException).code ?? 'EIO'}`;
        }
      }
      throw new AuditUnavailable(`the audit journal can't be written (${code})`);
    }
    if (pending.length > bufferBytes * 16) pending = Buffer.allocUnsafe(bufferBytes);
  }

  function syncLater(): void {
    syncTimer = null;
    const current = file;
    fdatasync(current, (error) => {
      // After a failed fdatasync nobody can say which pages are on disk; the next lines go to a new file.
      if (error !== null && current === file) {
        mustRotate = true;
        lose(`fdatasync of segment ${segment} failed (${error.code ?? 'EIO'})`);
      }
    });
  }

  function lose(problem: string): void {
    const line = `${JSON.stringify({ problem })}\n`;
    used += encode(line);
  }

  function noteLost(): void {
    if (lost === 0) return;
    lose(`${lost} deferred events were lost while the journal couldn't be written`);
    lost = 0;
  }

  flushTo(0);
  return {
    write(template, rest) {
      if (template.json.length + rest.length > settings.lineBytesMax) {
        throw new AuditUnavailable('the event is too large');
      }
      if (lost > 0 && used < settings.deferredBytesMax) noteLost();
      const isDefined = template.definedIn === begun;
      try {
        flushTo(used + encode(textOf(template, rest)));
      } catch (error) {
        // Its definition may have gone with it.
        if (!isDefined) template.definedIn = 0;
        throw error;
      }
    },
    stage(template, rest, keptBytesMax) {
      const most = template.json.length + rest.length;
      if (most > settings.lineBytesMax || used + most > keptBytesMax) return false;
      used += encode(textOf(template, rest));
      return true;
    },
    defer(template, rest) {
      const most = template.json.length + rest.length;
      if (most > settings.lineBytesMax || used + most > settings.deferredBytesMax) lost++;
      else used += encode(textOf(template, rest));
      return used;
    },
    flush() {
      if (lost > 0 && used < settings.deferredBytesMax) noteLost();
      if (used > 0) flushTo(used);
    },
    end: () => ({ segment, offset: size }),
    close() {
      if (syncTimer !== null) clearTimeout(syncTimer);
      if (file === -1) return;
      try {
        fdatasyncSync(file);
      } finally {
        closeSync(file);
        file = -1;
      }
    },
  };
}
