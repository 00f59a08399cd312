/** One signed-in client as the protocols see it: admits its texts, journals each decision first, plans masks. */
import { AuditUnavailable } from '../audit/event.ts';
import type { Because, Principal, Region } from '../policy/decision.ts';
import type {
  Admission,
  Credentials,
  GateSession,
  Refused,
  SessionControl,
  SessionState,
  UpstreamTarget,
} from '../protocols/gate.ts';
import type { Catalog } from '../sql/catalog.ts';
import { AdmittedText } from './admitted-text.ts';
import type { Database } from './config.ts';
import type { Asker, DecidedText } from './decide-text.ts';
import {
  beginsTransaction,
  canGoApart,
  catalogToRead,
  catalogUnreadable,
  driftIn,
  movesOn,
  snapshotTooOld,
  statementsToPart,
} from './drift.ts';
import type { ProtocolMeters } from './metrics/meters.ts';
import { namesTemporary, type OwnView, readsTemporary } from './own-view.ts';
import { OwnViews, upstreamOf } from './own-views.ts';
import { auditUnavailable, becauseOf, refusedBy, sessionDrift } from './refusals.ts';
import { Resolutions } from './resolutions.ts';
import type { Seat } from './seats.ts';
import { SessionAudit } from './session-audit.ts';
import { SessionCaches } from './session-caches.ts';
import { SqlStatements } from './sql-statements.ts';
import type { GatewayState, OpenSession } from './state.ts';
import { isUnknownName, shapeOf, tablesOf } from './statement-templates.ts';

export interface Opening {
  readonly id: string;
  readonly principal: Principal;
  readonly database: Database;
  readonly credentials: Credentials;
  readonly client: Region | null;
  readonly control: SessionControl;
  readonly seat: Seat;
}

type Phase = 'query' | 'prepare';

export class LiveSession implements GateSession {
  readonly id: string;
  readonly home: string;
  readonly limits;
  readonly state: GatewayState;
  readonly meters: ProtocolMeters;
  readonly #opening: Opening;
  readonly #open: OpenSession;
  readonly audit: SessionAudit;
  #names: readonly string[] = [];
  #pinned: string | null = null;
  /** MySQL: DDL ran in the open transaction, so that what the catalog says is not what the transaction sees. */
  #catalogMoved = false;
  /** PostgreSQL: what this session alone sees, by upstream. */
  readonly #views: OwnViews;
  namesVersion = 0;
  readonly #caches: SessionCaches;
  readonly #sqlStatements: SqlStatements;
  #closed = false;

  static open(
    state: GatewayState,
    opening: Opening,
  ): LiveSession | { effect: 'refuse'; fault: 'unavailable'; message: string } {
    const session = new LiveSession(state, opening);
    try {
      session.audit.opened();
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error;
      return { effect: 'refuse', fault: 'unavailable', message: auditUnavailable.message };
    }
    state.sessions.set(session.id, session.#open);
    return session;
  }

  private constructor(state: GatewayState, opening: Opening) {
    this.state = state;
    this.#opening = opening;
    this.id = opening.id;
    this.meters = state.meters[opening.database.protocol];
    // One of a database's upstreams always exists: the configuration is refused otherwise.
    this.home = opening.database.upstreams[0]!.name;
    this.#views = new OwnViews(opening.database, this.home, state.catalogs, state.now);
    const { limits } = state.config;
    this.limits = {
      messageBytesMax: limits.message_bytes_max,
      preparedMax: limits.prepared_max,
      portalsMax: limits.portals_max,
    };
    this.#sqlStatements = new SqlStatements(limits.prepared_max);
    this.audit = new SessionAudit(state, opening);
    const { principal, client, database } = opening;
    const { issuer, subject, groups } = principal;
    this.#caches = new SessionCaches(state, JSON.stringify([issuer, subject, groups, client, database.name]));
    this.#open = {
      id: opening.id,
      principal,
      database: opening.database.name,
      protocol: opening.database.protocol,
      clientAddress: opening.credentials.clientAddress,
      clientRegion: opening.client,
      openedAt: state.now(),
      statements: 0,
      control: opening.control,
    };
  }

