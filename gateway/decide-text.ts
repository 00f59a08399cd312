/**
 * From a text to what is decided of it: analysis against the right upstream's catalog, a decision for each
 * statement, one route for all. Both steps are cached; a hit costs a map look-up or two. No I/O but catalog reads.
 */
import type { MaskMethod } from '../masking/masker.ts';
import { bothMasks, maskKey } from '../masking/plan.ts';
import { decide } from '../policy/decide.ts';
import type { Decision, Path, Principal, Region, RouteOption } from '../policy/decision.ts';
import type { Policy } from '../policy/model.ts';
import { isUserVariable } from '../policy/settings.ts';
import type { Analysis, Analyzer } from '../sql/analyzer.ts';
import type { Catalog } from '../sql/catalog.ts';
import { applyRewrites } from '../sql/rewrite.ts';
import type { Effect, Statement } from '../sql/statement.ts';
import { BoundedCache } from './bounded-cache.ts';
import type { Catalogs } from './catalogs.ts';
import type { Database, Upstream } from './config.ts';
import { KnownOrigins } from './origins.ts';
import { asExecuted, executedStatement, type SqlPrepared } from './sql-statements.ts';

/** Who asks and from where, as far as a decision depends on it. */
export interface Asker {
  readonly principal: Principal;
  readonly database: Database;
  readonly path: Path;
  /** Effective schemas or current database. */
  readonly names: readonly string[];
  readonly pinned: string | null;
  /** What the session sees on the pinned upstream, in place of the shared catalog. */
  readonly catalog?: Catalog;
  /** As `DecisionContext.temporaryRegions`. */
  readonly temporaryRegions?: readonly Region[];
}

/** What was decided of one text. Immutable and shared by all sessions that ask the same. */
export interface DecidedText {
  readonly statements: readonly Statement[];
  /** One for each statement; all allow, or at least one does not. */
  readonly decisions: readonly Decision[];
  readonly allowed: boolean;
  readonly route: Upstream;
  readonly catalog: Catalog;
  /** What to send instead of the client's text; null: the text itself. */
  readonly text: string | null;
  readonly masks: ReadonlyMap<string, MaskMethod>;
  /** The text gives masked columns as NULL: none of them is in `masks`. */
  readonly blanks: boolean;
  readonly origins: KnownOrigins;
  /** Names or the catalog may be others afterwards. */
  readonly settles: boolean;
  readonly ddl: boolean;
  /** PostgreSQL: it puts a statement under a name of the session's (PREPARE). */
  readonly prepares: boolean;
  /** Search path without temporary schemas; empty on MySQL, whose prepared statements keep the database that they were made in. */
  readonly names: string;
  /** What an EXECUTE runs; decided for one session alone. */
  readonly executes?: SqlPrepared;
  /** The session may be somebody else to the server afterwards. */
  readonly identity: boolean;
  readonly decidedAt: number;
}

/** Decisions depend on the time (a transfer's end date): none is used for longer than this. */
const decisionAgeMaxMs = 1000;
const cachedTextLengthMax = 512;

interface CachedAnalysis {
  readonly text: string;
  readonly analysis: Analysis;
}

/** Everything decided under one policy, epoch of catalogs, principal, path and names. */
export class DecisionCache {
  readonly byText: BoundedCache<DecidedText>;
  readonly byShape: BoundedCache<DecidedText>;
  constructor(max: number) {
    this.byText = new BoundedCache(max);
    this.byShape = new BoundedCache(max);
  }
}

export interface DeciderParts {
  readonly catalogs: Catalogs;
  readonly analyzers: Readonly<Record<'postgres' | 'mysql', Analyzer>>;
  readonly now: () => number;
  readonly cacheMax: number;
}

export class TextDecider {
  readonly #parts: DeciderParts;
  /** Per catalog snapshot and names: dropped with the snapshot. */
  readonly #analyses = new WeakMap<Catalog, Map<string, BoundedCache<CachedAnalysis>>>();

