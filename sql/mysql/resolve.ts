/**
 * Resolves a query's names against the catalog and notes every use of every column, clause by clause. The rules are
 * the server's: where an alias and a column compete and the server's choice depends on more than the text, both count.
 */
import type { Clause, ColumnRef } from '../statement.ts';
import { nativeFunction } from './functions.ts';
import { Unsupported } from './leaves.ts';
import {
  besides,
  type Ctes,
  combine,
  couldBeText,
  joinUsing,
  mergeColumns,
  noRelation,
  type OutColumn,
  type Relation,
  rename,
  Scope,
  type Source,
} from './scope.ts';
import { type Resolved, SourceReader } from './sources.ts';
import type { CallLeaf, Expr, FromItem, NameLeaf, Query, Select } from './tree.ts';

type Aliases = 'none' | 'both' | 'first';
interface Context {
  readonly scope: Scope;
  readonly ctes: Ctes | null;
  readonly aliases: readonly OutColumn[];
  readonly mode: Aliases;
}

export class Resolver extends SourceReader {
  /** Every name in WITH so far. */
  private readonly commonNames = new Map<string, NameLeaf>();

  /** `clause` is what a plain select item counts as: 'output', or 'write' when the rows go into a table. */
  override query(query: Query, outer: Scope | null, ctes: Ctes | null, clause: Clause): Resolved {
    const inner = this.commonTables(query, outer, ctes);
    const arms = query.arms.map((arm, at) =>
      this.select(arm, outer, inner, clause, query.arms.length === 1 && at === 0 ? query.order : []),
    );
    const first = arms[0];
    if (!first) throw new Unsupported('a query without SELECT');
    if (arms.length === 1) return first;
    const outputs = combine(arms.map((arm) => arm.outputs));
    if (!query.plainUnion) for (const output of outputs) this.facts.use(output.sources, 'set_operation');
    const scope = new Scope(outer, this.catalog.foldsTableNames);
    scope.relation = { sources: [], visible: outputs };
    for (const arm of arms) if (arm.scope) scope.merged.push(arm.scope, ...arm.scope.merged);
    for (const expr of query.order)
      this.orderItem(expr, outputs, { scope, ctes: inner, aliases: [], mode: 'none' }, 'order_by');
    return { outputs, scope: null };
  }

  private commonTables(query: Query, outer: Scope | null, ctes: Ctes | null): Ctes | null {
    let at = ctes;
    for (const cte of query.ctes) this.onlyOne(cte.name);
    if (query.recursive) {
      for (const cte of query.ctes) at = { parent: at, name: cte.name.parts[0] ?? '', columns: null };
    }
    for (const cte of query.ctes) {
      const name = cte.name.parts[0] ?? '';
      const renames = cte.columns.map((column) => column.parts[0] ?? '');
      const itself = query.recursive && cte.query.arms.length > 1;
      let columns: readonly OutColumn[];
      if (itself) {
        const seed = this.query(
          { ...cte.query, arms: cte.query.arms.slice(0, 1), order: [], plainUnion: true },
          outer,
          at,
          'output',
        );
        columns = rename(seed.outputs, renames);
        // a recursive arm may bring in sources that it then hands to itself: as often as there are columns, at most
        for (let round = 0; round <= columns.length; round++) {
          const result = this.query(cte.query, outer, { parent: at, name, columns }, 'output');
          const grown = rename(result.outputs, renames);
          const same = JSON.stringify(grown) === JSON.stringify(columns);
          columns = grown;
          if (same) break;
        }
        // a value of another column is cut to the type of the first arm's, and whether that fails depends on it
        seed.outputs.forEach((first, i) => {
          const added = columns[i]?.sources.filter((ref) => !includesRef(first.sources, ref)) ?? [];
          this.facts.use(added, 'set_operation');
        });
      } else columns = rename(this.query(cte.query, outer, at, 'output').outputs, renames);
      at = { parent: at, name, columns };
    }
    return at;
  }

  /** Where WITH stands in WITH, MariaDB may take an outer name for the inner one. */
  private onlyOne(name: NameLeaf): void {
    if (!this.catalog.isMariaDb) return;
    const folded = (name.parts[0] ?? '').toLowerCase();
    const known = this.commonNames.get(folded);
    if (known && known !== name) throw new Unsupported(`the name ${name.parts[0]} twice in WITH`, name.start);
    this.commonNames.set(folded, name);
  }

