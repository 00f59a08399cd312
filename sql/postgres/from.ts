/** What stands in FROM, and the names that it brings into a query's scope. */
import type {
  JoinExpr,
  JsonTable,
  Node,
  RangeFunction,
  RangeSubselect,
  RangeTableFunc,
  RangeVar,
} from 'libpg-query';
import {
  equality,
  expression,
  expressions,
  noteCall,
  operatorName,
  overloadsOf,
  structure,
} from './expressions.ts';
import { columnsOf } from './functions.ts';
import {
  type Column,
  constant,
  derivedFrom,
  eitherOf,
  type Place,
  type Relation,
  type Scope,
  Unanswerable,
  type Value,
  type VisibleColumn,
  type Walk,
} from './model.ts';
import { outputName } from './output-name.ts';
import { renamed, tableRelation } from './relations.ts';
import { type Body, check, open, stringOf, stringsOf, unsupported } from './tree.ts';
import { typeName } from './types.ts';

/** Scopes are copied item by item: without a bound a long FROM would cost its square. */
const itemsMax = 500;

/** What one item of FROM adds to a scope. */
export interface Names {
  readonly columns: readonly VisibleColumn[];
  readonly relations: readonly Relation[];
}
export const noNames: Names = { columns: [], relations: [] };

export function namesOf(relation: Relation): Names {
  return { columns: relation.columns.map((column) => ({ column, relation })), relations: [relation] };
}

export function joined(a: Names, b: Names): Names {
  return { columns: [...a.columns, ...b.columns], relations: [...a.relations, ...b.relations] };
}

export function scopeOf(names: Names, parent: Scope | null): Scope {
  return { ...names, parent };
}

/** A query's columns as a relation. Columns that can't be told apart become its `rest`. */
export function derivedRelation(
  walk: Walk,
  name: string,
  columns: readonly Column[],
  aliases: readonly string[],
  location?: number,
): Relation {
  const certain = columns.filter((column) => !column.many);
  const open = columns.filter((column) => column.many);
  const relation = { name, schema: null, use: null, isTable: false };
  if (open.length === 0) return { ...relation, columns: renamed(columns, aliases, location), rest: null };
  const rest = { ...derivedFrom(open), direct: false };
  if (aliases.length === 0) return { ...relation, columns: certain, rest };
  // Which column an alias names can't be told: any of them.
  const mixture = { ...derivedFrom(columns), direct: false };
  walk.record.use(mixture, 'expression');
  return { ...relation, columns: aliases.map((alias) => ({ ...mixture, name: alias })), rest: mixture };
}

/** All items of a FROM clause. */
export function fromClause(
  walk: Walk,
  items: readonly Node[] | undefined,
  place: Place,
  before: Names = noNames,
): Names {
  let names = before;
  if ((items?.length ?? 0) > itemsMax) throw unsupported(`more than ${itemsMax} items in FROM`);
  for (const item of items ?? []) names = joined(names, fromItem(walk, item, place, names));
  return names;
}

/** One item; `siblings` is what LATERAL may see of the items before it. */
export function fromItem(walk: Walk, node: Node, place: Place, siblings: Names): Names {
  const [kind, body] = open(node);
  const lateral: Place = { scope: scopeOf(siblings, place.scope), with: place.with };
  switch (kind) {
    case 'RangeVar':
      return namesOf(rangeVar(walk, body as RangeVar, place, true));
    case 'RangeTableSample': {
      check(kind, body);
      const relation = body.relation as { RangeVar: RangeVar };
      if (!('RangeVar' in relation)) throw unsupported('TABLESAMPLE of a function');
      noteCall(walk, overloadsOf(walk, stringsOf(body.method as Node[]), body.location as number));
      expressions(walk, body.args as Node[] | undefined, lateral, 'where');
      if (body.repeatable) expression(walk, body.repeatable as Node, lateral, 'where');
      return namesOf(rangeVar(walk, relation.RangeVar, place, false));
    }
    case 'JoinExpr':
      return join(walk, body as JoinExpr, place, siblings);
    case 'RangeSubselect': {
      const item = body as RangeSubselect;
      check(kind, item);
      if (item.alias) check('Alias', item.alias);
      const columns = walk.rows(walk, item.subquery!, item.lateral ? lateral : place);
      return namesOf(
        derivedRelation(walk, item.alias?.aliasname ?? '', columns, stringsOf(item.alias?.colnames)),
      );
    }
    case 'RangeFunction':
      return namesOf(rangeFunction(walk, body as RangeFunction, lateral));
    case 'RangeTableFunc': {
      const item = body as RangeTableFunc;
      check(kind, item);
      const fixed = [item.docexpr, item.rowexpr].map((part) =>
        part ? expression(walk, part, lateral, 'function') : constant,
      );
      const value = derivedFrom([
        ...fixed,
        ...expressions(walk, item.namespaces, lateral, 'function'),
        ...expressions(walk, item.columns, lateral, 'function'),
      ]);
      const names = (item.columns ?? []).map((column) => String(open(column)[1].colname));
      return namesOf(
        computedRelation(item.alias?.aliasname ?? 'xmltable', names, stringsOf(item.alias?.colnames), value),
      );
    }
    case 'JsonTable':
      return namesOf(jsonTable(walk, body as JsonTable, lateral));
    default:
      throw unsupported(kind, body.location as number | undefined);
  }
}

