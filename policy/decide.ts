/**
 * One statement, one decision: identity, database, statement kind, tables and regions, path, columns and masking,
 * functions and channels, approvals, in this order. Pure and total: no clock, no I/O, and whatever fails is a refusal.
 */
import type { Catalog } from '../sql/catalog.ts';
import type { Analyzed, Statement } from '../sql/statement.ts';
import { approvalFor } from './approvals.ts';
import { blankUses } from './blanks.ts';
import { masksFor, useFindings, writtenFindings } from './columns.ts';
import type { Allow, Because, Decision, DecisionContext, Reason, Refuse, UpstreamName } from './decision.ts';
import {
  changesData,
  effectFindings,
  judgeFunctions,
  kindFindings,
  touchedBy,
  triggerFindings,
} from './effects.ts';
import { anything, doingEverything } from './everything.ts';
import type { Finding } from './finding.ts';
import type { Policy, Role } from './model.ts';
import { type Play, placeTables, rowLocality } from './placement.ts';
import { rowRegions } from './predicate.ts';
import { mayReadRegions } from './reach.ts';
import { type Route, routeStatement } from './residency.ts';
import { covers, memberships } from './roles.ts';
import { rewriteRows } from './rows.ts';

/**
 * Decides one statement for one principal along one path. `now`: milliseconds since the epoch, for transfers with an
 * end. The strictest answer wins: refuse > hold > mask or rewrite > allow. Never throws.
 */
export function decide(
  policy: Policy,
  context: DecisionContext,
  statement: Statement,
  catalog: Catalog,
  now: number,
): Decision {
  try {
    return decideUnguarded(policy, context, statement, catalog, now);
  } catch {
    const message = 'the statement could not be decided';
    const hint = "report this statement's shape to whoever runs the gateway";
    const unread: Statement = {
      kind: 'opaque',
      shape: '?',
      reason: 'unsupported',
      message,
      position: null,
    };
    return refuse(policy, [], unread, [], null, [{ reason: 'opaque_statement', rule: null, message, hint }]);
  }
}

function decideUnguarded(
  policy: Policy,
  context: DecisionContext,
  statement: Statement,
  catalog: Catalog,
  now: number,
): Decision {
  const held = memberships(policy, context.principal);
  const roles = held.filter((role) => covers(role, context.database));
  const stop = (finding: Finding): Refuse => refuse(policy, roles, statement, [], null, [finding]);
  const nobody = entryFinding(policy, context, held, roles);
  if (nobody !== null) return stop(nobody);
  if (statement.kind === 'opaque') {
    const refused = stop({
      reason: statement.reason === 'unknown_name' ? 'unknown_name' : 'opaque_statement',
      rule: null,
      message: statement.message,
      hint:
        statement.reason === 'unknown_name'
          ? 'check the spelling and the schema; a table made a moment ago is seen with the next statement'
          : "write it in another way; what isn't understood is not passed on",
    });
    const all = statement.reason === 'too_long' ? null : anything(policy, roles, catalog);
    if (all === null || decideAnalyzed(policy, context, all, catalog, now, roles).effect !== 'allow')
      return refused;
    return { ...refused, because: { ...refused.because, serverMayWord: true } };
  }

  const everything = doingEverything(policy, roles, statement, catalog);
  return decideAnalyzed(policy, context, everything ?? statement, catalog, now, roles);
}

function decideAnalyzed(
  policy: Policy,
  context: DecisionContext,
  statement: Analyzed,
  catalog: Catalog,
  now: number,
  roles: readonly Role[],
): Decision {
  const functions = judgeFunctions(policy, roles, statement.functions);
  const uses = [...statement.tables, ...touchedBy(functions.vouched)];
  const { plays, findings: unplaced } = placeTables(
    policy,
    context.database,
    catalog,
    uses,
    context.temporaryRegions,
  );
  const kinds = kindFindings(roles, statement);
  // Without a place for each table there is no path to check and no tag to look up.
  if (unplaced.length > 0) return refuse(policy, roles, statement, plays, null, [...kinds, ...unplaced]);

  const whole = wholeTables(policy, roles, statement, plays);
  const { route, findings: pathFindings } = routeStatement({
    policy,
    roles,
    context,
    plays,
    changes: changesData(statement),
    whole,
    now,
  });
  const rows = rewriteRows(
    catalog.engine,
    plays.filter((play) => !whole.has(play)),
    route,
  );
  const masked = masksFor(policy, roles, plays, route);
  const { masks, blanked, rewrites, ...blanking } = blankUses(
    roles,
    statement,
    plays,
    masked.list,
    rows.rewrites,
  );
  const findings = [
    ...kinds,
    ...pathFindings,
    ...rows.findings,
    ...useFindings(statement, masks).map((use) => ({ ...use, hint: blanking.obstacle ?? use.hint })),
    ...writtenFindings(policy, roles, statement, plays, route),
    ...functions.findings,
    ...triggerFindings(policy, roles, plays),
    ...effectFindings(statement, catalog, masks, roles),
  ];
  if (route === null || findings.length > 0) {
    return refuse(policy, roles, statement, plays, route, findings);
  }

  const rules = ruleIds(roles, plays, route, [...masked.rules, ...blanking.rules]);
  const allow: Allow = {
    effect: 'allow',
    ...facts(policy, roles, statement, plays, route),
    because: { reasons: ['ok'], rules, message: 'allowed', hint: '' },
    route: route.option.upstream,
    routeRegion: route.option.region,
    masks,
    blanked,
    rewrites,
  };
  const approval = approvalFor(policy, statement, plays, route);
  if (approval === null) return allow;
  const because: Because = {
    reasons: ['approval_required'],
    rules: [...approval.rules, ...rules],
    message: `a person has to approve this statement (${approval.rules.join(', ')})`,
    hint:
      approval.approvers.length === 0
        ? "no group may approve it: ask for the policy's approvals to be changed"
        : `somebody of ${approval.approvers.join(', ')} can approve it`,
  };
  if (approval.approvers.length === 0) {
    return {
      effect: 'refuse',
      ...facts(policy, roles, statement, plays, route),
      because,
      route: allow.route,
    };
  }
  return {
    effect: 'hold',
    ...facts(policy, roles, statement, plays, route),
    because,
    approvers: approval.approvers,
    timeoutMs: approval.timeoutMs,
    // biome-ignore lint/suspicious/noThenProperty: a word of the seam; a decision is never awaited
    then: allow,
  };
}

