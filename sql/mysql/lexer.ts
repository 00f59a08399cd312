/**
 * The tokens of MySQL and MariaDB text under the session settings that the gateway pins: no ANSI_QUOTES, no
 * NO_BACKSLASH_ESCAPES, no PIPES_AS_CONCAT, utf8mb4. No grammar here, and no names: what a token means is for others.
 */

import { Rows } from './rows.ts';

export type TokenKind =
  /** An unquoted identifier or keyword. */
  | 'word'
  /** An identifier in backticks; `value` without them. */
  | 'quoted'
  | 'string'
  | 'number'
  /** 0x41, x'41', 0b1, b'1'. */
  | 'bits'
  /** `?` of a prepared statement. */
  | 'param'
  /** @name; `value` without the sign. */
  | 'user_variable'
  /** @@name or @@scope.name; `value` without the signs. */
  | 'system_variable'
  | 'operator'
  /** The content of an executable comment, unwrapped by nobody yet. */
  | 'executable_comment';

/** `start` and `end` are UTF-16 offsets in the whole text; `upper` is the folded spelling of words and operators, '' for the rest. */
export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  readonly value: string;
  readonly upper: string;
}

/** Deepest nesting of parentheses (and CASE) that is looked at. */
const nestingMax = 200;

/** `problem` has no text of the client's in it. */
/** Problems that every server calls an error of syntax; of the others some are only this lexer's. */
export const unclosed: ReadonlySet<string> = new Set([
  'a comment that is not closed',
  'an identifier that is not closed',
  'a string that is not closed',
]);

export interface LexError {
  readonly problem: string;
  readonly at: number;
}

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isIdentifierPart = (c: number): boolean =>
  (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || isDigit(c) || c === 95 || c === 36 || c >= 128;
const isSpace = (c: number): boolean => c === 32 || (c >= 9 && c <= 13);
const isHexDigit = (c: number): boolean => isDigit(c) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70);

/**
 * A cursor over one text: `next()` fills `kind`, `start`, `end` without an allocation and returns false at the end
 * or at a problem (then `error` is set).
 */
export class Scanner {
  readonly text: string;
  kind: TokenKind = 'operator';
  start = 0;
  end = 0;
  /** White space or a comment stood before this token. */
  spaced = false;
  error: LexError | null = null;
  private previousWasName = false;

  constructor(text: string) {
    this.text = text;
  }

  private fail(problem: string, at: number): false {
    this.error = { problem, at };
    return false;
  }

  next(): boolean {
    const text = this.text;
    const length = text.length;
    let i = this.end;
    this.spaced = false;
    for (;;) {
      if (i >= length) {
        this.start = i;
        this.end = i;
        return false;
      }
      const c = text.charCodeAt(i);
      if (isSpace(c)) {
        i++;
        this.spaced = true;
        continue;
      }
      const d = i + 1 < length ? text.charCodeAt(i + 1) : -1;
      if (c === 35 || (c === 45 && d === 45 && this.opensDashComment(i + 2))) {
        const eol = text.indexOf('\n', i);
        if (text.slice(i, eol < 0 ? length : eol).includes('\u0000')) return this.fail('a NUL byte', i);
        i = eol < 0 ? length : eol + 1;
        this.spaced = true;
        continue;
      }
      if (c === 47 && d === 42) {
        const close = text.indexOf('*/', i + 2);
        if (close < 0) return this.fail('a comment that is not closed', i);
        const mark = text.charCodeAt(i + 2);
        const executable = mark === 33 || ((mark === 77 || mark === 109) && text.charCodeAt(i + 3) === 33);
        const content = text.slice(i + 2, close);
        if (content.includes('\u0000')) return this.fail('a NUL byte', i);
        if (executable) {
          this.kind = 'executable_comment';
          this.start = i;
          this.end = close + 2;
          this.previousWasName = false;
          return true;
        }
        if (mark === 43 && /set_var/i.test(content)) return this.fail('the optimizer hint SET_VAR', i);
        i = close + 2;
        this.spaced = true;
        continue;
      }
      return this.token(i, c, d);
    }
  }

  private opensDashComment(at: number): boolean {
    if (at >= this.text.length) return true;
    const c = this.text.charCodeAt(at);
    return c <= 32 || c === 127;
  }

  private done(kind: TokenKind, start: number, end: number): true {
    this.kind = kind;
    this.start = start;
    this.end = end;
    this.previousWasName = kind === 'word' || kind === 'quoted';
    return true;
  }

