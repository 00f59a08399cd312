/** `set_config(name, value, is_local)` of constants: a SET in the shape of a call, as pg_dump and pools send it. */
import type { Node, SelectStmt } from 'libpg-query';
import type { CatalogFunction } from '../catalog.ts';
import type { Walk } from './model.ts';
import { findTable } from './relations.ts';
import { type Body, open, stringOf } from './tree.ts';

/** Notes what the call sets; false when it is another function's, or what it sets can't be told from the text. */
export function setsConstant(
  walk: Walk,
  overloads: readonly CatalogFunction[],
  args: readonly Node[] | undefined,
): boolean {
  const own = overloads.every((fn) => fn.builtin && fn.schema === 'pg_catalog' && fn.name === 'set_config');
  if (!own || args?.length !== 3) return false;
  const [name, value, local] = args.map(constantOf);
  if (typeof name !== 'string' || typeof local !== 'boolean') return false;
  if (typeof value !== 'string' && value !== null) return false;
  walk.record.literalsMatter = true;
  walk.record.has({ kind: 'set', name: name.toLowerCase(), value, local });
  return true;
}

function constantOf(node: Node): string | boolean | null | undefined {
  const [kind, body] = open(node);
  if (kind !== 'A_Const') return undefined;
  if (body.isnull) return null;
  if (body.sval) return String((body.sval as Body).sval ?? '');
  return body.boolval ? (body.boolval as Body).boolval === true : undefined;
}

/**
 * `SELECT set_config(name, ...) FROM pg_settings WHERE name = '...'` sets what it names where the server has such a setting: pg_dump asks
 * so. Gives the query with the name in place; null for any other.
 */
export function withNamedSetting(walk: Walk, select: SelectStmt): SelectStmt | null {
  const { targetList, fromClause, whereClause, limitOption, op, ...more } = select;
  if (Object.keys(more).length > 0 || targetList?.length !== 1 || fromClause?.length !== 1) return null;
  const [target] = targetList;
  const [from] = fromClause;
  if (!('RangeVar' in from!) || !('ResTarget' in target!) || from.RangeVar.alias) return null;
  const table = findTable(walk, from.RangeVar.schemaname, from.RangeVar.relname!);
  if (table?.schema !== 'pg_catalog' || table.name !== 'pg_settings') return null;
  const call = target.ResTarget.val;
  if (!call || !('FuncCall' in call) || !whereClause || !('A_Expr' in whereClause)) return null;
  const { kind, name: operator, lexpr, rexpr } = whereClause.A_Expr;
  if (kind !== 'AEXPR_OP' || stringOf(operator?.[0]) !== '=' || operator?.length !== 1) return null;
  const [name, ...values] = call.FuncCall.args ?? [];
  if (!isName(lexpr) || !isName(name) || typeof (rexpr && constantOf(rexpr)) !== 'string') return null;
  const val: Node = { FuncCall: { ...call.FuncCall, args: [rexpr!, ...values] } };
  return { ...select, targetList: [{ ResTarget: { ...target.ResTarget, val } }] };
}

function isName(node: Node | undefined): boolean {
  if (!node || !('ColumnRef' in node)) return false;
  const { fields } = node.ColumnRef;
  return fields?.length === 1 && stringOf(fields[0]) === 'name';
}
