/** INSERT, UPDATE, DELETE and MERGE, alone or as WITH queries. Values that are written count as used by `write`. */
import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  MergeWhenClause,
  Node,
  OnConflictClause,
  RangeVar,
  ReturningClause,
  UpdateStmt,
} from 'libpg-query';
import { expression } from './expressions.ts';
import { fromClause, fromItem, joined, type Names, namesOf, noNames, scopeOf } from './from.ts';
import { type Column, constant, type Place, type Relation, Unanswerable, type Walk } from './model.ts';
import { columnOf } from './names.ts';
import { targets, withClause } from './queries.ts';
import { tableRelation } from './relations.ts';
import { check, open, stringOf, unsupported } from './tree.ts';

/** A write's object; counts as read once one of its columns is used. */
function target(walk: Walk, range: RangeVar): Relation {
  return tableRelation(walk, range, { reads: false, writes: true, replaceable: false });
}

/** Visible by its name only, as OLD, NEW and EXCLUDED are. */
function qualifiedOnly(relation: Relation, name: string): Names {
  return { columns: [], relations: [{ ...relation, name, schema: null }] };
}

function placeOf(names: Names, place: Place): Place {
  return { scope: scopeOf(names, place.scope), with: place.with };
}

function written(walk: Walk, table: Relation, name: string, location?: number): void {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (!column)
    throw new Unanswerable(
      'unknown_name',
      `column "${name}" of relation "${table.name}" does not exist`,
      location,
    );
  for (const source of column.direct ? column.sources : column.sources.slice(0, 1))
    walk.record.written.add(source);
}

/** Column names of an INSERT, or all assignments of a SET list. */
function assignments(walk: Walk, list: readonly Node[] | undefined, table: Relation, place: Place): void {
  for (const node of list ?? []) {
    const [kind, item] = open(node);
    if (kind !== 'ResTarget') throw unsupported(kind);
    check(kind, item);
    written(walk, table, String(item.name), item.location as number | undefined);
    for (const step of (item.indirection ?? []) as readonly Node[])
      if (stringOf(step) === null) expression(walk, step, place, 'write');
    if (item.val) expression(walk, item.val as Node, place, 'write');
  }
}

function returning(
  walk: Walk,
  clause: ReturningClause | undefined,
  table: Relation,
  names: Names,
  place: Place,
) {
  if (!clause) return [];
  check('ReturningClause', clause);
  let [old, fresh] = ['old', 'new'];
  for (const node of clause.options ?? []) {
    const [kind, option] = open(node);
    check(kind, option);
    if (option.option === 'RETURNING_OPTION_OLD') old = String(option.value);
    else if (option.option === 'RETURNING_OPTION_NEW') fresh = String(option.value);
    else throw unsupported(String(option.option));
  }
  let all = names;
  for (const name of [old, fresh])
    if (!all.relations.some((relation) => relation.name === name))
      all = joined(all, qualifiedOnly(table, name));
  return targets(walk, clause.exprs, placeOf(all, place));
}

export function insert(walk: Walk, stmt: InsertStmt, outer: Place): readonly Column[] {
  check('InsertStmt', stmt);
  walk.record.changes('insert');
  const place = withClause(walk, stmt.withClause, outer);
  const table = target(walk, stmt.relation!);
  const values = stmt.selectStmt ? walk.rows(walk, stmt.selectStmt, place) : [];
  for (const column of values) walk.record.use(column, 'write');
  if (stmt.cols) assignments(walk, stmt.cols, table, place);
  else {
    const width = values.some((column) => column.many) ? table.columns.length : values.length;
    for (const column of table.columns.slice(0, width)) written(walk, table, column.name);
  }
  const names = namesOf(table);
  if (stmt.onConflictClause) onConflict(walk, stmt.onConflictClause, table, names, place);
  return returning(walk, stmt.returningClause, table, names, place);
}

