/** What an expression's value is made of, and each use of a column in it. Queries inside go through `Walk.rows`. */
import type { A_Indirection, FuncCall, Node, SubLink, TypeCast, WindowDef } from 'libpg-query';
import type { CatalogFunction } from '../catalog.ts';
import type { Clause } from '../statement.ts';
import { gateOf, isShipped, trustOf } from './functions.ts';
import {
  type Column,
  constant,
  derivedFrom,
  type Place,
  schemaNamed,
  Unanswerable,
  type Value,
  type Walk,
} from './model.ts';
import {
  byItsSchema,
  columnOf,
  findRelation,
  isSystemColumn,
  reference,
  rowReference,
  wholeRow,
} from './names.ts';
import { setsNamed } from './set-config.ts';
import { readByText, setsSequence } from './text-calls.ts';
import {
  type Body,
  check,
  derivedNodes,
  type Field,
  open,
  stringOf,
  stringsOf,
  unsupported,
} from './tree.ts';
import { hasType, isObjectName, typeName } from './types.ts';

/** Inside an expression an output is no plain copy any more. */
const below = (clause: Clause): Clause => (clause === 'output' ? 'expression' : clause);

const computed = (clause: Clause): boolean =>
  clause === 'output' || clause === 'expression' || clause === 'function';

/** Walks one expression. With clause 'output' a lone column (or scalar subquery of one) is a plain copy. */
export function expression(walk: Walk, node: Node, place: Place, clause: Clause): Value {
  walk.record.step();
  const [kind, body] = open(node);
  const before = walk.record.variables;
  const value = valueIn(walk, kind, body, place, clause);
  if (!neverFails(kind, body)) walk.record.operation(before);
  return value;
}

function valueIn(walk: Walk, kind: string, body: Body, place: Place, clause: Clause): Value {
  switch (kind) {
    case 'ColumnRef': {
      check(kind, body);
      const fields = body.fields as readonly Node[];
      const location = body.location as number | undefined;
      if ('A_Star' in fields.at(-1)!) return starAsRow(walk, fields.slice(0, -1), place, location);
      const names = stringsOf(fields);
      return (
        callAsColumn(walk, place, names, location) ?? reference(walk, place.scope, names, clause, location)
      );
    }
    case 'TypeCast':
      return typeCast(walk, body as TypeCast, place, clause);
    case 'A_Indirection':
      return indirection(walk, body as A_Indirection, place, clause);
    case 'FuncCall':
      return functionCall(walk, body as FuncCall, place, clause);
    case 'SubLink':
      return subLink(walk, body as SubLink, place, clause);
    case 'JsonArrayQueryConstructor': {
      check(kind, body);
      const columns = walk.rows(walk, body.query as Node, place);
      for (const column of columns) walk.record.use(column, 'subquery');
      return derivedFrom(columns);
    }
    case 'JsonObjectAgg':
    case 'JsonArrayAgg':
      return jsonAggregate(walk, kind, body, place, clause);
    default: {
      const fields = derivedNodes[kind];
      if (!fields) throw unsupported(kind, body.location as number | undefined);
      if (kind === 'ParamRef') walk.record.variables++;
      if (kind === 'CaseExpr' && body.arg) operatorName(walk, equality);
      return derivedFrom(operandsOf(walk, kind, body, fields, place, below(clause)));
    }
  }
}

/** Comparisons of the server's own: no row makes them fail. A pattern may, when it comes out of a row. */
const comparisons = /^(=|<>|!=|<|>|<=|>=)$/;
const patternOperators = /^!?~~\*?$/;
const comparing = new Set(
  `AEXPR_OP AEXPR_OP_ANY AEXPR_OP_ALL AEXPR_DISTINCT AEXPR_NOT_DISTINCT AEXPR_IN AEXPR_LIKE
  AEXPR_ILIKE AEXPR_BETWEEN AEXPR_NOT_BETWEEN AEXPR_BETWEEN_SYM AEXPR_NOT_BETWEEN_SYM AEXPR_NULLIF`.split(
    /\s+/,
  ),
);
const failSafe = new Set(
  `ColumnRef A_Const ParamRef BoolExpr NullTest BooleanTest List RowExpr A_ArrayExpr CaseExpr CaseWhen
  CoalesceExpr MinMaxExpr CollateClause SQLValueFunction GroupingFunc CurrentOfExpr`.split(/\s+/),
);
const failSafeCalls = new Set(
  `now statement_timestamp transaction_timestamp lower upper length char_length
  character_length octet_length btrim ltrim rtrim concat concat_ws md5 count`.split(/\s+/),
);