/** A name in FROM: a WITH query when there is one of that name, or else a table. */
function rangeVar(walk: Walk, range: RangeVar, place: Place, replaceable: boolean): Relation {
  if (range.schemaname === undefined && range.catalogname === undefined) {
    for (let level = place.with; level; level = level.parent) {
      const query = level.queries.get(range.relname!);
      if (!query) continue;
      check('RangeVar', range);
      if (range.alias) check('Alias', range.alias);
      const name = range.alias?.aliasname ?? query.name;
      return derivedRelation(
        walk,
        name,
        query.columns(range.location),
        stringsOf(range.alias?.colnames),
        range.location,
      );
    }
  }
  return tableRelation(walk, range, { reads: true, writes: false, replaceable });
}

function computedRelation(
  name: string,
  names: readonly string[],
  aliases: readonly string[],
  value: Value,
): Relation {
  const columns = names.map((column) => ({ ...derivedFrom([value]), name: column }));
  return { name, schema: null, columns: renamed(columns, aliases), rest: null, use: null, isTable: false };
}

function jsonTable(walk: Walk, item: JsonTable, place: Place): Relation {
  check('JsonTable', item);
  const value = derivedFrom([
    structure(walk, 'JsonValueExpr', item.context_item, place, 'function'),
    structure(walk, 'JsonTablePathSpec', item.pathspec, place, 'function'),
    ...expressions(walk, item.passing, place, 'function'),
    ...expressions(walk, item.columns, place, 'function'),
    structure(walk, 'JsonBehavior', item.on_error, place, 'function'),
  ]);
  const names = (columns: readonly Node[] | undefined): string[] =>
    (columns ?? []).flatMap((node) => {
      const column = open(node)[1];
      return column.coltype === 'JTC_NESTED' ? names(column.columns as Node[]) : [String(column.name)];
    });
  return computedRelation(
    item.alias?.aliasname ?? 'json_table',
    names(item.columns),
    stringsOf(item.alias?.colnames),
    value,
  );
}

/** Arguments of unnest() that surely aren't arrays of rows. */
function isScalarArray(node: Node): boolean {
  if ('TypeCast' in node)
    return (
      stringOf(node.TypeCast.typeName?.names?.at(-1)) !== 'record' &&
      node.TypeCast.typeName?.arrayBounds !== undefined
    );
  if ('A_ArrayExpr' in node)
    return (node.A_ArrayExpr.elements ?? []).every(
      (element) => 'A_Const' in element || isScalarArray(element),
    );
  return (
    'FuncCall' in node &&
    /^(string_to_array|regexp_split_to_array)$/.test(stringOf(node.FuncCall.funcname?.at(-1)) ?? '')
  );
}

