/**
 * Reads the parser's tree of a skeleton into the query types of this room. An allow-list: a node type, or a key with
 * a value, that isn't named here is refused; and every placeholder has to turn up exactly once.
 */
import sqlParser from 'node-sql-parser/build/mariadb.js';
import { type Leaf, leafBase, nestMark, type Skeleton, Unsupported } from './leaves.ts';

export type NameLeaf = Extract<Leaf, { kind: 'name' }>;
export type CallLeaf = Extract<Leaf, { kind: 'call' }>;

export type Expr =
  | { readonly kind: 'name'; readonly leaf: NameLeaf }
  /** `integer`: of a literal; 'any' of a parameter, whose value nobody knows yet. */
  | { readonly kind: 'constant'; readonly integer: number | 'any' | null; readonly fn: string | null }
  | { readonly kind: 'call'; readonly leaf: CallLeaf; readonly args: readonly Expr[] }
  | { readonly kind: 'operation'; readonly args: readonly Expr[] }
  | { readonly kind: 'query'; readonly query: Query };

export interface FromItem {
  readonly source:
    | { readonly kind: 'table'; readonly leaf: NameLeaf }
    | { readonly kind: 'query'; readonly query: Query }
    | { readonly kind: 'nest'; readonly items: readonly FromItem[] };
  readonly alias: NameLeaf | null;
  readonly lateral: boolean;
  /** null for the first of a comma-separated operand. */
  readonly join: 'inner' | 'left' | 'right' | null;
  readonly on: Expr | null;
  readonly using: readonly NameLeaf[];
}

export interface Select {
  readonly distinct: boolean;
  readonly items: readonly { readonly expr: Expr; readonly alias: NameLeaf | null }[];
  readonly from: readonly FromItem[];
  readonly where: Expr | null;
  readonly group: readonly Expr[];
  readonly having: Expr | null;
}

export interface Query {
  readonly ctes: readonly {
    readonly name: NameLeaf;
    readonly columns: readonly NameLeaf[];
    readonly query: Query;
  }[];
  readonly recursive: boolean;
  readonly arms: readonly Select[];
  /** Every set operation is UNION ALL (or there is none). */
  readonly plainUnion: boolean;
  readonly order: readonly Expr[];
  readonly limited: boolean;
}

interface NodeSqlParser {
  astify(text: string): unknown;
}
let parser: NodeSqlParser | null = null;

type Tree = Readonly<Record<string, unknown>>;
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || value === false || (Array.isArray(value) && value.length === 0);

/** The query that a skeleton spells. Throws Unsupported. */
export function parseSkeleton(skeleton: Skeleton): Query {
  const reader = new Reader(skeleton.leaves);
  const query = union(
    armsOf(skeleton.text).map((arm) => ({ ...arm, query: reader.query(parse(skeleton, arm)) })),
  );
  reader.finish();
  return query;
}

/** A part of a skeleton's text; `isAll`: it stands behind UNION ALL. */
interface Arm {
  readonly text: string;
  readonly start: number;
  readonly isAll: boolean;
}

/**
 * The SELECTs of a chain of UNIONs, or the whole text as one arm. The parser's bookkeeping of columns grows with the square of what
 * one text names, so that it is given them one by one.
 */
function armsOf(text: string): readonly Arm[] {
  const whole = [{ text, start: 0, isAll: false }];
  const arms: Arm[] = [];
  let depth = 0;
  let start = 0;
  let isAll = false;
  for (const { 0: word, index } of text.matchAll(structure)) {
    if (word === '(') depth++;
    else if (word === ')') depth--;
    else if (depth === 0) {
      if (!/^union/i.test(word)) return whole;
      arms.push({ text: text.slice(start, index), start, isAll });
      start = index + word.length;
      isAll = /all$/i.test(word);
    }
  }
  arms.push({ text: text.slice(start), start, isAll });
  return arms.every((arm) => /^\s*select\b/i.test(arm.text)) ? arms : whole;
}

/** A skeleton holds neither strings nor comments. */
const structure = /[()]|\b(?:union(?:\s+(?:all|distinct))?|intersect|except|minus)\b/gi;

