/**
 * Sends a workload's statements straight to the server and through the gateway as both people, in every form, and says what was
 * refused and what came back otherwise.
 */
import {
  type Answer,
  type Form,
  openSession,
  type WorkloadSession,
  type WorkloadStatement,
} from './workload-statements.ts';
import type { MaskedColumns, Person, WorkloadWorld } from './workload-world.ts';

export interface Outcome {
  readonly person: Person;
  readonly sent: number;
  /** Statement, form and the gateway's words. */
  readonly refused: readonly { readonly name: string; readonly form: Form; readonly error: string }[];
  /** Refused, and an error of the server's own as well. */
  readonly invalid: number;
  /** Answers that are not the server's own, masked values apart. */
  readonly wrong: readonly string[];
  /** Statements whose answer had a row, or changed one. */
  readonly answered: number;
}

/** Fills a database past the gateway. Throws with the statement's first words when one fails. */
export async function fill(world: WorkloadWorld, database: string, script: readonly string[]): Promise<void> {
  const session = await openSession(world.directly(database));
  for (const text of script) {
    const { error } = await session.send(text, [], 'simple');
    if (error !== null) throw new Error(`${error}: ${text.slice(0, 120)}`);
  }
  await session.end();
}

/** Runs all statements in order, once a form, as one person, beside the server's own answers. */
export async function runWorkload(
  world: WorkloadWorld,
  database: string,
  statements: readonly WorkloadStatement[],
  person: Person,
  masked: MaskedColumns,
): Promise<Outcome> {
  const hidden = person === 'analyst' ? new Set(Object.values(masked).flat()) : new Set<string>();
  const refused: { name: string; form: Form; error: string }[] = [];
  const wrong: string[] = [];
  let sent = 0;
  let answered = 0;
  let invalid = 0;
  const mine = statements.filter((one) => person === 'administrator' || !one.administratorOnly);
  const forms = await formsOf(world, database);
  for (const form of forms) {
    const expected = await answers(await openSession(world.directly(database)), mine, form);
    const through = await openSession(await world.throughGateway(database, person));
    const found = await answers(through, mine, form);
    for (const [index, { name }] of mine.entries()) {
      const [clear, shown] = [expected[index]!, found[index]!];
      sent++;
      if (clear.rows.length > 0 || (clear.changed ?? 0) > 0) answered++;
      if (shown.refused && clear.error !== null) invalid++;
      else if (shown.refused) refused.push({ name, form, error: shown.error ?? '' });
      else {
        const complaint = differs(clear, shown, hidden);
        if (complaint !== null) wrong.push(`${name} (${form}): ${complaint}`);
      }
    }
  }
  return { person, sent, refused, invalid, wrong, answered };
}

async function formsOf(world: WorkloadWorld, database: string): Promise<readonly Form[]> {
  const session = await openSession(world.directly(database));
  await session.end();
  return session.forms;
}

async function answers(
  session: WorkloadSession,
  statements: readonly WorkloadStatement[],
  form: Form,
): Promise<readonly Answer[]> {
  const all: Answer[] = [];
  for (const one of statements) {
    // MySQL can't prepare all of these: they travel as text everywhere.
    const plain = /^(begin|start|commit|rollback|create|drop)\b/i.test(one.text);
    all.push(await session.send(one.text, one.values, plain ? 'simple' : form));
  }
  await session.end();
  return all;
}

/** What is not as the server alone would answer; values of masked columns only have to be masked. */
function differs(clear: Answer, shown: Answer, hidden: ReadonlySet<string>): string | null {
  if (clear.error !== null || shown.error !== null)
    return clear.error === shown.error ? `fails: ${clear.error}` : `${shown.error} and not ${clear.error}`;
  if (clear.columns.join() !== shown.columns.join()) return `columns ${shown.columns.join()}`;
  if (clear.changed !== shown.changed) return `${shown.changed} rows changed and not ${clear.changed}`;
  if (clear.rows.length !== shown.rows.length)
    return `${shown.rows.length} rows and not ${clear.rows.length}`;
  for (const [at, row] of clear.rows.entries()) {
    for (const [column, value] of row.entries()) {
      const other = shown.rows[at]![column];
      const isMasked = hidden.has(clear.columns[column]!);
      if (isMasked ? value !== null && value !== '' && !/^\**.\s*$/.test(other ?? '') : value !== other)
        return `row ${at}: ${clear.columns[column]} is ${other} and not ${isMasked ? 'masked' : value}`;
    }
  }
  return null;
}