  constructor(parts: DeciderParts) {
    this.#parts = parts;
  }

  /** From the cache, or null. The hot path: no promise, nothing allocated but the shape on a miss of the text. */
  cached(cache: DecisionCache, protocol: 'postgres' | 'mysql', text: string): DecidedText | null {
    const oldest = this.#parts.now() - decisionAgeMaxMs;
    if (text.length <= cachedTextLengthMax) {
      const hit = cache.byText.get(text);
      if (hit) return hit.decidedAt >= oldest ? hit : null;
    }
    const shape = this.#parts.analyzers[protocol].shapeOf(text);
    if (shape === null) return null;
    const hit = cache.byShape.get(shape);
    return hit && hit.decidedAt >= oldest ? hit : null;
  }

  /** Decides anew and fills the cache. Null: a catalog has to be read first (see `prepareCatalogs`). */
  decide(policy: Policy, asker: Asker, text: string, cache: DecisionCache): DecidedText | null {
    const decided = this.#decideOverRoutes(policy, asker, text);
    if (!decided) return null;
    const cacheable = decided.statements.every((statement) => statement.kind === 'analyzed');
    if (cacheable) {
      if (text.length <= cachedTextLengthMax) cache.byText.set(text, decided);
      const literalsFree = decided.statements.every((s) => s.kind === 'analyzed' && s.literals === 'free');
      const shape =
        literalsFree && decided.text === null
          ? this.#parts.analyzers[asker.database.protocol].shapeOf(text)
          : null;
      if (shape !== null) cache.byShape.set(shape, decided);
    }
    return decided;
  }