  private select(
    select: Select,
    outer: Scope | null,
    ctes: Ctes | null,
    clause: Clause,
    order: readonly Expr[],
  ): Resolved {
    const scope = new Scope(outer, this.catalog.foldsTableNames);
    this.from(select.from, scope, ctes);
    const plain: Context = { scope, ctes, aliases: [], mode: 'none' };
    const outputs: OutColumn[] = [];
    scope.aliases = outputs;
    for (const item of select.items) outputs.push(...this.item(item.expr, item.alias, plain, clause));
    scope.aliases = [];
    if (select.where) this.use(select.where, 'where', plain);
    scope.aliases = outputs;
    const both: Context = { scope, ctes, aliases: outputs, mode: 'both' };
    for (const expr of select.group) this.orderItem(expr, outputs, both, 'group_by');
    if (select.having) this.use(select.having, 'having', both);
    for (const expr of order) this.orderItem(expr, outputs, { ...both, mode: 'first' }, 'order_by');
    if (select.distinct) for (const output of outputs) this.facts.use(output.sources, 'distinct');
    return { outputs, scope };
  }

  /** An item of ORDER BY or GROUP BY: a position, an alias, or an expression. */
  private orderItem(expr: Expr, outputs: readonly OutColumn[], context: Context, clause: Clause): void {
    if (expr.kind === 'constant') {
      if (expr.integer === null) return;
      this.facts.literals = 'matter';
      const named = expr.integer === 'any' ? outputs : outputs.slice(expr.integer - 1, expr.integer);
      if (named.length === 0)
        throw new Unsupported(
          `Unknown column '${expr.integer}' in '${clause === 'group_by' ? 'group' : 'order'} clause'`,
          null,
          'unknown_name',
        );
      for (const output of named) this.facts.use(output.sources, clause);
      return;
    }
    // +2 and - -2 are positions to the servers as well
    if (expr.kind === 'operation' && expr.args.every((arg) => isSigned(arg))) {
      this.facts.literals = 'matter';
      for (const output of outputs) this.facts.use(output.sources, clause);
      return;
    }
    if (expr.kind !== 'name') {
      for (const inner of context.scope.merged) this.alsoInside(expr, inner, clause);
    }
    this.use(
      expr,
      clause,
      expr.kind === 'name' ? context : { ...context, mode: context.mode === 'none' ? 'none' : 'both' },
    );
  }

  /**
   * An expression in ORDER BY behind a set operation or a parenthesised query: a server may look for its names in a
   * query inside, too.
   */
  private alsoInside(expr: Expr, inner: Scope, clause: Clause): void {
    switch (expr.kind) {
      case 'constant':
        return;
      case 'name': {
        const column = inner.own(expr.leaf.parts);
        if (column) this.facts.use(column.sources, clause);
        return;
      }
      case 'query':
        throw new Unsupported('a subquery in ORDER BY of a set operation or a parenthesised query');
      default:
        for (const arg of expr.args) this.alsoInside(arg, inner, clause);
    }
  }

  private item(expr: Expr, alias: NameLeaf | null, context: Context, clause: Clause): readonly OutColumn[] {
    if (expr.kind === 'name') {
      if (expr.leaf.star) return this.star(expr.leaf, context, clause);
      const column = this.lookup(expr.leaf, context);
      this.facts.use(column.sources, clause);
      return [{ ...column, name: (alias ?? expr.leaf).parts.at(-1) ?? column.name }];
    }
    const name = alias?.parts[0] ?? '';
    if (expr.kind === 'query') {
      const columns = this.query(expr.query, context.scope, context.ctes, clause).outputs;
      if (columns.length !== 1)
        throw new Unsupported('Operand should contain 1 column(s)', null, 'unknown_name');
      return columns.map((column) => ({ ...column, name }));
    }
    const sources = new Map<string, ColumnRef>();
    this.use(expr, 'expression', context, sources);
    const all = [...sources.values()];
    if (clause === 'write') this.facts.use(all, 'write');
    return [{ name, sources: all, direct: all.length === 0 && expr.kind === 'constant' }];
  }

  private star(leaf: NameLeaf, context: Context, clause: Clause): readonly OutColumn[] {
    let columns: readonly OutColumn[];
    let sources: readonly Source[] = context.scope.relation.sources;
    if (leaf.parts.length === 0) columns = context.scope.relation.visible;
    else {
      if (leaf.parts.length > 2) throw new Unsupported('a star of this form');
      const source = context.scope.source(
        leaf.parts.length > 1 ? (leaf.parts[0] ?? null) : null,
        leaf.parts[leaf.parts.length - 1] ?? '',
      );
      if (!source)
        throw new Unsupported(`Unknown table '${leaf.parts.join('.')}'`, leaf.start, 'unknown_name');
      if (leaf.parts.length > 1 && this.viewDepth === 0) this.facts.namesDatabase = true;
      columns = source.columns;
      sources = [source];
    }
    const open = sources.find((source) => source.open)?.open;
    if (open)
      throw new Unsupported(
        `the columns of ${open.schema}.${open.name} are not known; name them`,
        leaf.start,
      );
    if (sources.length === 0) throw new Unsupported('No tables used', leaf.start, 'unknown_name');
    for (const column of columns) this.facts.use(column.sources, clause);
    return columns;
  }

