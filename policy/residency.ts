/**
 * May these roles touch these regions, and which upstream does the statement go to: the path check over upstream,
 * gateway, client and movement, and the choice among a database's upstreams.
 */
import { cheapestWay, inward, moved, outward, type Step, type Way } from './crossing.ts';
import type { DecisionContext, Region, RouteOption } from './decision.ts';
import { type Finding, listed } from './finding.ts';
import type { Policy, Role, Transfer } from './model.ts';
import { fixedRegions, type Play, rowLocality } from './placement.ts';
import { coversEveryRow, rowRegions } from './predicate.ts';
import { mayReadRegions, mayWrite, readFindings, writeFindings } from './reach.ts';
import { within } from './regions.ts';

/** The upstream that was chosen, and what the way there costs. */
export interface Route {
  readonly option: RouteOption;
  /** Regions of the rows that may be read, for each table that is regional by row. */
  readonly rows: ReadonlyMap<Play, ReadonlySet<Region>>;
  readonly read: readonly Region[];
  readonly written: readonly Region[];
  readonly transfers: readonly Transfer[];
  /** Regions whose tagged columns are masked because they crossed by a transfer of masked values. */
  readonly masked: ReadonlySet<Region>;
  readonly needsApproval: boolean;
}

export interface RoutingInput {
  readonly policy: Policy;
  readonly roles: readonly Role[];
  readonly context: DecisionContext;
  readonly plays: readonly Play[];
  /** The statement may change something: a replica won't do. */
  readonly changes: boolean;
  /** Tables that are the object of DDL or maintenance: all their rows are treated alike and none is shown. */
  readonly whole: ReadonlySet<Play>;
  readonly now: number;
}

export interface Routing {
  readonly route: Route | null;
  /** Why there is no route, or why the one that was tried won't do; empty when all holds. */
  readonly findings: readonly Finding[];
}

/** Checks the regions and chooses the upstream. `findings` is empty exactly when the route may be used. */
export function routeStatement(input: RoutingInput): Routing {
  const { context, plays } = input;
  const findings: Finding[] = [...readFindings(input), ...writeFindings(input)];
  const options = context.routes.filter((option) => !input.changes || option.kind === 'primary');
  const reachable =
    context.pinned === null ? options : options.filter((option) => option.upstream === context.pinned);
  const tried = reachable.map((option) => tryOption(input, option));
  const held = tried.filter((attempt) => attempt.findings.length === 0);
  const best = held.toSorted(compareAttempts)[0];
  if (best !== undefined) return { route: best.route, findings };
  if (options.length === 0) {
    findings.push({
      reason: 'path_upstream',
      rule: null,
      message: `database ${context.database} has no primary upstream that could take a change`,
      hint: 'add a primary upstream to the database in cordon.yaml',
    });
    return { route: null, findings };
  }
  const elsewhere = options
    .filter((option) => !reachable.includes(option))
    .find((option) => tryOption(input, option).findings.length === 0);
  if (elsewhere !== undefined) {
    findings.push({
      reason: 'region_split',
      rule: null,
      message: `${listed(plays.map((play) => play.name))} would go to upstream ${elsewhere.upstream}, but the open transaction holds ${context.pinned}`,
      hint: 'end the transaction first: one transaction stays on one upstream',
    });
    return { route: null, findings };
  }
  const pastUpstream = tried.find((attempt) => attempt.atHome);
  if (pastUpstream !== undefined) {
    findings.push(...pastUpstream.findings);
    return { route: pastUpstream.route, findings };
  }
  findings.push(nowhere(input, reachable));
  // What else is wrong with the path doesn't depend on the upstream.
  findings.push(...(tried[0]?.findings.filter((finding) => finding.reason !== 'path_upstream') ?? []));
  return { route: null, findings };
}

interface Attempt {
  readonly route: Route;
  readonly findings: readonly Finding[];
  /** The upstream itself is at home for every table. */
  readonly atHome: boolean;
  readonly rowRegionCount: number;
  readonly cost: number;
}

/** More permitted row regions first, then the cheaper way; the sort is stable, so that the file's order decides last. */
function compareAttempts(a: Attempt, b: Attempt): number {
  return b.rowRegionCount - a.rowRegionCount || a.cost - b.cost;
}

