/** Tables and views that a text names: the use that it makes of them, their columns, and what lies behind a view. */
import type { Node, RangeVar } from 'libpg-query';
import type { CatalogTable } from '../catalog.ts';
import type { ColumnRef } from '../statement.ts';
import { channelOf } from './guarded-relations.ts';
import {
  type Column,
  type FollowedView,
  noScope,
  type OpenTableUse,
  type Relation,
  type StatementRecord,
  schemaNamed,
  Unanswerable,
  type Walk,
} from './model.ts';
import { check, stringsOf } from './tree.ts';

const viewDepthMax = 32;
const ancestorsMax = 64;

const systemSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

/** The table or view that a name means; undefined when there is none. */
export function findTable(walk: Walk, schema: string | undefined, name: string): CatalogTable | undefined {
  if (schema !== undefined) return walk.catalog.table(schemaNamed(walk, schema), name);
  for (const entry of walk.path) {
    const table = walk.catalog.table(entry, name);
    if (table) return table;
  }
  return undefined;
}

/** The same; throws when there is none, in the server's words. */
export function tableNamed(walk: Walk, range: RangeVar): CatalogTable {
  check('RangeVar', range);
  // A database in front is the session's own, or the server refuses the statement.
  const table = findTable(walk, range.schemaname, range.relname!);
  if (!table) {
    const name = range.schemaname === undefined ? range.relname : `${range.schemaname}.${range.relname}`;
    throw new Unanswerable('unknown_name', `relation "${name}" does not exist`, range.location);
  }
  if (table.schema.startsWith('pg_toast'))
    throw new Unanswerable('unsupported', 'TOAST tables are not supported by the gateway', range.location);
  return table;
}

/** How a statement uses a table that it names. */
export interface Access {
  readonly reads: boolean;
  readonly writes: boolean;
  /** The reference could be a subquery as well. */
  readonly replaceable: boolean;
  /** Only what the table is like is changed: no row moves. */
  readonly definitionOnly?: boolean;
}

/** Notes the use of a table, once for each place in the tree. */
export function noteTable(walk: Walk, node: object, table: CatalogTable, access: Access): OpenTableUse {
  walk.record.step();
  const known = walk.record.byNode.get(node);
  if (known) {
    for (const view of walk.record.following) view.tables.add(known);
    return known;
  }
  const range = node as RangeVar;
  const plain = access.replaceable && walk.text && range.inh === true && range.location !== undefined;
  const span = plain ? walk.text!.nameSpan(range.location!) : null;
  const system = systemSchemas.has(table.schema);
  const use: OpenTableUse = {
    schema: table.schema,
    table: table.name,
    reads: access.reads,
    writes: access.writes,
    system,
    view: !system && (table.kind === 'view' || table.kind === 'materialized_view'),
    viaView: walk.viewDepth > 0,
    span: span && { ...span, aliased: range.alias !== undefined },
  };
  walk.record.byNode.set(node, use);
  walk.record.tables.push(use);
  for (const view of walk.record.following) view.tables.add(use);
  const channel = channelOf(table.name);
  const what = `${table.schema}.${table.name}`;
  if (channel && (system || table.name === 'pg_stat_statements'))
    walk.record.has({ kind: 'channel', channel, what });
  if (table.kind === 'foreign' && !access.definitionOnly)
    walk.record.has({ kind: 'channel', channel: 'network', what });
  if (access.writes) noteTriggers(walk, table);
  return use;
}

/** A write runs the triggers and rules of a user: a call of something that isn't the engine's own. */
function noteTriggers(walk: Walk, table: CatalogTable): void {
  if (table.hasTriggers)
    walk.record.calls({ schema: table.schema, name: `${table.name}:triggers`, trust: 'unknown' });
}

/** A table or view in FROM, or as a write's object. */
export function tableRelation(walk: Walk, range: RangeVar, access: Access): Relation {
  const table = tableNamed(walk, range);
  const use = noteTable(walk, range, table, access);
  const columns = tableColumns(walk, table, range.location);
  // A write to a view is a write to what is behind it.
  if (access.writes)
    for (const behind of walk.record.views.get(table)?.tables ?? []) {
      if (behind.system) continue;
      behind.writes = true;
      const own = walk.catalog.table(behind.schema, behind.table);
      if (own) noteTriggers(walk, own);
    }
  const alias = range.alias;
  if (alias) check('Alias', alias);
  return {
    name: alias?.aliasname ?? table.name,
    schema: alias ? null : table.schema,
    columns: renamed(columns, stringsOf(alias?.colnames), range.location),
    rest: null,
    use,
    isTable: true,
  };
}

