/**
 * The server version that MySQL clients are greeted with, before it is known which database they want: drivers choose their
 * start-up queries and their dialect by it. Nothing is promised by it that an upstream does not keep.
 */
import type { Catalog } from '../sql/catalog.ts';
import type { Catalogs } from './catalogs.ts';
import type { Upstream } from './config.ts';

/** What current drivers and every later server agree upon: told when upstreams differ, or can't be asked. */
const agreedVersion = '8.0.36-cordon';

/**
 * Answers the version to greet with: the oldest of the MySQL upstreams when all are of one product. The first call reads the
 * catalogs that are missing; later ones take what there is. Never rejects.
 */
export function greetingVersion(catalogs: Catalogs, upstreams: Iterable<Upstream>): () => Promise<string> {
  const asked = [...upstreams].filter((upstream) => upstream.protocol === 'mysql');
  let first: Promise<unknown> | null = null;
  return async () => {
    first ??= Promise.allSettled(asked.map((upstream) => catalogs.ensure(upstream)));
    await first;
    return versionOf(asked.map((upstream) => catalogs.last(upstream)));
  };
}

/** As `greetingVersion`, of the upstreams' snapshots; undefined for one that could not be read. */
export function versionOf(
  snapshots: readonly (Pick<Catalog, 'serverVersion' | 'isMariaDb'> | undefined)[],
): string {
  const known = snapshots.filter((snapshot) => snapshot !== undefined);
  const [one] = known;
  if (one === undefined || known.length < snapshots.length) return agreedVersion;
  if (known.some((snapshot) => snapshot.isMariaDb !== one.isMariaDb)) return agreedVersion;
  const oldest = Math.min(...known.map((snapshot) => snapshot.serverVersion));
  const text = [Math.floor(oldest / 10_000), Math.floor(oldest / 100) % 100, oldest % 100].join('.');
  if (!one.isMariaDb) return `${text}-cordon`;
  // MariaDB 10 greets so itself, and clients look for it.
  return `${oldest < 110_000 ? '5.5.5-' : ''}${text}-MariaDB-cordon`;
}