  private lookup(leaf: NameLeaf, context: Context): OutColumn {
    // a view's text is not the one that is rewritten
    if (leaf.parts.length > 2 && this.viewDepth === 0) this.facts.namesDatabase = true;
    const name = leaf.parts[leaf.parts.length - 1]?.toLowerCase();
    const aliased =
      leaf.parts.length === 1 && context.mode !== 'none'
        ? context.aliases.filter(
            (column) =>
              (column.name.toLowerCase() === name && column.name !== '') ||
              (column.name === '' && couldBeText(name ?? '')),
          )
        : [];
    if (aliased[0] && context.mode === 'first') return mergeColumns(aliased);
    const column = context.scope.column(leaf.parts, aliased.length > 0);
    if (aliased[0]) return mergeColumns(column ? [...aliased, column] : aliased);
    if (!column)
      throw new Unsupported(`Unknown column '${leaf.parts.join('.')}'`, leaf.start, 'unknown_name');
    return column;
  }

  /** Notes every column in the expression as used by `clause`; `sources` collects them too. */
  private use(expr: Expr, clause: Clause, context: Context, sources?: Map<string, ColumnRef>): void {
    switch (expr.kind) {
      case 'constant':
        if (expr.fn) this.facts.call({ schema: 'mysql', name: expr.fn.toLowerCase(), trust: 'safe' });
        return;
      case 'name': {
        if (expr.leaf.star) throw new Unsupported('a star inside an expression', expr.leaf.start);
        const column = this.lookup(expr.leaf, context);
        this.note(column.sources, clause, sources);
        return;
      }
      case 'operation':
        for (const arg of expr.args) this.use(arg, clause, context, sources);
        return;
      case 'query':
        this.subquery(expr.query, clause, context, sources);
        return;
      case 'call':
        this.call(expr.leaf, expr.args, clause, context, sources);
        return;
    }
  }

  private note(
    refs: readonly ColumnRef[],
    clause: Clause,
    sources: Map<string, ColumnRef> | undefined,
  ): void {
    this.facts.use(refs, clause);
    if (sources)
      for (const ref of refs) sources.set(`${ref.schema}\u0000${ref.table}\u0000${ref.column}`, ref);
  }

  private subquery(query: Query, clause: Clause, context: Context, sources?: Map<string, ColumnRef>): void {
    for (const column of this.query(query, context.scope, context.ctes, clause).outputs)
      this.note(column.sources, clause, sources);
  }

  private call(
    leaf: CallLeaf,
    args: readonly Expr[],
    clause: Clause,
    context: Context,
    sources?: Map<string, ColumnRef>,
  ): void {
    if (leaf.role === 'exists') {
      // whether a row exists does not depend on what the row is made of
      const query = args[0];
      if (args.length !== 1 || query?.kind !== 'query') throw new Unsupported('EXISTS of this form');
      this.query(query.query, context.scope, context.ctes, 'output');
      return;
    }
    if (leaf.role === 'call' && leaf.schema === null && /^values?$/i.test(leaf.name)) {
      // VALUES(col) in ON DUPLICATE KEY UPDATE is what the statement itself brings, not what the table holds
      const column = args[0];
      if (args.length !== 1 || column?.kind !== 'name') throw new Unsupported('VALUES() of this form');
      this.lookup(column.leaf, context);
      return;
    }
    let inner = clause;
    const inSelectList =
      clause === 'expression' || clause === 'function' || clause === 'aggregate' || clause === 'window';
    if (leaf.role === 'over') inner = inSelectList ? 'window' : clause;
    else if (leaf.role === 'against') inner = clause;
    else if (leaf.role === 'json_table') inner = 'function';
    else if (leaf.role === 'call') {
      const aggregate = this.noteCall(leaf, args);
      if (inSelectList) inner = aggregate ? 'aggregate' : 'function';
    }
    for (const arg of args) {
      const over = arg.kind === 'call' && arg.leaf.role === 'over';
      this.use(arg, over && inSelectList ? 'window' : inner, context, sources);
    }
  }

  private noteCall(leaf: CallLeaf, args: readonly Expr[]): boolean {
    // a server that lacks the native one takes somebody's own function of that name
    const own = this.catalog.functions(this.names.path[0] ?? '', leaf.name).length > 0;
    const native = leaf.schema === null && !leaf.spaced && !own ? nativeFunction(leaf.name) : null;
    if (!native) {
      this.facts.call({ schema: leaf.schema ?? this.names.path[0] ?? '', name: leaf.name, trust: 'unknown' });
      return false;
    }
    const [first] = args;
    if (leaf.name.toUpperCase() === 'SLEEP' && args.length === 1 && first?.kind === 'constant' && !first.fn) {
      this.facts.sleeps = true;
      return false;
    }
    this.facts.call({ schema: 'mysql', name: leaf.name.toLowerCase(), trust: native.trust });
    if (leaf.name.toUpperCase() === 'LOAD_FILE')
      this.facts.effect({ kind: 'channel', channel: 'file', what: 'LOAD_FILE' });
    return native.aggregate;
  }

