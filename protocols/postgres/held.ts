/**
 * Client messages that wait for their decisions to be in the journal, and what goes upstream in their place when these
 * can't be written: texts that are sure to fail, so that the server answers each of them. No I/O.
 */
import type { Refused } from '../gate.ts';
import { clientType, failingExtended, failingParse, failingQuery } from './client-messages.ts';
import { SessionEnd } from './errors.ts';
import { ClientFrames } from './framing.ts';
import type { RequestQueue } from './requests.ts';

const endOfName = 0;

/** Those that the server answers, each with a request in the queue. */
const answered: ReadonlySet<number> = new Set([
  clientType.query,
  clientType.parse,
  clientType.bind,
  clientType.describe,
  clientType.execute,
  clientType.close,
  clientType.sync,
]);

/**
 * What is to be sent in place of `held`, whole messages of which the upstream has seen none; their requests, the last of the
 * queue, are refused. In a pipeline it is the first message that fails, and the server skips the others.
 * @throws SessionEnd when something else was held
 */
export function refuseHeld(queue: RequestQueue, held: readonly Buffer[], refused: Refused): Buffer {
  const bytes = Buffer.concat(held);
  const requests = queue.last(count(bytes));
  const out: Buffer[] = [];
  let at = 0;
  let skipping = false;
  for (const frames of messages(bytes)) {
    const { type } = frames;
    if (type === clientType.flush) {
      out.push(whole(frames));
      continue;
    }
    const request = requests[at++];
    if (request === undefined || request.kind === 'state') throw unavailable();
    if (type === clientType.sync) {
      skipping = false;
      out.push(whole(frames));
    } else if (!skipping) {
      skipping = type !== clientType.query;
      request.refused ??= refused;
      out.push(failing(frames));
    }
  }
  return Buffer.concat(out);
}

/** A Parse of the unnamed statement drops the former one, even when it fails. */
function failing({ type, buffer, content }: ClientFrames): Buffer {
  if (type === clientType.query) return failingQuery;
  return type === clientType.parse && buffer[content] === endOfName ? failingParse('') : failingExtended;
}

function count(bytes: Buffer): number {
  let found = 0;
  for (const { type } of messages(bytes)) {
    if (answered.has(type)) found++;
    else if (type !== clientType.flush) throw unavailable();
  }
  return found;
}

function* messages(bytes: Buffer): Generator<ClientFrames> {
  const frames = new ClientFrames(bytes.length);
  frames.push(bytes);
  while (frames.next()) yield frames;
  if (frames.waiting > 0) throw unavailable();
}

function whole({ buffer, start, end }: ClientFrames): Buffer {
  return buffer.subarray(start, end);
}

function unavailable(): SessionEnd {
  return new SessionEnd(
    '57P01',
    'the session was closed: its decisions could not be written to the audit journal',
  );
}
