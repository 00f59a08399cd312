/** Short ways to say what an analysis of a PostgreSQL text gave. */
import assert from 'node:assert/strict';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import type { Analyzed, Clause, Opaque, Statement } from '../../sql/statement.ts';
import { shopCatalog } from './shop-catalog.ts';

export const analyzer = await postgresAnalyzer();
export const catalog = shopCatalog();
export const names = { path: ['pg_catalog', 'public'] };

export function statements(text: string): readonly Statement[] {
  return analyzer.analyze(text, catalog, names).statements;
}

/** The one statement of a text that must be understood. */
export function understood(text: string): Analyzed {
  const [statement, ...more] = statements(text);
  assert.ok(statement && more.length === 0, text);
  assert.equal(
    statement.kind,
    'analyzed',
    `${text}: ${statement.kind === 'opaque' ? statement.message : ''}`,
  );
  return statement as Analyzed;
}

/** The one statement of a text that must be opaque. */
export function opaque(text: string): Opaque {
  const [statement] = statements(text);
  assert.equal(statement?.kind, 'opaque', text);
  return statement as Opaque;
}

/** `name=table.column` for a plain copy, `name~table.column` for what is made of it. */
export function outputs(text: string): string {
  return understood(text)
    .outputs.map(({ name, sources, direct }) => {
      const from = sources === 'unknown' ? '?' : sources.map((s) => `${s.table}.${s.column}`).join('+');
      return `${name}${direct ? '=' : '~'}${from}`;
    })
    .join(' ');
}

/** The clauses in which one column is used, sorted. */
export function clauses(text: string, column: string): readonly Clause[] {
  return understood(text)
    .columns.filter((use) => `${use.table}.${use.column}` === column)
    .map((use) => use.clause)
    .sort();
}

/** Tables with `r`, `w`, `V` (a view), `v` (behind a view). */
export function tables(text: string): string {
  return understood(text)
    .tables.map(
      (use) =>
        `${use.table}:${use.reads ? 'r' : ''}${use.writes ? 'w' : ''}${use.view ? 'V' : ''}${use.viaView ? 'v' : ''}`,
    )
    .join(' ');
}
