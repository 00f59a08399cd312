/**
 * Session settings that change neither what a text means nor who asks, per engine. Anything that isn't listed here is
 * refused: a setting is added when it is understood.
 */
import type { Engine } from '../sql/catalog.ts';

type Allowed = (value: string) => boolean;
const any: Allowed = () => true;
const oneOf =
  (...values: readonly string[]): Allowed =>
  (value) =>
    values.includes(value);
const on = oneOf('on', 'true', 'yes', '1');

const postgres: ReadonlyMap<string, Allowed> = new Map<string, Allowed>([
  ...[
    'application_name',
    'datestyle',
    'intervalstyle',
    'timezone',
    'time zone',
    'extra_float_digits',
    'bytea_output',
    'client_min_messages',
    'statement_timeout',
    'lock_timeout',
    'transaction_timeout',
    'idle_in_transaction_session_timeout',
    'idle_session_timeout',
    'deadlock_timeout',
    'transaction_isolation',
    'transaction_read_only',
    'transaction_deferrable',
    'default_transaction_isolation',
    'default_transaction_read_only',
    'default_transaction_deferrable',
    // The gateway reads the effective path again before the next text.
    'search_path',
    'synchronous_commit',
    'work_mem',
    'hash_mem_multiplier',
    'maintenance_work_mem',
    'temp_buffers',
    'effective_cache_size',
    'effective_io_concurrency',
    'random_page_cost',
    'seq_page_cost',
    'cpu_tuple_cost',
    'cpu_index_tuple_cost',
    'cpu_operator_cost',
    'parallel_setup_cost',
    'parallel_tuple_cost',
    'max_parallel_workers',
    'max_parallel_workers_per_gather',
    'min_parallel_table_scan_size',
    'min_parallel_index_scan_size',
    'cursor_tuple_fraction',
    'default_statistics_target',
    'from_collapse_limit',
    'join_collapse_limit',
    'plan_cache_mode',
    'constraint_exclusion',
    'geqo',
    'geqo_threshold',
    'jit',
    'jit_above_cost',
    'jit_inline_above_cost',
    'jit_optimize_above_cost',
    'lc_messages',
    'lc_monetary',
    'lc_numeric',
    'lc_time',
    'check_function_bodies',
    'default_text_search_config',
    'gin_fuzzy_search_limit',
    'xmloption',
    'quote_all_identifiers',
    'tcp_keepalives_idle',
    'tcp_keepalives_interval',
    'tcp_keepalives_count',
    'parallel_leader_participation',
    'min_dynamic_shared_memory',
    'default_toast_compression',
    'default_table_access_method',
    'default_tablespace',
    'allow_in_place_tablespaces',
    'timezone_abbreviations',
    'array_nulls',
    'commit_siblings',
    'commit_delay',
    'temp_file_limit',
    'logical_decoding_work_mem',
    'maintenance_io_concurrency',
    'backend_flush_after',
    'vacuum_cost_delay',
    'vacuum_cost_limit',
    'vacuum_cost_page_hit',
    'vacuum_cost_page_miss',
    'vacuum_cost_page_dirty',
    'vacuum_freeze_min_age',
    'vacuum_freeze_table_age',
    'vacuum_multixact_freeze_min_age',
    'vacuum_multixact_freeze_table_age',
    'vacuum_multixact_failsafe_age',
    'vacuum_failsafe_age',
    'recursive_worktable_factor',
    'debug_parallel_query',
    'force_parallel_mode',
    'geqo_effort',
    'geqo_generations',
    'geqo_pool_size',
    'geqo_seed',
    'geqo_selection_bias',
    'jit_tuple_deforming',
    'jit_expressions',
    'client_connection_check_interval',
    'exit_on_error',
    'stats_fetch_consistency',
    'password_encryption',
    'max_stack_depth',
    'max_parallel_maintenance_workers',
    'restrict_nonsystem_relation_kind',
    'xmlbinary',
    'compute_query_id',
    'track_functions',
    'default_with_oids',
    'plpgsql.extra_warnings',
    'plpgsql.extra_errors',
    'plpgsql.print_strict_params',
    'plpgsql.check_asserts',
    'track_io_timing',
    'track_activities',
    // Turned off, a statement that a policy would have filtered fails instead; who may read past policies does so anyway.
    'row_security',
    // The order in which rows come, and which relations may not be read at all.
    'synchronize_seqscans',
    'restrict_nonsystem_relation_kind',
  ].map((name): [string, Allowed] => [name, any]),
  ['client_encoding', oneOf('utf8', 'utf-8', 'unicode')],
  ['names', oneOf('utf8', 'utf-8', 'unicode')],
  ['standard_conforming_strings', on],
  ['backslash_quote', oneOf('off', 'safe_encoding', 'false', 'no', '0')],
  ['escape_string_warning', any],
  // By name they would change who asks; back to the default they don't.
  ['role', oneOf('none')],
  ['session_authorization', () => false],
]);

