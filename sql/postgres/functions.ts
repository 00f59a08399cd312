/**
 * What PostgreSQL's own functions may do besides computing from their arguments, by catalog identity (pg_catalog and
 * shipped), never by spelling. A shipped function that isn't immutable and isn't named here is not trusted.
 */
import type { CatalogFunction } from '../catalog.ts';
import type { FunctionUse } from '../statement.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Run SQL or read whole relations named by an argument. */
const sqlText = words(`
  query_to_xml query_to_xml_and_xmlschema query_to_xmlschema table_to_xml table_to_xml_and_xmlschema
  table_to_xmlschema cursor_to_xml cursor_to_xmlschema schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema
  database_to_xml database_to_xml_and_xmlschema database_to_xmlschema ts_stat ts_rewrite`);

/** Change something that outlives the expression. */
const sideEffect = words(`
  set_config setval pg_notify lo_close lo_creat lo_create lo_export lo_from_bytea lo_import lo_open lo_put lo_truncate
  lo_truncate64 lo_unlink lowrite lo_lseek lo_lseek64 pg_terminate_backend pg_cancel_backend pg_reload_conf
  pg_rotate_logfile pg_switch_wal pg_promote pg_create_restore_point pg_backup_start pg_backup_stop pg_start_backup
  pg_stop_backup pg_export_snapshot pg_import_system_collations pg_nextoid pg_log_backend_memory_contexts
  pg_log_standby_snapshot pg_wal_replay_pause pg_wal_replay_resume pg_stop_making_pinned_objects
  brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list`);

/** Functions that aren't immutable, and yet read nothing but their arguments, the clock, chance, the session's own
 *  state or the definitions in the system catalogs, and change nothing that a reader could use. nextval is here
 *  since every column default calls it: it changes a sequence, but no value travels by it. */
const safe = words(`
  now statement_timestamp transaction_timestamp clock_timestamp timeofday age date_part date_trunc date_add
  date_subtract date_bin extract make_timestamptz to_char to_date to_number to_timestamp timezone date time timetz
  timestamp timestamptz interval_pl_timestamptz timestamptz_pl_interval timestamptz_mi_interval overlaps money numeric
  in_range generate_series isfinite
  concat concat_ws format quote_literal quote_nullable array_to_string array_sample array_shuffle convert convert_from
  convert_to length xml xml_is_well_formed textanycat anytextcat enum_first enum_last enum_range
  json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
  jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
  jsonb_object_agg_unique_strict row_to_json array_to_json to_json to_jsonb json_build_array json_build_object
  jsonb_build_array jsonb_build_object json_populate_record json_populate_recordset jsonb_populate_record
  jsonb_populate_recordset jsonb_populate_record_valid json_to_record json_to_recordset jsonb_to_record
  jsonb_to_recordset json_to_tsvector jsonb_to_tsvector jsonb_path_exists_tz jsonb_path_match_tz
  jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
  to_tsquery to_tsvector plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_headline ts_match_tq ts_match_tt
  ts_parse ts_token_type ts_debug get_current_ts_config
  random random_normal setseed gen_random_uuid uuidv4 uuidv7 pg_sleep pg_sleep_for pg_sleep_until
  nextval currval lastval pg_sequence_last_value pg_sequence_parameters pg_get_sequence_data
  version current_setting current_schema current_schemas current_database current_user session_user system_user
  getpgusername current_query pg_backend_pid pg_client_encoding getdatabaseencoding pg_char_to_encoding
  pg_encoding_to_char pg_postmaster_start_time pg_conf_load_time pg_is_in_recovery pg_trigger_depth pg_jit_available
  pg_my_temp_schema pg_is_other_temp_schema inet_client_addr inet_client_port inet_server_addr inet_server_port
  txid_current txid_current_if_assigned txid_current_snapshot txid_status pg_current_xact_id
  pg_current_xact_id_if_assigned pg_current_snapshot pg_xact_status mxid_age pg_current_wal_lsn
  pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_is_wal_replay_paused
  pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
  pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
  has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege
  has_function_privilege has_language_privilege has_largeobject_privilege has_parameter_privilege has_schema_privilege
  has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege
  pg_has_role row_security_active aclexplode pg_get_acl
  obj_description col_description shobj_description format_type oidvectortypes pg_typeof pg_basetype pg_collation_for
  pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible pg_opclass_is_visible pg_operator_is_visible
  pg_opfamily_is_visible pg_statistics_obj_is_visible pg_table_is_visible pg_ts_config_is_visible
  pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible
  pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
  pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
  pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
  pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef
  pg_get_catalog_foreign_keys pg_column_is_updatable pg_relation_is_updatable pg_relation_is_publishable
  pg_index_column_has_property pg_index_has_property pg_indexam_has_property pg_describe_object pg_identify_object
  pg_identify_object_as_address pg_input_is_valid pg_input_error_info pg_options_to_table pg_partition_ancestors
  pg_partition_tree pg_column_size pg_column_compression pg_relation_size pg_table_size pg_indexes_size
  pg_total_relation_size pg_database_size pg_tablespace_size pg_tablespace_location pg_tablespace_databases
  pg_relation_filenode pg_filenode_relation pg_collation_actual_version pg_database_collation_actual_version
  pg_timezone_names pg_timezone_abbrevs pg_available_extensions pg_available_extension_versions
  pg_extension_update_paths pg_settings_get_flags pg_show_all_settings pg_listening_channels pg_lock_status
  pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked amvalidate
  to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole
  to_regtype to_regtypemod regclass bernoulli system`);

