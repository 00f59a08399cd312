/**
 * Cancel keys: the ones that clients are shown are the gateway's own, random, and lead to a session; the upstream's
 * never leave the process but in a CancelRequest to that upstream.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { ByteWriter } from '../bytes.ts';

export interface CancelKey {
  readonly processId: number;
  readonly key: Buffer;
}

/** All sessions of this process that may be cancelled. */
export class CancelKeys {
  readonly #sessions = new Map<number, { readonly key: Buffer; readonly cancel: () => void }>();

  /** A key for a new session. @param keyBytes 4 for protocol 3.0, 32 for 3.2. */
  add(keyBytes: 4 | 32, cancel: () => void): CancelKey {
    let processId = randomInt(1, 0x7fffffff);
    while (this.#sessions.has(processId)) processId = randomInt(1, 0x7fffffff);
    const key = randomBytes(keyBytes);
    this.#sessions.set(processId, { key, cancel });
    return { processId, key };
  }

  remove(processId: number): void {
    this.#sessions.delete(processId);
  }

  /** Cancels the session that this key belongs to; false: none here. A client may not be told which. */
  cancel(processId: number, key: Buffer): boolean {
    const session = this.#sessions.get(processId);
    if (session === undefined || session.key.length !== key.length) return false;
    if (!timingSafeEqual(session.key, key)) return false;
    session.cancel();
    return true;
  }
}

/** CancelRequest with an upstream's real key. */
export function encodeCancelRequest(processId: number, key: Buffer): Buffer {
  return new ByteWriter(64)
    .uint32Be(12 + key.length)
    .uint16Be(1234)
    .uint16Be(5678)
    .uint32Be(processId)
    .bytes(key)
    .finish();
}
