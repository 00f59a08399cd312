/** Tokens that were verified a moment ago, known by their SHA-256 only; the token itself is not kept. */
import { createHash } from 'node:crypto';
import type { Principal } from '../policy/decision.ts';

/** What a verified token proved, and by which key. */
export interface VerifiedToken {
  readonly principal: Principal;
  readonly keyId: string;
  /** The issuer's place in the configuration. */
  readonly issuer: string;
  /** Milliseconds since the epoch from which the token is no longer accepted. */
  readonly until: number;
}

/** Bounded: the one that was added first goes first. */
export class TokenCache {
  readonly #entries = new Map<string, VerifiedToken>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  static key(token: string): string {
    return createHash('sha256').update(token).digest('base64');
  }

  get(key: string): VerifiedToken | undefined {
    return this.#entries.get(key);
  }

  set(key: string, verified: VerifiedToken): void {
    if (this.#entries.size >= this.#max) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, verified);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