function tryOption(input: RoutingInput, option: RouteOption): Attempt {
  const { policy, roles, context, plays, now } = input;
  const { gateway, client } = context.path;
  const findings: Finding[] = [];
  const ways: Way[] = [];
  const read = distinct(
    plays.filter((play) => play.reads).flatMap((play) => [...fixedRegions(play), ...play.brought]),
  );
  const written = distinct(plays.filter((play) => play.writes).flatMap(fixedRegions));

  const upstreamWay = cheapestWay(
    policy,
    roles,
    read.map((region) => outward(region, option.region)),
    now,
  );
  const strayWrite = written.find((region) => !within(policy, option.region, region));
  const atHome = !('blocked' in upstreamWay) && strayWrite === undefined;
  if (!atHome) {
    findings.push(
      pathFinding('path_upstream', 'blocked' in upstreamWay ? upstreamWay.blocked.data : strayWrite, {
        end: `upstream ${option.upstream}`,
        region: option.region,
      }),
    );
  }
  const ends = [
    { reason: 'path_gateway', end: 'the gateway', region: gateway },
    { reason: 'path_client', end: 'the client', region: client },
  ] as const;
  const check = (reason: Finding['reason'], end: End, steps: readonly Step[]): void => {
    const way = cheapestWay(policy, roles, steps, now);
    if ('blocked' in way) findings.push(pathFinding(reason, way.blocked.data, end));
    else ways.push(way);
  };
  if (!('blocked' in upstreamWay)) ways.push(upstreamWay);
  for (const end of ends) {
    check(end.reason, end, [
      ...read.map((region) => outward(region, end.region)),
      ...written.map((region) => inward(end.region, region)),
    ]);
  }
  const movement = cheapestWay(
    policy,
    roles,
    read.flatMap((from) => written.map((to) => moved(from, to))),
    now,
  );
  if ('blocked' in movement) findings.push(movementFinding(movement.blocked));
  else ways.push(movement);

  const rows = new Map<Play, ReadonlySet<Region>>();
  const rowsWritten = new Set<Region>();
  let wholeAtHome = atHome;
  for (const play of plays) {
    const locality = rowLocality(play);
    if (locality === null) continue;
    const candidates = rowRegions(locality.values);
    if (play.reads) {
      const permitted = new Set<Region>();
      let blockedBy: Finding | null = null;
      for (const region of candidates) {
        if (!mayReadRegions(policy, roles, [region])) continue;
        const judged = judgeRowRegion(input, option, region, written);
        if ('reason' in judged) {
          // Of several regions that fail, the one that the upstream is at home for says most.
          if (blockedBy === null || judged.reason !== 'path_upstream') blockedBy = judged;
          continue;
        }
        permitted.add(region);
        ways.push(judged);
      }
      rows.set(play, permitted);
      if (permitted.size === 0) {
        findings.push(noRows(play, roles, blockedBy));
        if (blockedBy !== null) findings.push(blockedBy);
        if (blockedBy?.reason === 'path_upstream') wholeAtHome = false;
      }
    }
    if (play.writes) {
      const otherRows = plays.some((one) => one !== play && one.reads && rowLocality(one) !== null);
      const writable = [...candidates].filter((region) => {
        if (otherRows || !mayWrite(policy, roles, play, region)) return false;
        const steps = [gateway, client].map((end) => inward(end, region));
        steps.push(...read.map((from) => moved(from, region)));
        const way = cheapestWay(policy, roles, steps, now);
        // What a transfer asks for (masks, a person) can't be said of rows that aren't known yet.
        return within(policy, option.region, region) && !('blocked' in way) && way.cost < 2;
      });
      for (const region of writable) rowsWritten.add(region);
      const everywhere = [...candidates].every((region) => mayWrite(policy, roles, play, region));
      const whole = input.whole.has(play) && everywhere && writable.length > 0;
      if (!whole && !coversEveryRow(locality.values, new Set(writable))) {
        findings.push({
          reason: 'row_region',
          rule: play.rule?.id ?? null,
          message: `writing to ${play.name} is refused: each row's own region is named by its column ${locality.column}, and it can't be proved from the statement that only rows of permitted regions are written`,
          hint: `write to tables that are regional by table, or ask for a role that may write every region of ${play.name}`,
        });
      }
    }
  }
  const rowRegionSets = [...rows.values()];
  return {
    route: {
      option,
      rows,
      read: distinct([...read, ...rowRegionSets.flatMap((set) => [...set])]),
      written: distinct([...written, ...rowsWritten]),
      transfers: [...new Set(ways.flatMap((way) => way.transfers))],
      masked: new Set(ways.flatMap((way) => way.masked)),
      needsApproval: ways.some((way) => way.cost === 3),
    },
    findings,
    atHome: wholeAtHome,
    rowRegionCount: rowRegionSets.reduce((sum, set) => sum + set.size, 0),
    cost: 'blocked' in upstreamWay ? 4 : upstreamWay.cost,
  };
}

