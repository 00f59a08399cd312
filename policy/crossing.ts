/** Whether data may go from one region to another: at home, or by a transfer of a role or of the policy. */
import type { Region } from './decision.ts';
import type { Policy, Role, Transfer } from './model.ts';
import { within } from './regions.ts';

/** One step of a path. It needs no transfer when `end` lies within `home`; an unknown end (null) lies nowhere. */
export interface Step {
  readonly from: Region | null;
  readonly to: Region | null;
  readonly end: Region | null;
  readonly home: Region;
  /** The region whose data travels. */
  readonly data: Region;
}

/** Data of a region goes out to an end of the path. */
export function outward(data: Region, end: Region | null): Step {
  return { from: data, to: end, end, home: data, data };
}

/** What is written comes in to a region from an end of the path. */
export function inward(end: Region | null, data: Region): Step {
  return { from: end, to: data, end, home: data, data };
}

/** Rows of one region are written into another. */
export function moved(from: Region, to: Region): Step {
  return { from, to, end: from, home: to, data: from };
}

/** How much a way costs: 0 needs no transfer, 1 clear, 2 masked, 3 a person's approval. */
export type Cost = 0 | 1 | 2 | 3;

export interface Way {
  readonly cost: Cost;
  readonly transfers: readonly Transfer[];
  /** Regions whose values cross masked only. */
  readonly masked: readonly Region[];
}

const costs: Readonly<Record<Transfer['values'], Cost>> = { clear: 1, masked: 2, approval: 3 };

/** The cheapest way in which one single role, or the policy alone, covers every step; or the first step that none covers. */
export function cheapestWay(
  policy: Policy,
  roles: readonly Role[],
  steps: readonly Step[],
  now: number,
): Way | { readonly blocked: Step } {
  const crossings = steps.filter((step) => !within(policy, step.end, step.home));
  const first = crossings[0];
  if (first === undefined) return { cost: 0, transfers: [], masked: [] };
  let best: Way | null = null;
  let blocked = first;
  for (const role of roles) {
    const way = wayOf(policy, [...role.transfers, ...policy.transfers], crossings, now);
    if ('blocked' in way) blocked = way.blocked;
    else if (best === null || way.cost < best.cost) best = way;
  }
  return best ?? { blocked };
}

function wayOf(
  policy: Policy,
  transfers: readonly Transfer[],
  steps: readonly Step[],
  now: number,
): Way | { readonly blocked: Step } {
  let cost: Cost = 0;
  const used = new Set<Transfer>();
  const masked = new Set<Region>();
  for (const step of steps) {
    let chosen: Transfer | null = null;
    for (const transfer of transfers) {
      if (!permits(policy, transfer, step, now)) continue;
      if (chosen === null || costs[transfer.values] < costs[chosen.values]) chosen = transfer;
    }
    if (chosen === null) return { blocked: step };
    used.add(chosen);
    if (costs[chosen.values] > cost) cost = costs[chosen.values];
    if (chosen.values === 'masked') masked.add(step.data);
  }
  return { cost, transfers: [...used], masked: [...masked] };
}

function permits(policy: Policy, transfer: Transfer, step: Step, now: number): boolean {
  return (
    (transfer.endsAt === null || now < transfer.endsAt) &&
    within(policy, step.from, transfer.from) &&
    within(policy, step.to, transfer.to)
  );
}
