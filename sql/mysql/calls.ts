/** Names, literals and calls on their way into a skeleton, with the special syntax of some functions' arguments and of windows. */
import { Emitter, type Frame } from './emitter.ts';
import { isPlainName, type Token } from './lexer.ts';
import { intervalUnits, literalKinds, spaceSensitive, unitFirstFunctions } from './words.ts';

const windowWords = new Set(['PARTITION', 'ORDER', 'ROWS', 'RANGE', 'GROUPS']);

export class CallEmitter extends Emitter {
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
    if (this.upper() === '(' && !star && !this.namesList(frame)) {
      this.startCall(parts, from);
      return;
    }
    if (parts.length > 3) this.refuse('a name of more than three parts');
    this.name(parts, star, from, this.i - 1);
    if (this.upper() === '(' && frame.kind === 'query' && frame.clause === 'from') this.aliasColumns();
    else if (frame.clause === 'from') this.indexHints();
  }

  /** In WITH and FROM a parenthesis after a name opens a list of columns, not a call. */
  protected namesList(frame: Frame): boolean {
    return frame.clause === 'with' || frame.clause === 'from';
  }

  protected aliasColumns(): void {
    const leaf = this.leaves[this.leaves.length - 1];
    const end = this.close[this.i] ?? -1;
    const previous = this.tokens[(leaf?.kind === 'name' ? leaf.token : 0) - 1]?.upper;
    if (leaf?.kind !== 'name' || (previous !== ')' && previous !== 'AS')) this.refuse('a table function');
    const columns: string[] = [];
    for (let j = this.i + 1; j < end; j += 2) {
      const token = this.tokens[j];
      if ((token?.kind !== 'word' && token?.kind !== 'quoted') || (j + 1 < end && this.upper(j + 1) !== ','))
        this.refuse('a malformed column list');
      columns.push(token.value);
    }
    leaf.columns = columns;
    this.i = end + 1;
  }

  /** USE / FORCE / IGNORE INDEX (...), PARTITION (...): which rows' pages are looked at, never which values. */
  protected indexHints(): void {
    for (;;) {
      const word = this.upper();
      const next = this.upper(this.i + 1);
      if (word === 'PARTITION' && next === '(') {
        this.i = (this.close[this.i + 1] ?? this.i) + 1;
        continue;
      }
      if ((word !== 'USE' && word !== 'FORCE' && word !== 'IGNORE') || (next !== 'INDEX' && next !== 'KEY'))
        return;
      let j = this.i + 2;
      if (this.upper(j) === 'FOR') {
        j++;
        j += this.upper(j) === 'JOIN' ? 1 : 2;
      }
      if (this.upper(j) !== '(') this.refuse('a malformed index hint');
      this.i = (this.close[j] ?? j) + 1;
      if (this.upper() === ',')
        this.i +=
          ['USE', 'FORCE', 'IGNORE'].includes(this.upper(this.i + 1)) &&
          ['INDEX', 'KEY'].includes(this.upper(this.i + 2))
            ? 1
            : 0;
    }
  }

  protected startCall(parts: readonly string[], from: number): void {
    const open = this.tokens[this.i];
    const before = this.tokens[this.i - 1];
    const name = parts[parts.length - 1] ?? '';
    if (parts.length > 2) this.refuse('a function name of more than two parts');
    const spaced = (open?.start ?? 0) > (before?.end ?? 0);
    const bare = parts.length === 1 && this.tokens[from]?.kind === 'word';
    const upper = bare ? name.toUpperCase() : '';
    if (upper === 'JSON_TABLE' || upper === 'XMLTABLE') this.refuse('JSON_TABLE');
    this.out.push(
      this.call(
        'call',
        name,
        parts.length === 2 ? (parts[0] ?? null) : null,
        !bare || (spaced && spaceSensitive.has(upper)),
      ),
      '(',
    );
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
    if (frame.kind === 'call' && frame.name === 'CONVERT' && frame.argument === 1) {
      this.toEndOfCall();
      return;
    }
    this.out.push(',');
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
        if (frame.name !== 'CAST' && frame.name !== 'WEIGHT_STRING') return false;
        this.i++;
        this.toEndOfCall();
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
        if (frame.name !== 'GROUP_CONCAT' && frame.name !== 'JSON_ARRAYAGG') return false;
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

  protected match(next: string): boolean {
    if (next === '(') return false;
    // MATCH a, b AGAINST (...): the form without parentheses
    return this.refuse('MATCH without parentheses');
  }
}
