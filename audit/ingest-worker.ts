/**
 * The thread that keeps the store in step with the journal. It decides nothing: follower.ts tells it when there is
 * something to do.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { openIngest } from './ingest.ts';
import type { FromIngest, IngestWorkerData, ToIngest } from './ingest-messages.ts';

const { directory, pauseMs } = workerData as IngestWorkerData;
const port = parentPort as NonNullable<typeof parentPort>;
const retryMs = 1000;
const turnMs = 500;
/** The head record may lag behind the store by this much while lines keep coming. */
const headMs = 1000;

// On Linux this is the calling thread's priority alone: the sessions go first, the journal has room to wait.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);

const ingest = openIngest(directory, true);
let timer: NodeJS.Timeout | null = null;
let isStopping = false;
let headSavedAt = 0;

function report(message: FromIngest): void {
  port.postMessage(message);
}

function turn(isHurried: boolean): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  try {
    // The port is heard now and then, however much there is.
    const until = performance.now() + turnMs;
    let step = ingest.step();
    while (isHurried || isStopping ? step !== 'idle' : step === 'full' && performance.now() < until) {
      step = ingest.step();
    }
    const hasMore = step !== 'idle';
    if (!hasMore || performance.now() - headSavedAt > headMs) {
      ingest.saveHead();
      headSavedAt = performance.now();
    }
    report({
      kind: 'ingested',
      report: { positions: ingest.positions(), head: ingest.head(), isIdle: !hasMore },
    });
    if (isStopping) stop();
    else if (hasMore) timer = setTimeout(turn, step === 'full' ? 0 : pauseMs, false);
  } catch (error) {
    report({ kind: 'problem', code: (error as { code?: string }).code ?? (error as Error).message });
    if (isStopping) stop();
    else timer = setTimeout(turn, retryMs, false);
  }
}

function stop(): void {
  ingest.close();
  port.close();
}

port.on('message', (message: ToIngest) => {
  if (message === 'stop') isStopping = true;
  if (message !== 'wake') turn(true);
  else timer ??= setTimeout(turn, pauseMs, false);
});
turn(false);
