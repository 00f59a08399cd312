/** A session's views by upstream, and which of them texts are decided with. No I/O. */
import type { SessionState } from '../protocols/gate.ts';
import type { Catalogs } from './catalogs.ts';
import type { Database, Upstream } from './config.ts';
import { OwnView } from './own-view.ts';

export class OwnViews {
  readonly #database: Database;
  readonly #catalogs: Catalogs;
  readonly #now: () => number;
  readonly #views = new Map<string, OwnView>();
  /** Where the session is. */
  #at: string;

  constructor(database: Database, home: string, catalogs: Catalogs, now: () => number) {
    this.#database = database;
    this.#at = home;
    this.#catalogs = catalogs;
    this.#now = now;
  }

  /** The upstream's view, if the session has been there. */
  get(upstream: string): OwnView | undefined {
    return this.#views.get(upstream);
  }

  of(upstream: string): OwnView {
    let view = this.#views.get(upstream);
    if (!view) {
      view = new OwnView(upstreamOf(this.#database, upstream), this.#catalogs, this.#now);
      this.#views.set(upstream, view);
    }
    return view;
  }

  refreshed(upstream: string, state: SessionState): void {
    this.#at = upstream;
    this.of(upstream).refreshed(state);
  }

  /** The view that texts are decided with now; null: what all sessions see. `pinned`: the open transaction's upstream. */
  active(pinned: string | null): OwnView | null {
    const here = this.#views.get(pinned ?? this.#at);
    if (here?.needed) return here;
    if (pinned !== null) return null;
    for (const view of this.#views.values()) if (view.needed) return view;
    return null;
  }

  /** True when that view has to be read first, and can be where the session is. */
  lack(pinned: string | null): boolean {
    const view = this.active(pinned);
    if (view === null || view.blocked || view.catalog !== null || view.upstream.name !== this.#at)
      return false;
    view.asked();
    return true;
  }

  /** The session is over: what it may have defined last is looked for by the others. */
  end(): void {
    for (const view of this.#views.values()) if (view.moved) this.#catalogs.markStale(view.upstream.name);
  }
}

/** @throws when the name is none of the database's upstreams. */
export function upstreamOf(database: Database, name: string): Upstream {
  const found = database.upstreams.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`${name} is not an upstream of ${database.name}`);
  return found;
}
