/** The condition that keeps a table's rows to permitted regions, in the engine's own dialect. */
import { type Expr, toSql } from 'pgsql-ast-parser';
import type { CatalogColumn, Engine } from '../sql/catalog.ts';
import type { Region } from './decision.ts';
import type { RowValues } from './model.ts';

/** Values that the predicate is made of. `except` stands beside NULL and every value that isn't listed. */
type Wanted =
  | { readonly kind: 'among'; readonly values: readonly string[] }
  | { readonly kind: 'except'; readonly values: readonly string[] };

/** Regions that a row of the table may be of. */
export function rowRegions(values: RowValues): ReadonlySet<Region> {
  const regions = new Set(values.byValue.values());
  if (values.otherwise !== null) regions.add(values.otherwise);
  return regions;
}

/** True when every row, whatever its value, is of a permitted region. */
export function coversEveryRow(values: RowValues, permitted: ReadonlySet<Region>): boolean {
  if (values.otherwise === null) return false;
  return [...rowRegions(values)].every((region) => permitted.has(region));
}

/** The predicate's text; null when it can't be written safely for this column. */
export function rowPredicate(
  engine: Engine,
  column: CatalogColumn,
  values: RowValues,
  permitted: ReadonlySet<Region>,
): string | null {
  const wanted = wantedValues(values, permitted);
  return engine === 'postgres' ? forPostgres(column, wanted) : forMysql(column, wanted);
}

function wantedValues(values: RowValues, permitted: ReadonlySet<Region>): Wanted {
  const entries = [...values.byValue];
  if (values.otherwise !== null && permitted.has(values.otherwise)) {
    return {
      kind: 'except',
      values: entries.filter(([, region]) => !permitted.has(region)).map(([value]) => value),
    };
  }
  return {
    kind: 'among',
    values: entries.filter(([, region]) => permitted.has(region)).map(([value]) => value),
  };
}

/** Not `char`, the one-byte type: a literal would be cut to its first letter. */
const postgresText: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name']);

function forPostgres(column: CatalogColumn, wanted: Wanted): string | null {
  // The printer escapes no quote inside a name, and one reserved word is unknown to it.
  if (/["\u0000]/.test(column.name) || column.name === 'system_user') return null;
  const ref: Expr = { type: 'ref', name: column.name };
  // As text, so that a value which is no label of an enum type compares unequal instead of failing.
  const subject: Expr = postgresText.has(column.type)
    ? ref
    : { type: 'cast', operand: ref, to: { name: 'text' } };
  const list: Expr = {
    type: 'list',
    expressions: wanted.values.map((value) => ({ type: 'string', value })),
  };
  if (wanted.kind === 'among') {
    if (wanted.values.length === 0) return null;
    return toSql.expr({ type: 'binary', op: 'IN', left: subject, right: list });
  }
  if (wanted.values.length === 0) return 'true';
  return toSql.expr({
    type: 'binary',
    op: 'OR',
    left: { type: 'unary', op: 'IS NULL', operand: ref },
    right: { type: 'binary', op: 'NOT IN', left: subject, right: list },
  });
}

const mysqlText: ReadonlySet<string> = new Set([
  'varchar',
  'char',
  'tinytext',
  'text',
  'mediumtext',
  'longtext',
  'enum',
]);

function forMysql(column: CatalogColumn, wanted: Wanted): string | null {
  if (column.name.includes('\u0000')) return null;
  const ref = `\`${column.name.replaceAll('`', '``')}\``;
  // A number compares with a string as a number, and every word is the number 0.
  const subject = mysqlText.has(column.type.toLowerCase()) ? ref : `CAST(${ref} AS CHAR)`;
  const list = wanted.values
    .map((value) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`)
    .join(', ');
  if (wanted.kind === 'among') return wanted.values.length === 0 ? null : `(${subject} IN (${list}))`;
  if (wanted.values.length === 0) return 'TRUE';
  return `((${ref} IS NULL) OR (${subject} NOT IN (${list})))`;
}
