/** What one session writes into the audit besides its decided statements: that it opened and closed, and what was refused unread. */
import { AuditUnavailable } from '../audit/event.ts';
import type { Because } from '../policy/decision.ts';
import type { Opening } from './gate-session.ts';
import type { GatewayState } from './state.ts';

export class SessionAudit {
  readonly #state: GatewayState;
  readonly #opening: Opening;

  constructor(state: GatewayState, opening: Opening) {
    this.#state = state;
    this.#opening = opening;
  }

  /** What all events of the session say. */
  common() {
    const { id, principal, database, credentials, client } = this.#opening;
    return {
      session_id: id,
      database: database.name,
      protocol: database.protocol,
      subject: principal.subject,
      issuer: principal.issuer,
      client_address: credentials.clientAddress,
      client_region: client ?? '',
      gateway_region: this.#state.config.region,
    } as const;
  }

  /** @throws AuditUnavailable */
  opened(): void {
    const { audit, policy, now } = this.#state;
    const template = audit.template({
      ...this.common(),
      event: 'session.opened',
      groups: this.#opening.principal.groups,
      decision: 'allow',
      reasons: ['ok'],
      policy_version: policy.version,
    });
    audit.append(template, now(), {});
  }

  /** `openedAt` in milliseconds. */
  closed(openedAt: number): void {
    const { audit, now } = this.#state;
    const template = audit.template({ ...this.common(), event: 'session.closed' });
    audit.defer(template, now(), { duration_us: Math.round((now() - openedAt) * 1000) });
  }

  /** A refusal that no analysis led to. It stands, written or not. */
  refused(because: Because, shape: string, statementId: string): void {
    const { audit, policy, now } = this.#state;
    try {
      const template = audit.template({
        ...this.common(),
        event: 'statement.decided',
        shape,
        decision: 'refuse',
        reasons: because.reasons,
        rules: because.rules,
        policy_version: policy.version,
      });
      audit.append(template, now(), { statement_id: statementId });
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error;
    }
  }
}
