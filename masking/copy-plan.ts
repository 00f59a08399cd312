/**
 * The mask plan of a COPY to the client. The server names no column there, so the statement is the only witness of
 * where each one comes from, and the catalog of its type.
 */
import type { Catalog } from '../sql/catalog.ts';
import type { Copy, Output } from '../sql/statement.ts';
import type { CopyPlan, ResultColumn } from './masker.ts';
import { type Contradiction, type PlanInput, planMasks } from './plan.ts';

/** As `PlanInput`, for a stream: `formats` has one entry per column, as CopyOutResponse gives them. */
export interface CopyPlanInput extends Pick<PlanInput, 'masks' | 'catalog' | 'key'> {
  readonly layout: Copy;
  readonly outputs: readonly Output[];
  readonly formats: readonly ResultColumn['format'][];
}

/** null when nothing is masked. */
export function planCopy(input: CopyPlanInput): CopyPlan | null | Contradiction {
  const { layout, outputs, formats, masks, catalog, key } = input;
  const format = layout.format === 'binary' ? 'binary' : 'text';
  if (masks.size > 0 && formats.some((one) => one !== format)) {
    return { contradiction: `the stream is not in the ${format} format` };
  }
  const columns = formats.map(
    (_one, index): ResultColumn => ({
      engine: 'postgres',
      name: outputs[index]?.name ?? '',
      typeId: typeOf(outputs[index], catalog),
      tableOid: 0,
      attribute: 0,
      schema: '',
      table: '',
      column: '',
      format,
      collation: 0,
      flags: 0,
    }),
  );
  const plan = planMasks({ columns, outputs, masks, catalog, key });
  if (plan === null || 'contradiction' in plan) return plan;
  const { forceQuote } = layout;
  const quoted = outputs.map(({ name }) => forceQuote === 'all' || forceQuote.includes(name));
  return { layout, columns: plan, quoted };
}

/** The type that all sources have; 0, which has no legal mask but NULL, when they differ or can't be told. */
function typeOf(output: Output | undefined, catalog: Catalog): number {
  if (output === undefined || output.sources === 'unknown') return 0;
  const types = new Set(
    output.sources.map(
      ({ schema, table, column }) =>
        catalog.table(schema, table)?.columns.find((one) => one.name === column)?.typeId ?? 0,
    ),
  );
  const [first, ...others] = types;
  return others.length === 0 ? (first ?? 0) : 0;
}
