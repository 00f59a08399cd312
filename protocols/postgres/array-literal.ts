/** PostgreSQL's text form of a one-dimensional array (manual 8.15.6), read strictly. Nothing else. */
import { ProtocolError } from '../bytes.ts';

/**
 * Reads `{a,"b c",NULL}` into its elements.
 * @throws ProtocolError on nested arrays, bounds, or anything malformed.
 */
export function readTextArray(literal: string): (string | null)[] {
  const fail = (): never => {
    throw new ProtocolError('a malformed array literal');
  };
  if (!literal.startsWith('{') || !literal.endsWith('}')) fail();
  const items: (string | null)[] = [];
  const end = literal.length - 1;
  let at = 1;
  if (at === end) return items;
  for (;;) {
    let item = '';
    if (literal[at] === '"') {
      at++;
      while (at < end && literal[at] !== '"') {
        if (literal[at] === '\\') at++;
        if (at >= end) fail();
        item += literal[at++];
      }
      if (at >= end) fail();
      at++;
      items.push(item);
    } else {
      while (at < end && literal[at] !== ',') {
        const char = literal[at]!;
        if (char === '{' || char === '}' || char === '"') fail();
        if (char === '\\') at++;
        if (at >= end) fail();
        item += literal[at++];
      }
      if (item === '') fail();
      items.push(item.toUpperCase() === 'NULL' ? null : item);
    }
    if (at === end) return items;
    if (literal[at] !== ',') fail();
    at++;
  }
}
