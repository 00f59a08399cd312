/**
 * What one session sees on one upstream that others don't: temporary objects and, on PostgreSQL, definitions of its open
 * transaction. Holds the session's own catalog there, says when it has to be read again, and remembers of which regions and
 * tables the rows in temporary tables may be. No I/O.
 */
import type { Principal, Region } from '../policy/decision.ts';
import type { Policy } from '../policy/model.ts';
import { tableFacts } from '../policy/table-masks.ts';
import type { SessionState } from '../protocols/gate.ts';
import { type Catalog, type CatalogTable, withOwnContents, withTemporaryTables } from '../sql/catalog.ts';
import type { Statement } from '../sql/statement.ts';
import type { Catalogs } from './catalogs.ts';
import type { Upstream } from './config.ts';
import { type DecidedText, DecisionCache } from './decide-text.ts';

const ageMaxMs = 60_000;
const unknownNameAgeMs = 2000;

interface Read {
  readonly catalog: Catalog;
  readonly generation: number;
  readonly at: number;
}

export class OwnView {
  readonly upstream: Upstream;
  readonly #catalogs: Catalogs;
  readonly #now: () => number;
  /** Effective schemas there. */
  names: readonly string[] = [];
  /** DDL ran in the open transaction. */
  moved = false;
  #temporary = false;
  /** MySQL: the temporary tables, which are all that others don't see. */
  #tables: readonly CatalogTable[] = [];
  #overlaid: { readonly base: Catalog; readonly catalog: Catalog } | null = null;
  #transaction = false;
  /** The transaction's snapshot is older than what others have changed since: its end has to be waited for. */
  blocked = false;
  #read: Read | null = null;
  #askedFor = -1;
  /** The shared catalog's generation when the open transaction began. */
  #begunAt = -1;
  #cache: DecisionCache | null = null;
  #cachePolicy: Policy | null = null;
  #regions: ReadonlySet<Region> = new Set();
  readonly #sources = new Map<string, { readonly schema: string; readonly table: string }>();
  #sourcesPolicy: Policy | null = null;

  constructor(upstream: Upstream, catalogs: Catalogs, now: () => number) {
    this.upstream = upstream;
    this.#catalogs = catalogs;
    this.#now = now;
  }

  /** The shared catalog does not say what the session sees. */
  get needed(): boolean {
    return this.#temporary || (this.moved && this.#transaction);
  }

