/**
 * System relations that carry values of rows, texts of other sessions, or secrets: as a whole, or in one column alone, so that the
 * rest of it may be listed. Whether a channel is open to somebody is not decided here.
 */
import type { Channel, ColumnUse, Effect } from '../statement.ts';
import type { OpenTableUse } from './model.ts';

/** By name; the schema is the caller's business. */
const whole: ReadonlyMap<string, Channel> = new Map(
  (
    [
      ['statistics', 'pg_statistic pg_stats pg_stats_ext pg_stats_ext_exprs pg_statistic_ext_data'],
      ['large_object', 'pg_largeobject'],
      ['identity', 'pg_authid pg_shadow pg_user_mapping pg_hba_file_rules pg_ident_file_mappings'],
      ['identity', 'user_mapping_options'],
      ['replication', 'pg_stat_replication pg_stat_wal_receiver'],
      ['replication', 'pg_stat_subscription pg_replication_origin_status'],
      ['other_session', 'pg_prepared_xacts pg_stat_statements'],
      ['server', 'pg_file_settings pg_config pg_backend_memory_contexts pg_shmem_allocations pg_aios'],
    ] as const
  ).flatMap(([channel, names]) => names.split(' ').map((name) => [name, channel] as const)),
);

/** The one column of a relation of pg_catalog that its channel runs by. */
const oneColumn: ReadonlyMap<string, { readonly column: string; readonly channel: Channel }> = new Map([
  // What other sessions are running, literals included.
  ['pg_stat_activity', { column: 'query', channel: 'other_session' }],
  // How to sign in elsewhere.
  ['pg_subscription', { column: 'subconninfo', channel: 'replication' }],
  ['pg_user_mappings', { column: 'umoptions', channel: 'identity' }],
]);

/** The channel of a relation that is one whatever is read of it; undefined: none, or by a column alone. */
export function channelOf(table: string): Channel | undefined {
  return whole.get(table);
}

/**
 * The channels that the columns of a statement open. `columns`: every use of every column, as a statement that was read in full has
 * them; null when not all of them are listed, and each relation counts as read whole.
 */
export function channelsByColumn(
  tables: readonly OpenTableUse[],
  columns: readonly ColumnUse[] | null,
): readonly Effect[] {
  return tables.flatMap((use): Effect[] => {
    const guarded = use.schema === 'pg_catalog' ? oneColumn.get(use.table) : undefined;
    if (guarded === undefined) return [];
    const reads =
      columns?.some(
        (one) => one.column === guarded.column && one.table === use.table && one.schema === use.schema,
      ) ?? true;
    return reads || use.writes
      ? [{ kind: 'channel', channel: guarded.channel, what: `${use.schema}.${use.table}` }]
      : [];
  });
}
