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

/** Tables of information_schema that hold definitions, names and counts. */
const definitionTables = new Set(
  `administrable_role_authorizations all_plugins applicable_roles character_sets check_constraints collations
  collation_character_set_applicability columns columns_extensions column_privileges enabled_roles engines events files
  global_status global_variables geometry_columns innodb_columns innodb_foreign innodb_foreign_cols innodb_indexes
  innodb_tables innodb_sys_foreign innodb_sys_tables keywords key_caches key_column_usage libraries optimizer_costs parameters
  partitions plugins referential_constraints resource_groups role_column_grants role_routine_grants role_table_grants
  routines schemata schemata_extensions schema_privileges session_status session_variables spatial_ref_sys
  sql_functions statistics st_geometry_columns st_spatial_reference_systems st_units_of_measure system_variables
  tables tablespaces tablespaces_extensions tables_extensions table_constraints table_constraints_extensions
  table_privileges triggers user_attributes user_privileges views view_routine_usage view_table_usage`.split(
    /\s+/,
  ),
);

/** The channel that reading this system table is, or null when it holds definitions only. */
export function systemChannel(schema: string, table: string): Channel | null {
  const name = table.toLowerCase();
  switch (schema.toLowerCase()) {
    case 'information_schema':
      if (definitionTables.has(name)) return null;
      if (name === 'user_variables') return 'user_variable';
      if (name.startsWith('innodb_') || name.endsWith('_statistics')) return 'statistics';
      // processlist, optimizer_trace, and whatever a plugin adds
      return 'other_session';
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
