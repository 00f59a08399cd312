/**
 * Resolves a query's names against the catalog and notes every use of every column, clause by clause. The rules are
 * the server's: where an alias and a column compete and the server's choice depends on more than the text, both count.
 */
import type { Catalog, CatalogTable, NameScope } from '../catalog.ts';
import type { Clause, ColumnRef } from '../statement.ts';
import type { Facts } from './facts.ts';
import { nativeFunction } from './functions.ts';
import { Unsupported } from './leaves.ts';
import { lex, splitStatements } from './lexer.ts';
import {
  besides,
  type Ctes,
  joinUsing,
  mergeColumns,
  noRelation,
  type OutColumn,
  type Relation,
  Scope,
  type Source,
} from './scope.ts';
import { buildSkeleton } from './skeleton.ts';
import { isSystemSchema, systemChannel, systemTable } from './system.ts';
import {
  type CallLeaf,
  type Expr,
  type FromItem,
  type NameLeaf,
  parseSkeleton,
  type Query,
  type Select,
} from './tree.ts';

const viewDepthMax = 16;

export interface Resolved {
  readonly outputs: readonly OutColumn[];
  /** The scope of a single SELECT, for the names of a write's targets; null for a set operation. */
  readonly scope: Scope | null;
}

type Aliases = 'none' | 'both' | 'first';
interface Context {
  readonly scope: Scope;
  readonly ctes: Ctes | null;
  readonly aliases: readonly OutColumn[];
  readonly mode: Aliases;
}

export class Resolver {
  private readonly catalog: Catalog;
  private readonly names: NameScope;
  private readonly facts: Facts;
  private readonly viewDepth: number;

  constructor(catalog: Catalog, names: NameScope, facts: Facts, viewDepth = 0) {
    this.catalog = catalog;
    this.names = names;
    this.facts = facts;
    this.viewDepth = viewDepth;
  }

  /** `clause` is what a plain select item counts as: 'output', or 'write' when the rows go into a table. */
  query(query: Query, outer: Scope | null, ctes: Ctes | null, clause: Clause): Resolved {
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
    for (const expr of query.order)
      this.orderItem(expr, outputs, { scope, ctes: inner, aliases: [], mode: 'none' }, 'order_by');
    return { outputs, scope: null };
  }

