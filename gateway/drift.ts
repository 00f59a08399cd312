/** Texts that are allowed each by itself, and yet can't be run where what they mean has moved on meanwhile. */
import type { Because } from '../policy/decision.ts';
import type { Statement } from '../sql/statement.ts';
import { changesMeaning, type DecidedText, setsUnread } from './decide-text.ts';
import { sessionDrift } from './refusals.ts';

/** An earlier statement of the text changes what a later one means. */
export function movesOn(decided: DecidedText): boolean {
  const { statements } = decided;
  for (let i = 1; i < statements.length; i++) {
    const earlier = statements.slice(0, i).filter(changesMeaning);
    if (earlier.length > 0 && !standsAlone(statements[i]!, earlier, decided)) return true;
  }
  return false;
}

/**
 * Whether the statements of a text can be decided and run one after another, so that each is read with the names that those before it
 * have left. As one text they are one transaction: either there is none in them, or they are all of one.
 */
export function canGoApart({ statements }: DecidedText): boolean {
  if (statements.length < 2 || !statements.slice(0, -1).some(changesMeaning)) return false;
  const steps = statements.map(transactionStep);
  // The client's rows follow the text that they are copied by.
  if (statements.some((one) => one.kind === 'analyzed' && one.copy?.direction === 'in')) return false;
  const within = steps.slice(1, -1).every((step) => step === null);
  const none = steps[0] === null && steps.at(-1) === null;
  return within && (none || (steps[0] === 'begin' && steps.at(-1) === 'commit'));
}

/** The first statement begins a transaction. */
export function beginsTransaction({ statements }: DecidedText): boolean {
  return transactionStep(statements[0]!) === 'begin';
}

function transactionStep(statement: Statement): string | null {
  if (statement.kind !== 'analyzed') return null;
  for (const effect of statement.effects) if (effect.kind === 'transaction') return effect.action;
  return null;
}

/** What a text is refused for whose statements have to be decided one by one, where they can't be. */
export const statementsToPart: Because = sessionDrift(
  'a statement earlier in the same text changes the catalog or what names mean',
  'send the statements one by one',
);

/** Within one text or one transaction, names may come to mean something that the catalog does not know yet. */
export function driftIn(decided: DecidedText, outdated: boolean, catalogMoved: boolean): Because | null {
  if (movesOn(decided)) return statementsToPart;
  if (outdated) {
    return sessionDrift(
      "the policy has changed for tables that the session's temporary tables were filled from",
      'DISCARD TEMP, or drop the temporary tables, and fill them again',
    );
  }
  if (catalogMoved && (decided.masks.size > 0 || decided.blanks)) {
    return sessionDrift(
      'the open transaction has changed the catalog, and the statement reads a table with masked columns',
      'commit first',
    );
  }
  return null;
}

type OneStatement = DecidedText['statements'][number];

/** Nothing in it can be misread with the names of a moment ago. */
function standsAlone(
  statement: OneStatement,
  earlier: readonly OneStatement[],
  { catalog }: DecidedText,
): boolean {
  if (statement.kind !== 'analyzed') return false;
  // Even where a literal ends could be another place by then.
  if (earlier.some((one) => one.kind === 'analyzed' && one.effects.some(setsUnread))) return false;
  if (statement.statementKind === 'set' || statement.statementKind === 'transaction') return true;
  if (statement.statementKind !== 'ddl') return false;
  // A definition that takes rows, or whatever it names, from a table would take another's.
  if (statement.tables.some((use) => use.reads && !use.writes && !use.system)) return false;
  const known = statement.tables.some((use) => catalog.table(use.schema, use.table) !== undefined);
  return !known || !earlier.some((one) => movesNames(one, catalog));
}

/** A name that stands for something may stand for something else afterwards. */
function movesNames(statement: OneStatement, catalog: DecidedText['catalog']): boolean {
  return (
    statement.kind === 'analyzed' &&
    (statement.statementKind !== 'ddl' ||
      statement.effects.some((effect) => effect.kind === 'temporary') ||
      statement.tables.some((use) => catalog.table(use.schema, use.table)?.temporary))
  );
}

export const snapshotTooOld: Because = sessionDrift(
  "others have changed the catalog since the open transaction's snapshot, so names can't be resolved in it",
  'end the transaction and begin again',
);

export const catalogToRead: Because = sessionDrift(
  "the session's own catalog has to be read first",
  'try again',
);

export const catalogUnreadable: Because = sessionDrift(
  "the upstream's catalog can't be read just now, so names can't be resolved",
  'try again later',
);
