/**
 * Tokens of one query in, a skeleton out: the same query with every name, call, literal and parameter replaced by a
 * numbered placeholder and every expression reduced to sums and calls, so that a general parser has nothing left to
 * misread but the query's structure. The reader (tree.ts) then finds each placeholder in the parser's tree exactly
 * once, which is what makes a lossy tree safe to use. No catalog here.
 */
import type { Token } from './lexer.ts';
import {
  bareFunctions,
  bareLeaves,
  callableReserved,
  charsetIntroducers,
  intervalUnits,
  reservedWords,
  selectOptions,
  spaceSensitive,
  unitFirstFunctions,
} from './words.ts';

/** What one placeholder stands for. `token` is the index of its first token in the source list. */
export type Leaf =
  | {
      readonly kind: 'name';
      readonly parts: readonly string[];
      readonly star: boolean;
      readonly start: number;
      readonly end: number;
      readonly token: number;
      columns: string[] | null;
    }
  | {
      readonly kind: 'call';
      readonly schema: string | null;
      readonly name: string;
      readonly spaced: boolean;
      readonly role: CallRole;
      distinct: boolean;
    }
  | { readonly kind: 'literal'; readonly integer: number | null }
  | { readonly kind: 'constant'; readonly fn: string | null };
export type CallRole = 'call' | 'row' | 'case' | 'exists' | 'in' | 'over' | 'against';

export interface Skeleton {
  readonly text: string;
  readonly leaves: readonly Leaf[];
  /** `@v := ...` or `INTO @v` stood in the text. */
  readonly assigns: boolean;
  /** 'INTO OUTFILE' or 'INTO DUMPFILE'. */
  readonly file: string | null;
  readonly userVariables: boolean;
}

/** Thrown inside this room only: what can't be vouched for, in words without a literal. */
export class Unsupported extends Error {
  readonly at: number | null;
  readonly reason: 'unsupported' | 'syntax' | 'unknown_name' | 'too_long';
  constructor(
    message: string,
    at: number | null = null,
    reason: 'unsupported' | 'syntax' | 'unknown_name' | 'too_long' = 'unsupported',
  ) {
    super(message);
    this.at = at;
    this.reason = reason;
  }
}

type FrameKind = 'query' | 'call' | 'group' | 'from' | 'over' | 'case' | 'list';
interface Frame {
  readonly kind: FrameKind;
  /** Part of a query that is being read. */
  clause: 'start' | 'with' | 'select' | 'from' | 'on' | 'expression' | 'limit' | 'tail';
  readonly name: string;
  readonly closers: string;
  interval: boolean;
  /** Arguments so far, for calls. */
  argument: number;
  /** INSERT-like list of plain names (USING, CTE columns). */
  readonly plain: boolean;
}

export const leafBase = 1_000_000;
const setOps = new Set(['UNION', 'INTERSECT', 'EXCEPT']);
const comparison = new Set(['=', '<', '>', '<=', '>=', '<>', '!=', '<=>']);
const binaryOps = new Set([
  ...comparison,
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
  '&',
  '|',
  '<<',
  '>>',
  '&&',
  '||',
  '->',
  '->>',
]);
const literalKinds = new Set(['string', 'number', 'bits', 'param']);
const wordOps = new Set(['AND', 'OR', 'XOR', 'DIV', 'MOD', 'LIKE', 'RLIKE', 'REGEXP']);

export function buildSkeleton(tokens: readonly Token[]): Skeleton {
  return new Builder(tokens).run();
}

