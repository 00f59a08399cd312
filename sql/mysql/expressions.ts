/** Operators, parentheses and the words of expressions: each becomes a sum or a call of the skeleton. */
import { CallEmitter } from './calls.ts';
import type { Frame } from './emitter.ts';
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import {
  bareFunctions,
  bareLeaves,
  binaryOps,
  comparison,
  intervalUnits,
  totalOps,
  wordOps,
} from './words.ts';

export class ExpressionEmitter extends CallEmitter {
  protected operator(token: Token, frame: Frame): void {
    const op = token.upper;
    if (op === '(') {
      this.open(frame);
      return;
    }
    if (op === '{') {
      this.escape(frame);
      return;
    }
    if (op === '}') {
      if (frame.name !== '{') this.refuse('`}` here');
      this.closeFrame();
      return;
    }
    if (op === ')') {
      if (frame.name === '{') this.refuse('`)` here');
      this.closeFrame();
      return;
    }
    if (op === ',') {
      this.comma(frame);
      return;
    }
    if (op === '*' && frame.kind === 'query' && frame.clause === 'select' && !this.afterOperand()) {
      this.name([], true, this.i, this.i);
      this.i++;
      return;
    }
    if (op === '!' || op === '~' || ((op === '-' || op === '+') && !this.afterOperand())) {
      // -9223372036854775808 has no opposite
      if (op === '-' && this.kind(this.i + 1) !== 'number') this.telling();
      this.constant();
      this.out.push('+');
      this.i++;
      return;
    }
    if (!binaryOps.has(op)) this.refuse(`\`${op}\` here`);
    this.inExpression(frame, op);
    if (!totalOps.has(op)) this.telling();
    this.out.push('+');
    this.i++;
    const word = this.upper();
    if (
      comparison.has(op) &&
      (word === 'ANY' || word === 'SOME' || word === 'ALL') &&
      this.upper(this.i + 1) === '('
    )
      this.i++;
  }

  /** `{d '2020-01-01'}`, `{fn expression}`, `{oj join}`: what stands behind the word, and no more. */
  private escape(frame: Frame): void {
    const join = frame.clause === 'from' && (frame.kind === 'query' || frame.kind === 'from');
    if (this.kind(this.i + 1) !== 'word' || (this.upper(this.i + 1) === 'OJ') !== join)
      this.refuse('`{` here');
    if (!join) this.inExpression(frame, '{');
    this.i += 2;
    if (join) this.push('from', 'from', '{', this.openNest());
    else {
      this.out.push(this.call('row'), '(');
      this.push('call', 'expression', '{', ')');
    }
  }

  protected open(frame: Frame): void {
    const at = this.i;
    const inFrom =
      (frame.kind === 'query' && frame.clause === 'from') ||
      (frame.kind === 'from' && frame.clause === 'from');
    const afterWith =
      frame.kind === 'query' &&
      frame.clause === 'with' &&
      this.upper(this.i - 1) === ')' &&
      this.opensQuery(at);
    if (afterWith || (frame.kind === 'query' && frame.clause === 'start')) {
      this.wrapArm();
      return;
    }
    if (this.opensQuery(at)) {
      const value = !inFrom && !(frame.kind === 'query' && frame.clause === 'with');
      // it may have more than one row
      if (value) this.telling();
      if (value) this.out.push(this.call('scalar'), '(');
      this.out.push('(');
      this.i++;
      this.push('query', 'start', '', value ? ') )' : ')');
      return;
    }
    if (inFrom) {
      const closers = this.openNest();
      this.i++;
      this.push('from', 'from', '', closers);
      return;
    }
    if (frame.kind === 'query' && frame.clause === 'with') {
      this.out.push('(');
      this.i++;
      this.push('list', 'expression', '', ')', true);
      return;
    }
    this.inExpression(frame, '(');
    this.i++;
    if (this.commas[at] === 1) {
      this.out.push(this.call('row'), '(');
      this.push('call', 'expression', '', ')');
    } else {
      this.out.push('(');
      this.push('group', 'expression', '', ')');
    }
  }

  /** `(query) UNION ...`: the arm becomes a derived table, which keeps its own order and limit and loses nothing. */
  protected wrapArm(): void {
    if (!this.opensQuery(this.i)) this.refuse('a parenthesis here');
    this.out.push('select');
    this.name([], true, this.i, this.i);
    this.out.push('from', '(');
    const index = this.leaf({
      kind: 'name',
      parts: [`\u0000arm${this.synthetic++}`],
      star: false,
      start: 0,
      end: 0,
      token: -1,
      columns: null,
    });
    this.frame.clause = 'tail';
    this.i++;
    this.push('query', 'start', '', `) i${index}`);
  }

