/**
 * What one session writes into the audit: that it opened and closed, what was decided of its statements and what they came to.
 * Numbers the statements. No policy here.
 */
import { AuditUnavailable } from '../audit/event.ts';
import type { Because } from '../policy/decision.ts';
import type { Refused } from '../protocols/gate.ts';
import type { DecidedText } from './decide-text.ts';
import type { Opening } from './gate-session.ts';
import { auditUnavailable, refusedBy } from './refusals.ts';
import type { GatewayState } from './state.ts';
import { makeTemplates, type TextTemplates } from './statement-templates.ts';

const templatesMax = 500;

export class SessionAudit {
  readonly #state: GatewayState;
  readonly #opening: Opening;
  readonly #templates = new Map<DecidedText, TextTemplates>();
  #staged = 0;
  #next = 1;

  constructor(state: GatewayState, opening: Opening) {
    this.#state = state;
    this.#opening = opening;
  }

  /** What all events of the session say. */
  #common() {
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
      ...this.#common(),
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
    const template = audit.template({ ...this.#common(), event: 'session.closed' });
    audit.defer(template, now(), { duration_us: Math.round((now() - openedAt) * 1000) });
  }

  statementId(number: number): string {
    return `${this.#opening.id}-${number}`;
  }

  /** The id that the next statement is going to have. */
  get nextId(): string {
    return this.statementId(this.#next);
  }

  /** Numbers `count` statements; the first one's number. */
  take(count: number): number {
    const first = this.#next;
    this.#next += Math.max(1, count);
    return first;
  }

  /** The templates of a decided text, made once in a session. */
  templatesFor(decided: DecidedText): TextTemplates {
    let templates = this.#templates.get(decided);
    if (!templates) {
      if (this.#templates.size >= templatesMax) this.#templates.clear();
      const { audit, meters } = this.#state;
      const { principal, database } = this.#opening;
      templates = makeTemplates(audit, this.#common(), principal.groups, decided, meters[database.protocol]);
      this.#templates.set(decided, templates);
    }
    return templates;
  }

  /**
   * The decisions of a text whose statements are numbered from `first`: in the journal, or on their way there (`unjournaled`).
   * @param at milliseconds since the epoch
   * @throws AuditUnavailable
   */
  decided(decided: DecidedText, text: string, first: number, at: number): void {
    const { audit, config } = this.#state;
    const templates = this.templatesFor(decided);
    for (let i = 0; i < templates.decided.length; i++) {
      const more: { statement_id: string; sql?: string } = { statement_id: this.statementId(first + i) };
      if (config.audit.sql === 'full') more.sql = text;
      this.#staged = audit.stage(templates.decided[i]!, at, more);
    }
    for (let i = 0; i < templates.counts.length; i++) templates.counts[i]!.value++;
  }

  /** As in the protocols' seam. */
  get unjournaled(): boolean {
    return this.#staged !== 0 && this.#state.audit.isStaged(this.#staged);
  }

  /** As in the protocols' seam. */
  onJournaled(waiter: (isWritten: boolean) => void): void {
    this.#state.audit.onWritten(waiter);
  }

  /** Words that a decision could not be journaled, and counts it. */
  unavailable(statementId: string): Refused {
    const { meters } = this.#state;
    meters.auditUnavailable.value++;
    meters[this.#opening.database.protocol].refused(auditUnavailable);
    return refusedBy(auditUnavailable, null, statementId);
  }

  /** A refusal that no analysis led to. It stands, written or not. */
  refused(because: Because, shape: string, statementId: string): void {
    const { audit, policy, now } = this.#state;
    try {
      const template = audit.template({
        ...this.#common(),
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
