/**
 * Keeps the store in step with the journal: runs the ingest in a thread of its own, starts it again when it fails, and
 * passes on how far it has come.
 */
import { Worker } from 'node:worker_threads';
import type { FromIngest, IngestReport, IngestWorkerData, ToIngest } from './ingest-messages.ts';

/** What a log needs of whoever follows it, in this process or another. */
export interface IngestPort {
  /** There are new lines, and the last report said that the ingest sleeps. */
  wake(): void;
  /** Somebody waits for the store. */
  hurry(): void;
}

/** The one follower of a directory that this process owns. */
export interface Follower extends IngestPort {
  /** Hands each report to `listener`. */
  subscribe(listener: (report: IngestReport) => void): void;
  /** Ends the thread, after the journal's end where that is to be had. */
  stop(): Promise<void>;
}

/** The store may follow this far behind: larger batches cost it half as much a row. Who hurries does not wait for it. */
const pauseMs = 200;
const restartMs = 1000;
const stopMs = 10_000;

/** `onProblem` is told when the store can't follow (an error code, no content). The journal goes on meanwhile. */
export function startFollower(directory: string, onProblem: (problem: string) => void): Follower {
  const listeners: ((report: IngestReport) => void)[] = [];
  let worker: Worker | null = null;
  let isStopped = false;

  function send(message: ToIngest): void {
    worker?.postMessage(message);
  }

  function start(): void {
    const data: IngestWorkerData = { directory, pauseMs };
    const started = new Worker(workerUrl(), { workerData: data, execArgv: [] });
    worker = started;
    started.unref();
    started.on('message', (message: FromIngest) => {
      if (message.kind === 'problem') onProblem(`the audit store can't follow the journal (${message.code})`);
      else for (const listener of listeners) listener(message.report);
    });
    started.on('error', (error) => {
      onProblem(
        `the audit store can't follow the journal (${(error as { code?: string }).code ?? error.name})`,
      );
    });
    started.on('exit', () => {
      if (worker !== started) return;
      worker = null;
      if (isStopped) return;
      setTimeout(() => {
        if (!isStopped) start();
      }, restartMs).unref();
    });
  }

  start();
  return {
    subscribe: (listener) => {
      listeners.push(listener);
    },
    wake: () => send('wake'),
    hurry: () => send('hurry'),
    async stop() {
      isStopped = true;
      const last = worker;
      if (last === null) return;
      last.ref();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => void last.terminate(), stopMs);
        last.once('exit', () => {
          clearTimeout(timer);
          resolve();
        });
        send('stop');
      });
    },
  };
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
