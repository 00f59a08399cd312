/** What a statement does besides reading and writing rows: its kind, settings, functions, and ways for values to travel. */
import type { Catalog } from '../sql/catalog.ts';
import type { Analyzed, Channel, Effect, FunctionUse, StatementKind, TableUse } from '../sql/statement.ts';
import type { ColumnMask } from './decision.ts';
import { type Finding, listed } from './finding.ts';
import type { Policy, Role, VouchedFunction } from './model.ts';
import type { Play } from './placement.ts';
import { anyValueAllowed, isUserVariable, settingAllowed } from './settings.ts';

/** Kinds that are run by a replica too; any other goes to a primary. */
const readingKinds: ReadonlySet<StatementKind> = new Set<StatementKind>([
  'select',
  'copy_out',
  'cursor',
  'prepare',
  'explain',
  'show',
  'set',
  'transaction',
]);

/** True when the statement may change something in the database. */
export function changesData(statement: Analyzed): boolean {
  return (
    !readingKinds.has(statement.statementKind) ||
    statement.tables.some((table) => table.writes) ||
    statement.effects.some((effect) => effect.kind === 'ddl')
  );
}

/** `statement_kind`: every kind that the statement comes to has to be granted, all by one role. */
export function kindFindings(roles: readonly Role[], statement: Analyzed): readonly Finding[] {
  const kinds = new Set<StatementKind>([statement.statementKind]);
  if (statement.copy) kinds.add(statement.copy.direction === 'out' ? 'copy_out' : 'copy_in');
  for (const effect of statement.effects) {
    if (effect.kind === 'ddl') kinds.add('ddl');
    else if (effect.kind === 'set' && !effect.name.startsWith('@')) kinds.add('set');
    else if (effect.kind === 'sql_prepare' || effect.kind === 'sql_execute') kinds.add('prepare');
    else if (effect.kind === 'cursor') kinds.add('cursor');
    // What one session leaves prepared, another may finish.
    else if (effect.kind === 'transaction' && effect.action === 'prepared') kinds.add('admin');
  }
  if (roles.some((role) => [...kinds].every((kind) => role.statements.has(kind)))) return [];
  const missing = [...kinds].find((kind) => !roles.some((role) => role.statements.has(kind)));
  const named = missing === undefined ? [...kinds] : [missing];
  return [
    {
      reason: 'statement_kind',
      rule: roles[0] === undefined ? null : `roles.${roles[0].name}.statements`,
      message: `statements of kind ${listed(named)} are not granted to ${listed(roles.map((role) => role.name))}`,
      hint: `ask for a role with statements: [${named.join(', ')}]`,
    },
  ];
}

/** Functions that someone vouched for, and those that nobody did. */
export function judgeFunctions(
  policy: Policy,
  roles: readonly Role[],
  functions: readonly FunctionUse[],
): { readonly vouched: readonly VouchedFunction[]; readonly findings: readonly Finding[] } {
  const vouched: VouchedFunction[] = [];
  const findings: Finding[] = [];
  const said = new Set<string>();
  const vouchings = [policy.vouched, ...roles.map((role) => role.vouched)];
  for (const use of functions) {
    if (use.trust === 'safe') continue;
    const { kind } = use;
    if (kind !== undefined && roles.some((role) => role.statements.has(kind))) continue;
    const name = `${use.schema}.${use.name}`;
    if (said.has(name)) continue;
    said.add(name);
    const named = vouchings.flatMap((one) => one.named.get(name) ?? []);
    if (named.length > 0) {
      vouched.push(...named);
      continue;
    }
    if (use.trust === 'unknown' && vouchings.some((one) => one.all)) continue;
    findings.push({
      reason: 'function_refused',
      rule: 'functions',
      message: `function ${name} ${trustWords[use.trust]}`,
      hint: `ask for it to be vouched for in the policy: functions: [${name}]`,
    });
  }
  return { vouched, findings };
}

const trustWords: Readonly<Record<Exclude<FunctionUse['trust'], 'safe'>, string>> = {
  reads_data: 'reads data that is not named in the statement',
  sql_text: 'runs SQL that it is given as text',
  side_effect: 'does more than to return a value',
  unknown: "is not one of the engine's own, and nobody has vouched for it",
};

/** The tables that vouched functions are said to touch, as references of the statement. */
export function touchedBy(functions: readonly VouchedFunction[]): readonly TableUse[] {
  const use = (name: { schema: string; table: string }, writes: boolean): TableUse => ({
    ...name,
    reads: !writes,
    writes,
    system: false,
    view: false,
    viaView: true,
    span: null,
  });
  return functions.flatMap((one) => [
    ...one.reads.map((table) => use(table, false)),
    ...one.writes.map((table) => use(table, true)),
  ]);
}

