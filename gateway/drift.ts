/** Texts that are allowed each by itself, and yet can't be run where what they mean has moved on meanwhile. */
import type { Because } from '../policy/decision.ts';
import { changesMeaning, type DecidedText } from './decide-text.ts';
import { sessionDrift } from './refusals.ts';

/** Within one text or one transaction, names may come to mean something that the catalog does not know yet. */
export function driftIn(decided: DecidedText, outdated: boolean, catalogMoved: boolean): Because | null {
  const { statements } = decided;
  for (let i = 1; i < statements.length; i++) {
    const earlier = statements.slice(0, i).some(changesMeaning);
    if (earlier && !isSessionOnly(statements[i]!)) {
      return sessionDrift(
        'a statement earlier in the same text changes the catalog or what names mean',
        'send the statements one by one',
      );
    }
  }
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

/** Nothing in it can be misread with the names of a moment ago. */
function isSessionOnly(statement: DecidedText['statements'][number]): boolean {
  return (
    statement.kind === 'analyzed' &&
    (statement.statementKind === 'set' ||
      statement.statementKind === 'transaction' ||
      statement.statementKind === 'ddl')
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