function onConflict(walk: Walk, clause: OnConflictClause, table: Relation, names: Names, place: Place): void {
  check('OnConflictClause', clause);
  const own = placeOf(names, place);
  if (clause.infer) {
    check('InferClause', clause.infer);
    for (const node of clause.infer.indexElems ?? []) {
      const [kind, element] = open(node);
      check(kind, element);
      if (element.expr) expression(walk, element.expr as Node, own, 'conflict');
      else if (!columnOf(walk, table, String(element.name), 'conflict'))
        throw new Unanswerable('unknown_name', `column "${String(element.name)}" does not exist`);
    }
    if (clause.infer.whereClause) expression(walk, clause.infer.whereClause, own, 'conflict');
  }
  // EXCLUDED is the row that the statement itself brought: what it is made of was recorded there.
  const excluded: Relation = {
    ...table,
    columns: table.columns.map((column) => ({ ...constant, name: column.name })),
    use: null,
    isTable: false,
  };
  const both = placeOf(joined(names, qualifiedOnly(excluded, 'excluded')), place);
  if (clause.action === 'ONCONFLICT_UPDATE') assignments(walk, clause.targetList, table, both);
  if (clause.whereClause) expression(walk, clause.whereClause, both, 'where');
}

/** A WHERE that no row can fail differently than another (`WHERE true`, `WHERE 1 = 1`) is none. */
function condition(walk: Walk, where: Node | undefined, place: Place): void {
  if (!where) {
    walk.record.withoutWhere = true;
    return;
  }
  const value = expression(walk, where, place, 'where');
  if (value.sources.length === 0 && !/"(ColumnRef|SubLink|CurrentOfExpr)":/.test(JSON.stringify(where)))
    walk.record.withoutWhere = true;
}

export function update(walk: Walk, stmt: UpdateStmt, outer: Place): readonly Column[] {
  check('UpdateStmt', stmt);
  walk.record.changes('update');
  const place = withClause(walk, stmt.withClause, outer);
  const table = target(walk, stmt.relation!);
  const own = namesOf(table);
  // FROM sees the table that is updated only where LATERAL would.
  const names = fromClause(walk, stmt.fromClause, place, own);
  const inside = placeOf(names, place);
  assignments(walk, stmt.targetList, table, inside);
  condition(walk, stmt.whereClause, inside);
  return returning(walk, stmt.returningClause, table, names, place);
}

export function remove(walk: Walk, stmt: DeleteStmt, outer: Place): readonly Column[] {
  check('DeleteStmt', stmt);
  walk.record.changes('delete');
  const place = withClause(walk, stmt.withClause, outer);
  const table = target(walk, stmt.relation!);
  const names = fromClause(walk, stmt.usingClause, place, namesOf(table));
  condition(walk, stmt.whereClause, placeOf(names, place));
  return returning(walk, stmt.returningClause, table, names, place);
}

export function merge(walk: Walk, stmt: MergeStmt, outer: Place): readonly Column[] {
  check('MergeStmt', stmt);
  walk.record.changes('merge');
  const place = withClause(walk, stmt.withClause, outer);
  const table = target(walk, stmt.relation!);
  const own = namesOf(table);
  const source = fromItem(walk, stmt.sourceRelation!, place, noNames);
  // RETURNING * gives the source's columns first.
  const both = joined(source, own);
  expression(walk, stmt.joinCondition!, placeOf(both, place), 'join');
  for (const node of stmt.mergeWhenClauses ?? []) {
    const [kind, body] = open(node);
    check(kind, body);
    const clause = body as MergeWhenClause;
    let visible = both;
    if (clause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_TARGET') visible = source;
    else if (clause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE') visible = own;
    const inside = placeOf(visible, place);
    if (clause.condition) expression(walk, clause.condition, inside, 'where');
    assignments(walk, clause.targetList, table, inside);
    for (const value of clause.values ?? []) expression(walk, value, inside, 'write');
    if (clause.commandType === 'CMD_INSERT' && !clause.targetList)
      for (const column of table.columns.slice(0, clause.values?.length ?? 0))
        written(walk, table, column.name);
  }
  return returning(walk, stmt.returningClause, table, both, place);
}
