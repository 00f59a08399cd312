/**
 * What could read and write anything in the database without saying so: a DO block, large objects, statistics of columns, a text that
 * was not understood. Such a statement is decided as one that reads and writes every table there is, each column of it. Pure.
 */
import type { Catalog } from '../sql/catalog.ts';
import {
  type Analyzed,
  type Channel,
  type ColumnUse,
  type StatementKind,
  statementKinds,
  type TableUse,
} from '../sql/statement.ts';
import type { Policy, Role } from './model.ts';

/** Ways whose ends both are in the database. */
const inside: ReadonlySet<Channel> = new Set<Channel>(['dynamic_sql', 'large_object', 'statistics']);

/** More tables than these are not gone through. */
const tablesMax = 5000;

/** A statement that could do whatever there is to do in the database, for roles that may have it decided; null: nobody may. */
export function anything(policy: Policy, roles: readonly Role[], catalog: Catalog): Analyzed | null {
  const uses = everyUse(policy, roles, catalog);
  if (uses === null) return null;
  return {
    kind: 'analyzed',
    statementKind: 'do',
    shape: '?',
    literals: 'matter',
    ...uses,
    written: [],
    outputs: [],
    functions: [],
    effects: [],
    withoutWhere: false,
  };
}

/** The statement with everything that it could do, for roles that may have it decided so; null: it has no such ways, or nobody may. */
export function doingEverything(
  policy: Policy,
  roles: readonly Role[],
  statement: Analyzed,
  catalog: Catalog,
): Analyzed | null {
  if (!usesInside(statement)) return null;
  const uses = everyUse(policy, roles, catalog);
  if (uses === null) return null;
  return {
    ...statement,
    tables: [...statement.tables, ...uses.tables],
    columns: [...statement.columns, ...uses.columns],
    functions: statement.functions.filter((fn) => fn.channel === undefined || !inside.has(fn.channel)),
    effects: statement.effects.filter((effect) => effect.kind !== 'channel' || !inside.has(effect.channel)),
  };
}

/** Every table read and written, each column of it; null where that can't be said, or no role could be granted it. */
function everyUse(
  policy: Policy,
  roles: readonly Role[],
  catalog: Catalog,
): { readonly tables: TableUse[]; readonly columns: ColumnUse[] } | null {
  if (catalog.engine !== 'postgres') return null;
  if (!roles.some((role) => (policy.vouched.all || role.vouched.all) && grantsAllKinds(role))) return null;
  const tables: TableUse[] = [];
  const columns: ColumnUse[] = [];
  for (const { schema, name: table, kind, columns: own } of catalog.tables()) {
    if (kind === 'system' || schema === 'information_schema') continue;
    // What is in it is on another server.
    if (kind === 'foreign') return null;
    const view = kind === 'view' || kind === 'materialized_view';
    tables.push({ schema, table, reads: true, writes: true, system: false, view, viaView: true, span: null });
    for (const { name: column } of own) columns.push({ schema, table, column, clause: 'write' });
    if (tables.length > tablesMax) return null;
  }
  return { tables, columns };
}

function usesInside({ statementKind, effects, functions }: Analyzed): boolean {
  // EXECUTE is decided by what it runs.
  const dynamic = statementKind === 'do';
  return (
    effects.some(
      (effect) =>
        effect.kind === 'channel' &&
        inside.has(effect.channel) &&
        (dynamic || effect.channel !== 'dynamic_sql'),
    ) || functions.some((fn) => fn.channel !== undefined && inside.has(fn.channel))
  );
}

function grantsAllKinds(role: Role): boolean {
  return statementKinds.every((kind: StatementKind) => role.statements.has(kind));
}
