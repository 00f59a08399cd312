/**
 * The gateway in several processes: this one owns the audit store, the control socket and the seats, and starts the
 * workers that serve clients. Nothing of a client's bytes comes through here; Node's cluster hands each accepted
 * connection to the next worker.
 */
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.ts';
import { gatewayStatus } from '../inspect.ts';
import { GatewayHealth } from '../metrics/gateway-health.ts';
import { combined, gauges } from '../metrics/numbers.ts';
import { ownProcess } from '../metrics/process-numbers.ts';
import { UpstreamHealth } from '../metrics/upstream-health.ts';
import { openOwnAudit, prepareDataDir, readCatalog } from '../open.ts';
import { journalPolicy } from '../policy-loaded.ts';
import { type PolicyText, readPolicy } from '../read-policy.ts';
import { journalReload } from '../reload.ts';
import type { Listening, Reloaded, RunningGateway } from '../running.ts';
import { CountedSeats } from '../seats.ts';
import type { Notice } from './messages.ts';
import { SupervisedWorker } from './supervised-worker.ts';
import { WorkerTotals } from './worker-totals.ts';

const restartMs = 1000;
/** A worker that can't tell its numbers by then is told of as it was. */
const reportMs = 2000;

/** Starts the gateway; rejects, with nothing left open, when a listener or the audit store can't be had. */
export async function runWorkers(config: Config, first: PolicyText): Promise<RunningGateway> {
  prepareDataDir(config);
  const audit = await openOwnAudit(config);
  const { limits } = config;
  const seats = new CountedSeats(limits.sessions_max, limits.sessions_per_subject_max);
  const workers = new Map<number, SupervisedWorker>();
  const ownerKey = randomBytes(32);
  const totals = new WorkerTotals();
  let policy = first;
  let draining = false;
  let listening: readonly Listening[] = [];
  // Reloads and starts of workers, one after the other: a worker begins with the policy that is in force.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done.catch(() => {});
    return done;
  };

  cluster.setupPrimary({ exec: entry(), args: [], serialization: 'advanced' });

  function noticed(index: number, notice: Notice): void {
    if (notice.kind === 'wake') audit.ingest.wake();
    else if (notice.kind === 'hurry') audit.ingest.hurry();
    else if (notice.kind === 'catalog_stale' || notice.kind === 'cancel') {
      for (const [other, worker] of workers) if (other !== index) worker.tell(notice);
    }
  }

  audit.subscribe((report) => {
    for (const [index, worker] of workers) {
      worker.tell({ kind: 'followed', position: audit.position(index), isIdle: report.isIdle });
    }
  });

  async function start(index: number): Promise<void> {
    const others = async (ask: (worker: SupervisedWorker) => Promise<boolean>): Promise<boolean> => {
      const asked = [...workers].filter(([other]) => other !== index);
      return (await Promise.all(asked.map(([, other]) => ask(other).catch(() => false)))).includes(true);
    };
    const worker = new SupervisedWorker(
      seats,
      {
        barrier: () => others((other) => other.ask('barrier', null)),
        owns: (owner) => others((other) => other.ask('owns', owner)),
        mysql_kill: (kill) => others((other) => other.ask('mysql_kill', kill)),
      },
      (notice) => noticed(index, notice),
    );
    workers.set(index, worker);
    void worker.ended.then((how) => {
      totals.ended(index);
      if (workers.get(index) === worker) workers.delete(index);
      if (draining || !worker.isServing) return;
      process.stderr.write(
        `cordon: worker ${index} ended (${how}), its sessions with it: starting another\n`,
      );
      again(index);
    });
    const given = { index, workers: config.workers, config, policyText: policy.text, ownerKey };
    listening = await worker.begin({ ...given, position: audit.position(index) });
  }

  function again(index: number): void {
    setTimeout(() => {
      void inTurn(async () => {
        if (!draining) await start(index);
      }).catch((error: Error) => {
        process.stderr.write(`cordon: worker ${index} could not be started (${error.message})\n`);
        if (!draining) again(index);
      });
    }, restartMs);
  }

  const everyone = <T>(ask: (worker: SupervisedWorker) => Promise<T>): Promise<T[]> =>
    Promise.all([...workers.values()].map((worker) => ask(worker)));

  async function reload(): Promise<Reloaded> {
    const read = readPolicy(config);
    if (!read.ok) return read;
    // A worker that ends meanwhile is started again with what is in force then.
    const prepared = await everyone((worker) => worker.ask('prepare', read.text).catch(() => worker.stop()));
    const errors = prepared.find((found) => found !== undefined && found.length > 0);
    if (errors) return { ok: false, errors };
    const failed = journalReload(audit, read.policy.version, config, Date.now());
    if (failed) return failed;
    policy = read;
    await everyone((worker) => worker.ask('commit', null).catch(() => worker.stop()));
    return { ok: true, version: read.policy.version };
  }

  async function end(): Promise<void> {
    await audit.settle().catch(() => {});
    await audit.close();
  }

  try {
    journalPolicy(audit, policy.policy.version, config.region, Date.now());
    await Promise.all(Array.from({ length: config.workers }, (_, i) => start(i + 1)));
  } catch (error) {
    draining = true;
    await everyone((worker) => worker.stop());
    await end();
    throw error;
  }

  const health = new GatewayHealth({
    config,
    upstreams: new UpstreamHealth(
      config.upstreams.values(),
      (upstream, signal) => readCatalog(upstream, 0, signal),
      limits.catalog_timeout_ms,
    ),
    isDraining: () => draining,
    policyVersion: () => policy.policy.version,
    reports: async () => {
      const told = async ([index, worker]: [number, SupervisedWorker]): Promise<void> => {
        totals.told(index, await worker.ask('report', null, reportMs));
      };
      await Promise.allSettled([...workers].map(told));
      return totals.present;
    },
    others: () =>
      combined([totals.gone, ownProcess(), gauges([['cordon_audit_lag_bytes', '', audit.lag()]])]),
  });

  return {
    listening,
    status: async () => {
      const asked = await Promise.allSettled(
        [...workers.values()].map((worker) => worker.ask('status', null)),
      );
      const processes = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      return gatewayStatus(config, listening, policy.policy.version, draining, processes);
    },
    sessions: async () => (await everyone((worker) => worker.ask('sessions', null).catch(() => []))).flat(),
    kill: async (id) =>
      (await everyone((worker) => worker.ask('kill', id).catch(() => false))).some((found) => found),
    reload: () => inTurn(reload),
    metrics: () => health.metrics(),
    unreadiness: () => health.unreadiness(),
    settle: async () => {
      // What a worker that has ended left behind is in its journal, and comes in with the rest.
      await everyone((worker) => worker.ask('settle', null).catch(() => null));
      await audit.settle();
    },
    drain: async () => {
      draining = true;
      await everyone((worker) => worker.drain());
      await end();
    },
  };
}

/** Compiled, the entry lies beside this file as JavaScript. */
function entry(): string {
  const path = fileURLToPath(new URL('./main.ts', import.meta.url));
  return import.meta.url.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js');
}
