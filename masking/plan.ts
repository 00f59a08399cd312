/**
 * The mask plan of one result: two witnesses name where a column comes from, the syntax tree and the server's own
 * metadata. Either adds a mask, neither takes one away; where they can't both be right the result is not delivered.
 */
import type { Catalog, CatalogTable } from '../sql/catalog.ts';
import type { Output } from '../sql/statement.ts';
import { isJsonColumn } from './json.ts';
import type { JsonPart, Masker, MaskMethod, MaskPlan, ResultColumn, WholeMask } from './masker.ts';
import { maskerFor } from './methods.ts';

export interface PlanInput {
  readonly columns: readonly ResultColumn[];
  /** The statement's outputs; null when the statement has none to compare with (its rows are the server's own words). */
  readonly outputs: readonly Output[] | null;
  /** By `maskKey`. Empty: nothing is masked for this principal. */
  readonly masks: ReadonlyMap<string, MaskMethod>;
  readonly catalog: Catalog;
  /** The secret of `hash`. */
  readonly key: Uint8Array;
}

/** The witnesses can't both be right; `contradiction` names columns, never values. */
export interface Contradiction {
  readonly contradiction: string;
}

/** The key of a column in `PlanInput.masks`; names as the catalog spells them. */
export function maskKey(schema: string, table: string, column: string): string {
  return `${schema}\u0000${table}\u0000${column}`;
}

/** One entry per result column, null when nothing is masked at all. */
export function planMasks(input: PlanInput): MaskPlan | null | Contradiction {
  const { columns, outputs, masks, catalog, key } = input;
  if (masks.size === 0 || columns.length === 0) return null;
  if (outputs === null) return { contradiction: 'a result came where the statement returns none' };
  if (outputs.length !== columns.length) {
    return {
      contradiction: `the statement has ${outputs.length} output columns, the result ${columns.length}`,
    };
  }
  const plan: (Masker | null)[] = [];
  let masked = false;
  for (const [index, column] of columns.entries()) {
    const output = outputs[index];
    if (output === undefined || output.sources === 'unknown') {
      return { contradiction: `the origin of output column ${index + 1} can't be told` };
    }
    let method: MaskMethod | undefined;
    const add = (more: MaskMethod | undefined): void => {
      if (more !== undefined) method = method === undefined ? more : bothMasks(method, more);
    };
    for (const source of output.sources) {
      add(masks.get(maskKey(source.schema, source.table, source.column)));
    }
    add(fromMetadata(input, column));
    plan.push(method === undefined ? null : maskerFor(fitting(method, column, output, catalog), column, key));
    if (method !== undefined) masked = true;
  }
  return masked ? plan : null;
}

const strictest: WholeMask = { method: 'redact' };

/** What masks a value that either could be meant for: all parts of both, or nothing of the value at all. */
export function bothMasks(a: MaskMethod, b: MaskMethod): MaskMethod {
  if (JSON.stringify(a) === JSON.stringify(b)) return a;
  if (a.method !== 'json' || b.method !== 'json') return strictest;
  const parts = new Map<string, JsonPart>();
  for (const part of [...a.parts, ...b.parts]) parts.set(JSON.stringify([part.steps, part.mask]), part);
  return { method: 'json', parts: [...parts.values()] };
}

/** The method as this output may have it. */
function fitting(method: MaskMethod, column: ResultColumn, output: Output, catalog: Catalog): MaskMethod {
  if (output.quoted) return strictest;
  if (method.method === 'json' && !isJsonColumn(column, output, catalog)) return { method: 'null' };
  if (output.mixed !== true) return method;
  // A keyed hash tells whether two values are equal: never for values that whoever asks has chosen.
  const unequal = (mask: WholeMask): WholeMask => (mask.method === 'hash' ? strictest : mask);
  if (method.method !== 'json') return unequal(method);
  return { method: 'json', parts: method.parts.map((part) => ({ ...part, mask: unequal(part.mask) })) };
}

/** What the server says of the column's origin; an origin that it doesn't name adds nothing. */
function fromMetadata({ masks, catalog }: PlanInput, column: ResultColumn): MaskMethod | undefined {
  if (column.engine === 'postgres') {
    if (column.tableOid === 0) return undefined;
    const table = catalog.tableByOid(column.tableOid);
    if (table === undefined) return undefined;
    const origin = table.columns.find((one) => one.position === column.attribute);
    if (origin !== undefined) return masks.get(maskKey(table.schema, table.name, origin.name));
    return undefined;
  }
  if (column.table === '' || column.column === '') return undefined;
  const table: CatalogTable | undefined = catalog.table(column.schema, column.table);
  const folded = column.column.toLowerCase();
  const origin = table?.columns.find((one) => one.name.toLowerCase() === folded);
  return masks.get(
    maskKey(table?.schema ?? column.schema, table?.name ?? column.table, origin?.name ?? column.column),
  );
}
