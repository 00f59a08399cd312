/** Which rows of a VALUES list say nothing that the first did not: a long INSERT costs what its first row costs. */
import type { Token, TokenKind } from './lexer.ts';

/** Rows of `VALUES (...), (...)` made of literals and parameters alone, as many as the first row's: only the first is kept. */
export class Rows {
  private start = -1;
  private commas = 0;
  private simple = false;
  private first = -1;
  private expected = false;

  /** Sees each token as it is added; answers how many of the last ones to drop again. */
  see(tokens: readonly Token[], token: Token): number {
    const { kind, upper } = token;
    if (this.start >= 0) {
      if (upper === ')') return this.closeRow(tokens);
      if (upper === ',') this.commas++;
      else if (
        upper !== '-' &&
        upper !== '+' &&
        upper !== 'NULL' &&
        upper !== 'DEFAULT' &&
        !literals.has(kind)
      )
        this.simple = false;
      if (upper === '(') this.reset();
    } else if (upper === '(' && this.expected) {
      this.start = tokens.length;
      this.commas = 0;
      this.simple = true;
      this.expected = false;
    } else if (upper === ',' && this.first >= 0) this.expected = true;
    else {
      this.reset();
      this.expected = upper === 'VALUES' || upper === 'VALUE';
    }
    return 0;
  }

  private closeRow(tokens: readonly Token[]): number {
    const width = tokens.length - this.start;
    this.start = -1;
    if (!this.simple) {
      this.reset();
      return 0;
    }
    if (this.first < 0) {
      this.first = this.commas;
      return 0;
    }
    // the row's tokens (its closing parenthesis is not among them yet) and the comma before it
    return this.commas === this.first ? width + 1 : 0;
  }

  private reset(): void {
    this.start = -1;
    this.first = -1;
    this.expected = false;
  }
}
const literals: ReadonlySet<TokenKind> = new Set(['string', 'number', 'bits', 'param']);
