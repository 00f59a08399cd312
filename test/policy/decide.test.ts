/** The demo's policy as a table of cases: who asks what from where, and what is decided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Analyzed, Statement } from '../../sql/statement.ts';
import {
  asking,
  deciding,
  etl,
  inShort,
  plain,
  selectFrom,
  statement,
  tableUse,
  use,
  written,
} from './shop.ts';

const analyst = 'analysts-eu';
const insertInto = (name: string, more: Partial<Analyzed> = {}): Analyzed =>
  statement({ statementKind: 'insert', tables: [tableUse(name, written)], ...more });
const changing = (kind: 'update' | 'delete', name: string, more: Partial<Analyzed> = {}): Analyzed =>
  statement({ statementKind: kind, tables: [tableUse(name, { ...written, reads: true })], ...more });
const effect = (one: Analyzed['effects'][number], more: Partial<Analyzed> = {}): Analyzed =>
  statement({ effects: [one], ...more });
const setting = (name: string, value: string | null): Analyzed =>
  effect({ kind: 'set', name, value, local: false }, { statementKind: 'set' });
const calling = (name: string, trust: Analyzed['functions'][number]['trust']): Analyzed => {
  const [schema = '', bare = ''] = name.split('.');
  return statement({ functions: [{ schema, name: bare, trust }] });
};

const cases: readonly (readonly [
  name: string,
  who: Parameters<typeof deciding>[0],
  what: Statement,
  expect: string,
])[] = [
  // identity and database
  ['a stranger', 'visitors', selectFrom('public.products'), 'refuse no_role'],
  ['nobody', '', statement(), 'refuse no_role'],
  [
    'a database nobody wrote about',
    asking(analyst, { database: 'hr' }),
    statement(),
    'refuse unknown_database',
  ],
  ['a role for another database', asking(etl, { database: 'crm' }), statement(), 'refuse no_role'],
  ['a statement without tables', analyst, statement(), 'allow shop-eu'],
  // localities
  ['a global table', analyst, selectFrom('public.products'), 'allow shop-eu'],
  ['a table at home', analyst, selectFrom('public.orders', ['public.orders.total']), 'allow shop-eu'],
  [
    'a table of another region',
    analyst,
    selectFrom('public.us_orders'),
    'refuse region_read path_gateway path_client',
  ],
  ['an unplaced table', analyst, selectFrom('public.secrets'), 'refuse unplaced_table'],
  [
    'a system table',
    analyst,
    statement({ tables: [tableUse('pg_catalog.pg_class', { system: true })] }),
    'allow shop-eu',
  ],
  [
    'two regions at once',
    'dba',
    selectFrom('public.orders,public.us_orders'),
    'refuse region_split path_gateway path_client',
  ],
  ['home and global', analyst, selectFrom('public.orders,public.products'), 'allow shop-eu'],
  // the path
  [
    'a client elsewhere',
    asking(analyst, { client: 'us' }),
    selectFrom('public.orders'),
    'refuse path_client',
  ],
  ['a client nowhere', asking(analyst, { client: null }), selectFrom('public.orders'), 'refuse path_client'],
  [
    'a client nowhere, global data',
    asking(analyst, { client: null }),
    selectFrom('public.products'),
    'allow shop-eu',
  ],
  [
    'a client in a nested region',
    asking(analyst, { client: 'fr' }),
    selectFrom('public.orders'),
    'allow shop-eu',
  ],
  [
    'a gateway elsewhere',
    asking(analyst, { gateway: 'us' }),
    selectFrom('public.orders'),
    'refuse path_gateway',
  ],
  [
    'the whole path elsewhere',
    asking('dba', { gateway: 'us', client: 'us' }),
    selectFrom('public.us_orders'),
    'allow shop-us',
  ],
  ['a transfer of the role', etl, selectFrom('public.us_orders'), 'allow shop-us'],
  ['a transfer lets two regions meet', etl, selectFrom('public.orders,public.us_orders'), 'allow shop-eu'],
  [
    'a transfer goes one way',
    asking(etl, { gateway: 'us' }),
    selectFrom('public.orders'),
    'refuse path_gateway',
  ],
  // writes
  ['a write by a reader', analyst, insertInto('public.orders'), 'refuse region_write'],
  ['a write to the named table', 'support', insertInto('public.orders'), 'allow shop-eu'],
  ['a write to another table', 'support', insertInto('public.products'), 'refuse region_write'],
  ['a write to a global table', 'dba', insertInto('public.products'), 'allow shop-eu'],
  ['a write to a global table without the right', etl, insertInto('public.products'), 'refuse region_write'],
  [
    'a write elsewhere',
    asking('dba', { gateway: 'us', client: 'us' }),
    insertInto('public.us_orders'),
    'allow shop-us',
  ],
  ['a write across a border', 'dba', insertInto('public.us_orders'), 'refuse path_gateway path_client'],
  [
    'movement by a transfer',
    etl,
    insertInto('public.orders', {
      tables: [tableUse('public.orders', written), tableUse('public.us_orders')],
    }),
    'allow shop-eu',
  ],
  [
    'movement without one',
    asking('dba', { gateway: 'us', client: 'us' }),
    insertInto('public.us_orders', {
      tables: [tableUse('public.us_orders', written), tableUse('public.orders')],
    }),
    'refuse region_split path_gateway path_client transfer',
  ],
  ['a write by rows', 'dba', insertInto('public.customers'), 'refuse row_region'],
  [
    'DDL on a table that is regional by row',
    'dba',
    statement({
      statementKind: 'ddl',
      tables: [tableUse('public.customers', written)],
      effects: [{ kind: 'ddl' }],
    }),
    'allow shop-eu',
  ],
  // routing
  [
    'a transaction at home',
    asking('dba', { pinned: 'shop-eu' }),
    selectFrom('public.orders'),
    'allow shop-eu',
  ],
  [
    'a transaction elsewhere',
    asking(etl, { pinned: 'shop-us' }),
    selectFrom('public.orders'),
    'refuse region_split',
  ],
  [
    'a global table in a transaction',
    asking(etl, { pinned: 'shop-us' }),
    selectFrom('public.products'),
    'allow shop-us',
  ],
  [
    'a read on a replica',
    asking(analyst, { routes: [{ upstream: 'copy', region: 'eu', kind: 'replica' }] }),
    selectFrom('public.orders'),
    'allow copy',
  ],
  [
    'a write on a replica',
    asking('support', { routes: [{ upstream: 'copy', region: 'eu', kind: 'replica' }] }),
    insertInto('public.orders'),
    'refuse path_upstream',
  ],
  [
    'no upstream at home',
    asking(analyst, { routes: [{ upstream: 'shop-us', region: 'us', kind: 'primary' }] }),
    selectFrom('public.orders'),
    'refuse path_upstream',
  ],
  [
    'an upstream in a nested region',
    asking(analyst, { routes: [{ upstream: 'paris', region: 'fr', kind: 'primary' }] }),
    selectFrom('public.orders'),
    'allow paris',
  ],
  // kinds
  ['DDL by a reader', analyst, statement({ statementKind: 'ddl' }), 'refuse statement_kind'],
  ['DDL by a role that has it', 'dba', statement({ statementKind: 'ddl' }), 'allow shop-eu'],
  ['DDL inside a SELECT', analyst, effect({ kind: 'ddl' }), 'refuse statement_kind'],
  ['CALL', 'dba', statement({ statementKind: 'call' }), 'refuse statement_kind'],
  [
    'a transaction',
    analyst,
    effect({ kind: 'transaction', action: 'begin' }, { statementKind: 'transaction' }),
    'allow shop-eu',
  ],
  [
    'a prepared transaction',
    analyst,
    effect({ kind: 'transaction', action: 'prepared' }, { statementKind: 'transaction' }),
    'refuse statement_kind',
  ],
  [
    'COPY',
    analyst,
    selectFrom('public.products', [], { statementKind: 'copy_out' }),
    'refuse channel_refused',
  ],
  // settings
  ['a harmless setting', analyst, setting('TimeZone', 'UTC'), 'allow shop-eu'],
  ['the search path', analyst, setting('search_path', 'public, pg_catalog'), 'allow shop-eu'],
  ['a planner switch', analyst, setting('enable_seqscan', 'off'), 'allow shop-eu'],
  ['an encoding that is understood', analyst, setting('client_encoding', 'UTF8'), 'allow shop-eu'],
  ['an encoding that is not', analyst, setting('client_encoding', 'SJIS'), 'refuse session_drift'],
  [
    'strings with another meaning',
    analyst,
    setting('standard_conforming_strings', 'off'),
    'refuse session_drift',
  ],
  ['another role', analyst, setting('role', 'postgres'), 'refuse session_drift'],
  ['the own role again', analyst, setting('role', null), 'allow shop-eu'],
  ['another identity', analyst, setting('session_authorization', 'postgres'), 'refuse session_drift'],
  ['a setting of one’s own', analyst, setting('my.secret', 'x'), 'refuse session_drift'],
  ['RESET ALL', analyst, setting('ALL', null), 'allow shop-eu'],
  // functions
  ['a safe function', analyst, calling('pg_catalog.upper', 'safe'), 'allow shop-eu'],
  ['an unknown function', analyst, calling('public.upper', 'unknown'), 'refuse function_refused'],
  [
    'a function that runs SQL',
    'dba',
    calling('pg_catalog.query_to_xml', 'sql_text'),
    'refuse function_refused',
  ],
  // channels
  [
    'a file',
    'dba',
    effect({ kind: 'channel', channel: 'file', what: 'pg_read_file' }),
    'refuse channel_refused',
  ],
  ['a temporary table', 'dba', effect({ kind: 'temporary', name: 'orders' }), 'allow shop-eu'],
  [
    'EXECUTE',
    'dba',
    effect({ kind: 'sql_execute', name: 'p' }, { statementKind: 'prepare' }),
    'refuse channel_refused',
  ],
  [
    'EXPLAIN ANALYZE of masked data',
    analyst,
    selectFrom('public.orders', [], {
      statementKind: 'explain',
      effects: [{ kind: 'channel', channel: 'explain_analyze', what: '' }],
    }),
    'refuse channel_refused',
  ],
  [
    'EXPLAIN ANALYZE of plain data',
    analyst,
    selectFrom('public.products', [], {
      statementKind: 'explain',
      effects: [{ kind: 'channel', channel: 'explain_analyze', what: '' }],
    }),
    'allow shop-eu',
  ],
  [
    'a cursor over masked data',
    analyst,
    selectFrom('public.orders', [], {
      statementKind: 'cursor',
      effects: [{ kind: 'cursor', name: 'c', action: 'declare' }],
    }),
    'refuse channel_refused',
  ],
  [
    'a cursor over plain data',
    analyst,
    selectFrom('public.products', [], {
      statementKind: 'cursor',
      effects: [{ kind: 'cursor', name: 'c', action: 'declare' }],
    }),
    'allow shop-eu',
  ],
  [
    'FETCH',
    analyst,
    effect({ kind: 'cursor', name: 'c', action: 'fetch' }, { statementKind: 'cursor' }),
    'allow shop-eu',
  ],
  // masked columns
  ['a plain output', analyst, selectFrom('public.orders', ['public.orders.card_number']), 'allow shop-eu'],
  [
    'a predicate',
    analyst,
    selectFrom('public.orders', [], { columns: [use('public.orders.card_number', 'where')] }),
    'refuse masked_use',
  ],
  [
    'a predicate on a plain column',
    analyst,
    selectFrom('public.orders', [], { columns: [use('public.orders.total', 'where')] }),
    'allow shop-eu',
  ],
  [
    'a predicate by a role that sees it',
    'dba',
    selectFrom('public.orders', [], { columns: [use('public.orders.card_number', 'where')] }),
    'allow shop-eu',
  ],
  [
    'a written value',
    'support',
    insertInto('public.orders', {
      tables: [tableUse('public.orders', { ...written, reads: true })],
      columns: [use('public.orders.card_number', 'write')],
    }),
    'refuse masked_write',
  ],
  [
    'a new value',
    'support',
    insertInto('public.orders', { written: [{ schema: 'public', table: 'orders', column: 'card_number' }] }),
    'allow shop-eu',
  ],
  [
    'an output that is made of it',
    analyst,
    selectFrom('public.orders', [], { outputs: [{ ...plain('public.orders.card_number'), direct: false }] }),
    'refuse masked_use',
  ],
  [
    'an output of unknown make',
    analyst,
    selectFrom('public.orders', [], { outputs: [{ name: 'x', sources: 'unknown', direct: false }] }),
    'refuse masked_use',
  ],
  [
    'an output of unknown make, nothing masked',
    analyst,
    selectFrom('public.products', [], { outputs: [{ name: 'x', sources: 'unknown', direct: false }] }),
    'allow shop-eu',
  ],
  // approvals
  [
    'DELETE of everything',
    'support',
    changing('delete', 'public.orders', { withoutWhere: true }),
    'hold dpo',
  ],
  ['DELETE of some', 'support', changing('delete', 'public.orders'), 'allow shop-eu'],
  // not understood
  [
    'a text that is not understood',
    'dba',
    { kind: 'opaque', shape: '?', reason: 'syntax', message: 'no', position: 1 },
    'refuse opaque_statement',
  ],
  [
    'a name that is unknown',
    'dba',
    { kind: 'opaque', shape: '?', reason: 'unknown_name', message: 'no', position: 1 },
    'refuse unknown_name',
  ],
];

test('the demo’s policy decides as its comments say', async (t) => {
  for (const [name, who, what, expect] of cases) {
    await t.test(name, () => {
      const decision = deciding(who, what);
      assert.equal(inShort(decision), expect, decision.because.message);
      assert.notEqual(decision.because.message, '');
      if (decision.effect === 'refuse') assert.notEqual(decision.because.hint, '');
    });
  }
});
