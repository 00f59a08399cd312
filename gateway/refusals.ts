/** Words a decision as the refusal that a protocol sends to its client. */
import type { Because, Decision } from '../policy/decision.ts';
import type { Refused } from '../protocols/gate.ts';
import type { Statement } from '../sql/statement.ts';

/** SQLSTATE of a refusal; a text that is no SQL at all gets the code that every server gives it. */
const insufficientPrivilege = '42501';
const syntaxError = '42601';

export function refusedBy(because: Because, statement: Statement | null, decisionId: string): Refused {
  const syntax = statement?.kind === 'opaque' && statement.reason === 'syntax';
  return {
    effect: 'refuse',
    sqlState: syntax ? syntaxError : insufficientPrivilege,
    message: because.message,
    detail: `reason: ${because.reasons[0] ?? 'opaque_statement'}; decision: ${decisionId}`,
    hint: because.hint,
    position: statement?.kind === 'opaque' ? statement.position : null,
    ...(because.serverMayWord ? { serverMayWord: true } : {}),
  };
}

/** A hold is a refusal as long as nobody can be asked. */
export function becauseOf(decision: Decision): Because {
  if (decision.effect !== 'hold') return decision.because;
  return {
    reasons: ['approval_required'],
    rules: decision.because.rules,
    message: decision.because.message,
    hint: `this needs an approval by ${decision.approvers.join(' or ')}; this gateway can't ask them yet, so it is refused`,
  };
}

export const auditUnavailable: Because = {
  reasons: ['audit_unavailable'],
  rules: [],
  message: 'the decision could not be written to the audit journal, so the statement is not run',
  hint: 'try again later; the operator has to see to the audit store (disk full, read-only?)',
};

export function sessionDrift(message: string, hint: string): Because {
  return { reasons: ['session_drift'], rules: [], message, hint };
}