  protected closeFrame(): void {
    const frame = this.frames.pop();
    if (!frame || frame.kind === 'case')
      throw new Unsupported('CASE without END', this.tokens[this.i]?.start ?? null);
    this.i++;
    if (frame.kind === 'row') {
      this.endRow(frame);
      return;
    }
    if (frame.kind === 'call' && this.withinGroup(frame)) return;
    if (frame.kind === 'call' && this.upper() === 'OVER') {
      this.over(frame);
      return;
    }
    for (const part of frame.closers.split(' ')) this.out.push(part);
    if (frame.kind === 'over' && frame.name === 'WINDOW') this.nextWindow();
    if (
      frame.kind === 'call' &&
      frame.name === 'MATCH' &&
      this.upper() === 'AGAINST' &&
      this.upper(this.i + 1) === '('
    ) {
      this.out.push('+', this.call('against'), '(');
      this.i += 2;
      this.push('call', 'expression', 'AGAINST', ')');
    }
  }

  protected opensRow(at: number): boolean {
    return this.upper(at) === '(' || (this.upper(at) === 'ROW' && this.upper(at + 1) === '(');
  }

  /** A row of VALUES is a SELECT without FROM; the next one follows by UNION ALL. */
  protected row(query: Frame, first: boolean): void {
    this.out.push('select');
    const named = this.upper() === 'ROW';
    this.i += named ? 2 : 1;
    query.clause = 'expression';
    this.push('row', 'expression', named && first ? 'ROW' : '', '');
  }

  private endRow(row: Frame): void {
    this.nameOfRow(row);
    if (this.upper() !== ',' || !this.opensRow(this.i + 1)) return;
    this.i++;
    this.out.push('union', 'all');
    this.row(this.frame, false);
  }

  protected expressionWord(word: string, next: string, frame: Frame): boolean {
    if (frame.interval && intervalUnits.has(word) && next !== '(' && this.afterOperand()) {
      frame.interval = false;
      this.i++;
      return true;
    }
    if (wordOps.has(word) && this.afterOperand()) {
      this.inExpression(frame, word);
      if (!totalOps.has(word)) this.telling();
      this.emit('+');
      return true;
    }
    switch (word) {
      case 'NOT':
        this.inExpression(frame, word);
        if (!this.afterOperand()) {
          this.constant();
          this.out.push('+');
        }
        this.i++;
        return true;
      case 'BINARY':
        this.inExpression(frame, word);
        this.constant();
        this.emit('+');
        return true;
      case 'BETWEEN':
        this.inExpression(frame, word);
        this.emit('+');
        return true;
      case 'SOUNDS':
        if (next !== 'LIKE') return false;
        this.out.push('+');
        this.i += 2;
        return true;
      case 'ESCAPE':
        if (!this.afterOperand()) return false;
        if (this.kind(this.i + 1) === 'string' || this.kind(this.i + 1) === 'param') this.i += 2;
        else {
          this.inExpression(frame, word);
          this.telling();
          this.emit('+');
        }
        return true;
      case 'IN':
        return this.membership(frame);
      case 'IS': {
        let j = this.i + 1;
        if (this.upper(j) === 'NOT') j++;
        if (!['NULL', 'TRUE', 'FALSE', 'UNKNOWN'].includes(this.upper(j)))
          this.refuse('IS with this right side');
        this.out.push('+');
        this.constant();
        this.i = j + 1;
        return true;
      }
      case 'COLLATE':
        if (!this.afterOperand()) return false;
        this.out.push('+');
        this.constant();
        this.i += 2;
        return true;
      case 'EXISTS':
        if (next !== '(' || !this.opensQuery(this.i + 1)) return false;
        this.out.push(this.call('exists'), '(', '(');
        this.i += 2;
        this.push('query', 'start', '', ') )');
        return true;
      case 'ROW':
        if (next !== '(') return false;
        this.out.push(this.call('row'), '(');
        this.i += 2;
        this.push('call', 'expression', '', ')');
        return true;
      case 'CASE':
        this.out.push(this.call('case'), '(');
        this.i++;
        this.push('case', 'expression', '', ')');
        return true;
      case 'WHEN':
      case 'THEN':
      case 'ELSE':
        if (frame.kind !== 'case') return false;
        if (this.last() !== '(') this.out.push(',');
        this.i++;
        return true;
      case 'END':
        if (frame.kind !== 'case') return false;
        this.frames.pop();
        this.emit(')');
        return true;
      case 'INTERVAL':
        this.constant();
        this.emit('+');
        frame.interval = true;
        return true;
      case 'MATCH':
        return this.match(next);
    }
    if (bareLeaves.has(word) && next !== '(' && !this.afterOperand()) {
      // TRUE is the integer 1, even as a position in ORDER BY
      if (word === 'TRUE') this.value({ kind: 'literal', integer: 1 });
      else this.constant(bareFunctions.has(word) ? word : null);
      this.i++;
      return true;
    }
    return false;
  }
}
