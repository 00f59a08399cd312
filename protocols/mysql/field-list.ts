/**
 * COM_FIELD_LIST ("COM_FIELD_LIST" in the protocol manual): the columns of one table, as clients ask for to complete names. Served
 * by a query that reads no row, so that it is decided as that query is; defaults of columns are left out. No state here.
 */
import { ByteReader } from '../bytes.ts';
import { quoteName } from './client-messages.ts';

export interface FieldList {
  /** What gives the columns' definitions, and no row. */
  readonly text: string;
  /** Pattern of the columns that are asked for, `%` and `_` as in LIKE; empty: all. */
  readonly wildcard: string;
}

/** @throws ProtocolError when it names no table. */
export function readFieldList(payload: Buffer): FieldList {
  const reader = new ByteReader(payload);
  reader.skip(1);
  const table = reader.cstring();
  const rest = reader.rest();
  const wildcard = rest.subarray(0, rest.at(-1) === 0 ? -1 : rest.length).toString('utf8');
  return { text: `SELECT * FROM ${quoteName(table)} LIMIT 0`, wildcard };
}

/** A ColumnDefinition41 as this command's answer has it: with a default behind, which is NULL. */
export function withoutDefault(definition: Buffer): Buffer {
  return Buffer.concat([definition, nullValue]);
}
const nullValue = Buffer.from([0xfb]);

/** LIKE without regard to case. In time proportional to both lengths' product. */
export function matchesWildcard(name: string, wildcard: string): boolean {
  if (wildcard === '') return true;
  const text = name.toLowerCase();
  const pattern = wildcard.toLowerCase();
  let at = 0;
  let from = 0;
  /** Behind the last `%`, and where what it stands for ends. */
  let retry = -1;
  let end = 0;
  while (at < text.length) {
    if (pattern[from] === '%') {
      retry = ++from;
      end = at;
      continue;
    }
    const escaped = pattern[from] === '\\' && from + 1 < pattern.length;
    const wanted = pattern[escaped ? from + 1 : from];
    if (wanted !== undefined && ((!escaped && wanted === '_') || wanted === text[at])) {
      from += escaped ? 2 : 1;
      at++;
    } else if (retry !== -1) {
      from = retry;
      at = ++end;
    } else return false;
  }
  while (pattern[from] === '%') from++;
  return from === pattern.length;
}