  target(upstream: string): UpstreamTarget {
    return upstreamOf(this.#opening.database, upstream);
  }

  refreshed(session: SessionState): void {
    const { upstream, path } = session;
    this.#names = upstream === undefined ? path : path.filter((schema) => !schema.startsWith('pg_temp_'));
    this.#caches.clear();
    this.#sqlStatements.settled();
    this.namesVersion++;
    if (upstream === undefined) return;
    this.#views.refreshed(upstream, session);
  }

  /** DDL went through: nobody's catalog of the upstream counts any more, once others can see it. */
  catalogChanged(upstream: string): void {
    const postgres = this.#opening.database.protocol === 'postgres';
    if (!postgres || this.#pinned === null) this.state.catalogs.markStale(upstream);
    if (postgres) this.#views.of(upstream).moved = true;
  }

  get lacksCatalog(): boolean {
    return this.#views.lack(this.#pinned);
  }

  pinned(upstream: string | null): void {
    if (upstream === this.#pinned) return;
    if (upstream !== null) this.#views.get(upstream)?.begun();
    else if (this.#pinned !== null && (this.#catalogMoved || this.#views.get(this.#pinned)?.moved)) {
      // A read of the catalog made meanwhile did not see what the transaction has only now committed.
      this.state.catalogs.markStale(this.#pinned);
      this.#catalogMoved = false;
    }
    this.#pinned = upstream;
  }

  admit(text: string, phase: Phase, signal: AbortSignal): Admission | Promise<Admission> {
    const { addedLatency } = this.meters;
    if (!addedLatency.isDue()) return this.#admit(text, phase, signal);
    const started = performance.now();
    return addedLatency.timed(started, this.#admit(text, phase, signal));
  }

  readmit(prepared: AdmittedText, signal: AbortSignal, bound = false): Admission | Promise<Admission> {
    const { addedLatency } = this.meters;
    if (!addedLatency.isDue()) return this.#readmit(prepared, signal, bound);
    const started = performance.now();
    return addedLatency.timed(started, this.#readmit(prepared, signal, bound));
  }

  #admit(text: string, phase: Phase, signal: AbortSignal): Admission | Promise<Admission> {
    const unready = this.#unready(text);
    if (unready) return unready;
    const decided = this.#decide(text);
    return decided ? this.#admitDecided(decided, text, phase) : this.#admitAfterReading(text, phase, signal);
  }

  #readmit(prepared: AdmittedText, signal: AbortSignal, bound: boolean): Admission | Promise<Admission> {
    const unready = this.#unready(prepared.original);
    if (unready) return unready;
    const again = this.#decide(prepared.original);
    if (again) return this.#readmitDecided(prepared, again, bound);
    return this.#admitAfterReading(prepared.original, 'prepare', signal, prepared, bound);
  }

  /** Why a text that names something can't be decided yet, or in this transaction; null: it can. */
  #unready(text: string): Refused | null {
    if (this.#opening.database.protocol === 'mysql') return null;
    const view = this.#views.active(this.#pinned);
    if (view === null || (!view.blocked && view.catalog !== null)) return null;
    const known = this.state.catalogs.last(view.upstream);
    const { protocol } = this.#opening.database;
    if (known && this.state.decider.namesNothing(protocol, text, known)) return null;
    if (view.blocked) {
      return this.#refuseUnanalyzed(snapshotTooOld, '?');
    }
    view.asked();
    return {
      ...refusedBy(catalogToRead, null, this.audit.nextId),
      lacksCatalog: view.upstream.name,
    };
  }

  get unjournaled(): boolean {
    return this.audit.unjournaled;
  }

  onJournaled(waiter: (isWritten: boolean) => void): void {
    this.audit.onJournaled(waiter);
  }

  refuseUnjournaled(): Refused {
    return this.audit.unavailable(this.audit.nextId);
  }

  refuseMessage(name: string): Refused {
    const because: Because = {
      reasons: ['channel_refused'],
      rules: [],
      message: `${name} is not handled by this gateway`,
      hint: 'send the statement as SQL text',
    };
    return this.#refuseUnanalyzed(because, name);
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.state.sessions.delete(this.id);
    this.#opening.seat.release();
    this.#views.end();
    this.audit.closed(this.#open.openedAt);
  }

  #decide(text: string): DecidedText | null {
    const decided = this.#decideText(text);
    // An EXECUTE is refused wherever nobody knows what it runs.
    return decided === null || decided.allowed ? decided : this.#executed(decided, text);
  }

  #executed(decided: DecidedText, text: string): DecidedText | null {
    const prepared = this.#sqlStatements.executedBy(decided);
    if (!prepared) return decided;
    return this.#sqlStatements.remember(decided, prepared, () => {
      const view = this.#views.active(this.#pinned);
      const own = view !== null && view.upstream.name === prepared.upstream ? view.catalog : null;
      const asker = view && own ? this.#ownAsker(view, own) : this.#asker();
      return this.state.decider.decideExecute(this.state.policy, asker, text, prepared);
    });
  }

  #decideText(text: string): DecidedText | null {
    const { state } = this;
    const { protocol } = this.#opening.database;
    const view = this.#views.active(this.#pinned);
    const catalog = view?.catalog;
    if (view && !catalog && protocol === 'mysql') return null;
    if (view && catalog) {
      const cache = view.cache(state.policy, state.config.limits.cached_statements_max);
      const decided =
        state.decider.cached(cache, protocol, text) ??
        state.decider.decide(state.policy, this.#ownAsker(view, catalog), text, cache);
      const elsewhere = this.#pinned === null && this.#opening.database.upstreams.length > 1;
      if (decided === null || !elsewhere || namesTemporary(decided)) return decided;
      if (decided.allowed && decided.settles) return decided;
      // What names nothing of the session's own goes where it would go without.
      const other = this.#decideShared(text);
      if (other === null) return decided.allowed ? null : decided;
      return other.allowed && !this.#views.get(other.route.name)?.needed ? other : decided;
    }
    return this.#decideShared(text);
  }

  #decideShared(text: string): DecidedText | null {
    const { state } = this;
    const cache = this.#caches.current(this.#pinned, this.#names);
    return (
      state.decider.cached(cache, this.#opening.database.protocol, text) ??
      state.decider.decide(state.policy, this.#asker(), text, cache)
    );
  }

  #ownAsker(view: OwnView, catalog: Catalog): Asker {
    return {
      ...this.#asker(),
      // MySQL's current database goes along wherever the session goes.
      names: this.#opening.database.protocol === 'mysql' ? this.#names : view.names,
      pinned: view.upstream.name,
      catalog,
      temporaryRegions: view.regions,
    };
  }

  #asker(): Asker {
    return {
      principal: this.#opening.principal,
      database: this.#opening.database,
      path: { gateway: this.state.config.region, client: this.#opening.client },
      names: this.#names,
      pinned: this.#pinned,
    };
  }

  #admitDecided(decided: DecidedText, text: string, phase: Phase): Admission | Promise<Admission> {
    const apart = phase === 'query' ? this.#apart(decided, text) : null;
    if (apart !== null) {
      const bare = !beginsTransaction(decided);
      return { ...refusedBy(statementsToPart, null, this.audit.nextId), apart: { texts: apart, bare } };
    }
    if (!decided.allowed && decided.statements.some(isUnknownName)) {
      const view = this.#views.active(this.#pinned);
      if (view === null || this.#opening.database.protocol === 'mysql')
        return this.#admitAfterUnknownName(decided, text);
      if (view.forgetForUnknownName()) return this.#unready(text) ?? this.#answer(decided, text);
    }
    return this.#answer(decided, text);
  }

  /** A text that can't be decided as one, as the texts that can; null for any other. */
  #apart(decided: DecidedText, text: string): readonly string[] | null {
    const { protocol } = this.#opening.database;
    if (protocol !== 'postgres' || !canGoApart(decided)) return null;
    return decided.allowed && !movesOn(decided) ? null : this.state.decider.apart(protocol, text);
  }

