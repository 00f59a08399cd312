/** `set_config(name, value, is_local)` of constants: a SET in the shape of a call, as pg_dump and pools send it. */
import type { Node } from 'libpg-query';
import type { CatalogFunction } from '../catalog.ts';
import type { Walk } from './model.ts';
import { type Body, open } from './tree.ts';

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
