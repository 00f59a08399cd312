/** What a result column holds, as far as masks can tell. Which method is legal for which kind is not said here. */
import type { ResultColumn } from './masker.ts';
import { mysqlKind } from './mysql-values.ts';
import { postgresKind } from './postgres-values.ts';
import type { ValueKind } from './value-kind.ts';

/** The kind of a column's values; `other` for every type that isn't known. */
export function kindOf(column: ResultColumn): ValueKind {
  return column.engine === 'postgres' ? postgresKind(column) : mysqlKind(column);
}
