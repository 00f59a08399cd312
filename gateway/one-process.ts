/** The gateway in one process: serves clients, keeps the audit store, answers for itself. */
import type { Config } from './config.ts';
import { gatewayStatus, processStatus, sessionRows } from './inspect.ts';
import { GatewayHealth } from './metrics/gateway-health.ts';
import { processReport } from './metrics/process-numbers.ts';
import { UpstreamHealth } from './metrics/upstream-health.ts';
import { openOwnAudit, openState, prepareDataDir } from './open.ts';
import { noPeers } from './peers.ts';
import { journalPolicy } from './policy-loaded.ts';
import { type PolicyText, readPolicy } from './read-policy.ts';
import { journalReload, prepareReload } from './reload.ts';
import type { RunningGateway } from './running.ts';
import { CountedSeats } from './seats.ts';
import { startServer } from './server.ts';

/** Starts the gateway; rejects, with nothing left open, when a listener or the audit store can't be had. */
export async function runInOneProcess(config: Config, first: PolicyText): Promise<RunningGateway> {
  prepareDataDir(config);
  const audit = await openOwnAudit(config);
  try {
    const { limits } = config;
    const seats = new CountedSeats(limits.sessions_max, limits.sessions_per_subject_max);
    const state = await openState(config, first.policy, { audit, seats, peers: noPeers() });
    const server = await startServer(state);
    journalPolicy(audit, first.policy.version, config.region, state.now());
    const health = new GatewayHealth({
      config,
      upstreams: new UpstreamHealth(
        config.upstreams.values(),
        (upstream) => state.catalogs.ensure(upstream),
        limits.catalog_timeout_ms,
      ),
      isDraining: () => state.draining,
      policyVersion: () => state.policy.version,
      reports: async () => [processReport(state, audit)],
      others: () => new Map(),
    });
    return {
      listening: server.listening,
      status: async () =>
        gatewayStatus(config, server.listening, state.policy.version, state.draining, [processStatus(state)]),
      sessions: async () => sessionRows(state),
      kill: async (id) => {
        const session = state.sessions.get(id);
        session?.control.kill('ended by the administrator');
        return session !== undefined;
      },
      reload: async () => {
        const read = readPolicy(config);
        if (!read.ok) return read;
        const ready = prepareReload(server, read.policy, config);
        if (!ready.ok) return ready;
        const failed = journalReload(audit, read.policy.version, config, state.now());
        if (failed) return failed;
        ready.commit();
        return { ok: true, version: read.policy.version };
      },
      metrics: () => health.metrics(),
      unreadiness: () => health.unreadiness(),
      settle: () => audit.settle(),
      drain: async () => {
        await server.drain();
        await audit.settle().catch(() => {});
        await audit.close();
      },
    };
  } catch (error) {
    await audit.close();
    throw error;
  }
}