  private token(i: number, c: number, d: number): boolean {
    const text = this.text;
    if (c === 39 || c === 34) return this.string(i, i, c, 'string');
    if (c === 96) {
      const end = this.backtick(i);
      return end < 0 ? this.fail('an identifier that is not closed', i) : this.done('quoted', i, end);
    }
    if (c === 64) return this.variable(i);
    if (c === 63) return this.done('param', i, i + 1);
    if ((c === 120 || c === 88 || c === 98 || c === 66) && d === 39) return this.string(i, i + 1, 39, 'bits');
    if ((c === 110 || c === 78) && d === 39) return this.string(i, i + 1, 39, 'string');
    if (c === 46 && isDigit(d) && !this.previousWasName) return this.number(i);
    if (isDigit(c) && !this.afterDot(i)) return this.number(i);
    if (isIdentifierPart(c)) {
      let end = i + 1;
      while (end < text.length && isIdentifierPart(text.charCodeAt(end))) end++;
      return this.done('word', i, end);
    }
    return this.operator(i, c, d);
  }

  private afterDot(i: number): boolean {
    return this.kind === 'operator' && this.end === i && i > 0 && this.text.charCodeAt(i - 1) === 46;
  }

  private string(start: number, open: number, quote: number, kind: TokenKind): boolean {
    const text = this.text;
    let i = open + 1;
    for (; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 0) return this.fail('a NUL byte', i);
      if (c === 92 && kind === 'string') {
        i++;
        if (text.charCodeAt(i) === 0) return this.fail('a NUL byte', i);
      } else if (c === quote) {
        if (text.charCodeAt(i + 1) === quote && kind === 'string') i++;
        else return this.done(kind, start, i + 1);
      } else if (kind === 'bits' && !isHexDigit(c))
        return this.fail('a malformed hexadecimal literal', start);
    }
    return this.fail('a string that is not closed', start);
  }

  private backtick(start: number): number {
    const text = this.text;
    for (let i = start + 1; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 0) return -1;
      if (c === 96) {
        if (text.charCodeAt(i + 1) === 96) i++;
        else return i + 1;
      }
    }
    return -1;
  }

  private variable(start: number): boolean {
    const text = this.text;
    const system = text.charCodeAt(start + 1) === 64;
    let i = start + (system ? 2 : 1);
    const c = text.charCodeAt(i);
    if (c === 96) {
      const end = this.backtick(i);
      return end < 0
        ? this.fail('a variable that is not closed', start)
        : this.done(system ? 'system_variable' : 'user_variable', start, end);
    }
    if (!system && (c === 39 || c === 34))
      return this.string(start, i, c, 'string') && this.done('user_variable', start, this.end);
    const from = i;
    while (i < text.length && (isIdentifierPart(text.charCodeAt(i)) || text.charCodeAt(i) === 46)) i++;
    if (i === from) return this.fail('a variable without a name', start);
    return this.done(system ? 'system_variable' : 'user_variable', start, i);
  }

  private number(start: number): boolean {
    const text = this.text;
    let i = start;
    const c = text.charCodeAt(i);
    const d = text.charCodeAt(i + 1);
    let kind: TokenKind = 'number';
    if (c === 48 && d === 120 && isHexDigit(text.charCodeAt(i + 2))) {
      kind = 'bits';
      i += 2;
      while (isHexDigit(text.charCodeAt(i))) i++;
    } else if (c === 48 && d === 98 && (text.charCodeAt(i + 2) | 1) === 49) {
      kind = 'bits';
      i += 2;
      while ((text.charCodeAt(i) | 1) === 49) i++;
    } else {
      while (isDigit(text.charCodeAt(i))) i++;
      if (text.charCodeAt(i) === 46) {
        i++;
        while (isDigit(text.charCodeAt(i))) i++;
      }
      if ((text.charCodeAt(i) | 32) === 101) {
        const sign = text.charCodeAt(i + 1);
        const digits = sign === 43 || sign === 45 ? i + 2 : i + 1;
        if (isDigit(text.charCodeAt(digits))) {
          i = digits;
          while (isDigit(text.charCodeAt(i))) i++;
        }
      }
    }
    if (i < text.length && isIdentifierPart(text.charCodeAt(i))) {
      // 1a is a name to the server, 1e5x and 0x4g are not clear
      let end = i;
      while (end < text.length && isIdentifierPart(text.charCodeAt(end))) end++;
      if (kind === 'bits' || /^0[xb]|^\d+e\d|\./i.test(text.slice(start, end)))
        return this.fail('an unquoted name that begins with a digit', start);
      return this.done('word', start, end);
    }
    return this.done(kind, start, i);
  }

  private operator(i: number, c: number, d: number): boolean {
    const text = this.text;
    const e = text.charCodeAt(i + 2);
    let width = 1;
    if (c === 60) width = d === 61 && e === 62 ? 3 : d === 61 || d === 62 || d === 60 ? 2 : 1;
    else if (c === 62) width = d === 61 || d === 62 ? 2 : 1;
    else if (c === 33) width = d === 61 ? 2 : 1;
    else if (c === 45) width = d === 62 ? (e === 62 ? 3 : 2) : 1;
    else if (c === 38) width = d === 38 ? 2 : 1;
    else if (c === 124) width = d === 124 ? 2 : 1;
    else if (c === 58) {
      if (d !== 61) return this.fail('an unexpected `:`', i);
      width = 2;
    } else if (!'+*/%^~=(),;.{}'.includes(text[i] ?? '')) return this.fail('an unexpected character', i);
    return this.done('operator', i, i + width);
  }
}

