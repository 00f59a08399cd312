/** The pages of bench/RESULTS.md: each begins with a heading of the first level, and each measurement replaces its own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const file = new URL('RESULTS.md', import.meta.url);

/** Puts a page in the place of the one with the same heading, or behind the others. */
export function keep(page: string): void {
  const heading = headingOf(page);
  const kept = existsSync(file) ? readFileSync(file, 'utf8').split(/^(?=# )/m) : [];
  const at = kept.findIndex((each) => headingOf(each) === heading);
  if (at === -1) kept.push(page);
  else kept[at] = page;
  writeFileSync(file, `${kept.map((each) => each.trimEnd()).join('\n\n')}\n`);
}

function headingOf(page: string): string {
  return page.slice(0, page.indexOf('\n'));
}