function union(arms: readonly (Arm & { readonly query: Query })[]): Query {
  const last = arms.at(-1)!.query;
  if (arms.length === 1) return last;
  for (const { query } of arms.slice(0, -1)) {
    if (query.order.length > 0 || query.limited)
      throw new Unsupported('ORDER BY or LIMIT inside a set operation');
  }
  return {
    ...last,
    arms: arms.flatMap(({ query }) => query.arms),
    plainUnion: arms.slice(1).every((arm) => arm.isAll),
  };
}

function parse(skeleton: Skeleton, { text, start }: Arm): unknown {
  parser ??= new sqlParser.Parser();
  try {
    const tree = parser.astify(text);
    return Array.isArray(tree) && tree.length === 1 ? tree[0] : tree;
  } catch (error) {
    const at = (error as { location?: { start?: { offset?: number } } }).location?.start?.offset;
    throw new Unsupported(
      'an error of syntax, or SQL that the gateway does not know',
      at === undefined ? null : sourceOffset(skeleton, start + at),
    );
  }
}

/** Where in the client's text the placeholder at (or before) a skeleton offset stands. */
function sourceOffset(skeleton: Skeleton, at: number): number | null {
  const names = [...skeleton.text.slice(0, at + 1).matchAll(/i(\d+)/g)];
  for (let n = names.length - 1; n >= 0; n--) {
    const leaf = skeleton.leaves[Number(names[n]?.[1])];
    if (leaf?.kind === 'name' && leaf.token >= 0) return leaf.start;
  }
  return null;
}

/** The operands of a join that went to the parser as a derived table: of all that a query may have it has FROM alone. */
function nestOf(query: Query): readonly FromItem[] {
  const [arm] = query.arms;
  const [item] = arm?.items ?? [];
  const plain =
    query.arms.length === 1 &&
    arm !== undefined &&
    arm.items.length === 1 &&
    item?.expr.kind === 'name' &&
    item.expr.leaf.star &&
    item.expr.leaf.parts.length === 0 &&
    item.alias === null &&
    query.ctes.length + query.order.length + arm.group.length === 0 &&
    !query.limited &&
    !arm.distinct &&
    arm.where === null &&
    arm.having === null;
  if (!plain) throw new Unsupported('an unexpected FROM');
  return arm.from;
}

class Reader {
  private readonly leaves: readonly Leaf[];
  private readonly seen: Uint8Array;

  constructor(leaves: readonly Leaf[]) {
    this.leaves = leaves;
    this.seen = new Uint8Array(leaves.length);
  }

  finish(): void {
    if (this.seen.includes(0)) throw new Unsupported('a part of the statement that the parser left out');
  }

  private take(index: number): Leaf {
    const leaf = this.leaves[index];
    if (!leaf) throw new Unsupported('an unexpected name in the tree');
    if (this.seen[index]) throw new Unsupported('a part of the statement that the parser read twice');
    this.seen[index] = 1;
    return leaf;
  }
  private name(text: unknown): NameLeaf {
    const match = typeof text === 'string' ? /^i(\d+)$/.exec(text) : null;
    const leaf = match ? this.take(Number(match[1])) : null;
    if (leaf?.kind !== 'name') throw new Unsupported('a name that the parser made up');
    return leaf;
  }
  private only(tree: Tree, allowed: readonly string[], what: string): void {
    for (const key of Object.keys(tree)) {
      if (!allowed.includes(key) && !isEmpty(tree[key])) throw new Unsupported(`${what} with ${key}`);
    }
  }
  private list(value: unknown): readonly unknown[] {
    if (value === null || value === undefined) return [];
    if (!Array.isArray(value)) throw new Unsupported('an unexpected tree');
    return value;
  }