/** What the statistics views show to everybody: counts and times by relation, function or database. */
const counter =
  /^pg_stat_get_(?!activity|backend|wal_senders|wal_receiver|subscription|replication|progress|ssl|gss|io)|^pg_stat_have_stats$/;

/** Work on an index as VACUUM does it: what they answer is how much of it there was. */
const maintaining = words(
  'brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list',
);

/** Large objects, but for those that are read from or written to files of the server. */
const largeObject = /^(lo_(?!import|export)|loread$|lowrite$)/;

/** What more there is to know of a call of shipped functions that are not safe. */
export function gateOf(overloads: readonly CatalogFunction[]): Pick<FunctionUse, 'kind' | 'channel'> {
  const name = overloads.every(isShipped) ? (overloads[0]?.name ?? '') : '';
  if (maintaining.has(name)) return { kind: 'maintenance' };
  if (/^pg_stat_reset/.test(name)) return { kind: 'admin' };
  return largeObject.test(name) ? { channel: 'large_object' } : {};
}

const reader =
  /^(pg_ls_|pg_read_|pg_stat_|pg_logical_slot_peek_|pg_get_|pg_control_|pg_show_|lo_get|loread|currtid)/;

/** What information_schema's views are made with, from array and type to position and length. */
const isSchemaHelper = (fn: CatalogFunction): boolean =>
  fn.schema === 'information_schema' && fn.name.startsWith('_pg_');

/** The engine's own, of a kind that is known here. */
export function isShipped(fn: CatalogFunction): boolean {
  return fn.builtin && (fn.schema === 'pg_catalog' || isSchemaHelper(fn));
}

/** What a call of one of these overloads may do. Several overloads: the strictest answer. */
export function trustOf(overloads: readonly CatalogFunction[]): FunctionUse['trust'] {
  if (overloads.length === 0 || !overloads.every(isShipped)) return 'unknown';
  if (overloads.every(isSchemaHelper)) return 'safe';
  const name = overloads[0]!.name;
  if (sqlText.has(name)) return 'sql_text';
  if (sideEffect.has(name)) return 'side_effect';
  if (safe.has(name)) return 'safe';
  if (counter.test(name) || /^pg_stat_(force_next_flush|clear_snapshot)$/.test(name)) return 'safe';
  if (overloads.every((fn) => fn.volatility === 'immutable')) return 'safe';
  if (reader.test(name)) return 'reads_data';
  return overloads.some((fn) => fn.volatility === 'volatile') ? 'side_effect' : 'reads_data';
}

/** Result columns of shipped functions that return rows, where FROM shows more than one column or its own names. */
const resultColumns: ReadonlyMap<string, readonly string[]> = new Map(
  `_pg_expandarray:x,n aclexplode:grantor,grantee,privilege_type,is_grantable json_array_elements:value json_array_elements_text:value
  json_each:key,value json_each_text:key,value jsonb_array_elements:value jsonb_array_elements_text:value
  jsonb_each:key,value jsonb_each_text:key,value pg_available_extensions:name,default_version,comment
  pg_available_extension_versions:name,version,superuser,trusted,relocatable,schema,requires,comment
  pg_extension_update_paths:source,target,path
  pg_get_catalog_foreign_keys:fktable,fkcols,pktable,pkcols,is_array,is_opt
  pg_get_object_address:classid,objid,objsubid pg_get_sequence_data:last_value,is_called
  pg_identify_object:type,schema,name,identity pg_identify_object_as_address:type,object_names,object_args
  pg_input_error_info:message,detail,hint,sql_error_code pg_options_to_table:option_name,option_value
  pg_partition_ancestors:relid pg_partition_tree:relid,parentrelid,isleaf,level
  pg_sequence_parameters:start_value,minimum_value,maximum_value,increment,cycle_option,cache_size,data_type
  pg_timezone_names:name,abbrev,utc_offset,is_dst ts_parse:tokid,token ts_token_type:tokid,alias,description
  ts_debug:alias,description,token,dictionaries,dictionary,lexemes`
    .split(/\s+/)
    .map((entry) => {
      const [name, columns] = entry.split(':') as [string, string];
      return [name, columns.split(',')];
    }),
);

/** Shipped functions whose result columns depend on the server's version or on the arguments' types. */
const variableColumns = words(`
  unnest json_populate_record json_populate_recordset jsonb_populate_record jsonb_populate_recordset json_to_record
  json_to_recordset jsonb_to_record jsonb_to_recordset pg_get_keywords pg_get_publication_tables pg_lock_status
  pg_show_all_settings max min any_value mode percentile_disc lag lead first_value last_value nth_value`);

/** Give one row of several columns. */
const recordFunction =
  /^pg_(stat_get_(archiver|wal|wal_receiver|subscription_stats|replication_slot|snapshot_timestamp|io|backend_.*)|control_.*|stat_file|walfile_name_offset|split_walfile_name|get_wal_.*|get_multixact_members|last_committed_xact|xact_commit_timestamp_origin|backup_stop|stop_backup|create_.*_slot|copy_.*_slot|replication_slot_advance|get_publication_tables)$/;

/** The columns that a call in FROM has: their names, or 'one' (named after the function), or null (can't be told). */
export function columnsOf(overloads: readonly CatalogFunction[]): readonly string[] | 'one' | null {
  if (overloads.length === 0 || !overloads.every(isShipped)) return null;
  const name = overloads[0]!.name;
  const named = resultColumns.get(name);
  if (named) return named;
  // Shipped functions with several result columns that aren't listed: statistics, logs and files of the server.
  return variableColumns.has(name) ||
    recordFunction.test(name) ||
    (name.startsWith('pg_') && overloads.some((fn) => fn.returnsSet))
    ? null
    : 'one';
}
