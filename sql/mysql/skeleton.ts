/**
 * Tokens of one query in, a skeleton out: the same query with every name, call, literal and parameter replaced by a
 * numbered placeholder and every expression reduced to sums and calls, so that a general parser has nothing left to
 * misread but the query's structure. The reader (tree.ts) then finds each placeholder in the parser's tree exactly
 * once, which is what makes a lossy tree safe to use. No catalog here.
 */
import type { Frame } from './emitter.ts';
import { ExpressionEmitter } from './expressions.ts';
import { type Skeleton, Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import {
  bitsIntroducers,
  callableReserved,
  charsetIntroducers,
  reservedWords,
  selectOptions,
} from './words.ts';

export function buildSkeleton(tokens: readonly Token[]): Skeleton {
  return new Builder(tokens).run();
}

class Builder extends ExpressionEmitter {
  /** Tokens in front of which a NATURAL JOIN's operand in parentheses, and its alias, has ended. */
  private readonly naturals = new Set<number>();
  private readonly nestClosers: string[] = [];

  run(): Skeleton {
    this.push('query', 'start', '', '');
    for (;;) {
      if (this.naturals.delete(this.i)) this.markNatural();
      if (this.i >= this.tokens.length) break;
      this.step();
    }
    if (this.nestClosers.length > 0) throw new Unsupported('a malformed JOIN');
    if (this.naturals.size > 0) throw new Unsupported('a malformed NATURAL JOIN');
    const frame = this.frames.pop();
    if (!frame || this.frames.length > 0) throw new Unsupported('CASE without END');
    this.out.push(frame.closers);
    return {
      text: this.out.join(' '),
      leaves: this.leaves,
      assigns: this.assigns,
      file: this.file,
      userVariables: this.userVariables,
      countsRows: this.countsRows,
      tells: this.tells,
    };
  }

  protected step(): void {
    const token = this.tokens[this.i];
    if (!token) return;
    const frame = this.frame;
    switch (token.kind) {
      case 'executable_comment':
        throw new Unsupported('an executable comment inside a statement', token.start);
      case 'param':
      case 'bits':
      case 'number':
      case 'string':
        this.literal(token);
        return;
      case 'user_variable':
        this.userVariables = true;
        if (this.upper(this.i + 1) === ':=') {
          this.assigns = true;
          this.constant();
          this.out.push('+');
          this.i += 2;
          return;
        }
        this.constant();
        this.i++;
        return;
      case 'system_variable':
        this.constant();
        this.i++;
        return;
      case 'quoted':
        this.identifier();
        return;
      case 'operator':
        this.operator(token, frame);
        return;
      case 'word':
        this.word(token, frame);
        return;
    }
  }

  protected word(token: Token, frame: Frame): void {
    const word = token.upper;
    const next = this.upper(this.i + 1);
    if (next === '.') {
      this.identifier();
      return;
    }
    if (this.last() === 'as' && frame.clause !== 'with') {
      if (reservedWords.has(word)) this.refuse(`the reserved word ${word} as a name`);
      this.identifier();
      return;
    }
    if (frame.plain) {
      this.identifier();
      return;
    }
    if (
      (charsetIntroducers.has(word) && this.kind(this.i + 1) === 'string') ||
      ((charsetIntroducers.has(word) || bitsIntroducers.has(word)) && this.kind(this.i + 1) === 'bits')
    ) {
      this.i++;
      return;
    }
    if (
      (word === 'DATE' || word === 'TIME' || word === 'TIMESTAMP') &&
      this.kind(this.i + 1) === 'string' &&
      !this.afterOperand()
    ) {
      this.i++;
      return;
    }
    if (frame.kind === 'query' && this.queryWord(word, next, frame)) return;
    if (frame.kind === 'from' && this.fromWord(word, next, frame)) return;
    if (frame.kind === 'call' && this.callWord(word, frame)) return;
    if (frame.kind === 'over' && this.overWord(word)) return;
    if (this.expressionWord(word, next, frame)) return;
    if (callableReserved.has(word) && next === '(') {
      this.identifier();
      return;
    }
    if (reservedWords.has(word)) this.refuse(word);
    this.identifier();
  }

  protected queryWord(word: string, next: string, frame: Frame): boolean {
    switch (word) {
      case 'SELECT':
        if (frame.clause !== 'start' && frame.clause !== 'with') this.refuse('SELECT here');
        this.emit('select');
        frame.clause = 'select';
        while (selectOptions.has(this.upper()) || this.upper() === 'ALL') this.i++;
        if (this.upper() === 'DISTINCT' || this.upper() === 'DISTINCTROW') this.emit('distinct');
        while (selectOptions.has(this.upper())) this.i++;
        return true;
      case 'VALUES':
        if (frame.clause !== 'start' || !this.opensRow(this.i + 1)) return false;
        this.i++;
        this.row(frame, true);
        return true;
      case 'TABLE':
        if (frame.clause !== 'start') return false;
        this.out.push('select');
        this.name([], true, this.i, this.i);
        this.emit('from');
        frame.clause = 'from';
        return true;
      case 'WITH':
        if (frame.clause === 'start') {
          this.emit('with');
          frame.clause = 'with';
          if (this.upper() === 'RECURSIVE') this.emit('recursive');
          return true;
        }
        if (next === 'ROLLUP') {
          this.i += 2;
          return true;
        }
        return false;
      case 'AS':
        this.emit('as');
        return true;
      case 'FROM':
        if (frame.clause !== 'select') this.refuse('FROM here');
        this.emit('from');
        frame.clause = 'from';
        return true;
      case 'WHERE':
      case 'HAVING':
        if (frame.clause === 'start' || frame.clause === 'with') this.refuse(`${word} here`);
        this.emit(word.toLowerCase());
        frame.clause = 'expression';
        frame.filters = true;
        if (word === 'HAVING') {
          frame.having = true;
          this.filtersItems = true;
        }
        return true;
      case 'WINDOW':
        return this.windows(frame);
      case 'GROUP':
      case 'ORDER':
        if (next !== 'BY') return false;
        this.out.push(word.toLowerCase(), 'by');
        this.i += 2;
        frame.grouping = word === 'GROUP';
        frame.filters = false;
        frame.clause = 'expression';
        return true;
      case 'ASC':
      case 'DESC':
        if (frame.clause !== 'expression') return false;
        if (frame.grouping) this.i++;
        else this.emit(word.toLowerCase());
        return true;
      case 'LIMIT':
        if (next !== 'ROWS') this.emit('limit');
        else this.i++;
        frame.clause = 'limit';
        return true;
      case 'ROWS':
        return this.rowsExamined(frame);
      case 'OFFSET':
        if (frame.clause !== 'limit') return this.offsetRows();
        this.emit('offset');
        return true;
      case 'FETCH':
        return this.fetchRows(next);
      case 'UNION':
      case 'INTERSECT':
      case 'EXCEPT': {
        this.emit(word.toLowerCase());
        const all = this.upper() === 'ALL';
        if (all || this.upper() === 'DISTINCT') this.i++;
        if (all && word === 'UNION') this.out.push('all');
        frame.clause = 'start';
        frame.having = false;
        return true;
      }
      case 'FOR':
      case 'LOCK':
        return this.locking(word, next);
      case 'INTO':
        return this.into(next);
    }
    return frame.clause === 'from' || frame.clause === 'on' ? this.fromWord(word, next, frame) : false;
  }

  /** OFFSET n ROWS, in front of FETCH or alone. */
  private offsetRows(): boolean {
    const rows = this.upper(this.i + 2);
    if (this.kind(this.i + 1) !== 'number' && this.kind(this.i + 1) !== 'param') return false;
    if (rows !== 'ROW' && rows !== 'ROWS') return false;
    this.i += 3;
    if (this.upper() !== 'FETCH') this.limitOne();
    return true;
  }

  /** LIMIT ... ROWS EXAMINED n: how much of the answer comes depends on rows that are not in it. */
  private rowsExamined(frame: Frame): boolean {
    if (frame.clause !== 'limit' || this.upper(this.i + 1) !== 'EXAMINED') return false;
    if (this.kind(this.i + 2) !== 'number' && this.kind(this.i + 2) !== 'param') return false;
    this.countsRows = true;
    this.i += 3;
    frame.clause = 'tail';
    return true;
  }

  /** FETCH FIRST [n] ROWS ONLY | WITH TIES: a LIMIT. */
  private fetchRows(next: string): boolean {
    if (next !== 'FIRST' && next !== 'NEXT') return false;
    this.i += 2;
    if (this.kind() === 'number' || this.kind() === 'param') this.i++;
    if (this.upper() !== 'ROW' && this.upper() !== 'ROWS') this.refuse('FETCH of this form');
    this.i++;
    if (this.upper() === 'ONLY') this.i++;
    else if (this.upper() === 'WITH' && this.upper(this.i + 1) === 'TIES') this.i += 2;
    else this.refuse('FETCH of this form');
    this.limitOne();
    return true;
  }

  private limitOne(): void {
    this.out.push('limit');
    this.constant();
    this.frame.clause = 'tail';
  }

  protected locking(word: string, next: string): boolean {
    if (word === 'LOCK') {
      if (next !== 'IN' || this.upper(this.i + 2) !== 'SHARE' || this.upper(this.i + 3) !== 'MODE')
        return false;
      this.i += 4;
      return true;
    }
    if (next !== 'UPDATE' && next !== 'SHARE') return false;
    this.i += 2;
    if (this.upper() === 'OF') {
      do this.i += 2;
      while (this.upper() === ',');
    }
    if (this.upper() === 'NOWAIT') this.i++;
    else if (this.upper() === 'SKIP' && this.upper(this.i + 1) === 'LOCKED') this.i += 2;
    else if (this.upper() === 'WAIT') this.i += 2;
    return true;
  }

  protected into(next: string): boolean {
    if (next === 'OUTFILE' || next === 'DUMPFILE') {
      this.file = `INTO ${next}`;
      this.i += 3;
      const until = this.tokens.findIndex(
        (token, at) => at >= this.i && (token.upper === 'FROM' || token.upper === ')'),
      );
      this.i = until < 0 ? this.tokens.length : until;
      return true;
    }
    if (this.kind(this.i + 1) !== 'user_variable') return false;
    this.assigns = true;
    this.i += 2;
    while (this.upper() === ',' && this.kind(this.i + 1) === 'user_variable') this.i += 2;
    return true;
  }

  protected fromWord(word: string, next: string, frame: Frame): boolean {
    switch (word) {
      case 'AS':
        this.emit('as');
        return true;
      case 'ON':
        this.closeNests();
        this.emit('on');
        frame.clause = 'on';
        return true;
      case 'USING':
        if (next !== '(') return false;
        this.closeNests();
        this.out.push('using', '(');
        this.i += 2;
        this.push('list', 'expression', '', ')', true);
        return true;
      case 'LATERAL':
        this.emit('lateral');
        return true;
      case 'NATURAL':
        return this.natural(frame);
      case 'STRAIGHT_JOIN':
        this.out.push('inner', 'join');
        this.i++;
        frame.clause = 'from';
        return true;
      case 'LEFT':
      case 'RIGHT':
        if (next !== 'JOIN' && next !== 'OUTER') return false;
        this.out.push(word.toLowerCase(), 'join');
        this.i += next === 'OUTER' ? 3 : 2;
        this.operand(frame);
        return true;
      case 'INNER':
      case 'CROSS':
        if (next !== 'JOIN') return false;
        this.out.push('inner', 'join');
        this.i += 2;
        this.operand(frame);
        return true;
      case 'JOIN':
        this.out.push('inner', 'join');
        this.i++;
        this.operand(frame);
        return true;
      case 'DUAL':
        if (frame.clause !== 'from') return false;
        this.name(['\u0000dual'], false, this.i, this.i);
        this.i++;
        return true;
    }
    return false;
  }

  /** Behind a JOIN word: its right operand, with what opens it when that is a join itself. */
  private operand(frame: Frame): void {
    frame.clause = 'from';
    if (this.nests.begins.has(this.i - 1)) this.nestClosers.push(this.openNest());
  }

  private closeNests(): void {
    for (let count = this.nests.ends.get(this.i) ?? 0; count > 0; count--)
      this.out.push(...(this.nestClosers.pop() ?? '').split(' '));
  }

  /** NATURAL JOIN x becomes JOIN x USING (marker); the marker's place is behind the joined table and its alias. */
  protected natural(frame: Frame): boolean {
    this.i++;
    const side = this.upper();
    if (side === 'LEFT' || side === 'RIGHT') {
      this.out.push(side.toLowerCase());
      this.i += this.upper(this.i + 1) === 'OUTER' ? 2 : 1;
    } else {
      this.out.push('inner');
      if (side === 'INNER') this.i++;
    }
    const straight = side === 'STRAIGHT_JOIN';
    if (this.upper() !== 'JOIN' && !straight) this.refuse('a malformed NATURAL JOIN');
    this.emit('join');
    frame.clause = 'from';
    if (this.upper() === '(') {
      let end = (this.close[this.i] ?? this.i) + 1;
      if (this.opensQuery(this.i)) {
        if (this.upper(end) === 'AS') end++;
        end++;
        if (this.upper(end) === '(') end = (this.close[end] ?? end) + 1;
      }
      this.naturals.add(end);
      return true;
    }
    this.identifier();
    if (this.upper() === 'AS') this.emit('as');
    const token = this.tokens[this.i];
    if (token && (token.kind === 'quoted' || (token.kind === 'word' && !reservedWords.has(token.upper))))
      this.identifier();
    this.markNatural();
    return true;
  }

  private markNatural(): void {
    this.out.push('using', '(');
    this.name(['\u0000natural'], false, this.i - 1, this.i - 1);
    this.out.push(')');
  }
}