/** Columns under the names that an alias gives to the first of them. */
export function renamed<C extends Column>(
  columns: readonly C[],
  names: readonly string[],
  location?: number,
): readonly C[] {
  if (names.length === 0) return columns;
  if (names.length > columns.length)
    throw new Unanswerable('unknown_name', 'an alias names more columns than there are', location);
  return columns.map((column, i) => (i < names.length ? { ...column, name: names[i]! } : column));
}

/** A table's columns with everything that each is made of: itself, the same column of each parent, and for a view
 *  what its definition takes it from. */
export function tableColumns(walk: Walk, table: CatalogTable, location?: number): readonly Column[] {
  const own = (name: string): ColumnRef => walk.record.column(table.schema, table.name, name);
  const expands =
    !systemSchemas.has(table.schema) && (table.kind === 'view' || table.kind === 'materialized_view');
  if (expands) {
    const behind = viewColumns(walk, table, location);
    return table.columns.map((column, i) => {
      const value = behind[i]!;
      return { ...value, name: column.name, sources: [own(column.name), ...value.sources] };
    });
  }
  let known = storedColumns.get(walk.record);
  if (!known) {
    known = new Map();
    storedColumns.set(walk.record, known);
  }
  let columns = known.get(table);
  if (!columns) {
    columns = columnsWithParents(walk, table);
    known.set(table, columns);
  }
  return columns;
}

/** By statement and table: many statements name a table more than once. */
const storedColumns = new WeakMap<StatementRecord, Map<CatalogTable, readonly Column[]>>();

function columnsWithParents(walk: Walk, table: CatalogTable): readonly Column[] {
  const names =
    table.kind === 'sequence' && table.columns.length === 0
      ? ['last_value', 'log_cnt', 'is_called']
      : table.columns.map((column) => column.name);
  const parents = ancestors(walk, table);
  return names.map((name) => ({
    name,
    sources: [
      walk.record.column(table.schema, table.name, name),
      ...parents
        .filter((parent) => parent.columns.some((column) => column.name === name))
        .map((parent) => walk.record.column(parent.schema, parent.name, name)),
    ],
    direct: true,
  }));
}

function ancestors(walk: Walk, table: CatalogTable): readonly CatalogTable[] {
  const found: CatalogTable[] = [];
  const pending = [...table.parents];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const dot = name.indexOf('.');
    const parent = walk.catalog.table(name.slice(0, dot), name.slice(dot + 1));
    if (!parent || found.includes(parent)) continue;
    found.push(parent);
    if (found.length > ancestorsMax) throw new Unanswerable('unsupported', 'too many parent tables');
    pending.push(...parent.parents);
  }
  return found;
}

function viewColumns(walk: Walk, table: CatalogTable, location?: number): readonly Column[] {
  const { record } = walk;
  const followed = record.views.get(table);
  if (followed) {
    for (const outer of record.following) for (const use of followed.tables) outer.tables.add(use);
    return followed.columns;
  }
  const name = `${table.schema}.${table.name}`;
  if (table.definition === null || walk.viewDepth >= viewDepthMax)
    throw new Unanswerable('unsupported', `the definition of view ${name} can't be followed`, location);
  // pg_get_viewdef leaves only the server's own names bare, and those of the session's temporary relations.
  const temporary = walk.path.filter((entry) => entry.startsWith('pg_temp_'));
  const inside: Walk = {
    ...walk,
    path: ['pg_catalog', ...temporary],
    text: null,
    viewDepth: walk.viewDepth + 1,
  };
  const definition: Node = walk.parseView(table);
  const view: FollowedView = { columns: [], tables: new Set() };
  record.following.push(view);
  try {
    view.columns = inside.rows(inside, definition, { scope: noScope, with: null });
  } catch (problem) {
    if (!(problem instanceof Unanswerable)) throw problem;
    throw new Unanswerable('unsupported', `in view ${name}: ${problem.message}`, location);
  }
  record.following.pop();
  if (view.columns.length !== table.columns.length || view.columns.some((column) => column.many))
    throw new Unanswerable('unsupported', `the columns of view ${name} can't be told`, location);
  record.views.set(table, view);
  return view.columns;
}