function rangeFunction(walk: Walk, item: RangeFunction, place: Place): Relation {
  check('RangeFunction', item);
  if (item.alias) check('Alias', item.alias);
  const aliases = stringsOf(item.alias?.colnames);
  const columns: Column[] = [];
  const unknown: Value[] = [];
  const calls = item.functions ?? [];
  for (const entry of calls) {
    const [call, definitions] = (open(entry)[1].items ?? []) as readonly Node[];
    if (!call) throw unsupported('an empty function in FROM');
    const value = derivedFrom([expression(walk, call, place, 'function')]);
    const defined =
      columnDefinitions(walk, definitions) ?? (calls.length === 1 ? namesIn(walk, item.coldeflist) : null);
    const own = outputName(call, () => null);
    const lone = calls.length === 1 && item.alias?.aliasname ? item.alias.aliasname : own;
    let names: readonly string[] | 'one' | null = defined ?? 'one';
    if (!defined && 'FuncCall' in call) {
      names = columnsOf(overloadsOf(walk, stringsOf(call.FuncCall.funcname)));
      const args = call.FuncCall.args ?? [];
      if (own === 'unnest' && args.every(isScalarArray))
        names = args.length === 1 ? 'one' : args.map(() => 'unnest');
    }
    if (names === 'one') columns.push({ ...value, name: lone });
    else if (names) for (const name of names) columns.push({ ...value, name });
    else unknown.push(value);
  }
  if (unknown.length > 0) {
    const rest = { ...derivedFrom([...unknown, ...columns]), direct: false };
    const named = aliases.map((name) => ({ ...rest, name }));
    return {
      name: item.alias?.aliasname ?? nameOfFirst(calls),
      schema: null,
      columns: named,
      rest,
      use: null,
      isTable: false,
    };
  }
  if (item.ordinality) columns.push({ ...constant, name: 'ordinality' });
  return {
    name: item.alias?.aliasname ?? nameOfFirst(calls),
    schema: null,
    columns: renamed(columns, aliases),
    rest: null,
    use: null,
    isTable: false,
  };
}

function nameOfFirst(calls: readonly Node[]): string {
  const first = ((calls[0] && open(calls[0])[1].items) as readonly Node[] | undefined)?.[0];
  return outputName(first, () => null);
}

function columnDefinitions(walk: Walk, node: Node | undefined): readonly string[] | null {
  return node && 'List' in node ? namesIn(walk, node.List.items) : null;
}

function namesIn(walk: Walk, definitions: readonly Node[] | undefined): readonly string[] | null {
  if (!definitions || definitions.length === 0) return null;
  return definitions.map((node) => {
    const [kind, definition] = open(node);
    check('ColumnDef', definition);
    if (kind !== 'ColumnDef') throw unsupported(kind);
    typeName(walk, definition.typeName as Body);
    return String(definition.colname);
  });
}

function join(walk: Walk, item: JoinExpr, place: Place, siblings: Names): Names {
  check('JoinExpr', item);
  const left = fromItem(walk, item.larg!, place, siblings);
  const right = fromItem(walk, item.rarg!, place, joined(siblings, left));
  const both = joined(left, right);
  let shared = stringsOf(item.usingClause);
  if (item.isNatural) {
    if (both.relations.some((relation) => relation.rest))
      throw unsupported('NATURAL JOIN with a function whose columns are not known');
    const names = new Set(right.columns.map(({ column }) => column.name));
    shared = left.columns.map(({ column }) => column.name).filter((name) => names.has(name));
  }
  const merged = shared.map((name): VisibleColumn => {
    const column = eitherOf([sharedColumn(left, name), sharedColumn(right, name)]);
    walk.record.use(column, 'join');
    operatorName(walk, equality);
    return { column: { ...column, name }, relation: null };
  });
  const isRest = ({ column }: VisibleColumn): boolean => !shared.includes(column.name);
  let names: Names = {
    columns: [...merged, ...left.columns.filter(isRest), ...right.columns.filter(isRest)],
    relations: both.relations,
  };
  if (item.quals)
    expression(walk, item.quals, { scope: scopeOf(both, place.scope), with: place.with }, 'join');
  if (item.join_using_alias) {
    const relation = { schema: null, rest: null, use: null, isTable: false };
    const columns = merged.map(({ column }) => column);
    names = {
      ...names,
      relations: [...names.relations, { ...relation, name: item.join_using_alias.aliasname!, columns }],
    };
  }
  if (!item.alias) return names;
  check('Alias', item.alias);
  const rests = names.relations.flatMap((relation) => (relation.rest ? [relation.rest] : []));
  if (rests.length > 0) throw unsupported('an alias for a join with a function whose columns are not known');
  const columns = renamed(
    names.columns.map(({ column }) => column),
    stringsOf(item.alias.colnames),
  );
  return namesOf({
    name: item.alias.aliasname!,
    schema: null,
    columns,
    rest: null,
    use: null,
    isTable: false,
  });
}

function sharedColumn(names: Names, name: string): Value {
  const found = names.columns.filter(({ column }) => column.name === name);
  if (found.length > 1)
    throw new Unanswerable('unknown_name', `common column name "${name}" appears more than once`);
  if (found[0]) return found[0].column;
  const rests = names.relations.flatMap((relation) => (relation.rest ? [relation.rest] : []));
  if (rests.length === 0)
    throw new Unanswerable('unknown_name', `column "${name}" specified in USING clause does not exist`);
  return { ...derivedFrom(rests), direct: false };
}
