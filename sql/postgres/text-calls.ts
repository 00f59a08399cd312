/** Calls that are told in a literal what to read or change: a query, a table, a sequence. Read as if the text named it. */
import type { FuncCall, Node } from 'libpg-query';
import type { CatalogFunction, CatalogTable } from '../catalog.ts';
import { type Column, noScope, type Value, type Walk } from './model.ts';
import { findTable, noteTable, tableColumns } from './relations.ts';
import { type Body, open } from './tree.ts';

/** Which argument is the text of a query. */
const queryArgument: ReadonlyMap<string, number> = new Map([
  ['query_to_xml', 0],
  ['query_to_xmlschema', 0],
  ['query_to_xml_and_xmlschema', 0],
  ['ts_stat', 0],
  ['ts_rewrite', 1],
]);
const tableReaders: ReadonlySet<string> = new Set([
  'table_to_xml',
  'table_to_xmlschema',
  'table_to_xml_and_xmlschema',
]);

/** What such a call reads; null when it is another function's, or its literal isn't one. `overloads` are the server's own. */
export function readByText(
  walk: Walk,
  overloads: readonly CatalogFunction[],
  call: FuncCall,
): Value[] | null {
  const name = overloads[0]!.name;
  const args = call.args ?? [];
  // Without a query it only computes.
  if (name === 'ts_rewrite' && args.length === 3) return [];
  const at = queryArgument.get(name);
  if (at === undefined && !tableReaders.has(name)) return null;
  const text = literalOf(args[at ?? 0]);
  if (text === null) return null;
  let columns: readonly Column[];
  if (at === undefined) {
    const table = relationNamed(walk, text);
    if (!table) return null;
    noteTable(walk, call, table, { reads: true, writes: false, replaceable: false });
    columns = tableColumns(walk, table, call.location);
  } else {
    const query = walk.parseQuery(text);
    if (!query) return null;
    // No place in it is one in the client's text.
    const inside = { ...walk, text: null };
    columns = inside.rows(inside, query, { scope: noScope, with: null });
  }
  walk.record.literalsMatter = true;
  for (const column of columns) walk.record.use(column, 'function');
  return [...columns];
}

/** Notes a `setval` of a named sequence to a value that comes with the text; false for any other call. */
export function setsSequence(walk: Walk, overloads: readonly CatalogFunction[], call: FuncCall): boolean {
  const [sequence, ...values] = call.args ?? [];
  if (overloads[0]!.name !== 'setval' || !values.every(isGiven)) return false;
  const text = literalOf(sequence);
  const table = text === null ? undefined : relationNamed(walk, text);
  if (table?.kind !== 'sequence') return false;
  walk.record.literalsMatter = true;
  noteTable(walk, call, table, { reads: false, writes: true, replaceable: false });
  walk.record.calls({ schema: 'pg_catalog', name: 'setval', trust: 'side_effect', kind: 'update' });
  return true;
}

/** A literal's text, cast or not. */
function literalOf(node: Node | undefined): string | null {
  if (!node) return null;
  const [kind, body] = open(node);
  if (kind === 'TypeCast') return literalOf(body.arg as Node);
  const text = kind === 'A_Const' ? (body.sval as Body | undefined)?.sval : undefined;
  return typeof text === 'string' ? text : null;
}

function isGiven(node: Node): boolean {
  const [kind, body] = open(node);
  if (kind === 'TypeCast') return isGiven(body.arg as Node);
  return kind === 'A_Const' || kind === 'ParamRef';
}

const word = String.raw`"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*`;
const relationName = new RegExp(`^(?:(${word})\\.)?(${word})$`);

/** As a cast to regclass reads it; undefined when it isn't written plainly, or there is none. */
function relationNamed(walk: Walk, text: string): CatalogTable | undefined {
  const [, schema, name] = relationName.exec(text) ?? [];
  return name === undefined ? undefined : findTable(walk, schema && bare(schema), bare(name));
}

function bare(name: string): string {
  if (name.startsWith('"')) return name.slice(1, -1).replaceAll('""', '"');
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
