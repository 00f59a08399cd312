/**
 * What one PostgreSQL session has put under names by SQL's PREPARE, as far as the server has said so, and what an EXECUTE of
 * one of them comes to. No I/O. Statements of the protocol share the names; what these hold is the protocol's business.
 */
import type { Refuse } from '../policy/decision.ts';
import type { Analyzed, Statement } from '../sql/statement.ts';
import type { DecidedText } from './decide-text.ts';
import { sessionDrift } from './refusals.ts';
import { Resolutions } from './resolutions.ts';

/** One PREPARE that the server has run. */
export interface SqlPrepared {
  /** The PREPARE as the client wrote it. */
  readonly text: string;
  /** What was sent in its place; null: the text itself. */
  readonly sent: string | null;
  readonly upstream: string;
  readonly resolutions: Resolutions;
}

/** Longer names are cut by the server (NAMEDATALEN): two of them may be the same to it. UTF-8 bytes. */
const nameBytesMax = 63;

export class SqlStatements {
  readonly #max: number;
  readonly #kept = new Map<string, SqlPrepared>();
  /** A PREPARE was admitted, and nothing after it is known to come after its answer. */
  #making = false;
  readonly #executed = new WeakMap<DecidedText, { readonly of: SqlPrepared; readonly as: DecidedText }>();

  constructor(max: number) {
    this.#max = max;
  }

  /** A text goes to the server. */
  admitted(decided: DecidedText): void {
    if (decided.prepares) this.#making = true;
  }

  /** The server has answered everything that was sent before. */
  settled(): void {
    this.#making = false;
  }

  /** Statement `index` of a text succeeded. */
  completed(decided: DecidedText, index: number, text: string): void {
    const statement = decided.statements[index];
    if (statement?.kind !== 'analyzed') return;
    // Code that the server runs may release names and make them anew.
    if (statement.statementKind === 'do' || statement.statementKind === 'call') this.#kept.clear();
    const { byName } = statement;
    if (byName === undefined || byName.action === 'execute') return;
    if (byName.name === null) this.#kept.clear();
    else this.forget(byName.name);
    // The texts of others beside it would have to be taken out of what was sent.
    const whole = byName.action === 'prepare' && decided.statements.length === 1;
    if (!whole || isCut(byName.name) || this.#kept.size >= this.#max) return;
    const resolutions = new Resolutions(decided);
    this.#kept.set(byName.name, { text, sent: decided.text, upstream: decided.route.name, resolutions });
  }

  /** The name may come to stand for something else. */
  forget(name: string): void {
    if (isCut(name)) this.#kept.clear();
    else this.#kept.delete(name);
  }

  /** What a text runs by an EXECUTE; undefined: nothing, or nothing that is known for certain. */
  executedBy(decided: DecidedText): SqlPrepared | undefined {
    const only = decided.statements.length === 1 ? decided.statements[0] : undefined;
    if (this.#making || only?.kind !== 'analyzed' || only.byName?.action !== 'execute') return undefined;
    return this.#kept.get(only.byName.name);
  }

  /** `decide`, but once for as long as the decision of the EXECUTE's own text holds. */
  remember(
    decided: DecidedText,
    prepared: SqlPrepared,
    decide: () => DecidedText | null,
  ): DecidedText | null {
    const known = this.#executed.get(decided);
    if (known?.of === prepared) return known.as;
    const as = decide();
    if (as !== null) this.#executed.set(decided, { of: prepared, as });
    return as;
  }
}

function isCut(name: string): boolean {
  return Buffer.byteLength(name) > nameBytesMax;
}

/**
 * An EXECUTE and what was prepared, as one statement: the prepared one with the arguments' calls. EXPLAIN EXECUTE stays an EXPLAIN, and
 * CREATE TABLE AS EXECUTE writes whatever is used.
 */
export function executedStatement(execute: Statement, prepared: Statement): Statement {
  if (execute.kind === 'opaque') return execute;
  if (prepared.kind === 'opaque') return prepared;
  const { byName } = prepared;
  if (byName?.action !== 'prepare' || !execute.byName) throw new Error('not a PREPARE and its EXECUTE');
  const direct = execute.statementKind === 'prepare';
  const stores = execute.statementKind === 'ddl';
  const merged: Analyzed = {
    ...prepared,
    shape: execute.shape,
    byName: execute.byName!,
    statementKind: direct ? byName.runs : execute.statementKind,
    columns: [
      ...prepared.columns,
      ...(stores ? prepared.columns.map((use) => ({ ...use, clause: 'write' as const })) : []),
      ...execute.columns,
    ],
    tables: [...prepared.tables, ...execute.tables],
    outputs: direct ? prepared.outputs : execute.outputs,
    functions: [...prepared.functions, ...execute.functions],
    effects: [
      ...prepared.effects.filter((effect) => effect.kind !== 'sql_prepare'),
      ...execute.effects.filter(
        (effect) =>
          effect.kind !== 'sql_execute' && !(effect.kind === 'channel' && effect.channel === 'dynamic_sql'),
      ),
    ],
  };
  return merged;
}

/** The decision of an EXECUTE as it is run: by the prepared text, which the server already has. */
export function asExecuted(decided: DecidedText, prepared: SqlPrepared): DecidedText {
  const executed = { ...decided, text: null, executes: prepared };
  if (!decided.allowed || (decided.text === prepared.sent && prepared.resolutions.holds(decided)))
    return executed;
  const because = sessionDrift(
    'what was prepared under this name was made under other rules, or when names meant other tables',
    'DEALLOCATE it and PREPARE it again',
  );
  return {
    ...executed,
    allowed: false,
    decisions: decided.decisions.map(
      ({ statementKinds, tables, regionsRead, regionsWritten, roles, policyVersion }): Refuse => ({
        ...{ effect: 'refuse', statementKinds, tables, regionsRead, regionsWritten, roles, policyVersion },
        ...{ route: decided.route.name, because },
      }),
    ),
  };
}
