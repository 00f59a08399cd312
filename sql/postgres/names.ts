/** Resolves column and whole-row references against scopes, as the server does: nearest level first. */
import type { Clause } from '../statement.ts';
import {
  type Column,
  constant,
  derivedFrom,
  type Relation,
  type Scope,
  Unanswerable,
  type Value,
  type Walk,
} from './model.ts';

const systemColumns = new Set(['ctid', 'xmin', 'cmin', 'xmax', 'cmax', 'tableoid']);

export const isSystemColumn = (name: string): boolean => systemColumns.has(name);

/** A table that is referred to in a way that a subquery in its place would not answer. */
function pin(relation: Relation): void {
  if (relation.use) relation.use.span = null;
}

/**
 * A reference to a relation, or to a column of it, that names its schema as well. A subquery in the table's place has no
 * schema: the word is noted, to be dropped with it, when the rest of the reference still means the same.
 */
export function byItsSchema(
  walk: Walk,
  scope: Scope,
  relation: Relation,
  schema: string,
  asRow: boolean,
  location?: number,
): void {
  const { use } = relation;
  if (!use?.span) return;
  const span = location === undefined ? null : (walk.text?.firstWordSpan(location, schema) ?? null);
  if (span === null || !findsAlone(scope, relation, asRow)) {
    use.span = null;
    return;
  }
  if (walk.record.qualifiersAt.has(span.start)) return;
  walk.record.qualifiersAt.add(span.start);
  use.span.qualifiers ??= [];
  use.span.qualifiers.push({ ...span });
}

/** Whether the relation's bare name finds it and nothing else: as a row, no column may have the name either. */
function findsAlone(scope: Scope, relation: Relation, asRow: boolean): boolean {
  let found: readonly Relation[] = [];
  for (let level: Scope | null = scope; level; level = level.parent) {
    if (asRow && level.columns.some(({ column }) => column.name === relation.name)) return false;
    if (asRow && level.relations.some(({ rest }) => rest !== null)) return false;
    if (found.length === 0) found = level.relations.filter(({ name }) => name === relation.name);
  }
  return found.length === 1 && found[0] === relation;
}

function markRead(relation: Relation | null): void {
  if (relation?.use) relation.use.reads = true;
}

/** The relation that a bare or qualified name finds; null when none. */
export function findRelation(
  scope: Scope,
  schema: string | null,
  name: string,
  location?: number,
): Relation | null {
  for (let level: Scope | null = scope; level; level = level.parent) {
    const found = level.relations.filter(
      (relation) => relation.name === name && (schema === null || relation.schema === schema),
    );
    if (found.length > 1)
      throw new Unanswerable('unknown_name', `table reference "${name}" is ambiguous`, location);
    if (found[0]) return found[0];
  }
  return null;
}

/** A bare name's column; null when no level has it. Records the use. */
function bareColumn(walk: Walk, scope: Scope, name: string, clause: Clause, location?: number): Value | null {
  const uncertain: Value[] = [];
  for (let level: Scope | null = scope; level; level = level.parent) {
    const found = level.columns.filter(({ column }) => column.name === name);
    if (found.length > 1)
      throw new Unanswerable('unknown_name', `column reference "${name}" is ambiguous`, location);
    if (found[0]) {
      markRead(found[0].relation);
      return used(walk, found[0].column, clause, uncertain);
    }
    if (systemColumns.has(name)) {
      const table = level.relations.find((relation) => relation.isTable);
      if (table) {
        pin(table);
        markRead(table);
        return used(walk, constant, clause, uncertain);
      }
    }
    for (const relation of level.relations) if (relation.rest) uncertain.push(relation.rest);
  }
  if (uncertain.length === 0 || findRelation(scope, null, name)) return null;
  return used(walk, derivedFrom(uncertain), clause, []);
}

/** A name that a function's unknown columns might have as well is a mixture: never a plain copy. */
function used(walk: Walk, value: Value, clause: Clause, uncertain: readonly Value[]): Value {
  if (uncertain.length === 0) {
    walk.record.use(value, clause);
    return value;
  }
  const mixture = derivedFrom([value, ...uncertain]);
  walk.record.use(mixture, clause === 'output' ? 'expression' : clause);
  return mixture;
}

