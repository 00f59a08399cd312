/** The servers' own databases: which tables in them hold values of users or of other sessions. Data and look-ups. */
import type { Catalog, CatalogTable } from '../catalog.ts';
import type { Channel } from '../statement.ts';

const systemSchemas = new Set(['information_schema', 'performance_schema', 'mysql', 'sys']);

export function isSystemSchema(schema: string): boolean {
  return systemSchemas.has(schema.toLowerCase());
}

/** The catalog's entry for a system table; information_schema compares without case whatever the server's setting. */
export function systemTable(catalog: Catalog, schema: string, name: string): CatalogTable | undefined {
  const folded = schema.toLowerCase();
  for (const spelling of folded === 'information_schema'
    ? ['information_schema', 'INFORMATION_SCHEMA']
    : [schema, folded]) {
    const found =
      catalog.table(spelling, name) ??
      catalog.table(spelling, name.toUpperCase()) ??
      catalog.table(spelling, name.toLowerCase());
    if (found) return found;
  }
  return undefined;
}

const idlePerformanceTables = new Set([
  'global_variables',
  'session_variables',
  'global_status',
  'session_status',
]);

/** The channel that reading this system table is, or null when it holds definitions only. */
export function systemChannel(schema: string, table: string): Channel | null {
  const name = table.toLowerCase();
  switch (schema.toLowerCase()) {
    case 'information_schema':
      if (
        name === 'processlist' ||
        name === 'optimizer_trace' ||
        name === 'innodb_trx' ||
        name === 'profiling'
      )
        return 'other_session';
      if (name === 'user_variables') return 'user_variable';
      if (name === 'column_statistics' || name.startsWith('innodb_') || name === 'query_cache_info')
        return 'statistics';
      return null;
    case 'performance_schema':
      return idlePerformanceTables.has(name) ? null : 'other_session';
    case 'sys':
      return 'other_session';
    case 'mysql':
      if (name.startsWith('time_zone') || name.startsWith('help_')) return null;
      if (name.endsWith('_stats') || name.endsWith('_stat')) return 'statistics';
      if (name.endsWith('_log')) return 'other_session';
      return 'identity';
    default:
      return null;
  }
}