  private commonTables(query: Query, outer: Scope | null, ctes: Ctes | null): Ctes | null {
    let at = ctes;
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
      } else columns = rename(this.query(cte.query, outer, at, 'output').outputs, renames);
      at = { parent: at, name, columns };
    }
    return at;
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
      const output = outputs[expr.integer - 1];
      if (!output)
        throw new Unsupported(
          `Unknown column '${expr.integer}' in '${clause === 'group_by' ? 'group' : 'order'} clause'`,
          null,
          'unknown_name',
        );
      this.facts.use(output.sources, clause);
      return;
    }
    this.use(
      expr,
      clause,
      expr.kind === 'name' ? context : { ...context, mode: context.mode === 'none' ? 'none' : 'both' },
    );
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
      if (leaf.parts.length > 1) this.facts.namesDatabase = true;
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
    if (leaf.parts.length > 2) this.facts.namesDatabase = true;
    const name = leaf.parts[leaf.parts.length - 1]?.toLowerCase();
    const aliased =
      leaf.parts.length === 1 && context.mode !== 'none'
        ? context.aliases.filter((column) => column.name.toLowerCase() === name && column.name !== '')
        : [];
    if (aliased[0] && context.mode === 'first') return mergeColumns(aliased);
    const column = context.scope.column(leaf.parts);
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
    else if (leaf.role === 'call') {
      const aggregate = this.noteCall(leaf);
      if (inSelectList) inner = aggregate ? 'aggregate' : 'function';
    }
    for (const arg of args) {
      const over = arg.kind === 'call' && arg.leaf.role === 'over';
      this.use(arg, over && inSelectList ? 'window' : inner, context, sources);
    }
  }

  private noteCall(leaf: CallLeaf): boolean {
    const native = leaf.schema === null && !leaf.spaced ? nativeFunction(leaf.name) : null;
    if (!native) {
      this.facts.call({ schema: leaf.schema ?? this.names.path[0] ?? '', name: leaf.name, trust: 'unknown' });
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
      const nested = new Scope(scope.parent, this.catalog.foldsTableNames);
      this.from(item.source.items, nested, ctes);
      return nested.relation;
    }
    if (item.source.kind === 'query') {
      const { outputs } = this.query(item.source.query, item.lateral ? scope : scope.parent, ctes, 'output');
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

  private tableSource(leaf: NameLeaf, alias: NameLeaf | null, ctes: Ctes | null): Source {
    const name = leaf.parts[leaf.parts.length - 1] ?? '';
    const folds = this.catalog.foldsTableNames;
    if (leaf.parts.length > 2) throw new Unsupported('a table name of more than two parts', leaf.start);
    if (leaf.parts.length === 1) {
      for (let at = ctes; at; at = at.parent) {
        if (at.name === name || (folds && at.name.toLowerCase() === name.toLowerCase())) {
          if (at.columns === null)
            throw new Unsupported(`the forward reference to ${name} in WITH`, leaf.start);
          return {
            name: alias?.parts[0] ?? name,
            schema: null,
            columns: at.columns,
            open: null,
            uses: [0, 0],
          };
        }
      }
    }
    const schema = leaf.parts.length === 2 ? (leaf.parts[0] ?? '') : this.names.path[0];
    if (schema === undefined) throw new Unsupported('No database selected', leaf.start, 'unknown_name');
    const from = this.facts.tables.length;
    const { columns, table } = this.table(schema, name, leaf, alias !== null);
    return {
      name: alias?.parts[0] ?? name,
      schema: alias ? null : schema,
      columns,
      open: table.open ? { schema: table.schema, name: table.name } : null,
      uses: [from, this.facts.tables.length],
    };
  }

  /** The columns of a table or view, noting its use as a read. */
  private table(
    schema: string,
    name: string,
    leaf: NameLeaf,
    aliased: boolean,
  ): { columns: readonly OutColumn[]; table: { schema: string; name: string; open: boolean } } {
    const viaView = this.viewDepth > 0;
    if (isSystemSchema(schema)) {
      const known = systemTable(this.catalog, schema, name);
      const channel = systemChannel(schema, name);
      const table = {
        schema: schema.toLowerCase(),
        name: known?.name ?? name,
        open: known === undefined || known.columns.length === 0,
      };
      if (channel) this.facts.effect({ kind: 'channel', channel, what: `${table.schema}.${table.name}` });
      this.facts.table({
        schema: table.schema,
        table: table.name,
        reads: true,
        writes: false,
        system: true,
        view: false,
        viaView,
        span: null,
      });
      return { columns: known ? ownColumns(table.schema, known) : [], table };
    }
    const table = this.catalog.table(schema, name);
    if (!table)
      throw new Unsupported(
        `Table '${schema}.${name}' doesn't exist`,
        viaView ? null : leaf.start,
        'unknown_name',
      );
    const view = table.kind === 'view';
    const span = viaView || leaf.token < 0 ? null : { start: leaf.start, end: leaf.end, aliased };
    this.facts.table({
      schema: table.schema,
      table: table.name,
      reads: true,
      writes: false,
      system: false,
      view,
      viaView,
      span,
    });
    const found = { schema: table.schema, name: table.name, open: false };
    if (!view) return { columns: ownColumns(table.schema, table), table: found };
    return { columns: this.view(table), table: found };
  }

  private view(view: CatalogTable): readonly OutColumn[] {
    const title = `${view.schema}.${view.name}`;
    if (!view.definition) throw new Unsupported(`the definition of view ${title} can't be read`);
    if (this.viewDepth >= viewDepthMax) throw new Unsupported(`views nested too deeply at ${title}`);
    try {
      const { tokens, error } = lex(view.definition);
      const statements = splitStatements(tokens);
      if (error || statements.length !== 1 || !statements[0]) throw new Unsupported('its text');
      const skeleton = buildSkeleton(statements[0]);
      if (skeleton.assigns || skeleton.file) throw new Unsupported('its text');
      const within = new Resolver(this.catalog, { path: [view.schema] }, this.facts, this.viewDepth + 1);
      const { outputs } = within.query(parseSkeleton(skeleton), null, null, 'output');
      if (outputs.length !== view.columns.length) throw new Unsupported('its columns');
      return outputs.map((output, at) => ({ ...output, name: view.columns[at]?.name ?? output.name }));
    } catch (cause) {
      if (!(cause instanceof Unsupported)) throw cause;
      throw new Unsupported(`view ${title} can't be followed: ${cause.message}`, null, cause.reason);
    }
  }
}

function ownColumns(schema: string, table: CatalogTable): readonly OutColumn[] {
  return table.columns.map((column) => ({
    name: column.name,
    sources: [{ schema, table: table.name, column: column.name }],
    direct: true,
  }));
}

/** Arms of a set operation, column by column; names are the first arm's. */
function combine(arms: readonly (readonly OutColumn[])[]): OutColumn[] {
  const first = arms[0] ?? [];
  if (arms.some((arm) => arm.length !== first.length))
    throw new Unsupported(
      'The used SELECT statements have a different number of columns',
      null,
      'unknown_name',
    );
  return first.map((column, at) => mergeColumns([column, ...arms.slice(1).map((arm) => arm[at] ?? column)]));
}

function rename(columns: readonly OutColumn[], names: readonly string[]): readonly OutColumn[] {
  if (names.length === 0) return columns;
  if (names.length !== columns.length)
    throw new Unsupported('a column list of another length than its query', null, 'unknown_name');
  return columns.map((column, at) => ({ ...column, name: names[at] ?? column.name }));
}
