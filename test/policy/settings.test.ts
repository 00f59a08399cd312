/** Settings that a session may change, and those that would change what a text means or who asks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyValueAllowed, settingAllowed } from '../../policy/settings.ts';

const allowed: readonly (readonly ['postgres' | 'mysql', string, string | null])[] = [
  ['postgres', 'application_name', 'x'],
  ['postgres', 'DateStyle', 'ISO, DMY'],
  ['postgres', 'statement_timeout', '0'],
  ['postgres', 'vacuum_multixact_freeze_min_age', '0'],
  ['postgres', 'client_encoding', 'utf-8'],
  ['postgres', 'standard_conforming_strings', 'on'],
  ['postgres', 'row_security', 'off'],
  ['postgres', 'role', 'none'],
  ['postgres', 'search_path', null],
  ['mysql', 'NAMES', 'utf8mb4'],
  ['mysql', 'names', 'utf8mb4 COLLATE utf8mb4_unicode_ci'],
  ['mysql', 'autocommit', '0'],
  ['mysql', 'wait_timeout', null],
  ['mysql', '@@session.autocommit', '1'],
  ['mysql', 'sql_mode', 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'],
  ['mysql', 'sql_mode', ''],
  ['mysql', 'sql_mode', "concat(@@sql_mode,',STRICT_TRANS_TABLES')"],
  ['mysql', 'sql_mode', "REPLACE(@@session.sql_mode, 'ONLY_FULL_GROUP_BY', '')"],
  ['mysql', 'session_track_schema', 'ON'],
  ['mysql', 'character set', 'utf8'],
  ['mysql', 'character_set_server', 'utf8mb4'],
  ['mysql', 'character_set_results', 'NULL'],
  ['mysql', 'character_set_results', 'binary'],
  ['mysql', 'character_set_client', '@saved_cs_client'],
  ['mysql', 'SQL_MODE', '@OLD_SQL_MODE'],
  ['mysql', 'sql_mode', "concat(@@sql_mode, _utf8 ',NO_KEY_OPTIONS,NO_TABLE_OPTIONS')"],
  ['mysql', '@mine', '1'],
  ['mysql', 'time_zone', '+00:00'],
];
const refused: readonly (readonly ['postgres' | 'mysql', string, string | null])[] = [
  ['postgres', 'standard_conforming_strings', 'off'],
  ['postgres', 'role', 'postgres'],
  ['postgres', 'session_authorization', 'postgres'],
  ['postgres', 'session_replication_role', 'replica'],
  ['postgres', 'client_encoding', 'GBK'],
  ['postgres', 'backslash_quote', 'on'],
  ['postgres', 'local_preload_libraries', 'x'],
  ['postgres', 'a.b', 'x'],
  ['postgres', 'ALL', 'x'],
  ['mysql', 'NAMES', 'gbk'],
  ['mysql', 'NAMES', 'utf8mb4 COLLATE gbk_bin'],
  ['mysql', 'character_set_client', 'sjis'],
  ['mysql', 'character_set_client', 'binary'],
  ['mysql', 'character_set_client', '@a.b'],
  ['mysql', 'character_set_client', '@@global.character_set_client'],
  ['mysql', 'character_set_server', '@old'],
  ['mysql', 'sql_log_bin', '@old'],
  ['mysql', 'sql_mode', 'ANSI_QUOTES'],
  ['mysql', 'sql_mode', 'strict_trans_tables, no_backslash_escapes'],
  ['mysql', 'sql_mode', "concat(@@sql_mode, ',ANSI')"],
  ['mysql', 'sql_mode', "concat('ANSI', ',', @@sql_mode)"],
  ['mysql', 'sql_mode', "concat(@@global.sql_mode, ',STRICT_TRANS_TABLES')"],
  ['mysql', 'sql_mode', "replace(@@sql_mode, 'strict_trans_tables', 'ansi')"],
  ['mysql', 'character_set_server', 'gbk'],
  ['mysql', 'sql_mode', 'oracle'],
  ['mysql', 'sql_mode', 'HIGH_NOT_PRECEDENCE'],
  ['mysql', 'character set', 'latin1'],
  ['mysql', 'sql_mode', '4'],
  ['mysql', 'sql_mode', '0x04'],
  ['mysql', 'sql_mode', null],
  ['mysql', 'names', null],
  ['mysql', '@@global.autocommit', '1'],
  ['mysql', 'sql_log_bin', '0'],
  ['mysql', 'sql_auto_is_null', '1'],
];

test('settings that change neither meaning nor identity are allowed', () => {
  for (const [engine, name, value] of allowed) {
    assert.ok(settingAllowed(engine, name, value), `${engine} ${name} ${value}`);
  }
});

test('every other setting is refused', () => {
  for (const [engine, name, value] of refused) {
    assert.ok(!settingAllowed(engine, name, value), `${engine} ${name} ${value}`);
  }
});

test('a value that nobody knows is for settings whose value does not matter', () => {
  for (const name of ['application_name', 'search_path', 'Statement_Timeout', 'enable_seqscan'])
    assert.ok(anyValueAllowed('postgres', name), name);
  for (const name of [
    'role',
    'standard_conforming_strings',
    'client_encoding',
    'transaction_isolation',
    'a.b',
    'all',
  ])
    assert.ok(!anyValueAllowed('postgres', name), name);
  assert.ok(!anyValueAllowed('mysql', 'time_zone'));
});
