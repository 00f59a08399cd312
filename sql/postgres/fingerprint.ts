/**
 * PostgreSQL's lexical rules (manual 4.1, standard_conforming_strings = on), as far as a literal-free shape needs
 * them: one pass over the text, no parse. Nothing here knows grammar or names.
 */

/** Placeholders, one per literal class: classes never collide, so a shape tells `1` from `'1'` from `b'1'`. */
const anyNumber = '?';
/** A number in a notation that servers before PostgreSQL 16 read as a number and an alias: `1_000`, `0x1f`. */
export const modernNumber = '0x?';
const anyString = "'?'";

const SPACE = 1;
const IDENTIFIER = 2;
const DIGIT = 3;
const QUOTE = 4;
const DOUBLE_QUOTE = 5;
const DOLLAR = 6;
const DASH = 7;
const SLASH = 8;
const DOT = 9;

const classes = new Uint8Array(128);
for (const char of ' \t\n\r\f\v') classes[char.charCodeAt(0)] = SPACE;
for (let code = 0; code < 128; code++) {
  if (/[A-Za-z_]/.test(String.fromCharCode(code))) classes[code] = IDENTIFIER;
  if (/[0-9]/.test(String.fromCharCode(code))) classes[code] = DIGIT;
}
classes[0x27] = QUOTE;
classes[0x22] = DOUBLE_QUOTE;
classes[0x24] = DOLLAR;
classes[0x2d] = DASH;
classes[0x2f] = SLASH;
classes[0x2e] = DOT;

