/**
 * The entry of a worker process: serves clients as the supervisor says, on addresses that it shares with the others.
 * Signals are the supervisor's business; without it a worker ends at once, and its sessions with it.
 */
import cluster from 'node:cluster';
import { openWorkerAuditLog, type WorkerAuditLog } from '../../audit/journal.ts';
import { carryOut, isOwner } from '../../protocols/mysql/cancel.ts';
import { cancelPostgres } from '../../protocols/postgres/session.ts';
import { processStatus, sessionRows } from '../inspect.ts';
import { processReport } from '../metrics/process-numbers.ts';
import { auditOptions, openState } from '../open.ts';
import type { Peers } from '../peers.ts';
import { policyOf } from '../read-policy.ts';
import { prepareReload } from '../reload.ts';
import type { Seats } from '../seats.ts';
import { type Server, startServer } from '../server.ts';
import type { GatewayState } from '../state.ts';
import { Channel } from './channel.ts';
import type { Begin, SupervisorAnswers, WorkerAnswers } from './messages.ts';

interface Serving {
  readonly state: GatewayState;
  readonly server: Server;
  readonly audit: WorkerAuditLog;
}

let serving: Serving | null = null;
let ready: (() => void) | null = null;

function served(): Serving {
  if (serving === null) throw new Error('the worker does not serve yet');
  return serving;
}

const channel = new Channel<SupervisorAnswers, WorkerAnswers>(
  process,
  {
    begin: async (given) => {
      serving = await begin(given);
      return serving.server.listening;
    },
    prepare: async (text) => {
      const { server, state } = served();
      ready = null;
      const read = policyOf(text, state.config);
      if (!read.ok) return read.errors;
      const prepared = prepareReload(server, read.policy, state.config);
      if (!prepared.ok) return prepared.errors;
      ready = prepared.commit;
      return [];
    },
    commit: async () => {
      if (ready === null) throw new Error('nothing was prepared');
      ready();
      ready = null;
      return null;
    },
    status: async () => processStatus(served().state),
    report: async () => {
      const { state, audit } = served();
      return processReport(state, audit);
    },
    sessions: async () => sessionRows(served().state),
    kill: async (id) => {
      const session = served().state.sessions.get(id);
      session?.control.kill('ended by the administrator');
      return session !== undefined;
    },
    barrier: async () => true,
    owns: async (owner) => isOwner(owner),
    mysql_kill: async ({ connectionId, queryOnly, owner }) => carryOut({ connectionId, queryOnly }, owner),
    settle: async () => {
      await served().audit.settle();
      return null;
    },
    drain: async () => {
      const { server, audit } = served();
      await server.drain();
      await audit.close();
      setImmediate(() => process.exit(0));
      return null;
    },
  },
  (notice) => {
    if (serving === null) return;
    if (notice.kind === 'followed') serving.audit.followed(notice.position, notice.isIdle);
    else if (notice.kind === 'catalog_stale') serving.state.catalogs.becameStale(notice.upstream);
    else if (notice.kind === 'cancel') cancelPostgres(notice.processId, Buffer.from(notice.key));
  },
);

const seats: Seats = {
  async take(subject) {
    const seat = await channel.ask('seat', subject);
    if (typeof seat === 'string') return seat;
    let released = false;
    return {
      release: () => {
        if (!released) channel.tell({ kind: 'free_seat', seat });
        released = true;
      },
    };
  },
};

async function begin(given: Begin): Promise<Serving> {
  const { index, workers, config, policyText, position, ownerKey } = given;
  const peers: Peers = {
    connectionIds: { first: index, step: workers },
    ownerKey,
    caughtUp: () =>
      channel.ask('barrier', null).then(
        () => {},
        () => {},
      ),
    owns: (owner) => channel.ask('owns', owner).catch(() => false),
    kill: (connectionId, queryOnly, owner) =>
      channel.ask('mysql_kill', { connectionId, queryOnly, owner }).catch(() => false),
    catalogStale: (upstream) => channel.tell({ kind: 'catalog_stale', upstream }),
    cancel: (processId, key) => channel.tell({ kind: 'cancel', processId, key }),
  };
  const read = policyOf(policyText, config);
  if (!read.ok) throw new Error('the policy can not be read');
  const ingest = {
    wake: () => channel.tell({ kind: 'wake' }),
    hurry: () => channel.tell({ kind: 'hurry' }),
  };
  const audit = await openWorkerAuditLog(config.dataDir, index, position, ingest, auditOptions(config));
  try {
    const state = await openState(config, read.policy, { audit, seats, peers });
    return { state, server: await startServer(state), audit };
  } catch (error) {
    await audit.close();
    throw error;
  }
}

channel.tell({ kind: 'loaded' });
process.once('disconnect', () => process.exit(1));
// The channel broke before its end was noticed.
cluster.worker?.on('error', () => process.exit(1));
// A terminal or a service manager signals the whole group; the supervisor drains.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
