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
const before = reading.length - catalogTextsCount + 1;

/** With the state, what this session sees. The settings that it takes are gone again before the server reports any. */
const readAlone: Buffer = Buffer.from(
  serialize.query(
    ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', ...reading, 'COMMIT', stateText].join('; '),
  ),
);
const readInTransaction: Buffer = Buffer.from(
  serialize.query(
    [
      'SAVEPOINT cordon_catalog',
      ...reading,
      'ROLLBACK TO SAVEPOINT cordon_catalog',
      'RELEASE SAVEPOINT cordon_catalog',
      stateText,
    ].join('; '),
  ),
);

/** The Query to send: `catalog` reads what the session sees as well. */
export function stateQuestion(catalog: boolean, inTransaction: boolean): Buffer {
  if (!catalog) return stateQuery;
  return inTransaction ? readInTransaction : readAlone;
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

/** Reads the answers of a question, one list of rows for each of its statements. @throws ProtocolError */
export function readState(answers: readonly (readonly (readonly (string | null)[])[])[]): ReadState {
  const [literal, isolation] = answers.at(-1)?.[0] ?? [];
  if (literal === null || literal === undefined || isolation === undefined) {
    throw new ProtocolError('no session state');
  }
  return {
    literal,
    path: readTextArray(literal).map((schema) => schema ?? ''),
    fixedSnapshot: isolation !== 'read committed' && isolation !== 'read uncommitted',
    catalog: answers.length === 1 ? null : readContents(answers.slice(before, before + catalogTextsCount)),
  };
}
