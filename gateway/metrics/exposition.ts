/** Writes numbers in Prometheus' text format 0.0.4. */
import { type Family, type FamilyName, families } from './families.ts';
import type { Numbers } from './numbers.ts';

/** The media type of what `exposition` writes. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** All families that have a number, each with its help and type. */
export function exposition(numbers: Numbers): string {
  const lines: string[] = [];
  for (const [name, family] of Object.entries(families) as [FamilyName, Family][]) {
    const series = numbers.get(name);
    if (!series) continue;
    lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
    for (const [labelled, values] of series) {
      if (family.bounds) pushHistogram(lines, name, labelled, family.bounds, values);
      else lines.push(sample(name, labelled, values[0]!));
    }
  }
  return `${lines.join('\n')}\n`;
}

function pushHistogram(
  lines: string[],
  name: string,
  labelled: string,
  bounds: readonly number[],
  values: readonly number[],
): void {
  const before = labelled === '' ? '' : `${labelled},`;
  let count = 0;
  for (let i = 0; i <= bounds.length; i++) {
    count += values[i]!;
    lines.push(sample(`${name}_bucket`, `${before}le="${bounds[i] ?? '+Inf'}"`, count));
  }
  lines.push(sample(`${name}_sum`, labelled, values[bounds.length + 1]!));
  lines.push(sample(`${name}_count`, labelled, count));
}

function sample(name: string, labelled: string, value: number): string {
  return labelled === '' ? `${name} ${value}` : `${name}{${labelled}} ${value}`;
}
