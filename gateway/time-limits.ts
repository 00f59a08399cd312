/**
 * Time limits on what sessions are at: one coarse sweep over all open sessions, so that no statement costs a timer or a look at
 * the clock. How an activity is ended is the protocols' affair.
 */
import type { SessionActivity } from '../protocols/gate.ts';
import type { Config } from './config.ts';
import type { OpenSession } from './state.ts';

/** In the state in which the last sweep found the session. */
interface Seen {
  activity: SessionActivity;
  turns: number;
  /** How long it has been so, in milliseconds: never more than it has. */
  lasted: number;
}

const intervalMaxMs = 1000;
const intervalMinMs = 10;

export class TimeLimits {
  readonly #limits: Readonly<Record<SessionActivity, number>>;
  readonly #sessions: ReadonlyMap<string, OpenSession>;
  readonly #now: () => number;
  readonly #seen = new WeakMap<OpenSession, Seen>();
  #last: number;
  /** Milliseconds between two sweeps; null when nothing is limited. */
  readonly intervalMs: number | null;

  /** @param now milliseconds on a clock that is never set, as `performance.now` */
  constructor(limits: Config['limits'], sessions: ReadonlyMap<string, OpenSession>, now: () => number) {
    this.#limits = {
      waiting: 0,
      idle: limits.idle_session_timeout_ms,
      transaction: limits.idle_transaction_timeout_ms,
      statement: limits.statement_timeout_ms,
    };
    this.#sessions = sessions;
    this.#now = now;
    this.#last = now();
    const set = Object.values(this.#limits).filter((limit) => limit > 0);
    this.intervalMs =
      set.length === 0
        ? null
        : Math.max(intervalMinMs, Math.min(intervalMaxMs, Math.floor(Math.min(...set) / 4)));
  }

  /** Looks at every session; acts on those that have been at the same thing for too long. */
  sweep(): void {
    const now = this.#now();
    // A process that was stopped has not read what its clients sent meanwhile: that time is not theirs.
    const passed = Math.min(now - this.#last, 2 * (this.intervalMs ?? 0));
    this.#last = now;
    for (const session of this.#sessions.values()) this.#look(session, passed);
  }

  #look(session: OpenSession, passed: number): void {
    const { control } = session;
    const { activity, turns } = control;
    const seen = this.#seen.get(session);
    if (seen === undefined) {
      this.#seen.set(session, { activity, turns, lasted: 0 });
      return;
    }
    if (seen.activity !== activity || seen.turns !== turns) {
      seen.activity = activity;
      seen.turns = turns;
      seen.lasted = 0;
      return;
    }
    seen.lasted += passed;
    const limit = this.#limits[activity];
    if (activity === 'waiting' || limit === 0 || seen.lasted < limit) return;
    // Should it go on in spite of that, it is told again when as much time has passed.
    seen.lasted = 0;
    control.expire(activity);
  }
}