/** Whether rows of one region may travel this way; an approval for some rows of a table is never asked for. */
function judgeRowRegion(
  input: RoutingInput,
  option: RouteOption,
  region: Region,
  written: readonly Region[],
): Way | Finding {
  const { policy, roles, context, now } = input;
  const ends = [
    { reason: 'path_upstream', end: `upstream ${option.upstream}`, region: option.region },
    { reason: 'path_gateway', end: 'the gateway', region: context.path.gateway },
    { reason: 'path_client', end: 'the client', region: context.path.client },
  ] as const;
  const transfers: Transfer[] = [];
  const masked: Region[] = [];
  const steps = [
    ...ends.map((end) => ({ end, steps: [outward(region, end.region)] })),
    { end: null, steps: written.map((to) => moved(region, to)) },
  ];
  let cost: Way['cost'] = 0;
  for (const { end, steps: some } of steps) {
    const way = cheapestWay(policy, roles, some, now);
    if ('blocked' in way) {
      return end === null ? movementFinding(way.blocked) : pathFinding(end.reason, region, end);
    }
    if (way.cost === 3) {
      return end === null
        ? movementFinding(moved(region, written[0] ?? region))
        : pathFinding(end.reason, region, end);
    }
    transfers.push(...way.transfers);
    masked.push(...way.masked);
    if (way.cost > cost) cost = way.cost;
  }
  return { cost, transfers, masked };
}

interface End {
  readonly end: string;
  readonly region: Region | null;
}

function pathFinding(reason: Finding['reason'], data: Region | undefined, { end, region }: End): Finding {
  const where = region === null ? 'in no known region' : `in region ${region}`;
  return {
    reason,
    rule: null,
    message: `data of region ${data ?? 'unknown'} may not pass ${end}, which is ${where}`,
    hint:
      region === null
        ? 'sign in with a region claim, or from a network that cordon.yaml places in a region'
        : `connect from, or ask for a transfer between, ${data ?? 'that region'} and ${region}`,
  };
}

function movementFinding(step: Step): Finding {
  return {
    reason: 'transfer',
    rule: null,
    message: `the statement would move data of region ${step.from} into region ${step.to}`,
    hint: `ask for a transfer { from: ${step.from}, to: ${step.to} } in the policy or in your role`,
  };
}

function noRows(play: Play, roles: readonly Role[], blockedBy: Finding | null): Finding {
  const names = listed(roles.map((role) => role.name));
  return {
    reason: 'region_read',
    rule: play.rule?.id ?? null,
    message:
      blockedBy === null
        ? `no row of ${play.name} is of a region that ${names} may read`
        : `no row of ${play.name} may be read here: ${blockedBy.message}`,
    hint: blockedBy?.hint ?? `ask for a role that may read a region of ${play.name}`,
  };
}

function nowhere(input: RoutingInput, reachable: readonly RouteOption[]): Finding {
  const { plays } = input;
  const placed = plays.filter((play) => play.localities.some((place) => place.kind !== 'global'));
  const split =
    placed.length > 1 &&
    placed.every((play) => reachable.some((option) => tryOption({ ...input, plays: [play] }, option).atHome));
  const places = placed.map((play) => {
    const regions = fixedRegions(play);
    return `${play.name} (${regions.length > 0 ? regions.join(', ') : 'by row'})`;
  });
  const upstreams = listed(reachable.map((option) => `${option.upstream} (${option.region})`));
  return {
    reason: split ? 'region_split' : 'path_upstream',
    rule: null,
    message: split
      ? `no one upstream is at home for all of ${listed(places)}`
      : `no upstream is at home for ${listed(places)}: there is ${upstreams}`,
    hint: split
      ? 'ask each region by a statement of its own, or ask for a transfer to one of them'
      : 'add an upstream in that region, or ask for a transfer',
  };
}

function distinct(regions: readonly Region[]): readonly Region[] {
  return [...new Set(regions)];
}
