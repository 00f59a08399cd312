/**
 * PostgreSQL's lexical rules (manual 4.1, standard_conforming_strings = on): where each token of a text ends. Knows no
 * grammar, no names and no values.
 */

/** What a token may begin with. */
export const SPACE = 1;
export const IDENTIFIER = 2;
export const DIGIT = 3;
export const QUOTE = 4;
export const DOUBLE_QUOTE = 5;
export const DOLLAR = 6;
export const DASH = 7;
export const SLASH = 8;
export const DOT = 9;

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

/** The class of a UTF-16 unit, 0 for anything else. Letters beyond ASCII are identifier characters, as in the server's `\200-\377`. */
export function classOf(code: number): number {
  return code < 128 ? classes[code]! : IDENTIFIER;
}

export function isDigit(code: number): boolean {
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
export function skipString(text: string, at: number, backslashes: boolean): number {
  let i = at + 1;
  for (;;) {
    if (backslashes) {
      while (i < text.length && text.charCodeAt(i) !== 0x27) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
      if (i >= text.length) return -1;
    } else {
      i = text.indexOf("'", i);
      if (i < 0) return -1;
    }
    if (text.charCodeAt(i + 1) === 0x27) i += 2;
    else {
      const next = continuation(text, i + 1);
      if (next < 0) return i + 1;
      i = next + 1;
    }
  }
}

/** The offset behind a dollar-quoted string at `at`, -1 when it isn't one or has no end. */
export function skipDollarQuoted(text: string, at: number): number {
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
export function skipNumber(text: string, at: number): number {
  let i = at;
  while (isDigit(text.charCodeAt(i))) i++;
  const behind = text.charCodeAt(i);
  // Most are plain integers. `_` begins an identifier as well.
  if (i > at && behind !== 0x2e && (i === text.length || !startsIdentifier(behind))) return i;
  i = at;
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