  /** The catalog that may be used now; null: it has to be read (MySQL: everybody's has to). */
  get catalog(): Catalog | null {
    if (this.#tables.length > 0) return this.#overlay();
    const read = this.#read;
    if (read === null || read.generation !== this.#catalogs.generation(this.upstream.name)) return null;
    return this.#now() - read.at < ageMaxMs ? read.catalog : null;
  }

  #overlay(): Catalog | null {
    const base = this.#catalogs.current(this.upstream);
    if (base === undefined) return null;
    if (this.#overlaid?.base !== base) {
      this.#cache = null;
      const catalog = withTemporaryTables(base, this.#catalogs.nextVersion(), this.#tables);
      this.#overlaid = { base, catalog };
    }
    return this.#overlaid.catalog;
  }

  /** Regions that rows of temporary tables may be of. */
  get regions(): readonly Region[] {
    return [...this.#regions];
  }

  /** A transaction or pipeline begins. */
  begun(): void {
    this.#begunAt = this.#catalogs.generation(this.upstream.name);
  }

  /** The catalog is going to be read. */
  asked(): void {
    this.#askedFor = this.#catalogs.generation(this.upstream.name);
  }

  /** True when a name that is not known may have come since the last reading, which is given up. */
  forgetForUnknownName(): boolean {
    if (this.#read === null || this.#now() - this.#read.at < unknownNameAgeMs) return false;
    this.#read = null;
    return true;
  }

  refreshed(state: SessionState): void {
    this.names = state.path;
    if (state.temporary !== undefined) {
      this.#tables = state.temporary;
      this.#overlaid = null;
      this.#cache = null;
      this.#temporary = state.temporary.length > 0;
      if (!this.#temporary) this.#forgetSources();
      return;
    }
    this.#temporary = state.path.some((schema) => schema.startsWith('pg_temp_'));
    this.#transaction = state.transaction === true;
    if (!this.#transaction) {
      this.moved = false;
      this.blocked = false;
    }
    this.#read = null;
    this.#cache = null;
    const base = this.#catalogs.last(this.upstream);
    if (state.catalog && base) {
      const generation = this.#askedFor;
      this.blocked = this.#transaction && state.fixedSnapshot === true && generation !== this.#begunAt;
      const catalog = withOwnContents(base, this.#catalogs.nextVersion(), state.catalog);
      if (!this.blocked) this.#read = { catalog, generation, at: this.#now() };
      const holdsRows = state.catalog.tables.some((table) => table.temporary);
      if (!holdsRows && !this.#transaction) this.#forgetSources();
    } else if (!this.#temporary && !this.#transaction) this.#forgetSources();
  }

  #forgetSources(): void {
    this.#regions = new Set();
    this.#sources.clear();
    this.#sourcesPolicy = null;
  }

  cache(policy: Policy, max: number): DecisionCache {
    if (this.#cache === null || this.#cachePolicy !== policy) this.#cache = new DecisionCache(max);
    this.#cachePolicy = policy;
    return this.#cache;
  }

  /** A text was admitted that may put rows into temporary tables. */
  admitted(decided: DecidedText, policy: Policy): void {
    decided.statements.forEach((statement, index) => {
      if (statement.kind !== 'analyzed' || !fillsTemporary(statement, decided.catalog)) return;
      const read = decided.decisions[index]!.regionsRead;
      if (read.some((region) => !this.#regions.has(region))) {
        this.#regions = new Set([...this.#regions, ...read]);
        this.#cache = null;
      }
      for (const { schema, table, reads, system } of statement.tables) {
        if (!reads || system || decided.catalog.table(schema, table)?.temporary) continue;
        this.#sources.set(`${schema}.${table}`, { schema, table });
        this.#sourcesPolicy ??= policy;
      }
    });
  }

  /** The policy says something else now of tables whose rows were put into temporary ones. */
  isOutdated(policy: Policy, principal: Principal, database: string): boolean {
    const then = this.#sourcesPolicy;
    if (then === null || then === policy) return false;
    const catalog = this.catalog ?? this.#catalogs.last(this.upstream);
    if (!catalog) return true;
    const facts = (which: Policy): string =>
      JSON.stringify(
        [...this.#sources.values()].map(({ schema, table }) =>
          tableFacts(which, principal, database, catalog, schema, table),
        ),
      );
    if (facts(then) !== facts(policy)) return true;
    this.#sourcesPolicy = policy;
    return false;
  }
}

function fillsTemporary(statement: Extract<Statement, { kind: 'analyzed' }>, catalog: Catalog): boolean {
  return (
    statement.effects.some((effect) => effect.kind === 'ddl' || effect.kind === 'temporary') ||
    statement.tables.some((use) => use.writes && catalog.table(use.schema, use.table)?.temporary)
  );
}

/** True when the text shows or copies rows of a temporary table. */
export function readsTemporary(decided: DecidedText): boolean {
  return decided.statements.some(
    (statement) =>
      statement.kind === 'analyzed' &&
      (statement.statementKind !== 'ddl' || statement.columns.length > 0) &&
      statement.tables.some((use) => use.reads && decided.catalog.table(use.schema, use.table)?.temporary),
  );
}

/** True when the text names a temporary relation. */
export function namesTemporary(decided: DecidedText): boolean {
  return decided.statements.some(
    (statement) =>
      statement.kind === 'analyzed' &&
      statement.tables.some((use) => decided.catalog.table(use.schema, use.table)?.temporary),
  );
}