/** Triggers and rules run code that the text doesn't show. */
export function triggerFindings(
  policy: Policy,
  roles: readonly Role[],
  plays: readonly Play[],
): readonly Finding[] {
  if (policy.vouched.all || roles.some((role) => role.vouched.all)) return [];
  return plays
    .filter((play) => play.writes && play.known?.hasTriggers && !play.rule?.triggersAllowed)
    .map((play) => ({
      reason: 'function_refused',
      rule: play.rule?.id ?? null,
      message: `writing to ${play.name} sets off its triggers, and nobody has vouched for them`,
      hint: `ask for triggers: allow on ${play.name} in the policy`,
    }));
}

const channelWords: Readonly<Record<Channel, string>> = {
  file: 'a file of the server',
  program: 'a program on the server',
  network: 'another server',
  copy: 'COPY',
  large_object: 'large objects',
  notify: 'notifications',
  statistics: 'statistics of columns',
  other_session: 'other sessions',
  identity: 'another identity',
  dynamic_sql: 'SQL given as text',
  explain_analyze: 'EXPLAIN ANALYZE',
  user_variable: 'user variables',
  replication: 'replication',
  handler: 'HANDLER',
  diagnostics: 'diagnostics',
  server: "the server's own settings and state",
};

/** Effects that are refused: `session_drift` for settings, `channel_refused` for the rest. */
export function effectFindings(
  statement: Analyzed,
  catalog: Catalog,
  masks: readonly ColumnMask[],
  roles: readonly Role[],
): readonly Finding[] {
  const findings: Finding[] = [];
  // Who may administer the server may be anybody there; one role has to grant the setting as well.
  const mayChangeIdentity =
    catalog.engine === 'postgres' &&
    statement.statementKind === 'set' &&
    statement.functions.length === 0 &&
    roles.some((role) => role.statements.has('admin') && role.statements.has('set'));
  const seesTheServer = roles.some(
    (role) => role.statements.has('admin') && role.clear.find('*') !== null && role.statements.has('select'),
  );
  for (const effect of statement.effects) {
    if (mayChangeIdentity && isIdentity(effect)) continue;
    if (seesTheServer && readsTheServersState(effect, statement)) continue;
    const finding = judgeEffect(effect, statement, catalog, masks);
    if (finding !== null) findings.push(finding);
  }
  const kind = statement.statementKind;
  const unread = !statement.copy && (kind === 'copy_out' || kind === 'copy_in');
  if (findings.length === 0 && (unread || kind === 'load_local')) {
    findings.push(refused(kind === 'load_local' ? 'LOAD DATA LOCAL' : 'COPY', 'is not supported'));
  }
  return findings;
}

function judgeEffect(
  effect: Effect,
  statement: Analyzed,
  catalog: Catalog,
  masks: readonly ColumnMask[],
): Finding | null {
  const mask = masks[0];
  const masked = mask === undefined ? null : `${mask.table}.${mask.column} is masked for you`;
  switch (effect.kind) {
    case 'set':
      return judgeSetting(effect, statement, catalog);
    case 'use_database':
    case 'transaction':
    case 'ddl':
    case 'temporary':
      return null;
    case 'sql_prepare':
      // Each EXECUTE of PostgreSQL's is decided with what was prepared, and its rows are masked.
      return masked === null || catalog.engine === 'postgres'
        ? null
        : refused('PREPARE in SQL', `is refused because ${masked}; use your driver's prepared statements`);
    case 'sql_execute':
      return refused(
        'EXECUTE in SQL',
        'runs a statement that the gateway did not see this session prepare, or in a text with others',
      );
    case 'cursor':
      // A declaration is where masks are known; what it let through may be fetched.
      return effect.action !== 'declare' || masked === null
        ? null
        : refused(`cursor ${effect.name}`, `is refused because ${masked}; run its query directly`);
    case 'channel':
      if (effect.channel === 'explain_analyze' && masked === null) return null;
      if (effect.channel === 'copy' && statement.copy) return judgeCopy(statement, masks);
      if (effect.channel === 'identity' && onlyResetsIdentity(statement, catalog)) return null;
      return refused(
        effect.what === '' ? channelWords[effect.channel] : effect.what,
        effect.channel === 'explain_analyze'
          ? `is refused because ${masked}; use plain EXPLAIN`
          : `is refused: values could travel by way of ${channelWords[effect.channel]}`,
      );
  }
}

