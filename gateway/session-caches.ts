/** The decision caches that one session decides with, out of those that all who ask the same share. No I/O. */
import type { Policy } from '../policy/model.ts';
import { DecisionCache } from './decide-text.ts';
import type { GatewayState } from './state.ts';

export class SessionCaches {
  readonly #state: GatewayState;
  readonly #asker: string;
  /** By the upstream that is pinned (null: none): a transaction's begin and end must not cost a key. */
  readonly #byPinned = new Map<string | null, DecisionCache>();
  #epoch = -1;
  #policy: Policy | null = null;

  /** @param asker stands for who asks, from where and of which database */
  constructor(state: GatewayState, asker: string) {
    this.#state = state;
    this.#asker = asker;
  }

  /** Names may mean something else. */
  clear(): void {
    this.#byPinned.clear();
  }

  /** For the policy and the catalogs of now. `names`: as `Asker.names`; another one needs a `clear`. */
  current(pinned: string | null, names: readonly string[]): DecisionCache {
    const { policy, catalogs } = this.#state;
    if (this.#epoch !== catalogs.epoch || this.#policy !== policy) {
      this.#byPinned.clear();
      this.#epoch = catalogs.epoch;
      this.#policy = policy;
    }
    return this.#byPinned.get(pinned) ?? this.#shared(pinned, names);
  }

  #shared(pinned: string | null, names: readonly string[]): DecisionCache {
    const { policy, catalogs, decisionCaches, config } = this.#state;
    const key = `${policy.version}\n${catalogs.epoch}\n${pinned ?? ''}\n${names.join('\0')}\n${this.#asker}`;
    let cache = decisionCaches.get(key);
    if (!cache) {
      cache = new DecisionCache(config.limits.cached_statements_max);
      decisionCaches.set(key, cache);
    }
    this.#byPinned.set(pinned, cache);
    return cache;
  }
}
