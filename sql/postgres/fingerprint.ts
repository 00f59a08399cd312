/** The literal-free shape of a text, and what of the text need not be parsed: one pass, no parse, no names. */
import {
  classOf,
  DASH,
  DIGIT,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  IDENTIFIER,
  isDigit,
  QUOTE,
  SLASH,
  SPACE,
  skipBlank,
  skipDollarQuoted,
  skipNumber,
  skipQuotedIdentifier,
  skipString,
  startsIdentifier,
} from './lexer.ts';
import { type Cut, repeatedBehind } from './literal-lists.ts';

/** Placeholders, one per literal class: classes never collide, so a shape tells `1` from `'1'` from `b'1'`. */
const anyNumber = '?';
/** A number in a notation that servers before PostgreSQL 16 read as a number and an alias: `1_000`, `0x1f`. */
export const modernNumber = '0x?';
const anyString = "'?'";
/** Stands behind the first of several rows or items that are alike; comments are left out, so no text can spell it. */
const more = '/*more*/';

/** What one pass over a text finds. */
export interface Fingerprint {
  /** The text without literals, comments and needless white space, unquoted words in lower case, of rows and items
   *  that are alike the first alone. Two texts with the same shape differ in the values of literals, and in how many
   *  rows and items are alike. */
  readonly shape: string;
  /** Those rows and items, in order. */
  readonly cuts: readonly Cut[];
}

/** The server folds only A-Z in an unquoted identifier. */
function fold(word: string, ascii: boolean): string {
  return ascii ? word.toLowerCase() : word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** The shape of a text (see `Fingerprint`); null as for `fingerprint`. */
export function shapeOf(text: string): string | null {
  return fingerprint(text)?.shape ?? null;
}

const noCuts: readonly Cut[] = [];

/** Reads a text. Null: unterminated, a NUL, or not PostgreSQL's lexical rules. */
export function fingerprint(text: string): Fingerprint | null {
  if (text.includes('\0')) return null;
  const end = text.length;
  let out = '';
  // Everything before `from` is in `out`; what stays as it is gets copied in runs.
  let from = 0;
  let i = 0;
  // The string behind UESCAPE decides how a U&"..." identifier is spelt: part of a name, not a value.
  let behindUescape = false;
  // A keyword behind a dot is a name.
  let behindDot = false;
  let cut: Cut | null = null;
  let cuts: Cut[] | null = null;
  while (i < end) {
    if (cut !== null && i === cut.start) {
      out += text.slice(from, i) + more;
      from = i = cut.end;
      cut = null;
      continue;
    }
    const code = text.charCodeAt(i);
    let kind = classOf(code);
    if (kind === DASH) kind = text.charCodeAt(i + 1) === 0x2d ? SPACE : 0;
    else if (kind === SLASH) kind = text.charCodeAt(i + 1) === 0x2a ? SPACE : 0;
    else if (kind === DOT) kind = isDigit(text.charCodeAt(i + 1)) ? DIGIT : 0;
    let next = i + 1;
    let replacement: string | null = null;
    switch (kind) {
      case SPACE: {
        next = skipBlank(text, i);
        if (next < 0) return null;
        if (i === from && out === '') replacement = '';
        else if (next === end) replacement = '';
        else if (next !== i + 1 || code !== 0x20) replacement = ' ';
        break;
      }
      case IDENTIFIER: {
        const quoted = text.charCodeAt(next);
        const lower = code | 0x20;
        if (quoted === 0x27 && (lower === 0x65 || lower === 0x62 || lower === 0x78 || lower === 0x6e)) {
          next = skipString(text, next, lower === 0x65);
          if (next < 0) return null;
          replacement = lower === 0x65 ? anyString : `${String.fromCharCode(lower)}${anyString}`;
        } else if (quoted === 0x26 && lower === 0x75 && text.charCodeAt(next + 1) === 0x27) {
          next = skipString(text, next + 1, false);
          if (next < 0) return null;
          replacement = anyString;
        } else if (quoted === 0x26 && lower === 0x75 && text.charCodeAt(next + 1) === 0x22) {
          next = skipQuotedIdentifier(text, next + 1);
          if (next < 0) return null;
        } else {
          let upper = false;
          let ascii = true;
          next = i;
          for (;;) {
            const letter = text.charCodeAt(next);
            if (letter >= 128) ascii = false;
            else if (letter >= 0x41 && letter <= 0x5a) upper = true;
            next++;
            if (next >= end) break;
            const following = classOf(text.charCodeAt(next));
            if (following !== IDENTIFIER && following !== DIGIT && following !== DOLLAR) break;
          }
          if (upper) replacement = fold(text.slice(i, next), ascii);
          const length = next - i;
          const keyword = opensList(lower, length) ? (replacement ?? text.slice(i, next)) : '';
          if (keyword === 'uescape') behindUescape = true;
          else if (
            (keyword === 'values' || keyword === 'in' || keyword === 'array') &&
            !behindDot &&
            !behindUescape &&
            cut === null
          ) {
            cut = repeatedBehind(text, keyword, next);
            if (cut) {
              cuts ??= [];
              cuts.push(cut);
            }
          }
        }
        break;
      }
      case DIGIT: {
        const after = skipNumber(text, i);
        if (after === 0) return null;
        next = Math.abs(after);
        replacement = after < 0 ? modernNumber : anyNumber;
        break;
      }
      case QUOTE: {
        next = skipString(text, i, false);
        if (next < 0) return null;
        if (!behindUescape) replacement = anyString;
        else if (next !== i + 3) return null;
        behindUescape = false;
        break;
      }
      case DOUBLE_QUOTE: {
        next = skipQuotedIdentifier(text, i);
        if (next < 0) return null;
        break;
      }
      case DOLLAR: {
        if (isDigit(text.charCodeAt(next))) {
          while (isDigit(text.charCodeAt(next))) next++;
          if (next < end && startsIdentifier(text.charCodeAt(next))) return null;
        } else {
          next = skipDollarQuoted(text, i);
          if (next < 0) return null;
          replacement = anyString;
        }
        break;
      }
    }
    if (replacement !== null) {
      if (i > from) out += text.slice(from, i);
      out += replacement;
      from = next;
    }
    if (kind !== SPACE) behindDot = code === 0x2e && next === i + 1;
    i = next;
  }
  return { shape: from === 0 ? text : out + text.slice(from), cuts: cuts ?? noCuts };
}

/** Whether a word may be one of those that the pass looks for, by its first letter and length alone. */
function opensList(lower: number, length: number): boolean {
  switch (length) {
    case 2:
      return lower === 0x69;
    case 5:
      return lower === 0x61;
    case 6:
      return lower === 0x76;
    default:
      return length === 7 && lower === 0x75;
  }
}
