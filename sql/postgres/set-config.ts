/**
 * `set_config(name, value, is_local)`: a SET in the shape of a call, as pg_dump and pools send it. Name and is_local are constants; the
 * value may be a parameter, or text put together from parameters, constants and settings.
 */
import type { Node, SelectStmt } from 'libpg-query';
import type { CatalogFunction } from '../catalog.ts';
import type { Walk } from './model.ts';
import { findTable } from './relations.ts';
import { type Body, open, stringOf } from './tree.ts';

/** Notes what the call sets; false when it is another function's, or the text does not tell which setting it is. */
export function setsNamed(
  walk: Walk,
  overloads: readonly CatalogFunction[],
  args: readonly Node[] | undefined,
): boolean {
  const own = overloads.every((fn) => fn.builtin && fn.schema === 'pg_catalog' && fn.name === 'set_config');
  if (!own || args?.length !== 3) return false;
  const [name, value, local] = args.map(constantOf);
  if (typeof name !== 'string' || typeof local !== 'boolean') return false;
  const setting = { kind: 'set', name: name.toLowerCase(), local } as const;
  if (typeof value === 'string' || value === null) walk.record.has({ ...setting, value });
  else if (isPlainText(args[1]!)) walk.record.has({ ...setting, value: '', computed: true });
  else return false;
  walk.record.literalsMatter = true;
  return true;
}

/** Made of parameters, constants and settings: no row gets into it, and no function of anybody's runs. */
function isPlainText(node: Node): boolean {
  if ('ParamRef' in node || 'A_Const' in node) return true;
  if ('TypeCast' in node) {
    const { arg, typeName } = node.TypeCast;
    const type = stringOf(typeName?.names?.at(-1));
    return type === 'text' && arg !== undefined && isPlainText(arg);
  }
  if ('FuncCall' in node) {
    const { funcname, args } = node.FuncCall;
    return stringOf(funcname?.at(-1)) === 'current_setting' && args?.every(isPlainText) === true;
  }
  if (!('A_Expr' in node)) return false;
  const { kind, name, lexpr, rexpr } = node.A_Expr;
  if (kind !== 'AEXPR_OP' || name?.length !== 1 || stringOf(name[0]) !== '||') return false;
  return [lexpr, rexpr].every((side) => side !== undefined && isPlainText(side));
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
