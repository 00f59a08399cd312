/** The state of a skeleton under construction: tokens left, frames open, text so far. No words of the grammar here. */

import { type NestedOperands, nestedOperands } from './joins.ts';
import { type CallRole, type Leaf, leafBase, nestMark, Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import { setOps } from './words.ts';

/** `row`: one of a table value constructor, VALUES (...), (...). */
export type FrameKind = 'row' | 'query' | 'call' | 'group' | 'from' | 'over' | 'case' | 'list';
export interface Frame {
  readonly kind: FrameKind;
  /** Part of a query that is being read. */
  clause: 'start' | 'with' | 'select' | 'from' | 'on' | 'expression' | 'limit' | 'tail';
  readonly name: string;
  readonly closers: string;
  interval: boolean;
  /** Behind GROUP BY, where the parser knows no ASC and DESC. */
  grouping: boolean;
  /** What is read decides which rows come: WHERE, HAVING. */
  filters: boolean;
  /** HAVING stood in this query. */
  having: boolean;
  /** Arguments so far, for calls. */
  argument: number;
  /** INSERT-like list of plain names (USING, CTE columns). */
  readonly plain: boolean;
}

export class Emitter {
  protected readonly tokens: readonly Token[];
  protected readonly close: Int32Array;
  protected readonly commas: Uint8Array;
  protected readonly out: string[] = [];
  protected readonly leaves: Leaf[] = [];
  protected readonly frames: Frame[] = [];
  protected i = 0;
  protected assigns = false;
  protected file: string | null = null;
  protected userVariables = false;
  protected countsRows = false;
  private conditionsTell = false;
  private itemsTell = false;
  protected filtersItems = false;
  protected synthetic = 0;
  protected readonly nests: NestedOperands;
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
    this.nests = nestedOperands(tokens);
  }

  protected get frame(): Frame {
    const frame = this.frames[this.frames.length - 1];
    if (!frame) throw new Unsupported('unbalanced parentheses');
    return frame;
  }

  protected push(
    kind: FrameKind,
    clause: Frame['clause'],
    name: string,
    closers: string,
    plain = false,
  ): void {
    if (this.frames.length > 400) throw new Unsupported('a statement nested too deeply', null, 'too_long');
    this.frames.push({
      kind,
      clause,
      name,
      closers,
      interval: false,
      grouping: false,
      filters: false,
      having: false,
      argument: 0,
      plain,
    });
  }

  protected upper(at = this.i): string {
    return this.tokens[at]?.upper ?? '';
  }

  protected kind(at = this.i): string {
    return this.tokens[at]?.kind ?? '';
  }

  protected last(): string {
    return this.out[this.out.length - 1] ?? '';
  }

  /** The last thing emitted can stand left of an operator. */
  protected afterOperand(): boolean {
    const last = this.last();
    return last === ')' || /^[in]?\d+$/.test(last) || last === '))';
  }

  protected refuse(what: string): never {
    throw new Unsupported(what, this.tokens[this.i]?.start ?? null);
  }

  protected leaf(leaf: Leaf): number {
    this.leaves.push(leaf);
    return this.leaves.length - 1;
  }

  protected value(leaf: Leaf): void {
    this.out.push(String(leafBase + this.leaf(leaf)));
  }

  protected constant(fn: string | null = null): void {
    this.value({ kind: 'constant', fn });
  }

  protected call(role: CallRole, name = '', schema: string | null = null, spaced = false): string {
    return `f${this.leaf({ kind: 'call', role, name, schema, spaced, distinct: false })}`;
  }

  protected name(parts: readonly string[], star: boolean, from: number, to: number): void {
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
  protected opensQuery(at: number): boolean {
    const first = this.upper(at + 1);
    if (first === 'SELECT' || first === 'WITH') return true;
    if (first === 'TABLE') return true;
    if (first === 'VALUES') return !this.callsValues(at + 1);
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

  /**
   * A join as an operand, which the parser reads in some places only: given to it as a derived table, which it reads in
   * all. Answers what closes it.
   */
  protected openNest(): string {
    this.out.push('(', 'select');
    this.name([], true, -1, -1);
    this.out.push('from');
    const index = this.leaf({
      kind: 'name',
      parts: [nestMark],
      star: false,
      start: 0,
      end: 0,
      token: -1,
      columns: null,
    });
    return `) i${index}`;
  }

  /** `VALUES (name)` and nothing more in the parenthesis: the function of ON DUPLICATE KEY UPDATE. */
  private callsValues(at: number): boolean {
    if (this.upper(at + 1) !== '(') return false;
    const end = this.close[at + 1] ?? -1;
    for (let i = at + 2; i < end; i++)
      if (this.kind(i) !== 'word' && this.kind(i) !== 'quoted' && this.upper(i) !== '.') return false;
    return this.upper(end + 1) === ')';
  }

  /** What comes now could fail on one row and not on another. */
  protected telling(): void {
    const [outermost] = this.frames;
    const alone = this.frames.every(
      ({ kind }, depth) => depth === 0 || (kind !== 'query' && kind !== 'from'),
    );
    if (!alone || !outermost) this.conditionsTell = true;
    else if (outermost.clause === 'select') this.itemsTell = true;
    else if (outermost.clause !== 'expression' || outermost.filters) this.conditionsTell = true;
  }

  /** Items come behind WHERE, but HAVING may name them and be moved in front of it. */
  protected get tells(): boolean {
    return this.conditionsTell || (this.itemsTell && this.filtersItems);
  }

  protected emit(word: string): void {
    this.out.push(word);
    this.i++;
  }

  protected inExpression(frame: Frame, what: string): void {
    if (frame.kind === 'query' && !['select', 'on', 'expression'].includes(frame.clause))
      this.refuse(`\`${what}\` here`);
    if (frame.kind === 'from' && frame.clause !== 'on') this.refuse(`\`${what}\` here`);
  }

  /** Drops the rest of a call's parenthesis: a type, a character set. Only words, numbers and strings may stand there. */
  protected toEndOfCall(): void {
    this.type();
    if (this.upper() !== ')') this.refuse('a malformed type');
  }

  /** Drops `LEVEL 1 DESC, 2-3` at the end of WEIGHT_STRING. */
  protected levels(): void {
    for (; this.upper() !== ')'; this.i++) {
      const level = ['LEVEL', 'ASC', 'DESC', 'REVERSE', ',', '-'].includes(this.upper());
      if (!level && this.kind() !== 'number') this.refuse('levels of this form');
    }
  }

  /** Drops what stands up to the next comma, or the end of the call. */
  protected type(): void {
    while (this.i < this.tokens.length) {
      const upper = this.upper();
      if (upper === ')' || upper === ',') return;
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
}
