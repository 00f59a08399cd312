/**
 * Lists of literals that differ in nothing an analysis could see: rows of VALUES, items of IN and ARRAY. All but the
 * first of a run can be left out before the parse. Literals and parameters never stand for each other, nor do casts.
 */
import {
  isDigit,
  skipBlank,
  skipDollarQuoted,
  skipIdentifier,
  skipNumber,
  skipString,
  startsIdentifier,
} from './lexer.ts';

/** A part of a text (UTF-16 offsets) that says nothing that isn't said before it; both ends are ends of tokens. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}

const OPEN = 0x28;
const CLOSE = 0x29;
const COMMA = 0x2c;

const constants = /^(?:null|true|false|default)$/i;
const typedLiterals = /^(?:date|time|timestamp|timestamptz|interval)$/i;
/** What may follow the name of a type; anything else is more than a simple cast. */
const typeModifier = /(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?(?:\[\])*/y;

class ItemReader {
  readonly text: string;
  /** What the item read last is: a literal (`L`), a parameter (`P`), and the types that it is cast to. */
  signature = '';

  constructor(text: string) {
    this.text = text;
  }

  /** The offset behind the item that begins at `at`; -1 when it is more than one literal or parameter. */
  skip(at: number): number {
    const { text } = this;
    const signed = text.charCodeAt(at) === 0x2d;
    let end = this.#literal(signed ? skipBlank(text, at + 1) : at, signed);
    while (end > 0) {
      const next = skipBlank(text, end);
      if (text.charCodeAt(next) !== 0x3a || text.charCodeAt(next + 1) !== 0x3a) return end;
      // The sign of a number belongs to it, but `-1::t` applies an operator to what the cast gives.
      const name = signed ? -1 : skipBlank(text, next + 2);
      if (name < 0 || !startsIdentifier(text.charCodeAt(name))) return -1;
      typeModifier.lastIndex = skipIdentifier(text, name);
      typeModifier.exec(text);
      end = typeModifier.lastIndex;
      this.signature += `::${text.slice(name, end)}`;
    }
    return -1;
  }

  #literal(at: number, signed: boolean): number {
    const { text } = this;
    const code = text.charCodeAt(at);
    this.signature = 'L';
    if (isDigit(code) || (code === 0x2e && isDigit(text.charCodeAt(at + 1)))) {
      // Notations that not every server reads as a number stay for the parser.
      const end = skipNumber(text, at);
      return end > 0 ? end : -1;
    }
    if (signed) return -1;
    if (code === 0x27) return skipString(text, at, false);
    if (code === 0x24) {
      if (!isDigit(text.charCodeAt(at + 1))) return skipDollarQuoted(text, at);
      this.signature = 'P';
      let end = at + 1;
      while (isDigit(text.charCodeAt(end))) end++;
      return startsIdentifier(text.charCodeAt(end)) ? -1 : end;
    }
    if (!startsIdentifier(code)) return -1;
    const lower = code | 0x20;
    if (text.charCodeAt(at + 1) === 0x27) {
      if (lower === 0x65) return skipString(text, at + 1, true);
      return lower === 0x62 || lower === 0x78 ? skipString(text, at + 1, false) : -1;
    }
    const end = skipIdentifier(text, at);
    if (end - at > 11) return -1;
    const word = text.slice(at, end);
    if (constants.test(word)) return end;
    if (!typedLiterals.test(word)) return -1;
    const value = skipBlank(text, end);
    if (value < 0 || text.charCodeAt(value) !== 0x27) return -1;
    this.signature = `L::${word.toLowerCase()}`;
    return skipString(text, value, false);
  }
}

/** What repeats the first row of those that begin at `at`, a `(`; null when no second one is like it. */
function rowsLikeTheFirst(text: string, at: number): Cut | null {
  const items = new ItemReader(text);
  const first: string[] = [];
  let start = -1;
  let end = -1;
  for (let row = at; text.charCodeAt(row) === OPEN; ) {
    let width = 0;
    let i = row;
    do {
      i = skipBlank(text, i + 1);
      const behind = i < 0 ? -1 : items.skip(i);
      if (behind < 0 || (start >= 0 && first[width] !== items.signature)) return cutOf(start, end);
      if (start < 0) first.push(items.signature);
      width++;
      i = skipBlank(text, behind);
    } while (text.charCodeAt(i) === COMMA);
    if (text.charCodeAt(i) !== CLOSE || width !== first.length) return cutOf(start, end);
    if (start < 0) start = i + 1;
    else end = i + 1;
    const comma = skipBlank(text, i + 1);
    if (text.charCodeAt(comma) !== COMMA) break;
    row = skipBlank(text, comma + 1);
  }
  return cutOf(start, end);
}

/** What repeats the first item of the list that begins at `at`, a bracket; null when no second one is like it. */
function itemsLikeTheFirst(text: string, at: number): Cut | null {
  const close = text.charCodeAt(at) === OPEN ? CLOSE : 0x5d;
  const items = new ItemReader(text);
  let first = '';
  let start = -1;
  let end = -1;
  for (let i = at; ; ) {
    const begin = skipBlank(text, i + 1);
    if (begin < 0) return null;
    const behind = items.skip(begin);
    if (behind < 0) break;
    i = skipBlank(text, behind);
    const follower = text.charCodeAt(i);
    if (follower !== COMMA && follower !== close) break;
    if (start < 0) {
      start = behind;
      first = items.signature;
    } else if (items.signature !== first) break;
    else end = behind;
    if (follower === close) break;
  }
  return cutOf(start, end);
}

function cutOf(start: number, end: number): Cut | null {
  return start >= 0 && end > start ? { start, end } : null;
}

/** The list that a keyword opens at `at`, the offset behind it; null when none does, or nothing repeats. */
export function repeatedBehind(text: string, keyword: string, at: number): Cut | null {
  const open = skipBlank(text, at);
  const code = text.charCodeAt(open);
  if (keyword === 'array') return code === 0x5b ? itemsLikeTheFirst(text, open) : null;
  if (code !== OPEN) return null;
  if (keyword === 'values') return rowsLikeTheFirst(text, open);
  const inner = skipBlank(text, open + 1);
  return text.charCodeAt(inner) === OPEN ? rowsLikeTheFirst(text, inner) : itemsLikeTheFirst(text, open);
}