  /** Decides an EXECUTE as what it runs, where that was prepared. Null: the catalog has to be read first. */
  decideExecute(policy: Policy, asker: Asker, text: string, prepared: SqlPrepared): DecidedText | null {
    const there = { ...asker, pinned: prepared.upstream };
    const upstream = candidates(there)[0];
    const catalog = upstream && (asker.catalog ?? this.#parts.catalogs.current(upstream));
    if (!catalog) return null;
    const [execute] = this.#analyze(there, text, catalog).analysis.statements;
    const [made] = this.#analyze(there, prepared.text, catalog).analysis.statements;
    if (!execute || !made) return null;
    const analysis = { shape: execute.shape, statements: [executedStatement(execute, made)] };
    const found = { text: prepared.text, analysis };
    const decided = this.#decideAgainst(policy, there, prepared.text, upstream, catalog, found);
    return asExecuted(decided, prepared);
  }

  /** The statements of a text as texts of their own; null where that can't be done. */
  apart(protocol: 'postgres' | 'mysql', text: string): readonly string[] | null {
    return this.#parts.analyzers[protocol].apart?.(text) ?? null;
  }

  /** Reads what `decide` may need. Upstreams that can't be read are left out, but the first must be there. */
  async prepareCatalogs(asker: Pick<Asker, 'database' | 'pinned'>): Promise<void> {
    const [first, ...others] = candidates(asker);
    if (first) await this.#parts.catalogs.ensure(first);
    await Promise.allSettled(others.map((upstream) => this.#parts.catalogs.ensure(upstream)));
  }

  /** True when the text only sets something or steers a transaction: what names mean doesn't matter to it. */
  namesNothing(protocol: 'postgres' | 'mysql', text: string, catalog: Catalog): boolean {
    if (!/^\s*(?:begin|start|commit|end|rollback|abort|savepoint|release|set|reset|show)\b/i.test(text))
      return false;
    const { statements } = this.#parts.analyzers[protocol].analyze(text, catalog, { path: [] });
    return statements.every(
      (one) =>
        one.kind === 'analyzed' &&
        ['set', 'transaction', 'show'].includes(one.statementKind) &&
        one.tables.length === 0 &&
        one.functions.length === 0,
    );
  }

  #decideOverRoutes(policy: Policy, asker: Asker, text: string): DecidedText | null {
    let best: DecidedText | null = null;
    for (const upstream of candidates(asker)) {
      const catalog = asker.catalog ?? this.#parts.catalogs.current(upstream);
      if (!catalog) {
        // The first upstream's names are the database's: without them nothing can be said.
        if (!best) return null;
        continue;
      }
      const decided = this.#decideAgainst(policy, asker, text, upstream, catalog);
      if (decided.allowed) {
        if (decided.route.name === upstream.name) return decided;
        const routed = this.#parts.catalogs.current(decided.route);
        if (!routed) return null;
        // What the home upstream's catalog says of a table that lives elsewhere has to hold there as well.
        return this.#decideAgainst(
          policy,
          { ...asker, pinned: decided.route.name },
          text,
          decided.route,
          routed,
        );
      }
      best ??= decided;
      if (!decided.decisions.some((decision) => decision.because.reasons.includes('unknown_name')))
        return best;
    }
    return best;
  }

  #decideAgainst(
    policy: Policy,
    asker: Asker,
    text: string,
    upstream: Upstream,
    catalog: Catalog,
    analyzed?: CachedAnalysis,
  ): DecidedText {
    const routes = asker.database.upstreams.map(routeOption);
    let found = analyzed ?? this.#analyze(asker, text, catalog);
    const decideAll = (pinned: string | null): Decision[] => {
      const decisions: Decision[] = [];
      let held = pinned;
      for (const statement of found.analysis.statements) {
        const decision = decide(
          policy,
          {
            principal: asker.principal,
            database: asker.database.name,
            routes,
            pinned: held,
            path: asker.path,
            temporaryRegions: asker.temporaryRegions ?? [],
          },
          statement,
          catalog,
          this.#parts.now(),
        );
        decisions.push(decision);
        // One text goes to one upstream.
        if (decision.effect === 'allow' && found.analysis.statements.length > 1) held = decision.route;
      }
      return decisions;
    };
    let decisions = decideAll(asker.pinned);
    if (asker.pinned === null && found.analysis.statements.length > 1 && !decisions.every(isAllow)) {
      for (const route of routes) {
        const pinned = decideAll(route.upstream);
        if (pinned.every(isAllow)) decisions = pinned;
      }
    }
    const allowed = decisions.every(isAllow);
    const routeName = decisions.find(isAllow)?.route ?? asker.pinned ?? upstream.name;
    const route = asker.database.upstreams.find((candidate) => candidate.name === routeName) ?? upstream;
    const masks = new Map<string, MaskMethod>();
    const rewrites = [];
    const blanked = [];
    for (const decision of decisions) {
      if (decision.effect !== 'allow') continue;
      for (const { schema, table, column, mask } of decision.masks) {
        const key = maskKey(schema, table, column);
        const known = masks.get(key);
        masks.set(key, known === undefined ? mask : bothMasks(known, mask));
      }
      rewrites.push(...decision.rewrites);
      blanked.push(...decision.blanked);
    }
    if (rewrites.length > 0 && found.text !== text) {
      // Spans belong to the text that they were found in.
      found = {
        text,
        analysis: this.#parts.analyzers[asker.database.protocol].analyze(text, catalog, {
          path: asker.names,
        }),
      };
      return this.#decideAgainstFresh(policy, asker, found, upstream, catalog);
    }
    const effects = found.analysis.statements.flatMap((s): readonly Effect[] =>
      s.kind === 'analyzed' ? s.effects : [],
    );
    const prepares =
      asker.database.protocol === 'postgres' && effects.some(({ kind }) => kind === 'sql_prepare');
    return {
      statements: found.analysis.statements,
      decisions,
      allowed,
      route,
      catalog,
      text:
        allowed && rewrites.length > 0
          ? applyRewrites(text, rewrites, quoteFor(asker.database.protocol))
          : null,
      masks,
      blanks: blanked.length > 0,
      origins: new KnownOrigins({
        policy,
        principal: asker.principal,
        database: asker.database.name,
        catalog,
        statements: found.analysis.statements,
        blanked,
        text,
      }),
      // Which text a name stands for has to be certain before the next text.
      settles: prepares || effects.some((effect) => settling(effect)),
      prepares,
      names: namesKey(asker),
      ddl: effects.some((effect) => effect.kind === 'ddl'),
      identity: effects.some((effect) => effect.kind === 'channel' && effect.channel === 'identity'),
      decidedAt: this.#parts.now(),
    };
  }

  #decideAgainstFresh(
    policy: Policy,
    asker: Asker,
    found: CachedAnalysis,
    upstream: Upstream,
    catalog: Catalog,
  ): DecidedText {
    this.#analysesOf(catalog, asker.names).set(found.analysis.shape, found);
    return this.#decideAgainst(policy, asker, found.text, upstream, catalog);
  }

  #analyze(asker: Asker, text: string, catalog: Catalog): CachedAnalysis {
    const analyzer = this.#parts.analyzers[asker.database.protocol];
    const cache = this.#analysesOf(catalog, asker.names);
    const shape = analyzer.shapeOf(text);
    if (shape !== null) {
      const hit = cache.get(shape);
      if (hit && (hit.text === text || literalsAreFree(hit.analysis))) return hit;
    }
    const found = { text, analysis: analyzer.analyze(text, catalog, { path: asker.names }) };
    if (shape !== null && found.analysis.statements.every((statement) => statement.kind === 'analyzed'))
      cache.set(shape, found);
    return found;
  }

  #analysesOf(catalog: Catalog, names: readonly string[]): BoundedCache<CachedAnalysis> {
    let byNames = this.#analyses.get(catalog);
    if (!byNames) {
      byNames = new Map();
      this.#analyses.set(catalog, byNames);
    }
    const key = names.join('\u0000');
    let cache = byNames.get(key);
    if (!cache) {
      if (byNames.size >= 64) byNames.clear();
      cache = new BoundedCache(this.#parts.cacheMax);
      byNames.set(key, cache);
    }
    return cache;
  }
}