/** A column of one relation; null when it has none of that name. Records the use. */
export function columnOf(
  walk: Walk,
  relation: Relation,
  name: string,
  clause: Clause,
  location?: number,
): Value | null {
  const found = relation.columns.filter((column) => column.name === name);
  if (found.length > 1)
    throw new Unanswerable('unknown_name', `column reference "${name}" is ambiguous`, location);
  markRead(relation);
  if (found[0]) {
    walk.record.use(found[0], clause);
    return found[0];
  }
  if (relation.isTable && systemColumns.has(name)) {
    pin(relation);
    return constant;
  }
  if (!relation.rest) return null;
  walk.record.use(relation.rest, clause === 'output' ? 'expression' : clause);
  return { ...relation.rest, direct: false };
}

/** All columns of a relation as one value. Records the use. */
export function wholeRow(walk: Walk, relation: Relation): Value {
  markRead(relation);
  const value = derivedFrom(relation.rest ? [...relation.columns, relation.rest] : relation.columns);
  walk.record.use(value, 'whole_row');
  return value;
}

/** The columns that `*` or `t.*` stands for. A relation with unknown columns gives one named `*`. */
export function starColumns(walk: Walk, relation: Relation): readonly Column[] {
  markRead(relation);
  const columns: Column[] = [...relation.columns];
  if (relation.rest) columns.push({ ...relation.rest, name: '*', direct: false, many: true });
  for (const column of columns) walk.record.use(column, 'output');
  return columns;
}

/** What `*` alone stands for at one level. */
export function allColumns(walk: Walk, scope: Scope): readonly Column[] {
  if (scope.columns.length === 0 && scope.relations.length === 0)
    throw new Unanswerable('syntax', 'SELECT * with no tables specified is not valid');
  const columns: Column[] = [];
  for (const { column, relation } of scope.columns) {
    markRead(relation);
    walk.record.use(column, 'output');
    columns.push(column);
  }
  for (const relation of scope.relations) {
    if (relation.rest) columns.push({ ...relation.rest, name: '*', direct: false, many: true });
  }
  return columns;
}

/** The relation that a reference names as a whole: `t` or `s.t` where no column has the name. */
export function rowReference(scope: Scope, fields: readonly string[], location?: number): Relation | null {
  const [first, second] = fields;
  if (first === undefined || fields.length > 2) return null;
  if (second !== undefined) {
    // `t.c` is a column when t is a relation; only otherwise it is schema.table.
    return findRelation(scope, null, first, location) ? null : findRelation(scope, first, second, location);
  }
  for (let level: Scope | null = scope; level; level = level.parent)
    if (level.columns.some(({ column }) => column.name === first)) return null;
  return findRelation(scope, null, first, location);
}

/** The value of `a`, `t.a` or `s.t.a` (or a whole row). Records the use; throws when nothing has the name. */
export function reference(
  walk: Walk,
  scope: Scope,
  fields: readonly string[],
  clause: Clause,
  location?: number,
): Value {
  walk.record.variables++;
  if (fields.length === 1) {
    const name = fields[0]!;
    const column = bareColumn(walk, scope, name, clause, location);
    if (column) return column;
    const relation = findRelation(scope, null, name, location);
    if (relation) return wholeRow(walk, relation);
    throw new Unanswerable('unknown_name', `column "${name}" does not exist`, location);
  }
  if (fields.length > 4) throw new Unanswerable('syntax', 'a name of too many parts', location);
  const name = fields.at(-1)!;
  const table = fields.at(-2)!;
  const schema = fields.length > 2 ? fields.at(-3)! : null;
  const relation = findRelation(scope, schema, table, location);
  // A subquery in the table's place would have no such name.
  if (fields.length === 4 && relation?.use) relation.use.span = null;
  if (!relation) {
    const row = schema === null ? rowReference(scope, fields, location) : null;
    if (row) {
      byItsSchema(walk, scope, row, fields[0]!, true, location);
      return wholeRow(walk, row);
    }
    throw new Unanswerable('unknown_name', `missing FROM-clause entry for table "${table}"`, location);
  }
  if (fields.length === 3) byItsSchema(walk, scope, relation, schema!, false, location);
  const column = columnOf(walk, relation, name, clause, location);
  if (column) return column;
  throw new Unanswerable('unknown_name', `column ${table}.${name} does not exist`, location);
}
