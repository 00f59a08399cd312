/** Names, literals and calls on their way into a skeleton, with the special syntax of some functions' arguments and of windows. */
import type { Frame } from './emitter.ts';
import { TableEmitter } from './from-items.ts';
import { isPlainName, type Token } from './lexer.ts';
import { intervalUnits, literalKinds, spaceSensitive, totalFunctions, unitFirstFunctions } from './words.ts';

const windowWords = new Set(['PARTITION', 'ORDER', 'ROWS', 'RANGE', 'GROUPS']);

export class CallEmitter extends TableEmitter {
  protected literal(token: Token): void {
    if (token.kind === 'string') {
      const previous = this.tokens[this.i - 1];
      const afterAs = previous?.upper === 'AS';
      // adjacent strings are one literal; after an operand a string is an alias
      if (previous?.kind === 'string' && !afterAs && this.last() !== 'AS') {
        this.i++;
        return;
      }
      if (this.frame.kind === 'query' && this.frame.clause === 'select' && (afterAs || this.afterOperand())) {
        if (!isPlainName(token.value)) this.refuse('an alias that servers change');
        this.name([token.value], false, this.i, this.i);
        this.i++;
        return;
      }
    }
    const integer = token.kind === 'number' && /^\d+$/.test(token.value) ? Number(token.value) : null;
    if (token.kind === 'number') this.value({ kind: 'literal', integer });
    else if (token.kind === 'param') this.value({ kind: 'parameter' });
    else this.constant();
    this.i++;
  }

  protected identifier(): void {
    const from = this.i;
    const parts: string[] = [];
    let star = false;
    for (;;) {
      const token = this.tokens[this.i];
      if (!token) this.refuse('a name that ends with a dot');
      if (token.upper === '*' && parts.length > 0) {
        star = true;
        this.i++;
        break;
      }
      if (token.kind !== 'word' && token.kind !== 'quoted') this.refuse('a malformed name');
      parts.push(token.value);
      this.i++;
      if (this.upper() !== '.') break;
      this.i++;
    }
    const frame = this.frame;
    if (
      this.upper() === '(' &&
      frame.clause === 'from' &&
      parts.length === 1 &&
      this.tokens[from]?.upper === 'JSON_TABLE'
    ) {
      this.jsonTable();
      return;
    }
    if (this.upper() === '(' && !star && !this.namesList(frame)) {
      this.startCall(parts, from);
      return;
    }
    if (parts.length > 3) this.refuse('a name of more than three parts');
    this.name(parts, star, from, this.i - 1);
    if (this.upper() === '(' && frame.kind === 'query' && frame.clause === 'from') this.aliasColumns();
    else if (frame.clause === 'from') this.indexHints();
  }

  protected startCall(parts: readonly string[], from: number): void {
    const open = this.tokens[this.i];
    const before = this.tokens[this.i - 1];
    const name = parts[parts.length - 1] ?? '';
    if (parts.length > 2) this.refuse('a function name of more than two parts');
    const spaced = (open?.start ?? 0) > (before?.end ?? 0);
    const bare = parts.length === 1 && this.tokens[from]?.kind === 'word';
    const upper = bare ? name.toUpperCase() : '';
    if (upper === 'JSON_TABLE' || upper === 'XMLTABLE') this.refuse(upper);
    this.out.push(
      this.call(
        'call',
        name,
        parts.length === 2 ? (parts[0] ?? null) : null,
        !bare || (spaced && spaceSensitive.has(upper)),
      ),
      '(',
    );
    if (!(bare && totalFunctions.has(upper)) && this.upper(this.i + 1) !== ')') this.telling();
    this.i++;
    this.push('call', 'expression', upper, ')');
    const leaf = this.leaves[this.leaves.length - 1];
    if (this.upper() === 'DISTINCT' || this.upper() === 'ALL') {
      if (leaf?.kind === 'call' && this.upper() === 'DISTINCT') leaf.distinct = true;
      this.i++;
    }
    if (this.upper() === '*' && this.upper(this.i + 1) === ')') {
      if (upper !== 'COUNT') this.refuse('a star as an argument');
      this.constant();
      this.i++;
    } else if (unitFirstFunctions.has(upper) && this.kind() === 'word') {
      this.constant();
      this.i++;
    } else if (upper === 'TRIM' && ['LEADING', 'TRAILING', 'BOTH'].includes(this.upper())) {
      this.constant();
      this.i++;
      if (this.upper() !== 'FROM') this.out.push(',');
    } else if (this.opensQueryHere()) {
      this.out.push('(');
      this.frames.pop();
      this.push('query', 'start', '', ') )');
    }
  }

