/** SELECT, VALUES and set operations, and the WITH queries in front of any statement. */
import type { CommonTableExpr, Node, SelectStmt, SortBy, WindowDef, WithClause } from 'libpg-query';
import type { Clause } from '../statement.ts';
import { expression, operatorName, rowOf, window } from './expressions.ts';
import { derivedRelation, fromClause, scopeOf } from './from.ts';
import {
  type Column,
  derivedFrom,
  eitherOf,
  type Place,
  Unanswerable,
  unionOf,
  type Value,
  type Walk,
  type WithQuery,
  type WithScope,
} from './model.ts';
import { allColumns, byItsSchema, findRelation, starColumns } from './names.ts';
import { outputName } from './output-name.ts';
import { renamed } from './relations.ts';
import { type Body, check, open, stringOf, stringsOf, unsupported } from './tree.ts';

/** The columns of a SELECT, with every use in it recorded. */
export function select(walk: Walk, stmt: SelectStmt, outer: Place): readonly Column[] {
  check('SelectStmt', stmt);
  if (stmt.intoClause) throw unsupported('SELECT INTO here', stmt.intoClause.rel?.location);
  const { record } = walk;
  // An arm of the outermost set operation is as far out as the operation.
  const outermost = record.selectDepth === 0;
  const pastBefore = record.pastConditions;
  record.selectDepth++;
  record.pastConditions = false;
  const place = withClause(walk, stmt.withClause, outer);
  let columns: readonly Column[];
  let inside = place;
  if (stmt.op !== undefined && stmt.op !== 'SETOP_NONE') {
    record.selectDepth--;
    columns = setOperation(walk, stmt, place);
    record.selectDepth++;
  } else if (stmt.valuesLists) columns = values(walk, stmt.valuesLists, place);
  else {
    const names = fromClause(walk, stmt.fromClause, place);
    inside = { scope: scopeOf(names, place.scope), with: place.with };
    // `TABLE t` is a SELECT whose `*` stands nowhere in the text; no subquery can stand there.
    if (
      (stmt.targetList?.[0] as { ResTarget?: { location?: number } } | undefined)?.ResTarget?.location === -1
    )
      for (const relation of names.relations) if (relation.use) relation.use.span = null;
    record.pastConditions = outermost;
    columns = targets(walk, stmt.targetList, inside);
    record.pastConditions = false;
    if (stmt.whereClause) expression(walk, stmt.whereClause, inside, 'where');
    record.pastConditions = outermost;
    for (const node of stmt.groupClause ?? []) groupItem(walk, node, columns, inside);
    record.pastConditions = false;
    // Without an aggregate in it, it is moved to WHERE.
    if (stmt.havingClause) expression(walk, stmt.havingClause, inside, 'having');
    record.pastConditions = outermost;
    for (const node of stmt.windowClause ?? []) window(walk, open(node)[1] as WindowDef, inside);
    for (const node of stmt.lockingClause ?? []) {
      const [kind, locking] = open(node);
      check(kind, locking);
      for (const locked of (locking.lockedRels ?? []) as readonly Node[]) {
        const relation = findRelation(inside.scope, null, String(open(locked)[1].relname));
        if (relation?.use) relation.use.span = null;
      }
    }
  }
  const isSet = inside === place;
  record.pastConditions = outermost;
  distinct(walk, stmt.distinctClause, columns, inside);
  for (const node of stmt.sortClause ?? []) {
    const sort = open(node)[1] as SortBy;
    check('SortBy', sort);
    operatorName(walk, sort.useOp, sort.location);
    ordinal(walk, sort.node!, columns, inside, 'order_by', isSet);
  }
  for (const bound of [stmt.limitCount, stmt.limitOffset])
    if (bound) expression(walk, bound, inside, 'limit');
  record.selectDepth--;
  record.pastConditions = pastBefore;
  return columns;
}

/** The server's own limit (MaxTupleAttributeNumber). */
const columnsMax = 1664;

/** A target list (or RETURNING): plain copies are recorded as outputs, everything else by its clause. */
export function targets(walk: Walk, list: readonly Node[] | undefined, place: Place): readonly Column[] {
  const columns = (list ?? []).flatMap((node): readonly Column[] => {
    const [kind, target] = open(node);
    if (kind !== 'ResTarget') throw unsupported(kind);
    check(kind, target);
    const value = target.val as Node;
    const star = starOf(walk, value, place);
    if (star) return star;
    const result = expression(walk, value, place, 'output');
    const scalarName = (query: Node): string | null => walk.record.scalarNames.get(query) ?? null;
    const name = target.name === undefined ? outputName(value, scalarName) : String(target.name);
    return [{ ...result, name }];
  });
  if (columns.length > columnsMax)
    throw new Unanswerable('syntax', `target lists can have at most ${columnsMax} entries`);
  return columns;
}