  #readmitDecided(prepared: AdmittedText, again: DecidedText, bound: boolean): Admission {
    const same = prepared.decided;
    if (bound && again !== same && tablesOf(again) !== tablesOf(same)) {
      return this.#refuseUnanalyzed(
        sessionDrift('the portal was bound when names meant other tables', 'bind the statement again'),
        shapeOf(again),
      );
    }
    if (
      again !== same &&
      again.allowed &&
      (again.route.name !== same.route.name || again.text !== same.text || again.executes !== same.executes)
    ) {
      return this.#refuseUnanalyzed(
        sessionDrift(
          'the prepared statement was made under other rules: it would now go another way or read other rows',
          'prepare the statement again',
        ),
        shapeOf(again),
      );
    }
    if (again !== same && again.allowed) {
      prepared.resolutions ??= new Resolutions(same);
      if (!prepared.resolutions.holds(again)) {
        return this.#refuseUnanalyzed(
          sessionDrift('names have come to mean other tables', 'prepare the statement again'),
          shapeOf(again),
        );
      }
    }
    return this.#answer(again, prepared.original, prepared.resolutions);
  }

  /** Journals the decision, then hands it out. */
  #answer(decided: DecidedText, text: string, resolutions: Resolutions | null = null): Admission {
    const outdated =
      this.#views
        .get(decided.route.name)
        ?.isOutdated(this.state.policy, this.#opening.principal, this.#opening.database.name) &&
      readsTemporary(decided);
    const drift = decided.allowed ? driftIn(decided, outdated === true, this.#catalogMoved) : null;
    if (drift) return this.#refuseUnanalyzed(drift, shapeOf(decided));
    const { audit, state } = this;
    const firstId = audit.take(decided.statements.length);
    this.#open.statements += decided.statements.length;
    const at = state.now();
    try {
      audit.decided(decided, text, firstId, at);
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error;
      return audit.unavailable(audit.statementId(firstId));
    }
    if (!decided.allowed) {
      const at = decided.decisions.findIndex((decision) => decision.effect !== 'allow');
      return refusedBy(
        becauseOf(decided.decisions[at]!),
        decided.statements[at]!,
        audit.statementId(firstId + at),
      );
    }
    const isMySql = this.#opening.database.protocol === 'mysql';
    if (isMySql && decided.ddl && this.#pinned !== null) this.#catalogMoved = true;
    const view = this.#views.of(decided.route.name);
    if (decided.settles || view.needed) view.admitted(decided, state.policy);
    this.#sqlStatements.admitted(decided);
    return new AdmittedText(this, decided, text, firstId, at, resolutions);
  }

  /** Statement `index` of an admitted text succeeded. */
  succeeded({ decided, original }: AdmittedText, index: number): void {
    if (decided.ddl) this.catalogChanged(decided.route.name);
    if (this.#opening.database.protocol === 'postgres')
      this.#sqlStatements.completed(decided, index, original);
  }

  statementNamed(name: string): void {
    this.#sqlStatements.forget(name);
  }

  async #admitAfterReading(
    text: string,
    phase: Phase,
    signal: AbortSignal,
    prepared?: AdmittedText,
    bound = false,
  ): Promise<Admission> {
    try {
      await this.state.decider.prepareCatalogs(this.#asker());
    } catch {
      return this.#refuseUnanalyzed(catalogUnreadable, '?');
    }
    signal.throwIfAborted();
    const decided = this.#decide(text);
    if (!decided) {
      return this.#refuseUnanalyzed(catalogUnreadable, '?');
    }
    return prepared
      ? this.#readmitDecided(prepared, decided, bound)
      : this.#admitDecided(decided, text, phase);
  }

  async #admitAfterUnknownName(first: DecidedText, text: string): Promise<Admission> {
    let decided = first;
    const { upstreams } = this.#opening.database;
    await this.state.peers.caughtUp();
    const read = await Promise.allSettled(
      upstreams.map((upstream) => this.state.catalogs.refreshForUnknownName(upstream)),
    );
    if (read.some((result) => result.status === 'fulfilled' && result.value))
      decided = this.#decide(text) ?? first;
    return this.#answer(decided, text);
  }

  #refuseUnanalyzed(because: Because, shape: string): Refused {
    const id = this.audit.statementId(this.audit.take(1));
    this.audit.refused(because, shape, id);
    this.meters.refused(because);
    return refusedBy(because, null, id);
  }
}