  /** f(select ...) is no valid call, but f((select ...)) is; only IN and EXISTS take a bare query. */
  protected opensQueryHere(): boolean {
    return this.upper() === 'SELECT' || this.upper() === 'WITH';
  }

  protected comma(frame: Frame): void {
    this.i++;
    if (frame.kind === 'row') this.nameOfRow(frame);
    if (frame.kind === 'query' && frame.clause === 'on') frame.clause = 'from';
    if (frame.kind === 'from') frame.clause = 'from';
    frame.interval = false;
    frame.argument++;
    // a list of literals after IN says the same as its first
    if (frame.kind === 'call' && frame.name === 'IN') {
      const next = this.upper(this.i + 1);
      if (literalKinds.has(this.kind()) && (next === ',' || next === ')') && this.afterOperand()) {
        this.i++;
        return;
      }
    }
    if (frame.kind === 'call' && frame.name === 'JSON_TABLE') {
      this.jsonColumns(frame);
      return;
    }
    if (frame.kind === 'call' && frame.name === 'CONVERT' && frame.argument === 1) {
      this.toEndOfCall();
      return;
    }
    this.out.push(',');
  }

  /** VALUES ROW(...) calls its columns column_0, column_1, ... */
  protected nameOfRow({ name, argument }: Frame): void {
    if (name !== 'ROW') return;
    this.out.push('as');
    this.name([`column_${argument}`], false, -1, -1);
  }

  protected callWord(word: string, frame: Frame): boolean {
    switch (word) {
      case 'FROM':
        if (!['TRIM', 'SUBSTRING', 'SUBSTR', 'MID', 'EXTRACT'].includes(frame.name)) return false;
        this.out.push(',');
        this.i++;
        return true;
      case 'FOR':
        if (!['SUBSTRING', 'SUBSTR', 'MID'].includes(frame.name)) return false;
        this.out.push(',');
        this.i++;
        return true;
      case 'AS':
        if (frame.name.startsWith('COLUMN_')) {
          this.i++;
          this.type();
          return true;
        }
        if (frame.name !== 'CAST' && frame.name !== 'WEIGHT_STRING') return false;
        this.i++;
        if (frame.name === 'CAST') this.toEndOfCall();
        else this.sort();
        return true;
      case 'LEVEL':
        if (frame.name !== 'WEIGHT_STRING' || !this.afterOperand()) return false;
        this.levels();
        return true;
      case 'USING':
        if (frame.name !== 'CONVERT' && frame.name !== 'CHAR') return false;
        this.i++;
        this.toEndOfCall();
        return true;
      case 'IN':
        if (frame.name === 'POSITION') {
          this.out.push(',');
          this.i++;
          return true;
        }
        if (frame.name !== 'AGAINST') return false;
        this.toEndOfCall();
        return true;
      case 'WITH':
        if (frame.name !== 'AGAINST') return false;
        this.toEndOfCall();
        return true;
      case 'ORDER':
        if (
          this.upper(this.i + 1) !== 'BY' ||
          !/^(GROUP_CONCAT|JSON_ARRAYAGG|JSON_OBJECTAGG)$/.test(frame.name)
        )
          return false;
        this.out.push(',');
        this.i += 2;
        return true;
      case 'ASC':
      case 'DESC':
        if (!['GROUP_CONCAT', 'JSON_ARRAYAGG', 'WITHIN'].includes(frame.name)) return false;
        this.i++;
        return true;
      case 'SEPARATOR':
      case 'LIMIT':
        if (frame.name !== 'GROUP_CONCAT' && frame.name !== 'JSON_ARRAYAGG') return false;
        this.out.push(',');
        this.i++;
        return true;
    }
    return false;
  }

  protected overWord(word: string): boolean {
    const opening = this.last() === '(';
    switch (word) {
      case 'PARTITION':
      case 'ORDER':
        if (this.upper(this.i + 1) !== 'BY') return false;
        if (!opening) this.out.push(',');
        this.i += 2;
        return true;
      case 'ASC':
      case 'DESC':
        this.i++;
        return true;
      case 'ROWS':
      case 'RANGE':
      case 'GROUPS': {
        const allowed = [
          'BETWEEN',
          'UNBOUNDED',
          'PRECEDING',
          'FOLLOWING',
          'CURRENT',
          'ROW',
          'AND',
          'INTERVAL',
        ];
        for (this.i++; this.upper() !== ')'; this.i++) {
          const upper = this.upper();
          if (
            !allowed.includes(upper) &&
            !intervalUnits.has(upper) &&
            this.kind() !== 'number' &&
            this.kind() !== 'param' &&
            this.kind() !== 'string'
          )
            this.refuse('a window frame of this form');
        }
        return true;
      }
    }
    return false;
  }