/** True when no row can make this one operation fail or linger; its operands are looked at by themselves. */
function neverFails(kind: string, body: Body): boolean {
  if (failSafe.has(kind)) return true;
  if (kind === 'A_Expr') {
    const operator = stringOf((body.name as readonly Node[]).at(-1)) ?? '';
    if (!comparing.has(String(body.kind))) return false;
    if (String(body.kind).includes('BETWEEN')) return true;
    if (comparisons.test(operator)) return true;
    const pattern = body.rexpr as object;
    return patternOperators.test(operator) && ('A_Const' in pattern || 'ParamRef' in pattern);
  }
  if (kind === 'TypeCast') {
    const names = stringsOf((body.typeName as Body).names as readonly Node[]);
    return names.at(-1) === 'text' && (body.typeName as Body).arrayBounds === undefined;
  }
  if (kind === 'FuncCall') {
    const names = stringsOf(body.funcname as readonly Node[]);
    return failSafeCalls.has(names.at(-1)!) && body.agg_filter === undefined;
  }
  // Others give an error when they find a second row.
  if (kind === 'SubLink') return body.subLinkType === 'EXISTS_SUBLINK' || body.subLinkType === 'ANY_SUBLINK';
  return false;
}

/** The values of a list of expressions. */
export function expressions(
  walk: Walk,
  nodes: readonly Node[] | undefined,
  place: Place,
  clause: Clause,
): Value[] {
  return (nodes ?? []).map((node) => expression(walk, node, place, clause));
}

/** Visits a bare structure of the tree, one that stands in `derivedNodes`. */
export function structure(
  walk: Walk,
  kind: string,
  body: object | undefined,
  place: Place,
  clause: Clause,
): Value {
  const fields = derivedNodes[kind];
  if (!fields) throw unsupported(kind);
  return body ? derivedFrom(operandsOf(walk, kind, body as Body, fields, place, clause)) : constant;
}

function operandsOf(
  walk: Walk,
  kind: string,
  body: Body,
  fields: Readonly<Record<string, Field>>,
  place: Place,
  clause: Clause,
): Value[] {
  const values: Value[] = [];
  for (const name in body) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const content = body[name];
    if (field === undefined) throw unsupported(`${kind}.${name}`);
    if (field === 'operands') {
      for (const node of Array.isArray(content) ? (content as Node[]) : [content as Node])
        values.push(expression(walk, node, place, clause));
    } else if (field === 'type') typeName(walk, content as Body);
    else if (field === 'operator')
      operatorName(walk, content as readonly Node[], body.location as number | undefined);
    else if (field !== 'plain') values.push(structure(walk, field.bare, content as object, place, clause));
  }
  return values;
}

/** What IN, CASE and USING compare with. */
export const equality: readonly Node[] = [{ String: { sval: '=' } }];

/** An operator of a user's is a call in disguise: of any that the name could mean. */
export function operatorName(walk: Walk, names: readonly Node[] | undefined, location?: number): void {
  if (!names) return;
  const parts = stringsOf(names);
  const schemas = parts.length > 1 ? [schemaNamed(walk, parts[0]!)] : functionPath(walk);
  const operators = parts.at(-1)!.includes('BETWEEN') ? ['<', '<=', '>', '>='] : parts.slice(-1);
  const foreign = schemas.flatMap((schema) =>
    operators.flatMap((operator) => walk.catalog.functions(schema, operator).filter((fn) => !fn.builtin)),
  );
  if (foreign.length > 0) {
    noteCall(walk, foreign);
    walk.record.variables++;
  }
  if (foreign.length === 0 && parts.length > 1 && parts[0] !== 'pg_catalog')
    throw new Unanswerable(
      'unsupported',
      `operator ${parts.join('.')} is not one of the server's own`,
      location,
    );
}

/** `t.*` where one value is expected: the row. */
function starAsRow(walk: Walk, qualifier: readonly Node[], place: Place, location?: number): Value {
  const names = stringsOf(qualifier);
  if (names.length === 0)
    return derivedFrom(place.scope.relations.map((relation) => wholeRow(walk, relation)));
  const relation = findRelation(
    place.scope,
    names.length > 1 ? names.at(-2)! : null,
    names.at(-1)!,
    location,
  );
  if (!relation || names.length > 2)
    throw new Unanswerable('unknown_name', `missing FROM-clause entry for table "${names.at(-1)}"`, location);
  if (names.length > 1) byItsSchema(walk, place.scope, relation, names[0]!, false, location);
  return wholeRow(walk, relation);
}

function typeCast(walk: Walk, cast: TypeCast, place: Place, clause: Clause): Value {
  check('TypeCast', cast);
  const type = typeName(walk, cast.typeName as Body);
  // The literal names a relation, a function, a role: another one is another statement.
  if (isObjectName(type)) walk.record.literalsMatter = true;
  return derivedFrom([expression(walk, cast.arg!, place, below(clause))]);
}