class Builder {
  private readonly tokens: readonly Token[];
  private readonly close: Int32Array;
  private readonly commas: Uint8Array;
  private readonly out: string[] = [];
  private readonly leaves: Leaf[] = [];
  private readonly frames: Frame[] = [];
  private i = 0;
  private assigns = false;
  private file: string | null = null;
  private userVariables = false;
  private synthetic = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
    this.close = new Int32Array(tokens.length).fill(-1);
    this.commas = new Uint8Array(tokens.length);
    const open: number[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const upper = tokens[i]?.upper;
      if (upper === '(') open.push(i);
      else if (upper === ')') {
        const at = open.pop();
        if (at === undefined)
          throw new Unsupported('a parenthesis that is not opened', tokens[i]?.start ?? null, 'syntax');
        this.close[at] = i;
      } else if (upper === ',' && open.length > 0) this.commas[open[open.length - 1] ?? 0] = 1;
    }
    if (open.length > 0)
      throw new Unsupported(
        'a parenthesis that is not closed',
        tokens[open[0] ?? 0]?.start ?? null,
        'syntax',
      );
  }

  run(): Skeleton {
    this.push('query', 'start', '', '');
    while (this.i < this.tokens.length) this.step();
    const frame = this.frames.pop();
    if (!frame || this.frames.length > 0) throw new Unsupported('CASE without END', null, 'syntax');
    this.out.push(frame.closers);
    return {
      text: this.out.join(' '),
      leaves: this.leaves,
      assigns: this.assigns,
      file: this.file,
      userVariables: this.userVariables,
    };
  }

  private get frame(): Frame {
    const frame = this.frames[this.frames.length - 1];
    if (!frame) throw new Unsupported('unbalanced parentheses', null, 'syntax');
    return frame;
  }
  private push(kind: FrameKind, clause: Frame['clause'], name: string, closers: string, plain = false): void {
    if (this.frames.length > 400) throw new Unsupported('a statement nested too deeply', null, 'too_long');
    this.frames.push({ kind, clause, name, closers, interval: false, argument: 0, plain });
  }
  private upper(at = this.i): string {
    return this.tokens[at]?.upper ?? '';
  }
  private kind(at = this.i): string {
    return this.tokens[at]?.kind ?? '';
  }
  private last(): string {
    return this.out[this.out.length - 1] ?? '';
  }
  /** The last thing emitted can stand left of an operator. */
  private afterOperand(): boolean {
    const last = this.last();
    return last === ')' || /^[in]?\d+$/.test(last) || last === '))';
  }
  private refuse(what: string): never {
    throw new Unsupported(what, this.tokens[this.i]?.start ?? null);
  }

  private leaf(leaf: Leaf): number {
    this.leaves.push(leaf);
    return this.leaves.length - 1;
  }
  private value(leaf: Leaf): void {
    this.out.push(String(leafBase + this.leaf(leaf)));
  }
  private constant(fn: string | null = null): void {
    this.value({ kind: 'constant', fn });
  }
  private call(role: CallRole, name = '', schema: string | null = null, spaced = false): string {
    return `f${this.leaf({ kind: 'call', role, name, schema, spaced, distinct: false })}`;
  }
  private name(parts: readonly string[], star: boolean, from: number, to: number): void {
    const index = this.leaf({
      kind: 'name',
      parts,
      star,
      start: this.tokens[from]?.start ?? 0,
      end: this.tokens[to]?.end ?? 0,
      token: from,
      columns: null,
    });
    this.out.push(`i${index}`);
  }

  /** Whether the parenthesis at `at` opens a query expression. */
  private opensQuery(at: number): boolean {
    const first = this.upper(at + 1);
    if (first === 'SELECT' || first === 'WITH') return true;
    if (first === 'TABLE' || first === 'VALUES') return true;
    if (first !== '(') return false;
    if (!this.opensQuery(at + 1)) return false;
    const after = (this.close[at + 1] ?? -1) + 1;
    return (
      after === this.close[at] ||
      setOps.has(this.upper(after)) ||
      this.upper(after) === 'ORDER' ||
      this.upper(after) === 'LIMIT'
    );
  }

  private step(): void {
    const token = this.tokens[this.i];
    if (!token) return;
    const frame = this.frame;
    switch (token.kind) {
      case 'executable_comment':
        return this.refuse('an executable comment inside a statement');
      case 'param':
      case 'bits':
      case 'number':
      case 'string':
        return this.literal(token);
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
        return this.identifier();
      case 'operator':
        return this.operator(token, frame);
      case 'word':
        return this.word(token, frame);
    }
  }

  private literal(token: Token): void {
    if (token.kind === 'string') {
      const previous = this.tokens[this.i - 1];
      const afterAs = previous?.upper === 'AS';
      // adjacent strings are one literal; after an operand a string is an alias
      if (previous?.kind === 'string' && !afterAs && this.last() !== 'AS') {
        this.i++;
        return;
      }
      if (this.frame.kind === 'query' && this.frame.clause === 'select' && (afterAs || this.afterOperand())) {
        this.name([token.value], false, this.i, this.i);
        this.i++;
        return;
      }
    }
    const integer = token.kind === 'number' && /^\d{1,6}$/.test(token.value) ? Number(token.value) : null;
    this.value(token.kind === 'number' ? { kind: 'literal', integer } : { kind: 'constant', fn: null });
    this.i++;
  }

  private identifier(): void {
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
    if (this.upper() === '(' && !star && !this.namesList(frame)) return this.startCall(parts, from);
    if (parts.length > 3) this.refuse('a name of more than three parts');
    this.name(parts, star, from, this.i - 1);
    if (this.upper() === '(' && frame.kind === 'query' && frame.clause === 'from') this.aliasColumns();
    else if (frame.clause === 'from') this.indexHints();
  }

  /** In WITH and FROM a parenthesis after a name opens a list of columns, not a call. */
  private namesList(frame: Frame): boolean {
    return frame.clause === 'with' || frame.clause === 'from';
  }

  private aliasColumns(): void {
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
  private indexHints(): void {
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

  private startCall(parts: readonly string[], from: number): void {
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
  private opensQueryHere(): boolean {
    return this.upper() === 'SELECT' || this.upper() === 'WITH';
  }

  private operator(token: Token, frame: Frame): void {
    const op = token.upper;
    if (op === '(') return this.open(frame);
    if (op === ')') return this.closeFrame();
    if (op === ',') return this.comma(frame);
    if (op === '*' && frame.kind === 'query' && frame.clause === 'select' && !this.afterOperand()) {
      this.name([], true, this.i, this.i);
      this.i++;
      return;
    }
    if (op === '!' || op === '~' || ((op === '-' || op === '+') && !this.afterOperand())) {
      this.constant();
      this.out.push('+');
      this.i++;
      return;
    }
    if (!binaryOps.has(op)) this.refuse(`\`${op}\` here`);
    this.inExpression(frame, op);
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

  private inExpression(frame: Frame, what: string): void {
    if (frame.kind === 'query' && !['select', 'on', 'expression'].includes(frame.clause))
      this.refuse(`\`${what}\` here`);
    if (frame.kind === 'from' && frame.clause !== 'on') this.refuse(`\`${what}\` here`);
  }

  private comma(frame: Frame): void {
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

  /** Drops the rest of a call's parenthesis: a type, a character set. Only words, numbers and strings may stand there. */
  private toEndOfCall(): void {
    while (this.i < this.tokens.length) {
      const upper = this.upper();
      if (upper === ')') return;
      if (upper === '(') {
        const end = this.close[this.i] ?? this.i;
        for (let j = this.i + 1; j < end; j++)
          if (this.kind(j) !== 'number' && this.kind(j) !== 'string' && this.upper(j) !== ',')
            this.refuse('a malformed type');
        this.i = end + 1;
        continue;
      }
      if (this.kind() !== 'word' && this.kind() !== 'string') this.refuse('a malformed type');
      if (upper === 'SELECT') this.refuse('a malformed type');
      this.i++;
    }
  }

  private open(frame: Frame): void {
    const at = this.i;
    const inFrom =
      (frame.kind === 'query' && frame.clause === 'from') ||
      (frame.kind === 'from' && frame.clause === 'from');
    if (frame.kind === 'query' && frame.clause === 'start') return this.wrapArm();
    if (this.opensQuery(at)) {
      this.out.push('(');
      this.i++;
      this.push('query', 'start', '', ')');
      return;
    }
    if (inFrom) {
      this.out.push('(');
      this.i++;
      this.push('from', 'from', '', ')');
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
  private wrapArm(): void {
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

  private closeFrame(): void {
    const frame = this.frames.pop();
    if (!frame || frame.kind === 'case')
      throw new Unsupported('CASE without END', this.tokens[this.i]?.start ?? null, 'syntax');
    this.i++;
    if (frame.kind === 'call' && this.upper() === 'OVER') return this.over(frame);
    for (const part of frame.closers.split(' ')) this.out.push(part);
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

  private over(frame: Frame): void {
    if (this.upper(this.i + 1) !== '(' || frame.closers !== ')') this.refuse('a named window');
    if (this.last() !== '(') this.out.push(',');
    this.out.push(this.call('over'), '(');
    this.i += 2;
    this.push('over', 'expression', '', ') )');
  }

  private word(token: Token, frame: Frame): void {
    const word = token.upper;
    const next = this.upper(this.i + 1);
    if (next === '.') return this.identifier();
    if (this.last() === 'as' && frame.clause !== 'with') {
      if (reservedWords.has(word)) this.refuse(`the reserved word ${word} as a name`);
      return this.identifier();
    }
    if (frame.plain) return this.identifier();
    if (
      charsetIntroducers.has(word) &&
      (this.kind(this.i + 1) === 'string' || this.kind(this.i + 1) === 'bits')
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
    if (callableReserved.has(word) && next === '(') return this.identifier();
    if (reservedWords.has(word)) this.refuse(word);
    this.identifier();
  }

  private queryWord(word: string, next: string, frame: Frame): boolean {
    switch (word) {
      case 'SELECT':
        if (frame.clause !== 'start' && frame.clause !== 'with') this.refuse('SELECT here');
        this.emit('select');
        frame.clause = 'select';
        while (selectOptions.has(this.upper()) || this.upper() === 'ALL') this.i++;
        if (this.upper() === 'DISTINCT' || this.upper() === 'DISTINCTROW') this.emit('distinct');
        while (selectOptions.has(this.upper())) this.i++;
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
        return true;
      case 'GROUP':
      case 'ORDER':
        if (next !== 'BY') return false;
        this.out.push(word.toLowerCase(), 'by');
        this.i += 2;
        frame.clause = 'expression';
        return true;
      case 'ASC':
      case 'DESC':
        if (frame.clause !== 'expression') return false;
        this.emit(word.toLowerCase());
        return true;
      case 'LIMIT':
        this.emit('limit');
        frame.clause = 'limit';
        return true;
      case 'OFFSET':
        if (frame.clause !== 'limit') return false;
        this.emit('offset');
        return true;
      case 'UNION':
      case 'INTERSECT':
      case 'EXCEPT': {
        this.emit(word.toLowerCase());
        const all = this.upper() === 'ALL';
        if (all || this.upper() === 'DISTINCT') this.i++;
        if (all && word === 'UNION') this.out.push('all');
        frame.clause = 'start';
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

  private emit(word: string): void {
    this.out.push(word);
    this.i++;
  }

  private locking(word: string, next: string): boolean {
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

  private into(next: string): boolean {
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

  private fromWord(word: string, next: string, frame: Frame): boolean {
    switch (word) {
      case 'AS':
        this.emit('as');
        return true;
      case 'ON':
        this.emit('on');
        frame.clause = 'on';
        return true;
      case 'USING':
        if (next !== '(') return false;
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
        frame.clause = 'from';
        return true;
      case 'INNER':
      case 'CROSS':
        if (next !== 'JOIN') return false;
        this.out.push('inner', 'join');
        this.i += 2;
        frame.clause = 'from';
        return true;
      case 'JOIN':
        this.out.push('inner', 'join');
        this.i++;
        frame.clause = 'from';
        return true;
      case 'DUAL':
        if (frame.clause !== 'from') return false;
        this.name(['\u0000dual'], false, this.i, this.i);
        this.i++;
        return true;
    }
    return false;
  }

  /** NATURAL JOIN x becomes JOIN x USING (marker); the marker's place is behind the joined table and its alias. */
  private natural(frame: Frame): boolean {
    this.i++;
    const side = this.upper();
    if (side === 'LEFT' || side === 'RIGHT') {
      this.out.push(side.toLowerCase());
      this.i += this.upper(this.i + 1) === 'OUTER' ? 2 : 1;
    } else {
      this.out.push('inner');
      if (side === 'INNER') this.i++;
    }
    if (this.upper() !== 'JOIN') this.refuse('a malformed NATURAL JOIN');
    this.emit('join');
    frame.clause = 'from';
    if (this.upper() === '(') this.refuse('NATURAL JOIN with a parenthesis');
    this.identifier();
    if (this.upper() === 'AS') this.emit('as');
    const token = this.tokens[this.i];
    if (token && (token.kind === 'quoted' || (token.kind === 'word' && !reservedWords.has(token.upper))))
      this.identifier();
    this.out.push('using', '(');
    this.name(['\u0000natural'], false, this.i - 1, this.i - 1);
    this.out.push(')');
    return true;
  }

  private callWord(word: string, frame: Frame): boolean {
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

  private overWord(word: string): boolean {
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

  private expressionWord(word: string, next: string, frame: Frame): boolean {
    if (frame.interval && intervalUnits.has(word) && next !== '(' && this.afterOperand()) {
      frame.interval = false;
      this.i++;
      return true;
    }
    if (wordOps.has(word) && this.afterOperand()) {
      this.inExpression(frame, word);
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
        if (!this.afterOperand() || (this.kind(this.i + 1) !== 'string' && this.kind(this.i + 1) !== 'param'))
          return false;
        this.i += 2;
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
      this.constant(bareFunctions.has(word) ? word : null);
      this.i++;
      return true;
    }
    return false;
  }

  private match(next: string): boolean {
    if (next === '(') return false;
    // MATCH a, b AGAINST (...): the form without parentheses
    return this.refuse('MATCH without parentheses');
  }

  private membership(frame: Frame): boolean {
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
}
