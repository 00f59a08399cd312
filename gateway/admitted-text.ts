/** Leave to run one text once: plans the masks of its results and journals its completion. */

import { planCopy } from '../masking/copy-plan.ts';
import type { CopyPlan, MaskPlan, ResultColumn } from '../masking/masker.ts';
import { planMasks } from '../masking/plan.ts';
import type { Admitted, AdmittedCopies, Refused } from '../protocols/gate.ts';
import type { Copy, Output } from '../sql/statement.ts';
import type { DecidedText } from './decide-text.ts';
import type { LiveSession } from './gate-session.ts';
import { refusedBy, sessionDrift } from './refusals.ts';
import type { Resolutions } from './resolutions.ts';

export class AdmittedText implements Admitted {
  readonly effect = 'allow' as const;
  readonly decided: DecidedText;
  /** The client's text. */
  readonly original: string;
  /** Set once a prepared text was decided again. */
  resolutions: Resolutions | null;
  readonly #session: LiveSession;
  readonly #firstId: number;
  readonly #startedAt: number;

  constructor(
    session: LiveSession,
    decided: DecidedText,
    original: string,
    firstId: number,
    startedAt: number,
    resolutions: Resolutions | null,
  ) {
    this.#session = session;
    this.decided = decided;
    this.original = original;
    this.resolutions = resolutions;
    this.#firstId = firstId;
    this.#startedAt = startedAt;
  }

  get route(): string {
    return this.decided.route.name;
  }
  get text(): string | null {
    return this.decided.text;
  }
  get plansAs(): object {
    return this.decided;
  }
  get statements(): number {
    return this.decided.statements.length;
  }
  get watched(): boolean {
    return this.decided.masks.size > 0;
  }
  get settles(): boolean {
    return this.decided.settles;
  }
  get changesIdentity(): boolean {
    return this.decided.identity;
  }
  get temporary(): Admitted['temporary'] {
    const effects = this.decided.statements.flatMap((one) => (one.kind === 'analyzed' ? one.effects : []));
    return effects.flatMap((effect) =>
      effect.kind === 'temporary' && effect.schema !== undefined
        ? [{ schema: effect.schema, name: effect.name }]
        : [],
    );
  }
  get copies(): AdmittedCopies | false {
    const copying = this.decided.statements.some((one) => one.kind === 'analyzed' && one.copy);
    return copying
      ? { direction: (index) => this.#copy(index)?.direction ?? null, plan: this.#planCopy }
      : false;
  }

  plan(columns: readonly ResultColumn[], index: number): MaskPlan | null | Refused {
    const { decided } = this;
    const foreign = decided.origins.contradiction(columns);
    if (foreign !== null) return this.#contradicted(foreign, index);
    const statement = decided.statements[index];
    const ownRows = statement?.kind === 'analyzed' && returnsRows.has(statement.statementKind);
    const plan = planMasks({
      columns,
      outputs: this.#copy(index) ? null : ownRows ? statement.outputs : columns.map(serversWords),
      masks: decided.masks,
      catalog: decided.catalog,
      key: this.#session.state.maskKey,
    });
    if (plan === null || !('contradiction' in plan)) return this.#planned(plan, index);
    return this.#contradicted(plan.contradiction, index);
  }

  #copy(index: number): Copy | undefined {
    const statement = this.decided.statements[index];
    return statement?.kind === 'analyzed' ? statement.copy : undefined;
  }

  readonly #planCopy = (
    formats: readonly ResultColumn['format'][],
    index: number,
  ): CopyPlan | null | Refused => {
    const { masks, catalog, statements } = this.decided;
    const statement = statements[index];
    if (statement?.kind !== 'analyzed' || !statement.copy) {
      return this.#contradicted('it copies where the statement does not', index);
    }
    const { copy: layout, outputs } = statement;
    const key = this.#session.state.maskKey;
    const plan = planCopy({ layout, outputs, formats, masks, catalog, key });
    if (plan !== null && 'contradiction' in plan) return this.#contradicted(plan.contradiction, index);
    return this.#planned(plan, index);
  };

  #planned<P>(plan: P | null, index: number): P | null {
    if (plan !== null) this.#session.audit.templatesFor(this.decided).masked[index] = true;
    return plan;
  }

  #contradicted(contradiction: string, index: number): Refused {
    return refusedBy(
      sessionDrift(
        `the server's description of the result contradicts the statement: ${contradiction}`,
        'sign in again; if it stays, tell the operator',
      ),
      null,
      this.#session.audit.statementId(this.#firstId + index),
    );
  }

  completed(index: number, rows: number, bytes: number, error: string | null): void {
    const { state } = this.#session;
    if (error === null) this.#session.succeeded(this, index);
    const { meters } = this.#session;
    const templates = this.#session.audit.templatesFor(this.decided);
    meters.rows.value += rows;
    meters.bytes.value += bytes;
    if (templates.masked[index]) meters.rowsMasked.value += rows;
    const template = templates.completed[index];
    if (!template) return;
    const now = state.now();
    const duration = Math.max(0, Math.round((now - this.#startedAt) * 1000));
    meters.statementSeconds.observe(duration / 1e6);
    const statement_id = this.#session.audit.statementId(this.#firstId + index);
    state.audit.defer(
      template,
      now,
      error === null
        ? { statement_id, rows, bytes, duration_us: duration }
        : { statement_id, rows, bytes, error, duration_us: duration },
    );
  }
}

/** A column of text that the server makes up: the metadata is its only witness. */
function serversWords(column: ResultColumn): Output {
  return { name: column.name, sources: [], direct: false };
}

/** Kinds whose result columns are the statement's own outputs; others (EXPLAIN, SHOW) return text of the server's. */
const returnsRows = new Set(['select', 'insert', 'update', 'delete', 'merge']);