/** The columns of `*`, `t.*` or `(x).*`; null for anything else. */
function starOf(walk: Walk, value: Node, place: Place): readonly Column[] | null {
  if ('ColumnRef' in value) {
    const fields = value.ColumnRef.fields ?? [];
    if (!('A_Star' in fields.at(-1)!)) return null;
    const names = stringsOf(fields.slice(0, -1));
    if (names.length === 0) return allColumns(walk, place.scope);
    if (names.length > 3)
      throw new Unanswerable('syntax', 'a name of too many parts', value.ColumnRef.location);
    const relation = findRelation(place.scope, names.length > 1 ? names.at(-2)! : null, names.at(-1)!);
    if (relation) {
      if (names.length === 3 && relation.use) relation.use.span = null;
      if (names.length === 2)
        byItsSchema(walk, place.scope, relation, names[0]!, false, value.ColumnRef.location);
      return starColumns(walk, relation);
    }
    const { location } = value.ColumnRef;
    throw new Unanswerable('unknown_name', `missing FROM-clause entry for table "${names.at(-1)}"`, location);
  }
  if (!('A_Indirection' in value)) return null;
  check('A_Indirection', value.A_Indirection);
  const steps = value.A_Indirection.indirection ?? [];
  if (!('A_Star' in steps.at(-1)!)) return null;
  const row = steps.length === 1 ? rowOf(walk, place, value.A_Indirection.arg!) : null;
  if (row) return starColumns(walk, row);
  const arg = value.A_Indirection.arg!;
  const inner: Node = steps.length === 1 ? arg : { A_Indirection: { arg, indirection: steps.slice(0, -1) } };
  const composite = derivedFrom([expression(walk, inner, place, 'expression')]);
  return [{ ...composite, name: '*', direct: false, many: true }];
}

function values(walk: Walk, lists: readonly Node[], place: Place): readonly Column[] {
  const rows = lists.map((list) =>
    ((open(list)[1] as { items?: Node[] }).items ?? []).flatMap(
      (item): readonly (Value & { readonly many?: boolean })[] =>
        starOf(walk, item, place) ?? [expression(walk, item, place, 'output')],
    ),
  );
  const width = rows[0]?.length ?? 0;
  if (rows.some((row) => row.some((value) => value.many)))
    throw unsupported('a row of unknown width in VALUES');
  if (rows.some((row) => row.length !== width))
    throw new Unanswerable('syntax', 'VALUES lists must all be the same length');
  return Array.from({ length: width }, (_, i) => ({
    ...eitherOf(rows.map((row) => row[i]!)),
    name: `column${i + 1}`,
  }));
}

function setOperation(walk: Walk, stmt: SelectStmt, place: Place): readonly Column[] {
  const left = select(walk, stmt.larg!, place);
  const right = select(walk, stmt.rarg!, place);
  const columns = merged(walk, left, right);
  if (stmt.op !== 'SETOP_UNION' || !stmt.all)
    for (const column of columns) walk.record.use(column, 'set_operation');
  return columns;
}

function merged(walk: Walk, left: readonly Column[], right: readonly Column[]): readonly Column[] {
  const all = [...left, ...right];
  if (all.some((column) => column.many)) {
    // Which columns meet can't be told: any of them.
    const mixture = { ...derivedFrom(all), direct: false };
    walk.record.use(mixture, 'expression');
    return [{ ...mixture, name: '*', many: true }];
  }
  if (left.length !== right.length)
    throw new Unanswerable('syntax', 'each query of a set operation must have the same number of columns');
  return left.map((column, i) => ({ ...eitherOf([column, right[i]!]), name: column.name }));
}

function distinct(
  walk: Walk,
  clause: readonly Node[] | undefined,
  columns: readonly Column[],
  place: Place,
): void {
  for (const node of clause ?? []) {
    // Plain DISTINCT is a list of one empty node.
    if (Object.keys(node).length === 0) for (const column of columns) walk.record.use(column, 'distinct');
    else ordinal(walk, node, columns, place, 'distinct', false);
  }
}

function groupItem(walk: Walk, node: Node, columns: readonly Column[], place: Place): void {
  const [kind, body] = open(node);
  if (kind === 'GroupingSet') {
    check(kind, body);
    for (const item of (body.content ?? []) as readonly Node[]) groupItem(walk, item, columns, place);
  } else if (kind === 'RowExpr' && body.row_format === 'COERCE_IMPLICIT_CAST') {
    for (const item of (body.args ?? []) as readonly Node[]) groupItem(walk, item, columns, place);
  } else {
    // A column of FROM goes before an output of the same name; ORDER BY has it the other way round.
    const name = bareName(body, kind);
    const isColumn = name !== null && place.scope.columns.some(({ column }) => column.name === name);
    if (isColumn) expression(walk, node, place, 'group_by');
    else ordinal(walk, node, columns, place, 'group_by', false);
  }
}

function bareName(body: Body, kind: string): string | null {
  const fields = kind === 'ColumnRef' ? (body.fields as readonly Node[]) : [];
  return fields.length === 1 ? stringOf(fields[0]) : null;
}