/** Letters beyond ASCII are identifier characters, as in the server's `\200-\377`. */
function classOf(code: number): number {
  return code < 128 ? classes[code]! : IDENTIFIER;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The offset behind white space and comments that begin at `at`; -1 when a comment has no end. */
export function skipBlank(text: string, at: number): number {
  let i = at;
  for (;;) {
    const code = text.charCodeAt(i);
    if (code < 128 && classes[code] === SPACE) i++;
    else if (code === 0x2d && text.charCodeAt(i + 1) === 0x2d) {
      i += 2;
      while (i < text.length && text.charCodeAt(i) !== 0x0a && text.charCodeAt(i) !== 0x0d) i++;
    } else if (code === 0x2f && text.charCodeAt(i + 1) === 0x2a) {
      let depth = 1;
      i += 2;
      while (depth > 0) {
        if (i >= text.length) return -1;
        const inside = text.charCodeAt(i);
        const next = text.charCodeAt(i + 1);
        if (inside === 0x2f && next === 0x2a) {
          depth++;
          i += 2;
        } else if (inside === 0x2a && next === 0x2f) {
          depth--;
          i += 2;
        } else i++;
      }
    } else return i;
  }
}

/** The offset behind a quoted identifier whose opening `"` is at `at`; -1 when it has no end. */
export function skipQuotedIdentifier(text: string, at: number): number {
  let close = text.indexOf('"', at + 1);
  while (close >= 0 && text.charCodeAt(close + 1) === 0x22) close = text.indexOf('"', close + 2);
  return close < 0 ? -1 : close + 1;
}

/** The offset behind an unquoted identifier that begins at `at`. */
export function skipIdentifier(text: string, at: number): number {
  let i = at + 1;
  while (i < text.length) {
    const kind = classOf(text.charCodeAt(i));
    if (kind !== IDENTIFIER && kind !== DIGIT && kind !== DOLLAR) break;
    i++;
  }
  return i;
}

export function startsIdentifier(code: number): boolean {
  return classOf(code) === IDENTIFIER;
}

/** Where a string goes on after its closing quote: two literals with a line break between them are one. */
function continuation(text: string, at: number): number {
  let i = at;
  let newline = false;
  for (;;) {
    const code = text.charCodeAt(i);
    if (code === 0x0a || code === 0x0d) newline = true;
    if (code < 128 && classes[code] === SPACE) i++;
    else if (code === 0x2d && text.charCodeAt(i + 1) === 0x2d) {
      i += 2;
      while (i < text.length && text.charCodeAt(i) !== 0x0a && text.charCodeAt(i) !== 0x0d) i++;
    } else break;
  }
  return newline && text.charCodeAt(i) === 0x27 ? i : -1;
}

/** The offset behind a string whose opening quote is at `at`; -1 when it has no end. */
function skipString(text: string, at: number, backslashes: boolean): number {
  let i = at + 1;
  for (;;) {
    if (i >= text.length) return -1;
    const code = text.charCodeAt(i);
    if (code === 0x5c && backslashes) i += 2;
    else if (code !== 0x27) i++;
    else if (text.charCodeAt(i + 1) === 0x27) i += 2;
    else {
      const next = continuation(text, i + 1);
      if (next < 0) return i + 1;
      i = next + 1;
    }
  }
}

/** The offset behind a dollar-quoted string at `at`, -1 when it isn't one or has no end. */
function skipDollarQuoted(text: string, at: number): number {
  let i = at + 1;
  if (startsIdentifier(text.charCodeAt(i))) {
    i++;
    while (i < text.length && (startsIdentifier(text.charCodeAt(i)) || isDigit(text.charCodeAt(i)))) i++;
  }
  if (text.charCodeAt(i) !== 0x24) return -1;
  const tag = text.slice(at, i + 1);
  const close = text.indexOf(tag, i + 1);
  return close < 0 ? -1 : close + tag.length;
}

/** The offset behind a number at `at`, negative when the notation needs PostgreSQL 16, 0 when it is no number. */
function skipNumber(text: string, at: number): number {
  let i = at;
  let modern = false;
  const radix = text.charCodeAt(at + 1) | 0x20;
  if (text.charCodeAt(at) === 0x30 && (radix === 0x78 || radix === 0x6f || radix === 0x62)) {
    modern = true;
    i = at + 2;
    const first = i;
    for (;;) {
      const code = text.charCodeAt(i);
      const lower = code | 0x20;
      if (isDigit(code) || code === 0x5f || (radix === 0x78 && lower >= 0x61 && lower <= 0x66)) i++;
      else break;
    }
    if (i === first) return 0;
  } else {
    const digits = (): void => {
      while (isDigit(text.charCodeAt(i)) || text.charCodeAt(i) === 0x5f) {
        if (text.charCodeAt(i) === 0x5f) modern = true;
        i++;
      }
    };
    digits();
    if (text.charCodeAt(i) === 0x2e && text.charCodeAt(i + 1) !== 0x2e) {
      i++;
      digits();
    }
    if ((text.charCodeAt(i) | 0x20) === 0x65) {
      const sign = text.charCodeAt(i + 1);
      const first = sign === 0x2b || sign === 0x2d ? i + 2 : i + 1;
      if (!isDigit(text.charCodeAt(first))) return 0;
      i = first;
      digits();
    }
  }
  // `1a` is an error for servers from 15 on and a number with an alias before: no shape for it.
  if (i < text.length && startsIdentifier(text.charCodeAt(i))) return 0;
  return modern ? -i : i;
}

/** The server folds only A-Z in an unquoted identifier. */
function fold(word: string, ascii: boolean): string {
  return ascii ? word.toLowerCase() : word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * The text without literals, comments and needless white space, unquoted words in lower case. Two texts with the
 * same shape differ in the values of literals only. Null: unterminated, a NUL, or not PostgreSQL's lexical rules.
 */
export function shapeOf(text: string): string | null {
  if (text.includes('\0')) return null;
  const end = text.length;
  let out = '';
  // Everything before `from` is in `out`; what stays as it is gets copied in runs.
  let from = 0;
  let i = 0;
  // The string behind UESCAPE decides how a U&"..." identifier is spelt: part of a name, not a value.
  let behindUescape = false;
  while (i < end) {
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
          if (lower === 0x75 && next - i === 7 && (replacement ?? text.slice(i, next)) === 'uescape')
            behindUescape = true;
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
    i = next;
  }
  return from === 0 ? text : out + text.slice(from);
}
