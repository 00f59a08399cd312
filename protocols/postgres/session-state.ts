/** The question that the gateway asks about a session's state, and its answer. No I/O. */
import { serialize } from 'pg-protocol';
import { readTextArray } from './array-literal.ts';

/** The effective schemas in order, those searched without being named included (manual 9.27). */
export const stateText = 'SELECT pg_catalog.current_schemas(true)';
export const stateQuery: Buffer = Buffer.from(serialize.query(stateText));

/** Reads the answer. @throws ProtocolError */
export function readPath(literal: string): readonly string[] {
  return readTextArray(literal).map((schema) => schema ?? '');
}