/**
 * False for names that a server may take for another one: letters whose other case is ASCII or depends on their place,
 * and a beginning that it cuts off from an alias.
 */
export function isPlainName(name: string): boolean {
  const first = name.charCodeAt(0);
  if (first <= 32 || first === 127) return false;
  for (let i = 0; i < name.length; i++)
    if (name.charCodeAt(i) > 127) return !/[\u0130\u0131\u017f\u212a\u212b\u03a3]/.test(name);
  return true;
}

/** `/*!50001 body` or `M!100100 body`, as found between the comment's marks. */
export function executableContent(content: string): { version: number; mariaOnly: boolean; body: string } {
  const match = /^([mM]?)!(\d{5,6})?([\s\S]*)$/.exec(content);
  return {
    version: Number(match?.[2] ?? 0),
    mariaOnly: match?.[1] !== undefined && match[1] !== '',
    body: (match?.[3] ?? '').trim(),
  };
}

function tokenValue(kind: TokenKind, text: string, start: number, end: number): string {
  switch (kind) {
    case 'quoted':
      return text.slice(start + 1, end - 1).replaceAll('``', '`');
    case 'user_variable': {
      const bare = text.slice(start + 1, end);
      return /^['"`]/.test(bare) ? bare.slice(1, -1) : bare;
    }
    case 'system_variable':
      return text.slice(start + 2, end).replaceAll('`', '');
    case 'string':
      return unescaped(
        text.slice(
          text.charCodeAt(start) === 39 || text.charCodeAt(start) === 34 ? start + 1 : start + 2,
          end - 1,
        ),
        text[end - 1] ?? "'",
      );
    default:
      return text.slice(start, end);
  }
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  '0': '\0',
  Z: '\u001a',
};
function unescaped(body: string, quote: string): string {
  const doubled = body.replaceAll(quote + quote, quote);
  return doubled.includes('\\') ? doubled.replace(/\\([\s\S])/g, (_, c: string) => escapes[c] ?? c) : doubled;
}

export interface Lexed {
  readonly tokens: Token[];
  readonly error: LexError | null;
}

/** All tokens up to the end or the first problem, with uniform rows of VALUES folded into the first. Parentheses deeper than `nestingMax` are a problem. */
export function lex(text: string): Lexed {
  const scanner = new Scanner(text);
  const tokens: Token[] = [];
  const rows = new Rows();
  let depth = 0;
  while (scanner.next()) {
    const { kind, start, end } = scanner;
    const value = tokenValue(kind, text, start, end);
    const upper = kind === 'word' ? value.toUpperCase() : kind === 'operator' ? value : '';
    if ((kind === 'word' || kind === 'quoted') && !isPlainName(value))
      return { tokens, error: { problem: 'a name that servers compare in ways of their own', at: start } };
    if (upper === '(') {
      if (++depth > nestingMax)
        return { tokens, error: { problem: 'parentheses nested too deeply', at: start } };
    } else if (upper === ')') depth--;
    else if (upper === ';') depth = 0;
    const token = { kind, start, end, value, upper };
    const drop = rows.see(tokens, token);
    if (drop > 0) {
      tokens.length -= drop;
      const last = tokens[tokens.length - 1];
      if (last) tokens[tokens.length - 1] = { ...last, end };
    } else tokens.push(token);
  }
  return { tokens, error: scanner.error };
}

/** The statements of a token list, without their semicolons; empty ones are left out. */
export function splitStatements(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [];
  let current: Token[] = [];
  for (const token of tokens) {
    if (token.kind === 'operator' && token.value === ';') {
      if (current.length > 0) statements.push(current);
      current = [];
    } else current.push(token);
  }
  if (current.length > 0) statements.push(current);
  return statements;
}