/**
 * Tables that DDL or maintenance treats as a whole. Not those that a DDL statement copies rows from, and only for
 * somebody who may read each region that a row could be of.
 */
function wholeTables(
  policy: Policy,
  roles: readonly Role[],
  statement: Analyzed,
  plays: readonly Play[],
): ReadonlySet<Play> {
  const { statementKind, columns, written, outputs } = statement;
  const onObjects = statementKind === 'ddl' || statementKind === 'maintenance';
  const alone = columns.length === 0 || plays.length === 1;
  if (!onObjects || !alone || written.length > 0 || outputs.length > 0) return new Set();
  return new Set(
    plays.filter((play) => {
      const row = rowLocality(play);
      if (row === null || !(play.writes || statementKind === 'maintenance')) return false;
      return mayReadRegions(policy, roles, [...rowRegions(row.values)]);
    }),
  );
}

function entryFinding(
  policy: Policy,
  context: DecisionContext,
  held: readonly Role[],
  roles: readonly Role[],
): Finding | null {
  const { database } = context;
  if (held.length === 0) {
    return {
      reason: 'no_role',
      rule: null,
      message: 'no role of the policy has you as a member',
      hint: 'ask to be added to a group that a role names',
    };
  }
  const named = policy.data.has(database) || policy.roles.some((role) => role.databases.has(database));
  if (context.routes.length === 0 || !named) {
    return {
      reason: 'unknown_database',
      rule: null,
      message: `the policy says nothing about database ${database}`,
      hint: `add ${database} under data in the policy`,
    };
  }
  if (roles.length > 0) return null;
  return {
    reason: 'no_role',
    rule: null,
    message: `none of your roles covers database ${database}`,
    hint: `ask for a role with databases: [${database}]`,
  };
}

function facts(
  policy: Policy,
  roles: readonly Role[],
  statement: Statement,
  plays: readonly Play[],
  route: Route | null,
): Omit<Refuse, 'effect' | 'because' | 'route'> {
  return {
    statementKinds: statement.kind === 'analyzed' ? [statement.statementKind] : [],
    tables: tableNames(statement, plays),
    regionsRead: route?.read ?? stated(plays, 'reads'),
    regionsWritten: route?.written ?? stated(plays, 'writes'),
    roles: roles.map((role) => role.name),
    policyVersion: policy.version,
  };
}

function tableNames(statement: Statement, plays: readonly Play[]): readonly string[] {
  const names = new Set(plays.map((play) => play.name));
  if (statement.kind === 'analyzed') {
    for (const table of statement.tables) if (table.system) names.add(`${table.schema}.${table.table}`);
  }
  return [...names].sort();
}

function stated(plays: readonly Play[], how: 'reads' | 'writes'): readonly string[] {
  const regions = plays
    .filter((play) => play[how])
    .flatMap((play) => play.localities)
    .flatMap((place) => (place.kind === 'regional' ? [place.region] : []));
  return [...new Set(regions)];
}

function ruleIds(
  roles: readonly Role[],
  plays: readonly Play[],
  route: Route,
  maskRules: readonly string[],
): readonly string[] {
  const reads = plays.some((play) => play.reads);
  const writes = plays.some((play) => play.writes);
  return [
    ...roles.flatMap((role) => [
      ...(reads ? [`roles.${role.name}.read`] : []),
      ...(writes ? [`roles.${role.name}.write`] : []),
      ...(reads || writes ? [] : [`roles.${role.name}`]),
    ]),
    ...new Set(plays.flatMap((play) => (play.rule === null ? [] : [play.rule.id]))),
    ...route.transfers.map((transfer) => transfer.id),
    ...maskRules,
  ];
}

function refuse(
  policy: Policy,
  roles: readonly Role[],
  statement: Statement,
  plays: readonly Play[],
  route: Route | null,
  findings: readonly Finding[],
): Refuse {
  const first = findings[0];
  const upstream: UpstreamName | null = route?.option.upstream ?? null;
  return {
    effect: 'refuse',
    ...facts(policy, roles, statement, plays, route),
    because: {
      reasons: [...new Set<Reason>(findings.map((finding) => finding.reason))],
      rules: [...new Set(findings.flatMap((finding) => finding.rule ?? []))],
      message: first?.message ?? 'no rule allows the statement',
      hint: first?.hint ?? '',
    },
    route: upstream,
  };
}
