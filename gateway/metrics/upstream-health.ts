/**
 * Whether the upstreams can be used, found out when somebody asks and at most every few seconds: by signing in, and
 * by a read of the catalog where it could not be used before. Nothing is asked of them when nobody wants to know.
 */
import { command } from '../../protocols/mysql/client-messages.ts';
import { encodePacket } from '../../protocols/mysql/framing.ts';
import { connectUpstream as connectMysql } from '../../protocols/mysql/upstream.ts';
import { terminate } from '../../protocols/postgres/client-messages.ts';
import { connectUpstream as connectPostgres } from '../../protocols/postgres/upstream.ts';
import type { Upstream } from '../config.ts';
import { gauges, labels, type Numbers } from './numbers.ts';

interface Known {
  readonly upstream: Upstream;
  /** Null: nobody has tried yet. */
  isUp: boolean | null;
  triedAt: number;
  trying: Promise<void> | null;
}

const ageMaxMs = 2000;
const tryMs = 5000;
/** Who asks does not wait longer: what was known stands until more is known. */
const waitMs = 2000;

export class UpstreamHealth {
  readonly #known: readonly Known[];
  readonly #readCatalog: (upstream: Upstream, signal: AbortSignal) => Promise<unknown>;
  readonly #catalogTimeoutMs: number;

  /** `readCatalog` rejects when the upstream's catalog can't be read. */
  constructor(
    upstreams: Iterable<Upstream>,
    readCatalog: (upstream: Upstream, signal: AbortSignal) => Promise<unknown>,
    catalogTimeoutMs: number,
  ) {
    this.#known = [...upstreams].map((upstream) => ({ upstream, isUp: null, triedAt: 0, trying: null }));
    this.#readCatalog = readCatalog;
    this.#catalogTimeoutMs = catalogTimeoutMs;
  }

  /** Resolves when what is known is fresh, or when that takes too long. */
  async look(): Promise<void> {
    const now = performance.now();
    const tries = this.#known.flatMap((known) => {
      if (known.trying === null && (known.isUp === null || now - known.triedAt >= ageMaxMs)) {
        known.trying = this.#try(known).finally(() => {
          known.trying = null;
        });
      }
      return known.trying ?? [];
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([Promise.all(tries), late]);
    clearTimeout(timer);
  }

  get isAnyUp(): boolean {
    return this.#known.some((known) => known.isUp === true);
  }

  numbers(): Numbers {
    return gauges(
      this.#known.flatMap(({ upstream, isUp }) =>
        isUp === null
          ? []
          : [['cordon_upstream_up', labels({ upstream: upstream.name }), isUp ? 1 : 0] as const],
      ),
    );
  }

  async #try(known: Known): Promise<void> {
    try {
      await signInAndLeave(known.upstream);
      if (known.isUp !== true) {
        await this.#readCatalog(known.upstream, AbortSignal.timeout(this.#catalogTimeoutMs));
      }
      known.isUp = true;
    } catch {
      known.isUp = false;
    }
    known.triedAt = performance.now();
  }
}

async function signInAndLeave(upstream: Upstream): Promise<void> {
  const signal = AbortSignal.timeout(tryMs);
  if (upstream.protocol === 'postgres') {
    const { socket } = await connectPostgres(upstream, new Map(), signal);
    socket.on('error', () => {});
    socket.end(terminate);
    socket.destroySoon();
  } else {
    const { socket } = await connectMysql(upstream, 0, tryMs, signal);
    socket.on('error', () => {});
    socket.end(encodePacket(Buffer.from([command.QUIT]), 0));
    socket.destroySoon();
  }
}