/** An item that may be a position or an output's name (SQL-92), or else an expression over FROM. */
function ordinal(
  walk: Walk,
  node: Node,
  columns: readonly Column[],
  place: Place,
  clause: Clause,
  outputsOnly: boolean,
): void {
  const [kind, body] = open(node);
  if (kind === 'A_Const') {
    walk.record.literalsMatter = true;
    const position = (body.ival as { ival?: number } | undefined)?.ival;
    const known = columns.every((column) => !column.many);
    const found = position === undefined ? undefined : columns[position - 1];
    if (known && !found)
      throw new Unanswerable(
        'syntax',
        'a position in the select list does not exist',
        body.location as number,
      );
    for (const column of known ? [found!] : columns) walk.record.use(column, clause);
    return;
  }
  const name = bareName(body, kind);
  const named = name === null ? [] : columns.filter((column) => column.name === name);
  if (named.length > 0) for (const column of named) walk.record.use(column, clause);
  else if (outputsOnly && name !== null)
    throw new Unanswerable(
      'unknown_name',
      `column "${name}" does not exist`,
      body.location as number | undefined,
    );
  else expression(walk, node, place, clause);
}

/** The place with the WITH queries of a statement in reach. Each is analyzed, referred to or not. */
export function withClause(walk: Walk, clause: WithClause | undefined, place: Place): Place {
  if (!clause) return place;
  check('WithClause', clause);
  let scope: WithScope = { queries: new Map(), parent: place.with };
  const all = new Map<string, WithQuery>();
  if (clause.recursive) scope = { queries: all, parent: place.with };
  for (const node of clause.ctes ?? []) {
    const [kind, body] = open(node);
    check(kind, body);
    const cte = body as CommonTableExpr;
    const query = withQuery(walk, cte, { scope: place.scope, with: scope }, clause.recursive === true);
    if (all.has(query.name))
      throw new Unanswerable(
        'unknown_name',
        `WITH query name "${query.name}" specified more than once`,
        cte.location,
      );
    all.set(query.name, query);
    // Without RECURSIVE a query sees the ones before it.
    if (!clause.recursive) scope = { queries: new Map(all), parent: place.with };
  }
  for (const query of all.values()) query.columns(undefined);
  return { scope: place.scope, with: scope };
}

const recursionRoundsMax = 64;

function withQuery(walk: Walk, cte: CommonTableExpr, place: Place, recursive: boolean): WithQuery {
  const name = cte.ctename!;
  const aliases = stringsOf(cte.aliascolnames);
  let finished: readonly Column[] | null = null;
  let soFar: readonly Column[] | null = null;
  let running = false;
  const named = (columns: readonly Column[]): readonly Column[] => {
    if (columns.some((column) => column.many)) {
      const relation = derivedRelation(walk, name, columns, aliases, cte.location);
      return [...relation.columns, { ...relation.rest!, name: '*', many: true }];
    }
    return extended(walk, cte, renamed(columns, aliases, cte.location));
  };
  const run = (): readonly Column[] => {
    const query = cte.ctequery!;
    const body = 'SelectStmt' in query ? query.SelectStmt : null;
    if (!recursive || !body || body.op !== 'SETOP_UNION') return named(walk.rows(walk, query, place));
    // The first arm says what the columns are; the second may carry more of them round, so until nothing is added.
    const start = withClause(walk, body.withClause, place);
    soFar = named(select(walk, body.larg!, start));
    for (let round = 0; round < recursionRoundsMax; round++) {
      const next: readonly Column[] = named(walk.rows(walk, query, place));
      const grown = next.some((column, i) => {
        const before = soFar![i];
        return (
          !before ||
          column.direct !== before.direct ||
          unionOf([before, column]).length > before.sources.length
        );
      });
      soFar = next;
      if (!grown) return next;
    }
    throw unsupported('a recursive query of this depth', cte.location);
  };
  return {
    name,
    columns(location) {
      if (finished) return finished;
      if (running) {
        if (soFar) return soFar;
        throw unsupported(`the reference of WITH query "${name}" to itself`, location);
      }
      running = true;
      finished = run();
      running = false;
      return finished;
    },
  };
}

/** SEARCH and CYCLE add columns that are made of the ones they list. */
function extended(walk: Walk, cte: CommonTableExpr, columns: readonly Column[]): readonly Column[] {
  const listed = (nodes: readonly Node[] | undefined): Column[] =>
    stringsOf(nodes).map((name) => {
      const column = columns.find((candidate) => candidate.name === name);
      if (!column) throw new Unanswerable('unknown_name', `column "${name}" does not exist`, cte.location);
      return column;
    });
  const more: Column[] = [];
  if (cte.search_clause) {
    check('CTESearchClause', cte.search_clause);
    const value = derivedFrom(listed(cte.search_clause.search_col_list));
    walk.record.use(value, 'order_by');
    more.push({ ...value, name: cte.search_clause.search_seq_column! });
  }
  if (cte.cycle_clause) {
    check('CTECycleClause', cte.cycle_clause);
    const value = derivedFrom(listed(cte.cycle_clause.cycle_col_list));
    walk.record.use(value, 'expression');
    more.push({ ...value, name: cte.cycle_clause.cycle_mark_column! });
    more.push({ ...value, name: cte.cycle_clause.cycle_path_column! });
  }
  return more.length > 0 ? [...columns, ...more] : columns;
}