/** The upstreams whose catalogs may answer, in order. */
function candidates(asker: Pick<Asker, 'database' | 'pinned'>): readonly Upstream[] {
  const { upstreams } = asker.database;
  return asker.pinned === null ? upstreams : upstreams.filter((upstream) => upstream.name === asker.pinned);
}

function namesKey({ database, names }: Asker): string {
  if (database.protocol !== 'postgres') return '';
  return names.filter((schema) => !schema.startsWith('pg_temp_')).join('\0');
}

function isAllow(decision: Decision): decision is Extract<Decision, { effect: 'allow' }> {
  return decision.effect === 'allow';
}

function literalsAreFree(analysis: Analysis): boolean {
  return analysis.statements.every(
    (statement) => statement.kind === 'analyzed' && statement.literals === 'free',
  );
}

function routeOption(upstream: Upstream): RouteOption {
  return { upstream: upstream.name, region: upstream.region, kind: upstream.kind };
}

const namingSettings = new Set(['search_path', 'sql_mode', 'all', 'role', 'session_authorization', 'schema']);

function settling(effect: Effect): boolean {
  return (
    effect.kind === 'ddl' ||
    effect.kind === 'use_database' ||
    effect.kind === 'temporary' ||
    (effect.kind === 'set' && namingSettings.has(effect.name.toLowerCase())) ||
    setsUnread(effect)
  );
}

/** A setting takes what a variable holds: what that is, is looked at afterwards. */
export function setsUnread(effect: Effect): boolean {
  return effect.kind === 'set' && !effect.name.startsWith('@') && isUserVariable(effect.value);
}

/** True when a later statement of the same text could mean something else after this one. */
export function changesMeaning(statement: Statement): boolean {
  return statement.kind === 'analyzed' && statement.effects.some(settling);
}

function quoteFor(protocol: 'postgres' | 'mysql'): (identifier: string) => string {
  return protocol === 'postgres'
    ? (identifier) => `"${identifier.replaceAll('"', '""')}"`
    : (identifier) => `\`${identifier.replaceAll('`', '``')}\``;
}
