/** Which joins of a FROM have a join as their right operand: `a JOIN b JOIN c ON x ON y` is `a JOIN (b JOIN c ON x) ON y`. No names here. */
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';

/** Token indexes. */
export interface NestedOperands {
  /** JOIN words behind which such an operand begins. */
  readonly begins: ReadonlySet<number>;
  /** ON or USING words in front of which such operands end, and how many. */
  readonly ends: ReadonlyMap<number, number>;
}

interface Open {
  readonly at: number;
  readonly straight: boolean;
  /** Another join stood behind this one. */
  nested: boolean;
}

const none: NestedOperands = { begins: new Set(), ends: new Map() };
/** Behind these no condition of a join can come that belongs to one in front of them. */
const boundaries = new Set(
  'SELECT FROM WHERE GROUP HAVING ORDER LIMIT UNION EXCEPT INTERSECT WINDOW , ;'.split(' '),
);

/** Finds them in one pass: each condition belongs to the last join before it that has none. */
export function nestedOperands(tokens: readonly Token[]): NestedOperands {
  if (!tokens.some(({ upper }) => upper === 'JOIN' || upper === 'STRAIGHT_JOIN')) return none;
  const begins = new Set<number>();
  const ends = new Map<number, number>();
  const outside: Open[][] = [];
  let open: Open[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const upper = tokens[i]?.upper ?? '';
    if (tokens[i - 1]?.upper === '.') continue;
    if (upper === '(' || upper === '{') {
      outside.push(open);
      open = [];
    } else if (upper === ')' || upper === '}') open = outside.pop() ?? [];
    else if (boundaries.has(upper)) open = [];
    else if (upper === 'STRAIGHT_JOIN' || (upper === 'JOIN' && tokens[i - 1]?.upper !== 'FOR')) {
      for (const one of open) one.nested = true;
      if (!isNatural(tokens, i)) open.push({ at: i, straight: upper === 'STRAIGHT_JOIN', nested: false });
    } else if (upper === 'ON' || (upper === 'USING' && tokens[i + 1]?.upper === '(')) {
      const join = open.pop();
      if (!join?.nested) continue;
      // its right operand is a single table to the server, whatever comes behind
      if (join.straight) throw new Unsupported('a join behind STRAIGHT_JOIN', tokens[join.at]?.start ?? null);
      begins.add(join.at);
      ends.set(i, (ends.get(i) ?? 0) + 1);
    }
  }
  return { begins, ends };
}

/** NATURAL [INNER | LEFT [OUTER] | RIGHT [OUTER]] JOIN has no condition. */
function isNatural(tokens: readonly Token[], at: number): boolean {
  for (let i = at - 1; i >= 0 && i >= at - 3; i--) {
    const upper = tokens[i]?.upper;
    if (upper === 'NATURAL') return true;
    if (upper !== 'INNER' && upper !== 'LEFT' && upper !== 'RIGHT' && upper !== 'OUTER') return false;
  }
  return false;
}
