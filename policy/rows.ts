/** References to tables that are regional by row, cut down to their permitted rows. */
import type { Engine } from '../sql/catalog.ts';
import type { Rewrite } from './decision.ts';
import type { Finding } from './finding.ts';
import { type Play, rowLocality } from './placement.ts';
import { coversEveryRow, rowPredicate } from './predicate.ts';
import type { Route } from './residency.ts';

/** One rewrite for each reference; `row_region` where a reference can't be replaced. */
export function rewriteRows(
  engine: Engine,
  plays: readonly Play[],
  route: Route | null,
): { readonly rewrites: readonly Rewrite[]; readonly findings: readonly Finding[] } {
  const rewrites: Rewrite[] = [];
  const findings: Finding[] = [];
  for (const play of plays) {
    const locality = rowLocality(play);
    const permitted = route?.rows.get(play);
    if (locality === null || permitted === undefined || permitted.size === 0) continue;
    if (coversEveryRow(locality.values, permitted)) continue;
    const refuse = (why: string): void => {
      findings.push({
        reason: 'row_region',
        rule: play.rule?.id ?? null,
        message: `${play.name} can't be restricted to your regions' rows here: ${why}`,
        hint: `name ${play.name} itself in the FROM clause of a plain SELECT`,
      });
    };
    if (play.localities.length > 1) {
      refuse('some of its partitions are placed elsewhere');
      continue;
    }
    const folded = locality.column.toLowerCase();
    const column =
      play.known?.columns.find((one) => one.name === locality.column) ??
      (engine === 'mysql' ? play.known?.columns.find((one) => one.name.toLowerCase() === folded) : undefined);
    if (column === undefined) {
      refuse(`it has no column ${locality.column}, which the policy says names each row's region`);
      continue;
    }
    const predicate = rowPredicate(engine, column, locality.values, permitted);
    if (predicate === null) {
      refuse(`no condition on its column ${column.name} can be written`);
      continue;
    }
    for (const use of play.uses) {
      if (!use.reads) continue;
      if (use.span === null || use.writes || use.viaView) {
        refuse(use.viaView ? 'it is read inside a view or function' : "the reference can't be replaced");
        break;
      }
      rewrites.push({
        start: use.span.start,
        end: use.span.end,
        aliased: use.span.aliased,
        ...(use.span.fence === undefined ? {} : { fence: use.span.fence }),
        ...(use.span.qualifiers === undefined ? {} : { qualifiers: use.span.qualifiers }),
        schema: play.schema,
        table: play.table,
        predicate,
        ...(use.span.columns === undefined
          ? {}
          : { columns: use.span.columns.map((name) => ({ name, blank: false })) }),
      });
    }
  }
  return { rewrites: rewrites.toSorted((a, b) => a.start - b.start), findings };
}