/**
 * In the text format a value may look like the NULL marker, unless that is no text that a value is ever written as:
 * then one couldn't be told from the other, and a marker that the client chose would tell which values are equal to it.
 */
function judgeCopy(statement: Analyzed, masks: readonly ColumnMask[]): Finding | null {
  const { copy, outputs } = statement;
  if (!copy || copy.direction === 'in' || copy.format !== 'text') return null;
  const escaped = `\\\\[\\\\bfnrtv${copy.delimiter.replace(/[\]\\^-]/, '\\$&')}]`;
  if (!new RegExp(`^(?:[^\\\\]|${escaped})*$`, 's').test(copy.nullText)) return null;
  const mask = masks.find((one) =>
    outputs.some(
      ({ sources }) =>
        sources === 'unknown' ||
        sources.some(
          (source) =>
            source.schema === one.schema && source.table === one.table && source.column === one.column,
        ),
    ),
  );
  if (mask === undefined) return null;
  return {
    reason: 'channel_refused',
    rule: null,
    message: `COPY with this NULL marker is refused because ${mask.table}.${mask.column} is masked for you: a value may look like the marker`,
    hint: 'leave NULL out, or use FORMAT csv',
  };
}

/** SET ROLE NONE, RESET ROLE, SET SESSION AUTHORIZATION DEFAULT: back to who signed in, as pools do between uses. */
function onlyResetsIdentity(statement: Analyzed, catalog: Catalog): boolean {
  const settings = statement.effects.filter((effect) => effect.kind === 'set');
  return (
    statement.statementKind === 'set' &&
    settings.length > 0 &&
    statement.functions.length === 0 &&
    settings.every(
      ({ name, value }) =>
        identitySettings.has(name.toLowerCase()) && settingAllowed(catalog.engine, name, value),
    )
  );
}

/**
 * A read of what the server says of itself: sessions and their texts, connections to elsewhere, its settings. Who administers it
 * and sees every column clear may have that; values of rows (statistics, large objects) and passwords aren't among it.
 */
function readsTheServersState(effect: Effect, statement: Analyzed): boolean {
  return (
    effect.kind === 'channel' &&
    serverChannels.has(effect.channel) &&
    !passwordTables.has(effect.what) &&
    statement.statementKind === 'select' &&
    statement.tables.some((use) => use.system && !use.writes && `${use.schema}.${use.table}` === effect.what)
  );
}

const serverChannels: ReadonlySet<Channel> = new Set<Channel>([
  'other_session',
  'identity',
  'replication',
  'server',
]);
const passwordTables: ReadonlySet<string> = new Set([
  'pg_catalog.pg_authid',
  'pg_catalog.pg_shadow',
  'pg_catalog.pg_hba_file_rules',
]);

function isIdentity(effect: Effect): boolean {
  return (
    (effect.kind === 'set' && identitySettings.has(effect.name.toLowerCase())) ||
    (effect.kind === 'channel' && effect.channel === 'identity')
  );
}

const identitySettings: ReadonlySet<string> = new Set(['role', 'session_authorization']);

function judgeSetting(
  effect: Extract<Effect, { kind: 'set' }>,
  statement: Analyzed,
  catalog: Catalog,
): Finding | null {
  const variable = effect.name.startsWith('@') && !effect.name.startsWith('@@');
  // A variable keeps what it is given: constants and definitions only.
  const own = new Set(
    statement.tables.filter(({ system }) => system).map((use) => `${use.schema}.${use.table}`),
  );
  const carriesData =
    statement.columns.some((use) => !own.has(`${use.schema}.${use.table}`)) ||
    statement.tables.some((table) => !table.system && table.reads);
  if (variable && carriesData) {
    return refused(`user variable ${effect.name}`, 'may not be set from a table');
  }
  // SET STATEMENT has the statement's columns beside its values, which have none.
  const apart = catalog.engine === 'mysql' && effect.local;
  // What a variable holds is looked at when the setting is in force, which is too late for the statement behind it.
  const tooLate = apart && isUserVariable(effect.value);
  const allowed = effect.computed
    ? anyValueAllowed(catalog.engine, effect.name)
    : settingAllowed(catalog.engine, effect.name, effect.value);
  if (!tooLate && (apart || !carriesData) && allowed) return null;
  return {
    reason: 'session_drift',
    rule: null,
    message: `setting ${effect.name} may not be changed this way: it could change what a statement means or who asks`,
    hint: 'leave the setting as it is; settings that change neither are allowed',
  };
}

function refused(what: string, why: string): Finding {
  return {
    reason: 'channel_refused',
    rule: null,
    message: `${what} ${why}`,
    hint: 'use a plain statement whose values come as result rows',
  };
}
