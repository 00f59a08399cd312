/**
 * What one process counts while it serves: plain numbers that the hot path adds to, without a look-up or an
 * allocation. No label is taken from what a client sends.
 */
import type { Because, Reason } from '../../policy/decision.ts';
import { type FamilyName, families, timedOneOf } from './families.ts';
import { labels, type Numbers } from './numbers.ts';

export type Protocol = 'postgres' | 'mysql';

/** A counter, to be added to. */
export interface Count {
  value: number;
}

/** Counts durations in fixed buckets. */
class Histogram {
  readonly #bounds: readonly number[];
  /** As in `Series`. */
  readonly numbers: number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.numbers = new Array<number>(bounds.length + 2).fill(0);
  }

  observe(seconds: number): void {
    const { length } = this.#bounds;
    let bucket = 0;
    while (bucket < length && seconds > this.#bounds[bucket]!) bucket++;
    this.numbers[bucket]!++;
    this.numbers[length + 1]! += seconds;
  }
}

/** Times one answer in `timedOneOf`: two looks at the clock for each would be felt. */
class AddedLatency extends Histogram {
  #next = 1;

  constructor() {
    super(families.cordon_added_latency_seconds.bounds);
  }

  /** This one is to be timed. */
  isDue(): boolean {
    if (--this.#next > 0) return false;
    this.#next = timedOneOf;
    return true;
  }

  /** `started`: as `performance.now` gave it. Hands on the answer, and counts when it is there. */
  timed<T>(started: number, answer: T | Promise<T>): T | Promise<T> {
    if (answer instanceof Promise) {
      return answer.finally(() => this.observe((performance.now() - started) / 1000));
    }
    this.observe((performance.now() - started) / 1000);
    return answer;
  }
}

/** What is counted of one protocol's statements. */
export class ProtocolMeters {
  readonly #protocol: Protocol;
  readonly #counts: Counts;
  readonly addedLatency = new AddedLatency();
  readonly statementSeconds = new Histogram(families.cordon_statement_seconds.bounds);
  readonly rows: Count;
  readonly bytes: Count;
  readonly rowsMasked: Count;

  constructor(protocol: Protocol, counts: Counts) {
    this.#protocol = protocol;
    this.#counts = counts;
    this.rows = counts.of('cordon_rows_total', { protocol });
    this.bytes = counts.of('cordon_bytes_total', { protocol });
    this.rowsMasked = counts.of('cordon_rows_masked_total', { protocol });
  }

  /** Where statements of this outcome count: to be kept where they are many. */
  statements(decision: 'allow' | 'refuse', reason: Reason): Count {
    return this.#counts.of('cordon_statements_total', { protocol: this.#protocol, decision, reason });
  }

  /** One that was refused without a template of its own. */
  refused({ reasons }: Because): void {
    this.statements('refuse', reasons[0] ?? 'opaque_statement').value++;
  }
}

class Counts {
  readonly all = new Map<FamilyName, Map<string, Count>>();

  of(family: FamilyName, values: Readonly<Record<string, string>>): Count {
    let series = this.all.get(family);
    if (!series) {
      series = new Map();
      this.all.set(family, series);
    }
    const key = labels(values);
    let count = series.get(key);
    if (!count) {
      count = { value: 0 };
      series.set(key, count);
    }
    return count;
  }
}

/** All that one process counts. */
export class Meters {
  readonly #counts = new Counts();
  readonly postgres = new ProtocolMeters('postgres', this.#counts);
  readonly mysql = new ProtocolMeters('mysql', this.#counts);
  readonly auditUnavailable = this.#counts.of('cordon_audit_unavailable_total', {});

  /** `result`: `ok`, or the audit's word for why not, one of a closed set. */
  signIn(result: string): void {
    this.#counts.of('cordon_sign_ins_total', { result }).value++;
  }

  /** As they are now. */
  numbers(): Numbers {
    const numbers = new Map<FamilyName, ReadonlyMap<string, readonly number[]>>();
    for (const [family, series] of this.#counts.all) {
      numbers.set(family, new Map([...series].map(([key, { value }]) => [key, [value]])));
    }
    const both = (of: (meters: ProtocolMeters) => Histogram) =>
      new Map(
        (['postgres', 'mysql'] as const).map((protocol) => [
          labels({ protocol }),
          [...of(this[protocol]).numbers],
        ]),
      );
    numbers.set(
      'cordon_added_latency_seconds',
      both((meters) => meters.addedLatency),
    );
    numbers.set(
      'cordon_statement_seconds',
      both((meters) => meters.statementSeconds),
    );
    return numbers;
  }
}