  /** A subquery stands in the tree as `{ ast }`, the statement itself bare. */
  query(value: unknown): Query {
    if (!isTree(value)) throw new Unsupported('an unexpected tree');
    if (isTree(value.ast)) {
      this.only(value, ['ast', 'tableList', 'columnList', 'parentheses'], 'a subquery');
      return this.query(value.ast);
    }
    if (value.type !== 'select') throw new Unsupported('a statement of another kind inside a query');
    const arms: Select[] = [];
    let plainUnion = true;
    let order: readonly Expr[] = [];
    let limited = false;
    let recursive = false;
    const ctes = this.list(value.with).map((item) => {
      if (!isTree(item) || !isTree(item.name)) throw new Unsupported('an unexpected WITH');
      this.only(item, ['name', 'stmt', 'columns', 'recursive'], 'WITH');
      if (item.recursive) recursive = true;
      const name = this.name(item.name.value);
      const columns = this.list(item.columns).map((column) => this.column(column));
      return { name, columns, query: this.query(item.stmt) };
    });
    let at: unknown = value;
    while (at !== undefined && at !== null) {
      if (!isTree(at)) throw new Unsupported('an unexpected tree');
      if (at !== value && !isEmpty(at.with)) throw new Unsupported('WITH in an arm of a set operation');
      arms.push(this.select(at));
      const next = at._next;
      if (next !== undefined && next !== null) {
        if (!isEmpty(at.orderby) || !isEmpty(at.limit))
          throw new Unsupported('ORDER BY or LIMIT inside a set operation');
        if (at.set_op !== 'union all') plainUnion = false;
      } else {
        order = this.order(at.orderby);
        limited = this.limit(at.limit);
      }
      if (!isEmpty(at._orderby) || !isEmpty(at._limit))
        throw new Unsupported('ORDER BY of a set operation in this form');
      at = next;
    }
    return { ctes, recursive, arms, plainUnion, order, limited };
  }

  private limit(value: unknown): boolean {
    if (isEmpty(value)) return false;
    if (!isTree(value)) throw new Unsupported('an unexpected LIMIT');
    this.only(value, ['seperator', 'value'], 'LIMIT');
    const items = this.list(value.value);
    for (const item of items) {
      const expr = this.expr(item);
      if (expr.kind !== 'constant') throw new Unsupported('LIMIT with an expression');
    }
    return items.length > 0;
  }

  private order(value: unknown): readonly Expr[] {
    return this.list(value).map((item) => {
      if (!isTree(item)) throw new Unsupported('an unexpected ORDER BY');
      this.only(item, ['expr', 'type'], 'ORDER BY');
      return this.expr(item.expr);
    });
  }

  private select(tree: Tree): Select {
    this.only(
      tree,
      [
        'type',
        'with',
        'distinct',
        'columns',
        'into',
        'from',
        'where',
        'groupby',
        'having',
        'orderby',
        'limit',
        '_next',
        'set_op',
        'parentheses_symbol',
        '_orderby',
        '_limit',
      ],
      'SELECT',
    );
    if (isTree(tree.into)) this.only(tree.into, [], 'INTO');
    if (!isEmpty(tree.distinct) && tree.distinct !== 'DISTINCT')
      throw new Unsupported('an unexpected DISTINCT');
    const items = this.list(tree.columns).map((item) => {
      if (!isTree(item)) throw new Unsupported('an unexpected column list');
      this.only(item, ['expr', 'as', 'type'], 'a select item');
      return { expr: this.expr(item.expr), alias: isEmpty(item.as) ? null : this.name(item.as) };
    });
    let group: readonly Expr[] = [];
    if (!isEmpty(tree.groupby)) {
      if (!isTree(tree.groupby)) throw new Unsupported('an unexpected GROUP BY');
      this.only(tree.groupby, ['columns', 'modifiers'], 'GROUP BY');
      if (this.list(tree.groupby.modifiers).some((modifier) => !isEmpty(modifier)))
        throw new Unsupported('GROUP BY with a modifier');
      group = this.list(tree.groupby.columns).map((item) => this.expr(item));
    }
    return {
      distinct: !isEmpty(tree.distinct),
      items,
      from: this.from(tree.from),
      where: isEmpty(tree.where) ? null : this.expr(tree.where),
      group,
      having: isEmpty(tree.having) ? null : this.expr(tree.having),
    };
  }

  private from(value: unknown): readonly FromItem[] {
    if (isEmpty(value)) return [];
    if (Array.isArray(value)) return value.map((item) => this.fromItem(item));
    if (!isTree(value)) throw new Unsupported('an unexpected FROM');
    const nest = this.fromItem({ ...value, joins: null });
    return [nest, ...this.list(value.joins).map((item) => this.fromItem(item))];
  }

