/** What a process tells of itself when its numbers are asked for: what was counted, and what is so now. */
import type { GatewayState } from '../state.ts';
import { combined, gauges, labels, type Numbers } from './numbers.ts';

/** One process that serves clients. */
export interface ProcessReport {
  readonly numbers: Numbers;
  /** The last that was tried to be written into its journal was written, and there is room for more. */
  readonly takesAudit: boolean;
}

/** Memory and CPU of this process, whatever it does. */
export function ownProcess(): Numbers {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return gauges([
    ['process_cpu_user_seconds_total', '', user / 1e6],
    ['process_cpu_system_seconds_total', '', system / 1e6],
    ['process_resident_memory_bytes', '', rss],
    ['nodejs_heap_used_bytes', '', heapUsed],
  ]);
}

/** `audit`: the log of the same process. */
export function processReport(
  state: GatewayState,
  audit: { lag(): number; takes(): boolean },
): ProcessReport {
  const sessions = { postgres: 0, mysql: 0 };
  for (const session of state.sessions.values()) sessions[session.protocol]++;
  const now = gauges([
    ['cordon_sessions', labels({ protocol: 'postgres' }), sessions.postgres],
    ['cordon_sessions', labels({ protocol: 'mysql' }), sessions.mysql],
    ['cordon_held_statements', '', 0],
    ['cordon_audit_lag_bytes', '', audit.lag()],
    ['cordon_processes', '', 1],
    ...[...state.config.upstreams.values()].flatMap((upstream) => {
      const age = state.catalogs.ageMs(upstream);
      return age === null
        ? []
        : [['cordon_catalog_age_seconds', labels({ upstream: upstream.name }), age / 1000] as const];
    }),
  ]);
  return { numbers: combined([state.meters.numbers(), now, ownProcess()]), takesAudit: audit.takes() };
}
