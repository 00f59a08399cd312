/** The numbers of one process as plain data that goes over a channel, and how those of several become one. */
import { type Family, type FamilyName, families } from './families.ts';

/**
 * By labels (as from `labels`). A counter or gauge is one number; a histogram the count of each bucket by itself, +Inf
 * the last of them, and then the sum.
 */
export type Series = ReadonlyMap<string, readonly number[]>;
export type Numbers = ReadonlyMap<FamilyName, Series>;

/** `name="value",...` as Prometheus writes them; empty for none. */
export function labels(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`)
    .join(',');
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}

/** One family each, or more. */
export function gauges(entries: readonly (readonly [FamilyName, string, number])[]): Numbers {
  const all = new Map<FamilyName, Map<string, readonly number[]>>();
  for (const [family, labelled, value] of entries) {
    const series = all.get(family) ?? new Map<string, readonly number[]>();
    all.set(family, series.set(labelled, [value]));
  }
  return all;
}

/** The numbers of all together, by each family's own rule. */
export function combined(parts: readonly Numbers[]): Numbers {
  const all = new Map<FamilyName, Map<string, readonly number[]>>();
  for (const part of parts) {
    for (const [family, series] of part) {
      const known = all.get(family) ?? new Map<string, readonly number[]>();
      all.set(family, known);
      const of = families[family].combine === 'sum' ? sum : Math.max;
      for (const [labelled, numbers] of series) {
        const before = known.get(labelled);
        known.set(labelled, before ? numbers.map((number, i) => of(number, before[i]!)) : numbers);
      }
    }
  }
  return all;
}

const sum = (a: number, b: number): number => a + b;

/** What must not become less when the process that counted it is gone. */
export function lasting(numbers: Numbers): Numbers {
  return new Map([...numbers].filter(([family]) => (families[family] as Family).type !== 'gauge'));
}