  private fromItem(value: unknown): FromItem {
    if (!isTree(value)) throw new Unsupported('an unexpected FROM');
    this.only(
      value,
      ['db', 'table', 'as', 'join', 'on', 'using', 'expr', 'prefix', 'parentheses', 'joins'],
      'FROM',
    );
    if (!isEmpty(value.db) || !isEmpty(value.joins)) throw new Unsupported('an unexpected FROM');
    let join: FromItem['join'] = null;
    switch (value.join) {
      case undefined:
      case null:
        break;
      case 'INNER JOIN':
        join = 'inner';
        break;
      case 'LEFT JOIN':
        join = 'left';
        break;
      case 'RIGHT JOIN':
        join = 'right';
        break;
      default:
        throw new Unsupported('a join of another kind');
    }
    let source: FromItem['source'];
    let alias = isEmpty(value.as) ? null : this.name(value.as);
    if (typeof value.table === 'string') source = { kind: 'table', leaf: this.name(value.table) };
    else source = { kind: 'query', query: this.query(value.expr) };
    if (alias?.parts[0] === nestMark) {
      if (source.kind !== 'query') throw new Unsupported('an unexpected FROM');
      source = { kind: 'nest', items: nestOf(source.query) };
      alias = null;
    }
    if (!isEmpty(value.prefix) && value.prefix !== 'lateral') throw new Unsupported('an unexpected FROM');
    return {
      source,
      alias,
      lateral: value.prefix === 'lateral',
      join,
      on: isEmpty(value.on) ? null : this.expr(value.on),
      using: this.list(value.using).map((item) => this.name(isTree(item) ? item.value : null)),
    };
  }

  private column(value: unknown): NameLeaf {
    const expr = this.expr(value);
    if (expr.kind !== 'name') throw new Unsupported('an unexpected column list');
    return expr.leaf;
  }

  private expr(value: unknown): Expr {
    if (!isTree(value)) throw new Unsupported('an unexpected expression');
    if (isTree(value.ast)) return { kind: 'query', query: this.query(value) };
    switch (value.type) {
      case 'column_ref':
        this.only(value, ['type', 'column', 'parentheses'], 'a column');
        return { kind: 'name', leaf: this.name(value.column) };
      case 'number': {
        this.only(value, ['type', 'value', 'parentheses'], 'a literal');
        const leaf =
          typeof value.value === 'number' && value.value >= leafBase
            ? this.take(value.value - leafBase)
            : null;
        if (leaf?.kind === 'literal') return { kind: 'constant', integer: leaf.integer, fn: null };
        if (leaf?.kind === 'parameter') return { kind: 'constant', integer: 'any', fn: null };
        if (leaf?.kind === 'constant') return { kind: 'constant', integer: null, fn: leaf.fn };
        throw new Unsupported('a literal that the parser made up');
      }
      case 'binary_expr':
        this.only(value, ['type', 'operator', 'left', 'right', 'parentheses'], 'an operation');
        if (value.operator !== '+') throw new Unsupported('an unexpected operator');
        return { kind: 'operation', args: this.sum(value) };
      case 'function': {
        this.only(value, ['type', 'name', 'args', 'parentheses'], 'a call');
        const parts = isTree(value.name) ? this.list(value.name.name) : [];
        const part = parts[0];
        const match =
          parts.length === 1 && isTree(part) && typeof part.value === 'string'
            ? /^f(\d+)$/.exec(part.value)
            : null;
        const leaf = match ? this.take(Number(match[1])) : null;
        if (leaf?.kind !== 'call') throw new Unsupported('a call that the parser made up');
        let args: readonly Expr[] = [];
        if (!isEmpty(value.args)) {
          if (!isTree(value.args) || value.args.type !== 'expr_list')
            throw new Unsupported('an unexpected argument list');
          this.only(value.args, ['type', 'value'], 'an argument list');
          args = this.list(value.args.value).map((item) => this.expr(item));
        }
        if (leaf.role !== 'scalar') return { kind: 'call', leaf, args };
        if (args.length !== 1 || args[0]?.kind !== 'query')
          throw new Unsupported('a query as a value of this form');
        return args[0];
      }
      default:
        throw new Unsupported('an expression of an unknown kind');
    }
  }

  /** A sum leans left; walked in a loop, since it may have thousands of terms. */
  private sum(value: Tree): readonly Expr[] {
    const args: Expr[] = [];
    let at: unknown = value;
    while (isTree(at) && at.type === 'binary_expr') {
      this.only(at, ['type', 'operator', 'left', 'right', 'parentheses'], 'an operation');
      if (at.operator !== '+') throw new Unsupported('an unexpected operator');
      args.push(this.expr(at.right));
      at = at.left;
    }
    args.push(this.expr(at));
    return args.reverse();
  }
}
