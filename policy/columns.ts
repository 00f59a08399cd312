/** Which columns of the tables in play this principal sees masked, and what the statement may do with them. */
import type { MaskMethod, WholeMask } from '../masking/masker.ts';
import type { Analyzed, Clause, ColumnRef, Output } from '../sql/statement.ts';
import type { ColumnMask, Region } from './decision.ts';
import type { Finding } from './finding.ts';
import { covers } from './json-path.ts';
import type { NamedMask, Policy, Role } from './model.ts';
import { fixedRegions, type Play, rowLocality, type TaggedParts } from './placement.ts';
import { roleWrites } from './reach.ts';
import { withinAny } from './regions.ts';
import type { Route } from './residency.ts';

/** The columns that are masked, with the rule ids that say so. */
export interface Masks {
  readonly list: readonly ColumnMask[];
  readonly rules: readonly string[];
}

const unnamed: NamedMask = { pattern: '', method: { method: 'redact' } };

/**
 * Every tagged column of the tables in play that no role clears. A role clears only what it may itself read: a
 * `clear` for one region doesn't lift the mask of another that a second role opens.
 */
export function masksFor(
  policy: Policy,
  roles: readonly Role[],
  plays: readonly Play[],
  route: Route | null,
): Masks {
  const list: ColumnMask[] = [];
  const rules = new Set<string>();
  for (const play of plays) {
    if (play.tags.size === 0) continue;
    const regions = regionsOf(play, route);
    const crossedMasked = route !== null && regions.some((region) => route.masked.has(region));
    const clearing = crossedMasked
      ? []
      : roles.filter((role) => regions.every((region) => withinAny(policy, region, role.readRegions)));
    const table = maskTable(policy, play, clearing);
    list.push(...table.masks);
    for (const rule of table.rules) rules.add(rule);
  }
  return { list, rules: [...rules] };
}

/** One table's tagged columns that none of the roles which may see its values clears. */
export function maskTable(
  policy: Policy,
  play: Play,
  clearing: readonly Role[],
): { readonly masks: readonly ColumnMask[]; readonly rules: readonly string[] } {
  const masks: ColumnMask[] = [];
  const rules: string[] = [];
  const clears = (tags: readonly string[]): boolean =>
    clearing.some((role) => tags.every((tag) => role.clear.find(tag) !== null));
  for (const [column, all] of play.tags) {
    if (clears(all)) continue;
    const parts = play.parts.get(column);
    const asWhole = parts === undefined || (parts.whole.length > 0 && !clears(parts.whole));
    const found = asWhole ? null : maskedParts(policy, parts, clears);
    const tags = found?.tags ?? all;
    const tag = tags.find((one) => !clears([one])) ?? tags[0];
    if (tag === undefined) continue;
    const named = tags.map((one) => policy.masks.find(one) ?? unnamed);
    const mask = found?.mask ?? strictest(named.map((one) => one.method));
    masks.push({ schema: play.schema, table: play.table, column, tag, mask });
    rules.push(...named.map((one) => (one.pattern === '' ? 'masks' : `masks.${one.pattern}`)));
  }
  return { masks, rules };
}

/**
 * The parts of a column that stay masked for somebody who sees the rest of it. A part is shown when one role clears its
 * tag and the tags of all that it may stand in.
 */
function maskedParts(
  policy: Policy,
  { whole, parts }: TaggedParts,
  clears: (tags: readonly string[]) => boolean,
): { readonly tags: readonly string[]; readonly mask: MaskMethod } {
  const masked = parts.filter((part) => {
    const around = parts.filter((outer) => covers(outer.steps, part.steps));
    return !clears([...whole, ...around.map((outer) => outer.tag)]);
  });
  return {
    tags: [...new Set(masked.map((part) => part.tag))],
    mask: {
      method: 'json',
      parts: masked.map(({ path, steps, tag }) => ({
        path,
        steps,
        mask: (policy.masks.find(tag) ?? unnamed).method,
      })),
    },
  };
}

function regionsOf(play: Play, route: Route | null): readonly Region[] {
  const rows = route?.rows.get(play);
  const row = rowLocality(play);
  const byRow = rows ?? (row !== null && play.reads ? new Set(row.values.byValue.values()) : []);
  return [...fixedRegions(play), ...byRow];
}

/** One method when all agree, else nothing of the value at all. */
function strictest(methods: readonly WholeMask[]): WholeMask {
  const [first, ...others] = methods;
  if (first === undefined) return { method: 'redact' };
  const same = JSON.stringify(first);
  return others.every((other) => JSON.stringify(other) === same) ? first : { method: 'redact' };
}

