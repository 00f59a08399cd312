/** What one table would look like to a principal, without a statement or a way: for results that name it unasked. */
import type { Catalog } from '../sql/catalog.ts';
import { maskTable } from './columns.ts';
import type { ColumnMask, Principal, Region } from './decision.ts';
import type { Policy, Role } from './model.ts';
import { fixedRegions, placeTables, rowLocality } from './placement.ts';
import { rowRegions } from './predicate.ts';
import { mayReadRegions } from './reach.ts';
import { within } from './regions.ts';
import { rolesOf } from './roles.ts';

/**
 * Every tagged column of the table that the principal could see masked, on the strictest assumptions: its rows are of
 * every region that they may be of, and they came by a transfer of masked values where there is one. Empty for tables
 * without tags, unplaced ones and the engine's own.
 */
export function masksOfTable(
  policy: Policy,
  principal: Principal,
  database: string,
  catalog: Catalog,
  schema: string,
  table: string,
): readonly ColumnMask[] {
  if (catalog.table(schema, table)?.kind === 'system') return [];
  const use = { schema, table, reads: true, writes: false, system: false, viaView: false, span: null };
  const view = catalog.table(schema, table)?.kind === 'view';
  const { plays } = placeTables(policy, database, catalog, [{ ...use, view }]);
  const roles = rolesOf(policy, principal, database);
  return plays.flatMap((play) => {
    const row = rowLocality(play);
    const regions = [...fixedRegions(play), ...(row === null ? [] : rowRegions(row.values))];
    const clearing = crossesMasked(policy, roles, regions)
      ? []
      : roles.filter((role) => mayReadRegions(policy, [role], regions));
    return maskTable(policy, play, clearing).masks;
  });
}

/** What the policy says of a table to a principal: comparable text, for one that is asked of under two policies. */
export function tableFacts(
  policy: Policy,
  principal: Principal,
  database: string,
  catalog: Catalog,
  schema: string,
  table: string,
): string {
  const use = { schema, table, reads: true, writes: false, system: false, viaView: false, span: null };
  const view = catalog.table(schema, table)?.kind === 'view';
  const { plays, findings } = placeTables(policy, database, catalog, [{ ...use, view }]);
  return JSON.stringify([
    findings.length,
    plays.map((play) =>
      play.localities.map((place) =>
        place.kind === 'by_row' ? [place.column, [...place.values.byValue], place.values] : place,
      ),
    ),
    masksOfTable(policy, principal, database, catalog, schema, table),
  ]);
}

function crossesMasked(policy: Policy, roles: readonly Role[], regions: readonly Region[]): boolean {
  return [...policy.transfers, ...roles.flatMap((role) => role.transfers)].some(
    (transfer) =>
      transfer.values === 'masked' && regions.some((region) => within(policy, region, transfer.from)),
  );
}
