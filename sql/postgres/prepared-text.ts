/** Where the statement inside a PREPARE begins; the parser says what it is, but not where it stands. */
import {
  classOf,
  DIGIT,
  IDENTIFIER,
  skipBlank,
  skipIdentifier,
  skipQuotedIdentifier,
  startsIdentifier,
} from './lexer.ts';

/** What stands behind AS in one PREPARE that the parser has read; null when its head isn't written plainly. */
export function preparedText(text: string): string | null {
  const prepare = wordAt(text, skipBlank(text, 0));
  if (prepare?.word !== 'prepare') return null;
  const name = skipBlank(text, prepare.end);
  let at =
    text.charCodeAt(name) === 0x22 ? skipQuotedIdentifier(text, name) : (wordAt(text, name)?.end ?? -1);
  // U&"..." may have a UESCAPE behind it.
  if (at < 0 || (text.charCodeAt(at) === 0x26 && at === name + 1)) return null;
  at = skipBlank(text, at);
  if (text.charCodeAt(at) === 0x28) at = skipBlank(text, behindTypes(text, at));
  const as = at < 0 ? null : wordAt(text, at);
  if (as?.word !== 'as') return null;
  const from = skipBlank(text, as.end);
  return from < 0 ? null : text.slice(from);
}

function wordAt(text: string, at: number): { readonly word: string; readonly end: number } | null {
  if (at < 0 || !startsIdentifier(text.charCodeAt(at))) return null;
  const end = skipIdentifier(text, at);
  return { word: text.slice(at, end).toLowerCase(), end };
}

/** The offset behind a list of types in parentheses; `text.length` when something else than names and numbers is in it. */
function behindTypes(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at >= 0 && at < text.length; at = skipBlank(text, at)) {
    const code = text.charCodeAt(at);
    const kind = classOf(code);
    if (code === 0x22) {
      at = skipQuotedIdentifier(text, at);
      if (at < 0) break;
    } else if (kind === IDENTIFIER) at = skipIdentifier(text, at);
    else if (kind === DIGIT || /[[\],.]/.test(text[at]!)) at++;
    else if (code === 0x28) {
      depth++;
      at++;
    } else if (code === 0x29) {
      at++;
      if (--depth === 0) return at;
    } else break;
  }
  return text.length;
}
