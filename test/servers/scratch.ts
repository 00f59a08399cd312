/**
 * Scratch folders, free ports and the end of a test server's life: what is started here is stopped when
 * the process ends, however it ends. Nothing about any one server product lives here.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const atExit = new Set<() => void>();
let armed = false;

/** Runs `cleanup` when this process ends by itself or by SIGINT, SIGTERM or SIGHUP; returns the way to call that off. */
export function whenProcessEnds(cleanup: () => void): () => void {
  if (!armed) {
    armed = true;
    process.on('exit', runCleanups);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // Somebody else's handler (a demo that drains, say) keeps the last word: then only 'exit' cleans up.
      process.once(signal, () => {
        if (process.listenerCount(signal) > 0) return;
        runCleanups();
        process.kill(process.pid, signal);
      });
    }
  }
  atExit.add(cleanup);
  return () => atExit.delete(cleanup);
}

function runCleanups(): void {
  for (const cleanup of atExit) {
    atExit.delete(cleanup);
    try {
      cleanup();
    } catch {
      // The next cleanup still has to run, and nobody is left to tell.
    }
  }
}

/** A new empty folder that only this user can enter; `remove` deletes it, and so does the end of the process. */
export function scratch(prefix = 'cordon-'): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  const remove = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  const forget = whenProcessEnds(remove);
  return {
    dir,
    remove: () => {
      forget();
      remove();
    },
  };
}

/** A port of 127.0.0.1 that was free a moment ago. Another process may take it first: starters try again. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('the probe has no port'));
        else resolve(address.port);
      });
    });
  });
}

/** Calls `probe` until it answers true. Throws with the end of the log when the child ends first or `timeoutMs` pass. */
export async function untilReady(
  name: string,
  child: ChildProcess,
  logFile: string,
  probe: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended before it was ready:\n${tail(logFile)}`);
    }
    if (await probe()) return;
    if (Date.now() > deadline) throw new Error(`${name} was not ready in ${timeoutMs} ms:\n${tail(logFile)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Sends `signal` and waits until the child is gone; after `patienceMs` it is killed. */
export async function end(child: ChildProcess, signal: NodeJS.Signals, patienceMs = 15_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // The child was unreferenced at its start; waiting for it has to keep the process alive again.
  child.ref();
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  child.kill(signal);
  await gone;
  clearTimeout(timer);
}

/** Reads a log that may not exist yet. */
export function logText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function tail(file: string): string {
  return logText(file).split('\n').slice(-15).join('\n');
}
