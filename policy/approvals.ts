/** Which approval rules a statement falls under, and who may then approve it. */
import type { Analyzed } from '../sql/statement.ts';
import type { ApprovalRule, Policy } from './model.ts';
import type { Play } from './placement.ts';
import { withinAny } from './regions.ts';
import type { Route } from './residency.ts';

/** What a statement has to wait for. */
export interface Approval {
  readonly rules: readonly string[];
  /** Groups of which any member may approve; empty when no group satisfies every rule. */
  readonly approvers: readonly string[];
  readonly timeoutMs: number;
}

const transferTimeoutMs = 600_000;

/** null when nothing asks for a person. Several rules at once: a group has to stand in all of them; the shortest time counts. */
export function approvalFor(
  policy: Policy,
  statement: Analyzed,
  plays: readonly Play[],
  route: Route,
): Approval | null {
  const rules = policy.approvals.filter((rule) => matches(policy, rule, statement, plays, route));
  if (rules.length === 0 && !route.needsApproval) return null;
  const approvers =
    rules.length === 0
      ? [...new Set(policy.approvals.flatMap((rule) => rule.approvers))]
      : (rules[0]?.approvers ?? []).filter((group) => rules.every((rule) => rule.approvers.includes(group)));
  return {
    rules: [
      ...rules.map((rule) => `approvals.${rule.name}`),
      ...route.transfers.filter((one) => one.values === 'approval').map((one) => one.id),
    ],
    approvers,
    timeoutMs: Math.min(
      ...rules.map((rule) => rule.timeoutMs),
      rules.length === 0 ? transferTimeoutMs : Infinity,
    ),
  };
}

function matches(
  policy: Policy,
  rule: ApprovalRule,
  statement: Analyzed,
  plays: readonly Play[],
  route: Route,
): boolean {
  if (rule.statements !== null && !rule.statements.has(statement.statementKind)) {
    // A change inside a WITH or behind EXPLAIN ANALYZE is a change all the same.
    const hidden = plays.some((play) => play.writes) && hidesChange(statement);
    if (!hidden || !changes.some((kind) => rule.statements?.has(kind))) return false;
  }
  if (rule.withoutWhere && !statement.withoutWhere) return false;
  if (rule.tables !== null) {
    const patterns = rule.tables;
    if (!plays.some((play) => patterns.find(play.schema, play.table, true) !== null)) return false;
  }
  if (rule.regions !== null) {
    const areas = rule.regions;
    if (![...route.read, ...route.written].some((region) => withinAny(policy, region, areas))) return false;
  }
  if (rule.tags !== null) {
    const { tags } = rule;
    const used = new Set(
      [
        ...statement.columns,
        ...statement.written,
        ...statement.outputs.flatMap((output) => (output.sources === 'unknown' ? [] : output.sources)),
      ].map((ref) => `${ref.schema}\u0000${ref.table}\u0000${ref.column}`),
    );
    const touched = plays.some((play) =>
      [...play.tags].some(
        ([column, names]) =>
          used.has(`${play.schema}\u0000${play.table}\u0000${column}`) &&
          names.some((tag) => tags.find(tag) !== null),
      ),
    );
    if (!touched) return false;
  }
  return true;
}

const changes = ['insert', 'update', 'delete', 'merge'] as const;

function hidesChange(statement: Analyzed): boolean {
  return ['select', 'explain', 'cursor', 'prepare'].includes(statement.statementKind);
}
