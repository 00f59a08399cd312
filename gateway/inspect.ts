/** What is told of a gateway: its sessions and its status. Reads the state and changes nothing. */
import type { Config } from './config.ts';
import type { GatewayStatus, Listening, ProcessStatus, SessionRow } from './running.ts';
import type { GatewayState } from './state.ts';

export function sessionRows(state: GatewayState): SessionRow[] {
  return [...state.sessions.values()].map((session) => ({
    id: session.id,
    subject: session.principal.subject,
    database: session.database,
    protocol: session.protocol,
    client_address: session.clientAddress,
    client_region: session.clientRegion,
    opened_at: new Date(session.openedAt).toISOString(),
    statements: session.statements,
  }));
}

export function processStatus(state: GatewayState): ProcessStatus {
  return {
    pid: process.pid,
    sessions: state.sessions.size,
    catalogs: [...state.config.upstreams.values()]
      .filter((upstream) => state.catalogs.current(upstream))
      .map((upstream) => upstream.name),
  };
}

/** The whole gateway's status from that of its processes. */
export function gatewayStatus(
  config: Config,
  listeners: readonly Listening[],
  policyVersion: string,
  draining: boolean,
  processes: readonly ProcessStatus[],
): GatewayStatus {
  const read = new Set(processes.flatMap((one) => one.catalogs));
  return {
    listeners,
    sessions: processes.reduce((sum, one) => sum + one.sessions, 0),
    upstreams: [...config.upstreams.values()].map((upstream) => ({
      name: upstream.name,
      region: upstream.region,
      catalog: read.has(upstream.name) ? 'read' : 'not read',
    })),
    policy_version: policyVersion,
    gateway_region: config.region,
    draining,
    processes: processes.map(({ pid, sessions }) => ({ pid, sessions })),
  };
}
