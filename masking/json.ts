/** Masks parts of JSON values: which columns hold such values, in which format, and what becomes of a part. */
import type { Catalog } from '../sql/catalog.ts';
import type { Output } from '../sql/statement.ts';
import { ascii, latin } from './bytes.ts';
import { momentOf, padded } from './calendar.ts';
import { maskJson } from './json-scan.ts';
import { placesOf } from './json-tree.ts';
import type { JsonPart, Masker, ResultColumn, WholeMask } from './masker.ts';
import { kindOf } from './types.ts';

const jsonOid = 114;
const jsonbOid = 3802;
/** MYSQL_TYPE_JSON */
const mysqlJson = 0xf5;
/** The first byte of jsonb_send's output; a text follows (jsonb.c). */
const jsonbVersion = 1;

/**
 * The masker of a JSON column's parts; null for a column that can't hold JSON. `maskerOf` gives what masks strings:
 * every other part becomes JSON's null, the one mask that fits all of them. A value that is not JSON, or is nested too
 * deeply to be read, is NULL as a whole.
 */
export function jsonMasker(
  parts: readonly JsonPart[],
  column: ResultColumn,
  maskerOf: (mask: WholeMask) => Masker,
): Masker | null {
  const places = placesOf(parts, (mask) => (mask.method === 'year' ? yearOfText : maskerOf(mask)));
  const inText: Masker = { mask: (value) => maskJson(value, places) };
  if (column.engine === 'postgres') {
    if (column.typeId === jsonOid) return inText;
    if (column.typeId !== jsonbOid) return null;
    return column.format === 'text' ? inText : afterVersion(inText);
  }
  if (column.typeId === mysqlJson) return inText;
  // MariaDB's JSON is a LONGTEXT: `isJsonColumn` has looked at the catalog.
  const kind = kindOf(column);
  return kind.kind === 'text' && kind.wide ? inText : null;
}

/** The binary format of jsonb: a version, then the text. */
function afterVersion(inText: Masker): Masker {
  return {
    mask(value) {
      if (value[0] !== jsonbVersion) return null;
      const masked = inText.mask(value.subarray(1));
      return masked === null ? null : Buffer.concat([value.subarray(0, 1), masked]);
    },
  };
}

/** `1980-05-17` and `1980-05-17T10:20:30.5Z`, the ways JSON has to say a date; the zone does not stay. */
const yearOfText: Masker = {
  mask(value) {
    if (value.length > 40) return null;
    const found =
      /^(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/.exec(
        latin(value),
      );
    if (found === null) return null;
    const [, date = '', between, time, zone] = found;
    const moment = momentOf(time === undefined ? date : `${date} ${time}`);
    if (moment === null) return null;
    const day = `${padded(moment.year, 4)}-01-01`;
    return ascii(time === undefined ? day : `${day}${between}00:00:00${zone === undefined ? '' : 'Z'}`);
  },
};

/**
 * Whether the column is of a type that JSON is kept in. MariaDB says LONGTEXT where the table says JSON, so there it is
 * asked of the catalog, for every source.
 */
export function isJsonColumn(column: ResultColumn, { sources }: Output, catalog: Catalog): boolean {
  if (column.engine === 'postgres') return column.typeId === jsonOid || column.typeId === jsonbOid;
  if (column.typeId === mysqlJson) return true;
  if (!catalog.isMariaDb || sources === 'unknown' || sources.length === 0) return false;
  return sources.every(({ schema, table, column: name }) =>
    catalog.table(schema, table)?.columns.some((one) => one.name === name && one.type === 'longtext'),
  );
}