  private from(items: readonly FromItem[], scope: Scope, ctes: Ctes | null): void {
    const done: Relation[] = [];
    let group: Relation = noRelation;
    const see = (): Relation => done.reduce((left, right) => besides(left, right), noRelation);
    for (const item of items) {
      if (item.join === null) {
        done.push(group);
        group = noRelation;
      }
      scope.relation = besides(see(), group);
      const right = this.operand(item, scope, ctes);
      group = item.join === null ? right : this.join(group, right, item, scope, ctes);
      this.uniqueAliases(besides(see(), group));
    }
    done.push(group);
    scope.relation = see();
  }

  private uniqueAliases(relation: Relation): void {
    const seen = new Set<string>();
    for (const source of relation.sources) {
      const key = `${source.schema ?? ''}\u0000${this.catalog.foldsTableNames ? source.name.toLowerCase() : source.name}`;
      if (seen.has(key))
        throw new Unsupported(`Not unique table/alias: '${source.name}'`, null, 'unknown_name');
      seen.add(key);
    }
  }

  private join(left: Relation, right: Relation, item: FromItem, scope: Scope, ctes: Ctes | null): Relation {
    if (item.using.length > 0) {
      const natural = item.using.length === 1 && item.using[0]?.parts[0] === '\u0000natural';
      // the server turns a RIGHT JOIN round before it lists the columns
      const [first, second] = item.join === 'right' ? [right, left] : [left, right];
      const { relation, joined } = joinUsing(
        first,
        second,
        natural ? null : item.using.map((leaf) => leaf.parts[0] ?? ''),
      );
      for (const column of joined) this.facts.use(column.sources, 'join');
      return relation;
    }
    const relation = besides(left, right);
    if (item.on) {
      const on = new Scope(scope.parent, this.catalog.foldsTableNames);
      on.relation = relation;
      this.use(item.on, 'join', { scope: on, ctes, aliases: [], mode: 'none' });
    }
    return relation;
  }

  private operand(item: FromItem, scope: Scope, ctes: Ctes | null): Relation {
    if (item.source.kind === 'nest') {
      if (item.alias) throw new Unsupported('an alias on a parenthesised join');
      // what a server lets these see of the tables around the parenthesis is not known here
      if (item.source.items.some(({ lateral }) => lateral))
        throw new Unsupported('LATERAL or JSON_TABLE inside a join that is an operand');
      const nested = new Scope(scope.parent, this.catalog.foldsTableNames);
      this.from(item.source.items, nested, ctes);
      return nested.relation;
    }
    if (item.source.kind === 'query') {
      const inside = this.query(item.source.query, item.lateral ? scope : scope.parent, ctes, 'output');
      const outputs = spread(item, inside.outputs);
      if (item.alias?.parts[0]?.startsWith('\u0000arm') && inside.scope)
        scope.merged.push(inside.scope, ...inside.scope.merged);
      const columns = rename(outputs, item.alias?.columns ?? []);
      const source: Source = {
        name: item.alias?.parts[0] ?? '',
        schema: null,
        columns,
        open: null,
        uses: [0, 0],
      };
      return { sources: [source], visible: columns };
    }
    const { leaf } = item.source;
    if (leaf.parts[0] === '\u0000dual') return noRelation;
    const source = this.tableSource(leaf, item.alias, ctes);
    return { sources: [source], visible: source.columns };
  }

  protected override within(schema: string): Resolver {
    return new Resolver(this.catalog, { path: [schema] }, this.facts, this.viewDepth + 1);
  }
}

const includesRef = (refs: readonly ColumnRef[], { schema, table, column }: ColumnRef): boolean =>
  refs.some((ref) => ref.schema === schema && ref.table === table && ref.column === column);

/** JSON_TABLE: each of its columns is made of the one expression. */
function spread({ source, alias }: FromItem, outputs: readonly OutColumn[]): readonly OutColumn[] {
  const [only] = source.kind === 'query' ? (source.query.arms[0]?.items ?? []) : [];
  if (only?.expr.kind !== 'call' || only.expr.leaf.role !== 'json_table') return outputs;
  return (alias?.columns ?? []).map((name) => ({ name, sources: outputs[0]?.sources ?? [], direct: false }));
}

/** A constant, or a sum of them with signs. */
function isSigned(expr: Expr): boolean {
  return expr.kind === 'constant' || (expr.kind === 'operation' && expr.args.every(isSigned));
}
