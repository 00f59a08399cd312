/** Which regions a principal's roles may read and write. One single role has to satisfy a whole check. */
import type { DecisionContext, Region } from './decision.ts';
import { type Finding, listed } from './finding.ts';
import type { Locality, Policy, Role } from './model.ts';
import { fixedRegions, type Play, rowLocality } from './placement.ts';
import { rowRegions } from './predicate.ts';
import { withinAny } from './regions.ts';

interface ReachInput {
  readonly policy: Policy;
  readonly roles: readonly Role[];
  readonly context: DecisionContext;
  readonly plays: readonly Play[];
}

/** True when one role may read all of the regions. */
export function mayReadRegions(policy: Policy, roles: readonly Role[], regions: readonly Region[]): boolean {
  return roles.some((role) => regions.every((region) => withinAny(policy, region, role.readRegions)));
}

/** True when one role may write rows of the region in this table. */
export function mayWrite(policy: Policy, roles: readonly Role[], play: Play, region: Region): boolean {
  return roles.some((role) => withinAny(policy, region, role.writeRegions) && mayWriteTable(role, play));
}

/** True when one role alone may write what the table holds. */
export function roleWrites(policy: Policy, role: Role, play: Play): boolean {
  if (!mayWriteTable(role, play)) return false;
  return play.localities.every((place) => writesThere(policy, role, place));
}

function writesThere(policy: Policy, role: Role, place: Locality): boolean {
  switch (place.kind) {
    case 'global':
      return role.writesGlobal;
    case 'regional':
      return withinAny(policy, place.region, role.writeRegions);
    case 'by_row':
      return [...rowRegions(place.values)].some((region) => withinAny(policy, region, role.writeRegions));
  }
}

function mayWriteTable(role: Role, play: Play): boolean {
  return role.writeTables === null || role.writeTables.find(play.schema, play.table, false) !== null;
}

/** `region_read` for tables that are regional by table. */
export function readFindings({ policy, roles, plays }: ReachInput): readonly Finding[] {
  const regionsOf = (play: Play): readonly Region[] => [...fixedRegions(play), ...play.brought];
  const read = plays.filter((play) => play.reads && regionsOf(play).length > 0);
  const regions = [...new Set(read.flatMap(regionsOf))];
  if (mayReadRegions(policy, roles, regions)) return [];
  const names = listed(roles.map((role) => role.name));
  const play = read.find((one) => !mayReadRegions(policy, roles, regionsOf(one)));
  const message =
    play === undefined
      ? `no single role of ${names} may read ${listed(regions)} together`
      : `table ${play.name} is of region ${listed(regionsOf(play))}, which ${names} may not read`;
  return [
    {
      reason: 'region_read',
      rule: play?.rule?.id ?? null,
      message,
      hint: `ask for a role that may read ${listed(play === undefined ? regions : regionsOf(play))}`,
    },
  ];
}

/** `region_write` for every table that is written. */
export function writeFindings({ policy, roles, plays }: ReachInput): readonly Finding[] {
  const written = plays.filter((play) => play.writes && play.localities.length > 0);
  if (written.length === 0) return [];
  if (roles.some((role) => written.every((play) => roleWrites(policy, role, play)))) return [];
  const names = listed(roles.map((role) => role.name));
  const play = written.find((one) => !roles.some((role) => roleWrites(policy, role, one)));
  if (play === undefined) {
    return [
      {
        reason: 'region_write',
        rule: null,
        message: `no single role of ${names} may write ${listed(written.map((one) => one.name))} together`,
        hint: 'write them by statements of their own',
      },
    ];
  }
  const row = rowLocality(play);
  const regions = row === null ? fixedRegions(play) : [...rowRegions(row.values)];
  const global = play.localities.some((place) => place.kind === 'global');
  return [
    {
      reason: 'region_write',
      rule: play.rule?.id ?? null,
      message: global
        ? `table ${play.name} is global, and ${names} may not write global tables`
        : `table ${play.name} is of region ${listed(regions)}, and ${names} may not write it`,
      hint: global
        ? 'ask for a role with write: { global: true }'
        : `ask for a role that may write ${play.name} in ${listed(regions)}`,
    },
  ];
}
