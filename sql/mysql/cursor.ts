/** A reading position in a statement's tokens, for the statements that are read word by word. */

import { Unsupported } from './leaves.ts';
import type { Token, TokenKind } from './lexer.ts';

export class Cursor {
  readonly tokens: readonly Token[];
  at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get done(): boolean {
    return this.at >= this.tokens.length;
  }
  upper(ahead = 0): string {
    return this.tokens[this.at + ahead]?.upper ?? '';
  }
  kind(ahead = 0): TokenKind | '' {
    return this.tokens[this.at + ahead]?.kind ?? '';
  }
  get offset(): number | null {
    return this.tokens[this.at]?.start ?? this.tokens[this.tokens.length - 1]?.end ?? null;
  }
  /** Steps over one of the words, in any order and number. */
  skip(...words: readonly string[]): boolean {
    let moved = false;
    while (!this.done && words.includes(this.upper())) {
      this.at++;
      moved = true;
    }
    return moved;
  }
  /** Steps over exactly these words, or stays. */
  take(...words: readonly string[]): boolean {
    for (let i = 0; i < words.length; i++) if (this.upper(i) !== words[i]) return false;
    this.at += words.length;
    return true;
  }
  expect(word: string): void {
    if (!this.take(word)) this.fail(`${word} expected`);
  }
  /** No error of syntax: what else than this a server takes here is not known. */
  fail(message: string): never {
    throw new Unsupported(message, this.offset);
  }
  end(): void {
    if (!this.done) throw new Unsupported('a clause that is not known here', this.offset);
  }
  /** An identifier, quoted or not. */
  identifier(): string {
    const token = this.tokens[this.at];
    if (token?.kind !== 'word' && token?.kind !== 'quoted') this.fail('a name expected');
    this.at++;
    return token.value;
  }
  /** `a`, `a.b`, ... */
  name(): string[] {
    const parts = [this.identifier()];
    while (this.take('.')) parts.push(this.identifier());
    return parts;
  }
  /** Index of the first token from here on, outside parentheses and CASE, that is one of the words; the length if none. */
  find(...words: readonly string[]): number {
    let depth = 0;
    let cases = 0;
    for (let i = this.at; i < this.tokens.length; i++) {
      const upper = this.tokens[i]?.upper ?? '';
      if (upper === '(') depth++;
      else if (upper === ')') depth--;
      if (depth !== 0) continue;
      if (upper === 'CASE') cases++;
      else if (upper === 'END' && cases > 0) cases--;
      // behind a dot it's a name
      if (cases === 0 && words.includes(upper) && this.tokens[i - 1]?.upper !== '.') return i;
    }
    return this.tokens.length;
  }
  /** The tokens from here to an index, and moves there. */
  until(index: number): readonly Token[] {
    const part = this.tokens.slice(this.at, index);
    this.at = index;
    return part;
  }
  /** The content of the parenthesis that opens here; moves behind it. */
  group(): readonly Token[] {
    this.expect('(');
    const from = this.at;
    let depth = 1;
    for (; this.at < this.tokens.length; this.at++) {
      const upper = this.upper();
      if (upper === '(') depth++;
      else if (upper === ')' && --depth === 0) {
        this.at++;
        return this.tokens.slice(from, this.at - 1);
      }
    }
    throw new Unsupported('a parenthesis that is not closed', this.offset, 'syntax');
  }
}

/** Splits at commas outside parentheses. */
export function splitCommas(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.upper === '(') depth++;
    else if (token.upper === ')') depth--;
    if (depth === 0 && token.upper === ',') parts.push([]);
    else parts[parts.length - 1]?.push(token);
  }
  return parts;
}

/** A word or sign that the text doesn't have, at an offset. */
export function made(text: string, at = 0): Token {
  return {
    kind: /^\w/.test(text) ? 'word' : 'operator',
    start: at,
    end: at,
    value: text,
    upper: text.toUpperCase(),
  };
}
export function madeName(text: string): Token {
  return { kind: 'quoted', start: 0, end: 0, value: text, upper: '' };
}
