/** Decides without running: what `policy explain` and `policy test` ask. Reads the upstreams' catalogs, nothing else. */
import type { Allow, Decision, Principal } from '../policy/decision.ts';
import type { Policy } from '../policy/model.ts';
import type { Config } from './config.ts';
import { type DecidedText, DecisionCache, TextDecider } from './decide-text.ts';
import { loadAnalyzers, openCatalogs } from './open.ts';
import { becauseOf } from './refusals.ts';

export interface Question {
  readonly subject: string;
  readonly groups: readonly string[];
  /** Region or null when unknown. */
  readonly clientRegion: string | null;
  readonly database: string;
  readonly sql: string;
}

/** The object that `policy explain --json` prints. */
export interface Explanation {
  readonly decision: 'allow' | 'hold' | 'refuse';
  readonly reasons: readonly string[];
  readonly rules: readonly string[];
  readonly message: string;
  readonly hint: string;
  readonly upstream: string | null;
  readonly data_regions: { readonly read: readonly string[]; readonly write: readonly string[] };
  readonly path: {
    readonly upstream: string | null;
    readonly gateway: string;
    readonly client: string | null;
  };
  readonly masked: readonly string[];
  /** Those of `masked` of which only parts are masked, and the JSON paths of these. */
  readonly masked_paths: Readonly<Record<string, readonly string[]>>;
  readonly rewritten: string | null;
  readonly approvers: readonly string[];
}

export interface Trial {
  /** Rejects when an upstream's catalog can't be read. */
  explain(question: Question): Promise<Explanation>;
}

export async function openTrial(config: Config, policy: Policy): Promise<Trial> {
  const now = Date.now;
  const catalogs = openCatalogs(config.limits.catalog_timeout_ms, now);
  const cacheMax = config.limits.cached_statements_max;
  const decider = new TextDecider({ catalogs, analyzers: await loadAnalyzers(), now, cacheMax });
  return {
    async explain(question) {
      const database = config.databases.get(question.database);
      const path = { gateway: config.region, client: question.clientRegion };
      if (!database) return refusal(['unknown_database'], `no database is named ${question.database}`, path);
      const principal: Principal = {
        subject: question.subject,
        issuer: config.oidc[0]?.issuer ?? '',
        name: question.subject,
        groups: question.groups,
        region: null,
        expiresAt: Number.POSITIVE_INFINITY,
      };
      const names =
        database.protocol === 'postgres' ? ['pg_catalog', 'public'] : [database.upstreams[0]!.database];
      const asker = { principal, database, path, names, pinned: null };
      await decider.prepareCatalogs(asker);
      const decided = decider.decide(policy, asker, question.sql, new DecisionCache(1));
      if (!decided) throw new Error(`the catalog of an upstream of ${database.name} can't be read`);
      return explanationOf(decided, path);
    },
  };
}

function explanationOf(decided: DecidedText, path: { gateway: string; client: string | null }): Explanation {
  const worst =
    decided.decisions.find((d) => d.effect === 'refuse') ??
    decided.decisions.find((d) => d.effect === 'hold');
  const decisions: readonly Decision[] = worst ? [worst] : decided.decisions;
  const union = (pick: (decision: Decision) => readonly string[]): string[] => [
    ...new Set(decisions.flatMap(pick)),
  ];
  const allows = decisions.flatMap((decision) =>
    decision.effect === 'allow' ? [decision] : decision.effect === 'hold' ? [decision.then] : [],
  );
  const upstream = allows[0]?.route ?? (worst?.effect === 'refuse' ? worst.route : null);
  return {
    decision: worst?.effect ?? 'allow',
    reasons: union((decision) =>
      decision.effect === 'hold' ? becauseOf(decision).reasons : decision.because.reasons,
    ),
    rules: union((decision) => decision.because.rules),
    message: worst?.because.message ?? '',
    hint: worst?.because.hint ?? '',
    upstream,
    data_regions: {
      read: union((decision) => decision.regionsRead),
      write: union((decision) => decision.regionsWritten),
    },
    path: { upstream: allows[0]?.routeRegion ?? null, ...path },
    masked: [
      ...new Set(
        allows.flatMap(({ masks, blanked }) =>
          [...masks, ...blanked].map((m) => `${m.schema}.${m.table}.${m.column}`),
        ),
      ),
    ],
    masked_paths: pathsOf(allows),
    rewritten: decided.text,
    approvers: worst?.effect === 'hold' ? worst.approvers : [],
  };
}

function pathsOf(allows: readonly Allow[]): Record<string, readonly string[]> {
  const paths: Record<string, readonly string[]> = {};
  for (const { schema, table, column, mask } of allows.flatMap((allow) => allow.masks)) {
    if (mask.method !== 'json') continue;
    const name = `${schema}.${table}.${column}`;
    paths[name] = [...new Set([...(paths[name] ?? []), ...mask.parts.map((part) => part.path)])];
  }
  return paths;
}

function refusal(
  reasons: readonly string[],
  message: string,
  path: { gateway: string; client: string | null },
): Explanation {
  return {
    decision: 'refuse',
    reasons,
    rules: [],
    message,
    hint: '',
    upstream: null,
    data_regions: { read: [], write: [] },
    path: { upstream: null, ...path },
    masked: [],
    masked_paths: {},
    rewritten: null,
    approvers: [],
  };
}
