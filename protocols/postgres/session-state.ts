/** The questions that the gateway asks on a session's own connection, and what their answers say. No I/O. */
import { serialize } from 'pg-protocol';
import type { OwnContents } from '../../sql/catalog.ts';
import { ProtocolError } from '../bytes.ts';
import { readTextArray } from './array-literal.ts';
import { catalogTexts, catalogTextsCount, readContents } from './catalog-queries.ts';

/** The effective schemas in order, those searched without being named included (manual 9.27), and how long a snapshot lasts. */
export const stateText =
  "SELECT pg_catalog.current_schemas(true), pg_catalog.current_setting('transaction_isolation')";
const stateQuery: Buffer = Buffer.from(serialize.query(stateText));

/** pg_temp is named, or a temporary relation would come before a system catalog of its name. */
const reading = [
  'SET LOCAL search_path = pg_catalog, pg_temp',
  "SET LOCAL statement_timeout = '60s'",
  'SET LOCAL quote_all_identifiers = off',
  ...catalogTexts('users'),
];

/**
 * Definitions are read as they are now, names as of the snapshot: what others drop meanwhile makes the server fail ("could not open
 * relation with OID"), and so does a deadlock with their DDL. A later read does not.
 */
export const readAttemptsMax = 8;

/** With the state, what this session sees. The settings that it takes are gone again before the server reports any. */
const alone = ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', ...reading, 'COMMIT', stateText];
const undo = ['ROLLBACK TO SAVEPOINT cordon_catalog', 'RELEASE SAVEPOINT cordon_catalog'];
const within = ['SAVEPOINT cordon_catalog', ...reading, ...undo, stateText];

const query = (texts: readonly string[]): Buffer => Buffer.from(serialize.query(texts.join('; ')));
const readAlone = query(alone);
const readAloneAgain = query(['ROLLBACK', ...alone]);
const readWithin = query(within);
const readWithinAgain = query([...undo, ...within]);

/** The Query to send: `catalog` reads what the session sees as well. `again`: the one before has failed. */
export function stateQuestion(catalog: boolean, inTransaction: boolean, again = false): Buffer {
  if (!catalog) return stateQuery;
  if (inTransaction) return again ? readWithinAgain : readWithin;
  return again ? readAloneAgain : readAlone;
}

/** A session's state as the server tells it. */
export interface ReadState {
  /** The array literal of the effective schemas. */
  readonly literal: string;
  readonly path: readonly string[];
  /** A transaction keeps the snapshot of its first statement: what others commit meanwhile can't be read. */
  readonly fixedSnapshot: boolean;
  readonly catalog: OwnContents | null;
}

/**
 * Reads the answers of a question, one list of rows for each of its statements.
 * @param inTransaction as the question was asked
 * @throws ProtocolError
 */
export function readState(
  answers: readonly (readonly (readonly (string | null)[])[])[],
  inTransaction = false,
): ReadState {
  const behind = answers.length - (inTransaction ? undo.length : 1) - 1;
  const [literal, isolation] = answers.at(-1)?.[0] ?? [];
  if (literal === null || literal === undefined || isolation === undefined) {
    throw new ProtocolError('no session state');
  }
  return {
    literal,
    path: readTextArray(literal).map((schema) => schema ?? ''),
    fixedSnapshot: isolation !== 'read committed' && isolation !== 'read uncommitted',
    catalog: answers.length === 1 ? null : readContents(answers.slice(behind - catalogTextsCount, behind)),
  };
}
