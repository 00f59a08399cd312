/**
 * Statements that define things or grant rights. Where a table is touched it counts as written, and each of its columns
 * that the text mentions anywhere as used by `write`: a definition can carry a column's values somewhere else.
 */
import type { CreateTableAsStmt, IntoClause, Node, RangeVar, ViewStmt } from 'libpg-query';
import type { CatalogTable } from '../catalog.ts';
import type { StatementKind } from '../statement.ts';
import { execute } from './execute.ts';
import { noteCall, overloadsOf } from './expressions.ts';
import { type Column, noScope, Unanswerable, type Walk, type WithScope } from './model.ts';
import { findTable, noteTable, tableColumns, tableNamed } from './relations.ts';
import { type Body, check, open, stringsOf, unsupported } from './tree.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Statements on the database's own objects. */
const definitions = words(`
  CreateSchemaStmt AlterTableStmt AlterCollationStmt AlterDomainStmt GrantStmt AlterDefaultPrivilegesStmt CreateStmt
  CreateForeignTableStmt CreatePolicyStmt AlterPolicyStmt CreateAmStmt CreateTrigStmt CreateSeqStmt AlterSeqStmt
  DefineStmt CreateDomainStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt DropStmt CommentStmt SecLabelStmt
  IndexStmt CreateStatsStmt AlterStatsStmt CreateFunctionStmt AlterFunctionStmt RenameStmt AlterObjectDependsStmt
  AlterObjectSchemaStmt AlterOwnerStmt AlterOperatorStmt AlterTypeStmt CompositeTypeStmt CreateEnumStmt CreateRangeStmt
  AlterEnumStmt CreateConversionStmt CreateCastStmt CreateTransformStmt AlterTSDictionaryStmt
  AlterTSConfigurationStmt`);

/** Statements on the server, its roles, or what reaches beyond the database. */
const administration = words(`
  GrantRoleStmt CreateRoleStmt AlterRoleStmt AlterRoleSetStmt DropRoleStmt DropOwnedStmt ReassignOwnedStmt
  CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt AlterTableMoveAllStmt CreateExtensionStmt
  AlterExtensionStmt AlterExtensionContentsStmt CreateFdwStmt AlterFdwStmt CreateForeignServerStmt
  AlterForeignServerStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt ImportForeignSchemaStmt
  CreateEventTrigStmt AlterEventTrigStmt CreatePLangStmt LoadStmt CreatedbStmt AlterDatabaseStmt
  AlterDatabaseRefreshCollStmt AlterDatabaseSetStmt DropdbStmt AlterSystemStmt CreatePublicationStmt
  AlterPublicationStmt CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt`);

/** Objects of DROP, COMMENT, ALTER that are relations by a list of names. */
const relationTypes = words(
  'OBJECT_TABLE OBJECT_VIEW OBJECT_MATVIEW OBJECT_FOREIGN_TABLE OBJECT_SEQUENCE OBJECT_COLUMN',
);
/** ... that belong to a relation: the last name is the object's own. */
const memberTypes = words('OBJECT_COLUMN OBJECT_TABCONSTRAINT OBJECT_TRIGGER OBJECT_RULE OBJECT_POLICY');
const adminTypes =
  words(`OBJECT_ROLE OBJECT_DATABASE OBJECT_TABLESPACE OBJECT_SUBSCRIPTION OBJECT_FOREIGN_SERVER
  OBJECT_EXTENSION OBJECT_FDW OBJECT_EVENT_TRIGGER OBJECT_LANGUAGE OBJECT_PUBLICATION OBJECT_USER_MAPPING
  OBJECT_PARAMETER_ACL`);

/** ALTER TABLE commands that put a whole table somewhere else. */
const moving = words(
  'AT_AddInherit AT_DropInherit AT_AttachPartition AT_DetachPartition AT_DetachPartitionFinalize AT_AddOf',
);

/** What kind of statement a definition is; null when the node is none. */
export function definitionKind(name: string, body: Body): StatementKind | null {
  if (administration.has(name)) return 'admin';
  if (!definitions.has(name)) return null;
  const type = body.removeType ?? body.renameType ?? body.objectType ?? body.objtype;
  return typeof type === 'string' && adminTypes.has(type) ? 'admin' : 'ddl';
}

/** Walks a definition whose kind is known. */
export function definition(walk: Walk, name: string, body: Body): void {
  walk.record.has({ kind: 'ddl' });
  walk.record.literalsMatter = true;
  const mentioned = new Set<string>();
  const touched: CatalogTable[] = [];
  const touch = (node: object, table: CatalogTable | undefined): void => {
    if (!table) return;
    const access = { reads: true, writes: true, replaceable: false, definitionOnly: true };
    noteTable(walk, node, table, access);
    touched.push(table);
  };
  if (typeof (body.removeType ?? body.objtype) === 'string')
    for (const object of [body.objects, body.object].flat()) namedObject(walk, body, object, touch);
  visit(walk, name, body, mentioned, touch);
  const whole =
    name === 'AlterObjectSchemaStmt' ||
    name === 'CreateForeignTableStmt' ||
    (name === 'RenameStmt' && body.renameType !== 'OBJECT_COLUMN') ||
    ((body.cmds ?? []) as Node[]).some((node) => moving.has(String(open(node)[1].subtype)));
  for (const table of touched)
    for (const column of tableColumns(walk, table))
      if (whole || mentioned.has(column.name)) walk.record.use(column, 'write');
}

