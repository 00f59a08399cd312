/** Short forms of what sql/mysql says about a statement, for its tests. */
import assert from 'node:assert/strict';
import type { NameScope } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import type { Analyzed, Opaque, Statement } from '../../sql/statement.ts';
import { crmCatalog } from './mysql-catalog.ts';

const analyzer = mysqlAnalyzer();
const catalog = crmCatalog();
const names: NameScope = { path: ['crm'] };

export function statements(sql: string, scope: NameScope = names): readonly Statement[] {
  return analyzer.analyze(sql, catalog, scope).statements;
}

/** The one statement of the text, understood. */
export function read(sql: string, scope: NameScope = names): Analyzed {
  const [statement, ...more] = statements(sql, scope);
  assert.equal(more.length, 0, sql);
  assert.ok(
    statement?.kind === 'analyzed',
    `${sql}: ${statement?.kind === 'opaque' ? statement.message : 'nothing'}`,
  );
  return statement;
}

/** The first opaque statement of the text. */
export function refused(sql: string): Opaque {
  const statement = statements(sql).find((candidate) => candidate.kind === 'opaque');
  assert.ok(statement?.kind === 'opaque', `${sql}: not refused`);
  return statement;
}

/** Clauses in which a column of crm.contacts (or `table`) is used, sorted. */
export function clauses(sql: string, column = 'email', table = 'contacts'): string {
  const uses = read(sql).columns.filter((use) => use.table === table && use.column === column);
  return [...new Set(uses.map((use) => use.clause))].sort().join(' ');
}

/** `name=table.column` for a direct output, `name~...` for a computed one. */
export function outputs(sql: string): readonly string[] {
  return read(sql).outputs.map(({ name, sources, direct }) => {
    const from = sources === 'unknown' ? '?' : sources.map((ref) => `${ref.table}.${ref.column}`).join('+');
    return `${name}${direct ? '=' : '~'}${from}`;
  });
}

/** `table` with r, w and v (named in a view only). */
export function tables(sql: string): readonly string[] {
  return read(sql).tables.map(
    (use) => `${use.table}:${use.reads ? 'r' : ''}${use.writes ? 'w' : ''}${use.viaView ? 'v' : ''}`,
  );
}

export function channels(sql: string): readonly string[] {
  return read(sql).effects.flatMap((effect) => (effect.kind === 'channel' ? [effect.channel] : []));
}
