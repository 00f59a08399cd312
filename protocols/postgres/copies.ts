/**
 * The sub-protocol of COPY as the upstream's answers show it (manual 54.2.6, "COPY Operations"): which requests may begin
 * one, and what becomes of its data. No I/O.
 */
import type { CopyPlan } from '../../masking/masker.ts';
import type { Refused } from '../gate.ts';
import { CopyStream } from './copy-stream.ts';
import { breach } from './errors.ts';
import type { Request } from './requests.ts';
import { readCopyFormats } from './server-messages.ts';
import type { RowWriter } from './values.ts';

/**
 * CopyInResponse or CopyOutResponse. A refusal means that what is announced contradicts the statement.
 * @throws SessionEnd when the request is no COPY that way.
 */
export function beginCopy(head: Request | null, direction: 'in' | 'out', content: Buffer): Refused | null {
  const copies = head?.admitted?.copies;
  if (!head || !copies || head.failed || head.copy !== null || copies.direction(head.index) !== direction) {
    throw breach('began a COPY that was not admitted');
  }
  const formats = readCopyFormats(content);
  head.copy = direction;
  if (direction === 'in') return null;
  const plan: CopyPlan | null | Refused = copies.plan(formats, head.index);
  if (plan === null) return null;
  if ('effect' in plan) return plan;
  if (plan.columns.length !== formats.length) throw breach('announced columns that no plan fits');
  head.stream = new CopyStream(plan);
  return null;
}

/** CopyData that doesn't pass: 'masked' when its rows went to the client, null when all such data may pass. */
export function copyData(
  head: Request | null,
  source: Buffer,
  start: number,
  end: number,
  rows: () => RowWriter,
): 'masked' | null {
  if (head?.copy !== 'out') throw breach('sent data outside of a COPY');
  if (head.stream === null) return null;
  const out = rows();
  const before = out.length;
  head.stream.data(source, start, end, out);
  head.bytes += out.length - before;
  return 'masked';
}

/** CopyDone. */
export function endCopy(head: Request | null, content: Buffer): void {
  if (head?.copy !== 'out' || content.length !== 0) throw breach('ended a COPY that was not under way');
  head.stream?.done();
  head.stream = null;
  head.copy = 'over';
}

/** Whether the running statement may have ended: a COPY has to have been begun, and its data to have come to an end. */
export function copyIsOver(head: Request): boolean {
  const copies = head.admitted?.copies;
  if (!copies || copies.direction(head.index) === null) return head.copy === null;
  return head.copy === 'over' || head.copy === 'given';
}
