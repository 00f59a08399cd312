/** Builds a process's state from the configuration: policy, parsers, verifier, catalogs, audit, keys. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditLog } from '../audit/event.ts';
import { type AuditLogOptions, openAuditLog, type RunningAuditLog } from '../audit/journal.ts';
import { createNetworks } from '../identity/networks.ts';
import { createOidcVerifier } from '../identity/oidc.ts';
import type { Policy } from '../policy/model.ts';
import { readMysqlCatalog } from '../protocols/mysql/catalog.ts';
import { readPostgresCatalog } from '../protocols/postgres/catalog.ts';
import type { Analyzer } from '../sql/analyzer.ts';
import { mysqlAnalyzer } from '../sql/mysql/analyze.ts';
import { postgresAnalyzer } from '../sql/postgres/analyze.ts';
import { BoundedCache } from './bounded-cache.ts';
import { Catalogs } from './catalogs.ts';
import type { Config, Upstream } from './config.ts';
import { TextDecider } from './decide-text.ts';
import { Meters } from './metrics/meters.ts';
import type { Peers } from './peers.ts';
import type { Seats } from './seats.ts';
import type { GatewayState } from './state.ts';

const decisionContextsMax = 256;

export async function loadAnalyzers(): Promise<Record<'postgres' | 'mysql', Analyzer>> {
  return { postgres: await postgresAnalyzer(), mysql: mysqlAnalyzer() };
}

export function openCatalogs(timeoutMs: number, now: () => number): Catalogs {
  return new Catalogs(readCatalog, now, timeoutMs);
}

/** Reads an upstream's catalog, whatever it speaks. Rejects when that can't be done. */
export async function readCatalog(upstream: Upstream, version: number, signal: AbortSignal) {
  const read = upstream.protocol === 'postgres' ? readPostgresCatalog : readMysqlCatalog;
  return (await read(upstream, version, signal)).catalog;
}

/** What the processes of a gateway share, and each has its own end of. */
export interface Shared {
  readonly audit: AuditLog;
  readonly seats: Seats;
  readonly peers: Peers;
}

/** Makes the data directory and what has to be in it before any process serves clients. */
export function prepareDataDir(config: Config): void {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  readMaskKey(config);
}

/** The audit log of the process that owns the data directory. Rejects when it can't be opened. */
export function openOwnAudit(config: Config): Promise<RunningAuditLog> {
  return openAuditLog(config.dataDir, auditOptions(config));
}

/** How a process writes its audit: problems go to standard error, as codes. */
export function auditOptions(config: Config): AuditLogOptions {
  return {
    sync: config.audit.sync,
    onProblem: (problem) => process.stderr.write(`cordon: ${problem}, ${config.dataDir}, see to the disk\n`),
  };
}

/** Everything that one process needs before it listens. */
export async function openState(config: Config, policy: Policy, shared: Shared): Promise<GatewayState> {
  const now = Date.now;
  const catalogs = openCatalogs(config.limits.catalog_timeout_ms, now);
  catalogs.onStale = (upstream) => shared.peers.catalogStale(upstream);
  const verifier = createOidcVerifier(
    config.oidc.map((issuer) => ({
      issuer: issuer.issuer,
      audience: issuer.audience,
      claims: issuer.claims,
      ...(issuer.algorithms ? { algorithms: issuer.algorithms } : {}),
      jwksFile: issuer.jwks_file ?? null,
      clockToleranceSeconds: issuer.clock_tolerance_seconds,
      ...(issuer.azp === undefined ? {} : { azp: issuer.azp }),
    })),
    { now },
  );
  const networks = createNetworks(config.networks);
  return {
    ...shared,
    config,
    policy,
    verify: (token) => verifier.verify(token),
    regionOf: (address) => networks.regionOf(address),
    catalogs,
    decider: new TextDecider({
      catalogs,
      analyzers: await loadAnalyzers(),
      now,
      cacheMax: config.limits.cached_statements_max,
    }),
    meters: new Meters(),
    decisionCaches: new BoundedCache(decisionContextsMax),
    maskKey: readMaskKey(config),
    now,
    sessions: new Map(),
    draining: false,
  };
}

function readMaskKey(config: Config): Uint8Array {
  return readOrMakeKey(join(config.dataDir, 'keys'), 'mask.key');
}

function readOrMakeKey(directory: string, file: string): Uint8Array {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, file);
  try {
    writeFileSync(path, randomBytes(32), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  chmodSync(path, 0o600);
  const key = readFileSync(path);
  if (key.length !== 32) throw new Error(`${path} is not a 32-byte key`);
  return key;
}