function namedObject(
  walk: Walk,
  body: Body,
  object: unknown,
  touch: (node: object, table?: CatalogTable) => void,
): void {
  const type = String(body.removeType ?? body.objtype);
  if (!object || !('List' in (object as object))) return;
  if (!relationTypes.has(type) && !memberTypes.has(type)) return;
  const names = stringsOf((object as { List: { items: Node[] } }).List.items);
  const path = memberTypes.has(type) ? names.slice(0, -1) : names;
  touch(object as object, findTable(walk, path.length > 1 ? path.at(-2) : undefined, path.at(-1)!));
}

/** Finds tables, calls and mentioned names anywhere in a definition. A query in it makes the statement opaque. */
function visit(
  walk: Walk,
  name: string,
  body: object,
  mentioned: Set<string>,
  touch: (node: object, table?: CatalogTable) => void,
): void {
  walk.record.step();
  if (name === 'SelectStmt' || name === 'RuleStmt') throw unsupported('a query inside this definition');
  const fields = body as Body;
  if (name === 'FuncCall')
    noteCall(walk, overloadsOf(walk, stringsOf(fields.funcname as Node[]), fields.location as number));
  if (name === 'String' && typeof fields.sval === 'string') mentioned.add(fields.sval);
  for (const own of [fields.colname, fields.name, fields.subname])
    if (typeof own === 'string') mentioned.add(own);
  if (name === 'TableLikeClause') {
    // The columns are copied, no row is.
    const like = fields.relation as RangeVar;
    noteTable(walk, like, tableNamed(walk, like), { reads: false, writes: false, replaceable: false });
    return;
  }
  if (typeof fields.relname === 'string') {
    const range = body as RangeVar;
    // A temporary relation comes into being here: the name may be a real one's as well.
    if (range.relpersistence === 't') {
      walk.record.has({ kind: 'temporary', name: fields.relname });
      return;
    }
    if (range.schemaname === 'pg_temp') walk.record.has({ kind: 'temporary', name: fields.relname });
    touch(body, findTable(walk, range.schemaname, fields.relname));
    return;
  }
  for (const field in fields) {
    // A body runs when it is called, and then the call counts.
    if (field === 'sql_body') continue;
    const content = fields[field];
    for (const part of Array.isArray(content) ? content : [content]) {
      if (typeof part !== 'object' || part === null) continue;
      const keys = Object.keys(part);
      const wrapped = keys.length === 1 && /^[A-Z]/.test(keys[0]!);
      if (wrapped) visit(walk, keys[0]!, (part as Record<string, object>)[keys[0]!]!, mentioned, touch);
      else visit(walk, field, part, mentioned, touch);
    }
  }
}

/** Everything that a new relation's query reads is written into it. */
function storing(
  walk: Walk,
  into: RangeVar,
  query: Node,
  within: WithScope | null = null,
): readonly Column[] {
  check('RangeVar', into);
  walk.record.has({ kind: 'ddl' });
  walk.record.literalsMatter = true;
  noteTemporary(walk, into);
  const columns: readonly Column[] = walk.rows(walk, query, { scope: noScope, with: within });
  for (const column of columns) walk.record.use(column, 'write');
  const existing = findTable(walk, into.schemaname, into.relname!);
  if (existing) noteTable(walk, into, existing, { reads: false, writes: true, replaceable: false });
  return columns;
}

function noteTemporary(walk: Walk, into: RangeVar): void {
  if (into.relpersistence === 't' || into.schemaname === 'pg_temp')
    walk.record.has({ kind: 'temporary', name: into.relname! });
}

export function createTableAs(walk: Walk, stmt: CreateTableAsStmt): void {
  check('CreateTableAsStmt', stmt);
  const into = stmt.into!;
  check('IntoClause', into);
  const query = stmt.query!;
  if ('ExecuteStmt' in query) {
    walk.record.has({ kind: 'ddl' });
    walk.record.literalsMatter = true;
    noteTemporary(walk, into.rel!);
    execute(walk, query.ExecuteStmt);
    return;
  }
  storing(walk, into.rel!, query);
}

/** SELECT ... INTO; `query` is the SELECT without its INTO. */
export function selectInto(walk: Walk, into: IntoClause, query: Node): void {
  check('IntoClause', into);
  storing(walk, into.rel!, query);
}

/** The columns of the view's query, which may name what `within` holds. */
export function createView(walk: Walk, stmt: ViewStmt, within?: WithScope): readonly Column[] {
  check('ViewStmt', stmt);
  return storing(walk, stmt.view!, stmt.query!, within);
}

/** A table that a maintenance statement works on. */
export function worksOn(walk: Walk, range: RangeVar | undefined): void {
  if (!range) return;
  const table = tableNamed(walk, range);
  if (table.kind === 'view')
    throw new Unanswerable('unsupported', `"${table.name}" is a view`, range.location);
  noteTable(walk, range, table, { reads: true, writes: true, replaceable: false });
  if (table.kind === 'materialized_view') tableColumns(walk, table, range.location);
}