/** `(t).column` is the column; anything else with a field or a subscript is computed. */
function indirection(walk: Walk, node: A_Indirection, place: Place, clause: Clause): Value {
  check('A_Indirection', node);
  const steps = node.indirection ?? [];
  const row = rowOf(walk, place, node.arg!);
  const field = stringOf(steps[0]);
  if (row && field !== null) {
    const column = columnOf(walk, row, field, steps.length === 1 ? clause : below(clause));
    if (!column)
      throw new Unanswerable('unknown_name', `column "${field}" not found in data type ${row.name}`);
    callsAsFields(walk, steps.slice(1));
    return steps.length === 1
      ? column
      : derivedFrom([column, ...subscripts(walk, steps.slice(1), place, clause)]);
  }
  callsAsFields(walk, steps);
  const inner = expression(walk, node.arg!, place, below(clause));
  return derivedFrom([inner, ...subscripts(walk, steps, place, clause)]);
}

function subscripts(walk: Walk, steps: readonly Node[], place: Place, clause: Clause): Value[] {
  return steps
    .filter((step) => 'A_Indices' in step)
    .map((step) => expression(walk, step, place, below(clause)));
}

/** The relation behind `(t)`, `(s.t)` or `(t.*)`. */
export function rowOf(walk: Walk, place: Place, node: Node): ReturnType<typeof rowReference> {
  if (!('ColumnRef' in node)) return null;
  const all = node.ColumnRef.fields ?? [];
  const fields = all.length === 2 && 'A_Star' in all[1]! ? all.slice(0, 1) : all;
  if (fields.some((field) => stringOf(field) === null)) return null;
  const { location } = node.ColumnRef;
  const names = stringsOf(fields);
  const row = rowReference(place.scope, names, location);
  if (row && names.length > 1) byItsSchema(walk, place.scope, row, names[0]!, true, location);
  return row;
}

/** Neither functions nor operators are looked for in the temporary schema. */
function functionPath(walk: Walk): readonly string[] {
  return walk.path.filter((entry) => !entry.startsWith('pg_temp_'));
}

/** Every function that the name could mean; throws when there is none. */
export function overloadsOf(
  walk: Walk,
  names: readonly string[],
  location?: number,
): readonly CatalogFunction[] {
  if (names.length > 3) throw new Unanswerable('syntax', 'a name of too many parts', location);
  const name = names.at(-1)!;
  const schemas = names.length > 1 ? [schemaNamed(walk, names.at(-2)!)] : functionPath(walk);
  const found = schemas.flatMap((schema) => walk.catalog.functions(schema, name));
  if (found.length === 0)
    throw new Unanswerable('unknown_name', `function ${names.join('.')} does not exist`, location);
  return found;
}

/** Notes a call. An overload of a user's may be the one that is meant: then it is the one that counts. */
export function noteCall(walk: Walk, overloads: readonly CatalogFunction[]): void {
  const foreign = overloads.filter((fn) => !isShipped(fn));
  for (const fn of foreign.length > 0 ? foreign : [overloads[0]!])
    walk.record.calls({
      ...{ schema: fn.schema, name: fn.name, trust: trustOf(overloads) },
      ...gateOf(overloads),
    });
}

function functionCall(walk: Walk, call: FuncCall, place: Place, clause: Clause): Value {
  check('FuncCall', call);
  const names = stringsOf(call.funcname);
  const other = otherThanCall(walk, call, names, place, clause);
  if (other) return other;
  const overloads = overloadsOf(walk, names, call.location);
  const shipped = overloads.every(isShipped);
  const read = shipped ? readByText(walk, overloads, call) : null;
  const known =
    read !== null ||
    (shipped && (setsNamed(walk, overloads, call.args) || setsSequence(walk, overloads, call)));
  if (!known) noteCall(walk, overloads);
  walk.record.variables++;
  const aggregate = overloads.some((fn) => fn.kind === 'aggregate') || call.agg_within_group === true;
  let inner = clause;
  if (computed(clause)) inner = call.over ? 'window' : aggregate ? 'aggregate' : 'function';
  const values = expressions(walk, call.args, place, inner);
  values.push(...(read ?? []), ...sorted(walk, call.agg_order, place, inner));
  if (call.agg_filter) expression(walk, call.agg_filter, place, computed(clause) ? 'where' : clause);
  if (call.over) window(walk, call.over, place);
  return derivedFrom(values);
}

/** Where no function has the name: `column(t)` is `t.column`, and `type(x)` a cast. */
function otherThanCall(
  walk: Walk,
  call: FuncCall,
  names: readonly string[],
  place: Place,
  clause: Clause,
): Value | null {
  const [arg] = call.args ?? [];
  if (call.args?.length !== 1 || arg === undefined || names.length > 2) return null;
  const name = names.at(-1)!;
  const schemas = names.length > 1 ? [schemaNamed(walk, names[0]!)] : functionPath(walk);
  if (schemas.some((schema) => walk.catalog.functions(schema, name).length > 0)) return null;
  const row = names.length === 1 ? rowOf(walk, place, arg) : null;
  if (row) {
    walk.record.variables++;
    return columnOf(walk, row, name, clause, call.location);
  }
  if (!schemas.some((schema) => hasType(walk, schema, name))) return null;
  return typeCast(walk, { arg, typeName: { names: call.funcname! } }, place, clause);
}