const utf8 = oneOf('utf8', 'utf8mb3', 'utf8mb4');
const utf8Collation: Allowed = (value) => /^utf8(mb[34])?_[a-z0-9_]+$/.test(value);
/** Modes that leave quotes, escapes, operators and names as they are. Numbers are refused: they could be any mode. */
const plainModes: ReadonlySet<string> = new Set([
  '',
  'allow_invalid_dates',
  'error_for_division_by_zero',
  'no_auto_create_user',
  'no_auto_value_on_zero',
  'no_dir_in_create',
  'no_engine_substitution',
  'no_field_options',
  'no_key_options',
  'no_table_options',
  'no_unsigned_subtraction',
  'no_zero_date',
  'no_zero_in_date',
  'only_full_group_by',
  'pad_char_to_full_length',
  'real_as_float',
  'simultaneous_assignment',
  'strict_all_tables',
  'strict_trans_tables',
  'time_round_fractional',
  'time_truncate_fractional',
  'traditional',
]);
const arePlainModes = (list: string): boolean => list.split(',').every((mode) => plainModes.has(mode.trim()));
/** Modes as a list, put behind those in force, or one of them taken away: those in force are plain already. */
const onlyPlainModes: Allowed = (value) => {
  const more = /^concat\(\s*@@(?:session\.)?sql_mode\s*,\s*(?:_utf8(?:mb[34])?\s*)?'([^'\\]*)'\s*\)$/.exec(
    value,
  );
  if (more !== null) return arePlainModes(more[1] as string);
  const fewer = /^replace\(\s*@@(?:session\.)?sql_mode\s*,\s*'([a-z_]+)'\s*,\s*''\s*\)$/.exec(value);
  return fewer !== null ? plainModes.has(fewer[1] as string) : arePlainModes(value);
};

const mysql: ReadonlyMap<string, Allowed> = new Map<string, Allowed>([
  ...[
    'autocommit',
    'time_zone',
    'transaction_isolation',
    'tx_isolation',
    'transaction_read_only',
    'tx_read_only',
    'transaction isolation',
    'transaction isolation level',
    'transaction access mode',
    'completion_type',
    'net_write_timeout',
    'net_read_timeout',
    'wait_timeout',
    'interactive_timeout',
    'sql_safe_updates',
    'sql_select_limit',
    'sql_big_selects',
    'sql_buffer_result',
    'foreign_key_checks',
    'unique_checks',
    'lock_wait_timeout',
    'innodb_lock_wait_timeout',
    'max_statement_time',
    'max_execution_time',
    'information_schema_stats_expiry',
    'sql_quote_show_create',
    'sql_notes',
    'sql_warnings',
    'group_concat_max_len',
    'div_precision_increment',
    'lc_time_names',
    'lc_messages',
    'optimizer_switch',
    'optimizer_search_depth',
    'optimizer_prune_level',
    'join_buffer_size',
    'sort_buffer_size',
    'tmp_table_size',
    'max_heap_table_size',
    'insert_id',
    'auto_increment_increment',
    'auto_increment_offset',
    'long_query_time',
    'timestamp',
    // What the server would tell a client that tracks its session; none can.
    'session_track_schema',
    'session_track_state_change',
    'session_track_system_variables',
    'session_track_transaction_info',
    // Words in what the server lists of itself.
    'terminology_use_previous',
  ].map((name): [string, Allowed] => [name, any]),
  ['names', utf8],
  ['character_set_client', utf8],
  // Of databases made later, and of no text.
  ['character_set_server', utf8],
  ['collation_server', utf8Collation],
  ['character_set_connection', utf8],
  // Of rows and metadata: without a conversion, masks that need to know the character set give NULL.
  ['character_set_results', (value) => utf8(value) || value === 'null' || value === 'binary'],
  ['character set', utf8],
  ['charset', utf8],
  ['collation_connection', utf8Collation],
  ['sql_mode', onlyPlainModes],
  ['sql_auto_is_null', oneOf('0', 'off', 'false')],
]);

/** Settings that the protocol looks at itself after they were set to what a variable holds. */
const lookedAt: ReadonlySet<string> = new Set([
  'sql_mode',
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'collation_connection',
]);

/** True for a value that is a user variable of MySQL: whoever reads the text does not know what it will be. */
export function isUserVariable(value: string | null): boolean {
  return value !== null && /^@[\w$]+$/.test(value);
}

/** Whether a session may set this to whatever it likes, so that nobody need know the value. */
export function anyValueAllowed(engine: Engine, name: string): boolean {
  const key = name.toLowerCase();
  if (engine !== 'postgres' || key === 'all' || key.endsWith('transaction_isolation')) return false;
  return postgres.get(key) === any || (!postgres.has(key) && settingAllowed(engine, name, ''));
}

/**
 * Whether a session may set this, by a statement of its own. `value` null is DEFAULT or RESET: on PostgreSQL back to what the session was opened
 * with, which the gateway chose; on MySQL to the server's global value, which it did not.
 */
export function settingAllowed(engine: Engine, name: string, value: string | null): boolean {
  const key = name.toLowerCase();
  if (key === 'all') return value === null || value === '';
  if (engine === 'mysql' && key.startsWith('@') && !key.startsWith('@@')) return true;
  const plain = key.replace(/^@@(session\.|local\.)?/, '').replace(/^(session|local) /, '');
  if (engine === 'postgres') {
    const allowed = postgres.get(plain);
    if (allowed === undefined) return /^enable_[a-z_]+$/.test(plain);
    return value === null || allowed(value.toLowerCase());
  }
  const allowed = mysql.get(plain);
  if (allowed === undefined) return false;
  if (isUserVariable(value)) return allowed === any || lookedAt.has(plain);
  // The server's own default is not ours to vouch for where the value matters.
  if (value === null) return allowed === any;
  // `SET NAMES utf8mb4 COLLATE utf8mb4_bin` comes as one value.
  const [first = '', word, collation, ...more] = value.toLowerCase().split(/\s+/);
  if (plain === 'names' && word === 'collate') {
    return more.length === 0 && allowed(first) && utf8Collation(collation ?? '');
  }
  return allowed(value.toLowerCase());
}