const clauseWords: Readonly<Record<Clause, string>> = {
  output: 'the output',
  expression: 'an expression',
  where: 'WHERE',
  join: 'a join condition',
  group_by: 'GROUP BY',
  having: 'HAVING',
  order_by: 'ORDER BY',
  distinct: 'DISTINCT',
  set_operation: 'UNION, INTERSECT or EXCEPT',
  aggregate: 'an aggregate',
  window: 'a window',
  function: 'a function argument',
  whole_row: 'a whole-row reference',
  subquery: 'a subquery that shapes rows',
  limit: 'LIMIT',
  write: 'a written value',
  conflict: 'ON CONFLICT',
  key: 'a key',
};

/** Uses of masked columns other than as plain output columns: `masked_use`, `masked_write`. */
export function useFindings(statement: Analyzed, masks: readonly ColumnMask[]): readonly Finding[] {
  if (masks.length === 0) return [];
  const masked = new Map(masks.map((mask) => [refKey(mask), mask]));
  const findings: Finding[] = [];
  const said = new Set<string>();
  for (const use of statement.columns) {
    if (use.clause === 'output') continue;
    const mask = masked.get(refKey(use));
    if (mask === undefined || said.has(`${use.clause}\u0000${refKey(use)}`)) continue;
    said.add(`${use.clause}\u0000${refKey(use)}`);
    const name = `${mask.table}.${mask.column}`;
    const reason = use.clause === 'write' ? 'masked_write' : 'masked_use';
    findings.push({
      reason,
      rule: `masks.${mask.tag}`,
      message:
        reason === 'masked_write'
          ? `column ${name} (${mask.tag}) is masked for you and can't be the source of a written value`
          : `column ${name} (${mask.tag}) is masked for you and can't be used in ${clauseWords[use.clause]}`,
      hint: wayOut(mask),
    });
  }
  for (const output of statement.outputs) {
    const finding = outputFinding(output, masked);
    if (finding !== null && (findings.length === 0 || output.sources === 'unknown')) findings.push(finding);
  }
  return findings;
}

function outputFinding(output: Output, masked: ReadonlyMap<string, ColumnMask>): Finding | null {
  if (output.sources === 'unknown') {
    const any = masked.values().next().value;
    if (any === undefined) return null;
    return {
      reason: 'masked_use',
      rule: `masks.${any.tag}`,
      message: `it can't be told which columns the output ${output.name} is made of, and ${any.table}.${any.column} (${any.tag}) is masked for you`,
      hint: 'name the columns that you want as plain output columns',
    };
  }
  if (output.direct) return null;
  for (const source of output.sources) {
    const mask = masked.get(refKey(source));
    if (mask === undefined) continue;
    return {
      reason: 'masked_use',
      rule: `masks.${mask.tag}`,
      message: `column ${mask.table}.${mask.column} (${mask.tag}) is masked for you and can't be used in an expression: the output ${output.name} is made of it`,
      hint: wayOut(mask),
    };
  }
  return null;
}

function wayOut(mask: ColumnMask): string {
  return `select ${mask.column} as a plain output column (it arrives masked), or ask for a role that clears ${mask.tag}`;
}

/** Tagged columns that get a new value from someone whose values have to be masked on their way in. */
export function writtenFindings(
  policy: Policy,
  roles: readonly Role[],
  statement: Analyzed,
  plays: readonly Play[],
  route: Route | null,
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const play of plays) {
    if (!play.writes || play.tags.size === 0) continue;
    const crossedMasked = route !== null && fixedRegions(play).some((region) => route.masked.has(region));
    const writers = roles.filter((role) => roleWrites(policy, role, play));
    for (const ref of statement.written) {
      if (ref.schema !== play.schema || ref.table !== play.table) continue;
      const tags = play.tags.get(ref.column) ?? [];
      const tag = tags.find(
        (one) =>
          crossedMasked ||
          (writers.length > 0 && writers.every((role) => role.maskOnWrite.find(one) !== null)),
      );
      if (tag === undefined) continue;
      findings.push({
        reason: 'masked_write',
        rule: writers[0] === undefined ? null : `roles.${writers[0].name}.mask_on_write`,
        message: `column ${play.table}.${ref.column} (${tag}) may be written masked only, and masking on the way in is not supported`,
        hint: `leave ${ref.column} out, or ask for a role that may write ${tag} as it is`,
      });
    }
  }
  return findings;
}

/** The column's key in lookups. */
function refKey(ref: ColumnRef): string {
  return `${ref.schema}\u0000${ref.table}\u0000${ref.column}`;
}