/** `t.f`, where the relation has no such column, is a call of f on its row. */
function callAsColumn(walk: Walk, place: Place, names: readonly string[], location?: number): Value | null {
  if (names.length !== 2) return null;
  const [table, name] = names as [string, string];
  const relation = findRelation(place.scope, null, table, location);
  if (!relation || relation.rest || relation.columns.some((column) => column.name === name)) return null;
  if (relation.isTable && isSystemColumn(name)) return null;
  const overloads = functionPath(walk).flatMap((schema) => walk.catalog.functions(schema, name));
  // A name that only the server's own have is rather that of a column which the catalog doesn't know yet.
  if (overloads.every(isShipped)) return null;
  noteCall(walk, overloads);
  walk.record.variables++;
  return wholeRow(walk, relation);
}

/** `(x).f` may be a call of somebody's function on a row, where its type has no such field. */
function callsAsFields(walk: Walk, steps: readonly Node[]): void {
  for (const step of steps) {
    const name = stringOf(step);
    if (name === null) continue;
    const foreign = functionPath(walk)
      .flatMap((schema) => walk.catalog.functions(schema, name))
      .filter((fn) => !isShipped(fn));
    if (foreign.length > 0) noteCall(walk, foreign);
  }
}

/** The expressions of ORDER BY inside a call or a window: no positions, no output names. */
function sorted(walk: Walk, sorts: readonly Node[] | undefined, place: Place, clause: Clause): Value[] {
  return (sorts ?? []).map((node) => {
    const [kind, sort] = open(node);
    if (kind !== 'SortBy') throw unsupported(kind);
    check(kind, sort);
    operatorName(walk, sort.useOp as readonly Node[] | undefined, sort.location as number | undefined);
    return expression(walk, sort.node as Node, place, clause);
  });
}

/** PARTITION BY, ORDER BY and frame of a window. */
export function window(walk: Walk, definition: WindowDef, place: Place): void {
  check('WindowDef', definition);
  expressions(walk, definition.partitionClause, place, 'window');
  sorted(walk, definition.orderClause, place, 'window');
  for (const bound of [definition.startOffset, definition.endOffset])
    if (bound) expression(walk, bound, place, 'window');
}

function jsonAggregate(walk: Walk, kind: string, body: Body, place: Place, clause: Clause): Value {
  check(kind, body);
  // A field called `constructor`: every object seems to have one.
  const made = (Object.hasOwn(body, 'constructor') ? body.constructor : {}) as Body;
  check('JsonAggConstructor', made);
  let inner = clause;
  if (computed(clause)) inner = made.over ? 'window' : 'aggregate';
  const argument = kind === 'JsonObjectAgg' ? 'JsonKeyValue' : 'JsonValueExpr';
  const values = [structure(walk, argument, body.arg as object, place, inner)];
  structure(walk, 'JsonOutput', made.output as object | undefined, place, inner);
  values.push(...sorted(walk, made.agg_order as readonly Node[] | undefined, place, inner));
  if (made.agg_filter) expression(walk, made.agg_filter as Node, place, computed(clause) ? 'where' : clause);
  if (made.over) window(walk, made.over as WindowDef, place);
  return derivedFrom(values);
}

function subLink(walk: Walk, link: SubLink, place: Place, clause: Clause): Value {
  check('SubLink', link);
  if (link.testexpr) operatorName(walk, link.operName ?? equality, link.location);
  const tested = link.testexpr ? [expression(walk, link.testexpr, place, below(clause))] : [];
  const columns: readonly Column[] = walk.rows(walk, link.subselect!, place);
  switch (link.subLinkType) {
    case 'EXISTS_SUBLINK':
      // Whether there is a row doesn't depend on a plain target list; what does was recorded inside.
      return constant;
    case 'EXPR_SUBLINK': {
      if (columns[0]) walk.record.scalarNames.set(link.subselect!, columns[0].name);
      if (clause === 'output' && columns.length === 1) return columns[0]!;
      for (const column of columns) walk.record.use(column, below(clause));
      return derivedFrom(columns);
    }
    case 'ARRAY_SUBLINK':
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK':
    case 'ROWCOMPARE_SUBLINK':
      for (const column of columns) walk.record.use(column, 'subquery');
      return derivedFrom([...tested, ...columns]);
    default:
      throw unsupported(String(link.subLinkType), link.location);
  }
}
