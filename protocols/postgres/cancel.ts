/**
 * Cancel keys: a client is shown the process id of its first upstream connection, which the server's own words (NOTIFY,
 * pg_stat_activity, pg_locks) name it by, with a random key of the gateway's own that leads to the session. The upstream's
 * key never leaves the process but in a CancelRequest to that upstream.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { ByteWriter } from '../bytes.ts';

interface Cancellable {
  readonly key: Buffer;
  readonly cancel: () => void;
}

/** All sessions of this process that may be cancelled. */
export class CancelKeys {
  /** Servers number their processes without knowing of each other: an id may stand for several sessions. */
  readonly #sessions = new Map<number, Cancellable[]>();

  /** A key for a new session. @param keyBytes 4 for protocol 3.0, 32 for 3.2. */
  add(processId: number, keyBytes: 4 | 32, cancel: () => void): Buffer {
    const same = this.#sessions.get(processId) ?? [];
    let key = randomBytes(keyBytes);
    while (same.some((other) => other.key.equals(key))) key = randomBytes(keyBytes);
    this.#sessions.set(processId, [...same, { key, cancel }]);
    return key;
  }

  /** @param key the very object that `add` gave. */
  remove(processId: number, key: Buffer): void {
    const left = (this.#sessions.get(processId) ?? []).filter((session) => session.key !== key);
    if (left.length > 0) this.#sessions.set(processId, left);
    else this.#sessions.delete(processId);
  }

  /** Cancels the session that this key belongs to; false: none here. A client may not be told which. */
  cancel(processId: number, key: Buffer): boolean {
    for (const session of this.#sessions.get(processId) ?? []) {
      if (session.key.length !== key.length || !timingSafeEqual(session.key, key)) continue;
      session.cancel();
      return true;
    }
    return false;
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
