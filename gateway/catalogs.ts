/**
 * One catalog per upstream: read when first needed, again after DDL, on an unknown name (rate-limited) and in the
 * background when old. Readers always get a whole snapshot; a failed read keeps the last one.
 */
import type { Catalog } from '../sql/catalog.ts';
import type { Upstream } from './config.ts';

export type CatalogReader = (upstream: Upstream, version: number, signal: AbortSignal) => Promise<Catalog>;

interface Slot {
  catalog: Catalog | null;
  readAt: number;
  /** Grows with each DDL; a snapshot counts while it was read for the newest generation. */
  generation: number;
  readFor: number;
  reading: Promise<void> | null;
  /** Reads that unknown names may still ask for, as of `grantedAt`. */
  grants: number;
  grantedAt: number;
}

/** Unknown names may have the catalog read so often at once, and once more in each of these times after that. */
const unknownNameReadsMax = 4;
const unknownNameReadMs = 2000;

export class Catalogs {
  readonly #read: CatalogReader;
  readonly #now: () => number;
  readonly #timeoutMs: number;
  readonly #slots = new Map<string, Slot>();
  #version = 0;
  #epoch = 0;
  /** Told of DDL that this process has seen go through. */
  onStale: (upstreamName: string) => void = () => {};

  /** `now` in milliseconds; `timeoutMs` bounds one read. */
  constructor(read: CatalogReader, now: () => number, timeoutMs: number) {
    this.#read = read;
    this.#now = now;
    this.#timeoutMs = timeoutMs;
  }

  /** Grows whenever any snapshot appears or ceases to count: what was decided on an older epoch has to be decided anew. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Grows with each DDL that is known to have gone through to an upstream. */
  generation(upstreamName: string): number {
    return this.#slots.get(upstreamName)?.generation ?? 0;
  }

  /** A number for a snapshot that somebody else has read. */
  nextVersion(): number {
    return ++this.#version;
  }

  /** The snapshot that may be used now; undefined: none yet, or stale. */
  current(upstream: Upstream): Catalog | undefined {
    const slot = this.#slots.get(upstream.name);
    return slot?.catalog && slot.readFor === slot.generation ? slot.catalog : undefined;
  }

  /** The newest snapshot, for what no DDL changes; undefined: never read. */
  last(upstream: Upstream): Catalog | undefined {
    return this.#slots.get(upstream.name)?.catalog ?? undefined;
  }

  /** How long ago the newest snapshot was read, in milliseconds; null: never. */
  ageMs(upstream: Upstream): number | null {
    const slot = this.#slots.get(upstream.name);
    return slot?.catalog ? Math.max(0, this.#now() - slot.readAt) : null;
  }

  /** Resolves when a snapshot not older than this call's start, or a current one, is there. Rejects when the upstream can't be read. */
  async ensure(upstream: Upstream): Promise<Catalog> {
    const found = this.current(upstream);
    if (found) return found;
    await this.#refresh(upstream);
    return this.current(upstream) ?? this.ensure(upstream);
  }

  /** DDL went through here: the snapshot must not be used any more, here or in another process. */
  markStale(upstreamName: string): void {
    this.becameStale(upstreamName);
    this.onStale(upstreamName);
  }

  /** DDL went through, here or in another process: the snapshot must not be used any more. */
  becameStale(upstreamName: string): void {
    const slot = this.#slots.get(upstreamName);
    if (!slot) return;
    slot.generation++;
    this.#epoch++;
  }

  /** A name was not found. True when a fresh read was made; false: too many names have been unknown of late. */
  async refreshForUnknownName(upstream: Upstream): Promise<boolean> {
    const slot = this.#slots.get(upstream.name);
    if (slot && this.current(upstream) && !this.#granted(slot)) return false;
    await this.#refresh(upstream);
    return true;
  }

  #granted(slot: Slot): boolean {
    const earned = Math.floor((this.#now() - slot.grantedAt) / unknownNameReadMs);
    if (earned > 0) {
      slot.grants = Math.min(unknownNameReadsMax, slot.grants + earned);
      slot.grantedAt = this.#now();
    }
    if (slot.grants === 0) return false;
    slot.grants--;
    return true;
  }

  /** Reads again whatever is older than `ageMaxMs`; failures leave what there is. */
  async refreshOld(upstreams: Iterable<Upstream>, ageMaxMs: number): Promise<void> {
    for (const upstream of upstreams) {
      const slot = this.#slots.get(upstream.name);
      if (slot?.catalog && this.#now() - slot.readAt >= ageMaxMs)
        await this.#refresh(upstream).catch(() => {});
    }
  }

  #refresh(upstream: Upstream): Promise<void> {
    let slot = this.#slots.get(upstream.name);
    if (!slot) {
      slot = {
        ...{ catalog: null, readAt: 0, generation: 0, readFor: -1, reading: null },
        ...{ grants: unknownNameReadsMax, grantedAt: this.#now() },
      };
      this.#slots.set(upstream.name, slot);
    }
    const held = slot;
    if (held.reading) return held.reading;
    const generation = held.generation;
    held.reading = this.#read(upstream, ++this.#version, AbortSignal.timeout(this.#timeoutMs))
      .then((catalog) => {
        held.catalog = catalog;
        held.readAt = this.#now();
        held.readFor = generation;
        this.#epoch++;
      })
      .finally(() => {
        held.reading = null;
      });
    return held.reading;
  }
}
