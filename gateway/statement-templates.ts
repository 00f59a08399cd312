/** The journal's entries of a decided text, made ready once, and what is said of a text as a whole. No values. */
import type { AuditLog, EventTemplate } from '../audit/event.ts';
import type { Statement } from '../sql/statement.ts';
import type { DecidedText } from './decide-text.ts';
import type { Count, ProtocolMeters } from './metrics/meters.ts';
import { becauseOf } from './refusals.ts';

/** The journal's constant parts for one decided text in one session; one for each statement. */
export interface TextTemplates {
  readonly decided: readonly EventTemplate[];
  readonly completed: readonly EventTemplate[];
  /** Where each statement is counted when it is decided. */
  readonly counts: readonly Count[];
  /** Which statements' results are masked, as far as the results have told. */
  readonly masked: boolean[];
}

/** What all entries of a session have in common. */
export type SessionFacts = Omit<Parameters<AuditLog['template']>[0], 'event'>;

/** Makes the templates of a decided text. */
export function makeTemplates(
  audit: Pick<AuditLog, 'template'>,
  common: SessionFacts,
  groups: readonly string[],
  decided: DecidedText,
  meters: ProtocolMeters,
): TextTemplates {
  const decidedTemplates: EventTemplate[] = [];
  const completed: EventTemplate[] = [];
  const counts: Count[] = [];
  decided.statements.forEach((statement, index) => {
    const decision = decided.decisions[index]!;
    const because = becauseOf(decision);
    const route = decision.effect === 'allow' ? decided.route : null;
    const facts = {
      ...common,
      ...(route ? { upstream: route.name, upstream_region: route.region } : {}),
      statement_kind: statement.kind === 'analyzed' ? statement.statementKind : 'opaque',
      shape: statement.shape,
    };
    const outcome = decided.allowed ? 'allow' : 'refuse';
    const reasons = decided.allowed || decision.effect !== 'allow' ? because.reasons : (['ok'] as const);
    counts.push(meters.statements(outcome, reasons[0] ?? 'ok'));
    decidedTemplates.push(
      audit.template({
        ...facts,
        event: 'statement.decided',
        groups,
        roles: decision.roles,
        tables: decision.tables,
        data_regions: [...new Set([...decision.regionsRead, ...decision.regionsWritten])],
        decision: outcome,
        reasons,
        rules: because.rules,
        policy_version: decision.policyVersion,
        masked_columns:
          decision.effect === 'allow'
            ? [...decision.masks, ...decision.blanked].map(
                (mask) => `${mask.schema}.${mask.table}.${mask.column}`,
              )
            : [],
      }),
    );
    completed.push(audit.template({ ...facts, event: 'statement.completed' }));
  });
  return { decided: decidedTemplates, completed, counts, masked: counts.map(() => false) };
}

/** A name in it is not in the catalog. */
export function isUnknownName(statement: DecidedText['statements'][number]): boolean {
  return statement.kind === 'opaque' && statement.reason === 'unknown_name';
}

/** Which tables the statements name, and how they use them. */
export function tablesOf(decided: DecidedText): string {
  return JSON.stringify(
    decided.statements.map((statement) =>
      statement.kind === 'analyzed'
        ? statement.tables.map(({ schema, table, reads, writes }) => [schema, table, reads, writes])
        : null,
    ),
  );
}

/** The tables that a statement names itself, and how it uses them. */
export function namedTables(statement: Statement): string {
  if (statement.kind === 'opaque') return '';
  return JSON.stringify(
    statement.tables.flatMap(({ schema, table, reads, writes, viaView }) =>
      viaView ? [] : [[schema, table, reads, writes]],
    ),
  );
}

/** Safe to log. */
export function shapeOf(decided: DecidedText): string {
  return decided.statements.map((statement) => statement.shape).join('; ');
}