  /** PERCENTILE_CONT(x) WITHIN GROUP (ORDER BY y): y is an argument like the others. */
  protected withinGroup({ closers }: Frame): boolean {
    if (['WITHIN', 'GROUP', '(', 'ORDER', 'BY'].some((word, at) => this.upper(this.i + at) !== word))
      return false;
    this.out.push(',');
    this.i += 5;
    this.push('call', 'expression', 'WITHIN', closers);
    return true;
  }

  protected over(frame: Frame): void {
    if (frame.closers !== ')') this.refuse('OVER behind a query');
    if (this.upper(this.i + 1) !== '(') {
      // a window of the WINDOW clause, which is read there
      if (this.kind(this.i + 1) !== 'word' && this.kind(this.i + 1) !== 'quoted')
        this.refuse('OVER of this form');
      this.i += 2;
      this.out.push(')');
      return;
    }
    if (this.last() !== '(') this.out.push(',');
    this.i += 2;
    this.openWindow('', ') )');
  }

  private openWindow(name: string, closers: string): void {
    this.out.push(this.call('over'), '(');
    this.push('over', 'expression', name, closers);
    const first = this.upper();
    const named = this.kind() === 'quoted' || (this.kind() === 'word' && !windowWords.has(first));
    if (named && (this.upper(this.i + 1) === ')' || windowWords.has(this.upper(this.i + 1)))) this.i++;
  }

  /** WINDOW w AS (...), ...: stands behind HAVING, and is taken for a part of it. */
  protected windows(frame: Frame): boolean {
    if (!this.windowHere(this.i + 1)) return false;
    if (frame.having) this.out.push('+');
    else this.out.push('having');
    frame.having = true;
    frame.clause = 'expression';
    this.i += 4;
    this.openWindow('WINDOW', ')');
    return true;
  }

  /** Behind the parenthesis of one window: the next. */
  protected nextWindow(): void {
    if (this.upper() !== ',' || !this.windowHere(this.i + 1)) return;
    this.out.push('+');
    this.i += 4;
    this.openWindow('WINDOW', ')');
  }

  private windowHere(at: number): boolean {
    const named = this.kind(at) === 'word' || this.kind(at) === 'quoted';
    return named && this.upper(at + 1) === 'AS' && this.upper(at + 2) === '(';
  }

  protected membership(frame: Frame): boolean {
    this.inExpression(frame, 'IN');
    const open = this.i + 1;
    if (this.upper(open) !== '(') this.refuse('IN without a list');
    const query = this.opensQuery(open);
    this.out.push('+', this.call('in'), '(');
    this.i += 2;
    if (query) {
      this.out.push('(');
      this.push('query', 'start', '', ') )');
    } else this.push('call', 'expression', 'IN', ')');
    return true;
  }

  /** WEIGHT_STRING(x AS CHAR(3) LEVEL 1). */
  private sort(): void {
    if (this.upper() !== 'CHAR' && this.upper() !== 'BINARY') this.refuse('a malformed type');
    this.i++;
    if (this.upper() === '(' && this.kind(this.i + 1) === 'number' && this.upper(this.i + 2) === ')')
      this.i += 3;
    this.levels();
  }

  private plainName(): string[] {
    const parts: string[] = [];
    do {
      const token = this.tokens[this.i];
      if (token?.kind !== 'word' && token?.kind !== 'quoted') this.refuse('MATCH of this form');
      parts.push(token.value);
      this.i++;
    } while (this.upper() === '.' && ++this.i > 0);
    return parts;
  }

  protected match(next: string): boolean {
    if (next === '(') return false;
    // MATCH a, b AGAINST (...): the form without parentheses, which names columns alone
    const end = this.tokens.findIndex((token, at) => at > this.i && token.upper === 'AGAINST');
    if (end < 0 || this.upper(end + 1) !== '(') this.refuse('MATCH without parentheses');
    this.out.push(this.call('call', 'MATCH'), '(');
    this.i++;
    for (;;) {
      this.name(this.plainName(), false, this.i, this.i);
      if (this.upper() !== ',') break;
      this.emit(',');
    }
    if (this.i !== end) this.refuse('MATCH of this form');
    this.out.push(')', '+', this.call('against'), '(');
    this.i += 2;
    this.push('call', 'expression', 'AGAINST', ')');
    return true;
  }
}
