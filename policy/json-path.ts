/** Paths into JSON values as a policy file spells them: a small part of SQL's, without anything that is searched for. */
import type { JsonStep } from '../masking/masker.ts';

/** More steps than these are no path. */
const stepsMax = 50;

/** `.name` (letters, digits, `_` and `$`), `["any name"]` (a JSON string), `[*]`, `[0]`. */
const step =
  /\.([\p{L}\p{Nl}_$][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}$]*)|\[(?:("(?:[^"\\]|\\.)*")|(\*)|(0|[1-9]\d{0,8}))\]/uy;

/** The steps of a path, none for `$`; null for a text that is no path. */
export function stepsOf(path: string): readonly JsonStep[] | null {
  if (!path.startsWith('$')) return null;
  const steps: JsonStep[] = [];
  step.lastIndex = 1;
  for (let at = 1; at < path.length; at = step.lastIndex) {
    const found = step.exec(path);
    if (found === null || steps.length === stepsMax) return null;
    const [, bare, quoted, every, index] = found;
    if (every !== undefined) steps.push({ every: true });
    else if (index !== undefined) steps.push({ index: Number(index) });
    else {
      const name = bare ?? unquoted(quoted ?? '');
      if (name === null) return null;
      steps.push({ name });
    }
  }
  return steps;
}

/** One spelling for each path. */
export function pathText(steps: readonly JsonStep[]): string {
  const texts = steps.map((one) =>
    'name' in one ? `[${JSON.stringify(one.name)}]` : 'index' in one ? `[${one.index}]` : '[*]',
  );
  return `$${texts.join('')}`;
}

/** Whether what stands at `inner` can stand at or inside of what stands at `outer`. */
export function covers(outer: readonly JsonStep[], inner: readonly JsonStep[]): boolean {
  return (
    outer.length <= inner.length &&
    outer.every((one, at) => {
      const other = inner[at];
      if (other === undefined) return false;
      if ('name' in one || 'name' in other)
        return 'name' in one && 'name' in other && one.name === other.name;
      return 'every' in one || 'every' in other || one.index === other.index;
    })
  );
}

function unquoted(text: string): string | null {
  try {
    return JSON.parse(text) as string;
  } catch {
    return null;
  }
}
