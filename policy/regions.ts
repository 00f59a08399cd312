/** Which region lies in which. */
import type { Region } from './decision.ts';
import type { Policy } from './model.ts';

/**
 * Closes the `contains` lists: each region, declared or contained, with itself and all its containers. `cycles` are
 * declared regions that would contain themselves; the closure is still finite then.
 */
export function closeRegions(declared: Readonly<Record<Region, { readonly contains: readonly Region[] }>>): {
  regions: ReadonlyMap<Region, ReadonlySet<Region>>;
  cycles: readonly Region[];
} {
  const containers = new Map<Region, Set<Region>>();
  const containersOf = (region: Region): Set<Region> => {
    let known = containers.get(region);
    if (known === undefined) {
      known = new Set();
      containers.set(region, known);
    }
    return known;
  };
  for (const [region, { contains }] of Object.entries(declared)) {
    containersOf(region);
    for (const inner of contains) containersOf(inner).add(region);
  }
  const regions = new Map<Region, ReadonlySet<Region>>();
  const cycles: Region[] = [];
  for (const region of containers.keys()) {
    const reached = new Set<Region>();
    const waiting = [...containersOf(region)];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (reached.has(next)) continue;
      reached.add(next);
      waiting.push(...containersOf(next));
    }
    if (reached.has(region)) cycles.push(region);
    reached.add(region);
    regions.set(region, reached);
  }
  return { regions, cycles };
}

/** r is within a when it is a or lies in it. An unknown region (null) is within nothing. */
export function within(policy: Policy, region: Region | null, area: Region): boolean {
  return region !== null && (policy.regions.get(region)?.has(area) ?? false);
}

/** Within any of them. */
export function withinAny(policy: Policy, region: Region | null, areas: readonly Region[]): boolean {
  return areas.some((area) => within(policy, region, area));
}
