/**
 * CREATE RULE and CREATE POLICY (manual: SQL commands). What actions and conditions read and write counts at the definition, every
 * column as written; that a write to the table sets them off is known by the catalog (`hasTriggers`).
 */
import type { CreatePolicyStmt, Node, RangeVar, RuleStmt } from 'libpg-query';
import { expression } from './expressions.ts';
import { joined, type Names, namesOf, scopeOf } from './from.ts';
import type { Place, Relation, Walk } from './model.ts';
import { noteTable, tableColumns, tableNamed } from './relations.ts';
import { check, open, unsupported } from './tree.ts';

export function createRule(walk: Walk, stmt: RuleStmt): void {
  check('RuleStmt', stmt);
  const { record } = walk;
  const range: RangeVar = stmt.relation!;
  const table = tableNamed(walk, range);
  noteTable(walk, range, table, { reads: true, writes: true, replaceable: false });
  const columns = tableColumns(walk, table, range.location);
  const relation: Omit<Relation, 'name'> = { schema: null, columns, rest: null, use: null, isTable: true };
  const rows: Names = { columns: [], relations: ['old', 'new'].map((name) => ({ ...relation, name })) };
  const place: Place = { scope: scopeOf(rows, null), with: null };
  if (stmt.whereClause) expression(walk, stmt.whereClause, inCondition(stmt, rows), 'where');
  for (const action of (stmt.actions ?? []) as readonly Node[]) {
    const [kind, body] = open(action);
    if (kind === 'NotifyStmt') {
      record.has({ kind: 'channel', channel: 'notify', what: String(body.conditionname) });
      continue;
    }
    if (!queries.has(kind)) throw unsupported(`${kind} in a rule`);
    for (const column of walk.rows(walk, action, place)) record.use(column, 'write');
  }
  keepsUses(walk);
  record.change = null;
  record.withoutWhere = false;
  record.has({ kind: 'ddl' });
  record.literalsMatter = true;
}

/** A condition knows the columns of its rows without OLD and NEW as well; an INSERT has no old row, a DELETE no new one. */
function inCondition({ event }: RuleStmt, { relations }: Names): Place {
  const missing = event === 'CMD_INSERT' ? 'old' : event === 'CMD_DELETE' ? 'new' : null;
  const rows = relations.filter(({ name }) => name !== missing).map(namesOf);
  return { scope: scopeOf(rows.reduce(joined), null), with: null };
}

/** CREATE and ALTER POLICY: its conditions are evaluated wherever rows of the table are read or written from then on. */
export function policyConditions(walk: Walk, stmt: CreatePolicyStmt): void {
  const range = stmt.table!;
  const table = tableNamed(walk, range);
  const columns = tableColumns(walk, table, range.location);
  const own: Relation = {
    ...{ name: table.name, schema: table.schema, columns },
    ...{ rest: null, use: null, isTable: true },
  };
  const place: Place = { scope: scopeOf(namesOf(own), null), with: null };
  for (const condition of [stmt.qual, stmt.with_check])
    if (condition) expression(walk, condition, place, 'write');
  keepsUses(walk);
}

/** A definition can carry any value that it uses somewhere else. */
function keepsUses({ record }: Walk): void {
  for (const { schema, table, column } of record.uses)
    record.use({ sources: [record.column(schema, table, column)], direct: false }, 'write');
}

const queries: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt']);
