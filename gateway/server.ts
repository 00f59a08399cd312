/** Listens, hands sockets to the protocols, reloads the policy, drains. */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createSecureContext } from 'node:tls';
import type { SourceError } from '../policy/source.ts';
import type { ListenerSettings } from '../protocols/gate.ts';
import { serveMysql } from '../protocols/mysql/session.ts';
import { servePostgres } from '../protocols/postgres/session.ts';
import type { Config, Listener } from './config.ts';
import { createGate } from './gate.ts';
import { greetingVersion } from './greeting-version.ts';
import { readPolicy } from './read-policy.ts';
import type { GatewayState } from './state.ts';

export interface Listening {
  readonly protocol: 'postgres' | 'mysql';
  readonly host: string;
  readonly port: number;
}

export interface GatewayServer {
  readonly listening: readonly Listening[];
  reload():
    | { readonly ok: true; readonly version: string }
    | { readonly ok: false; readonly errors: readonly SourceError[] };
  /** Ends in-flight work within the limit, then everything. */
  drain(): Promise<void>;
}

/** Starts every listener; rejects, with none left open, when one can't be had. */
export async function startServer(state: GatewayState): Promise<GatewayServer> {
  const { config } = state;
  const gate = createGate(state);
  const settings = new Map<Listener, ListenerSettings>(
    config.listeners.map((listener) => [listener, settingsOf(listener, config)]),
  );
  const version = greetingVersion(state.catalogs, config.upstreams.values());
  const sockets = new Set<net.Socket>();
  const servers: net.Server[] = [];
  const listening: Listening[] = [];
  try {
    for (const listener of config.listeners) {
      const server = net.createServer({ noDelay: true, keepAlive: true, pauseOnConnect: false }, (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.on('error', () => socket.destroy());
        if (sockets.size > config.limits.sessions_max * 2 + 100) {
          socket.destroy();
          return;
        }
        if (listener.protocol === 'postgres') servePostgres(socket, gate, settings.get(listener)!);
        else serveMysql(socket, gate, settings.get(listener)!, version());
      });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(listener.port, listener.host, resolve);
      });
      servers.push(server);
      const address = server.address() as net.AddressInfo;
      listening.push({ protocol: listener.protocol, host: listener.host, port: address.port });
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }

  journalPolicy(state);
  const refresh = setInterval(
    () => {
      if (state.sessions.size > 0) {
        void state.catalogs.refreshOld(config.upstreams.values(), config.limits.catalog_age_max_ms);
      }
    },
    Math.min(config.limits.catalog_age_max_ms, 60_000),
  );
  refresh.unref();

  return {
    listening,
    reload() {
      const read = readPolicy(config);
      if (!read.ok) return read;
      const previous = state.policy;
      state.policy = read.policy;
      try {
        journalPolicy(state);
      } catch {
        state.policy = previous;
        const message = 'the audit journal can not be written: the old policy stays';
        return { ok: false, errors: [{ file: config.policyFile, line: 1, column: 1, message }] };
      }
      for (const listener of config.listeners) settings.set(listener, settingsOf(listener, config));
      return { ok: true, version: state.policy.version };
    },
    async drain() {
      state.draining = true;
      clearInterval(refresh);
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const session of [...state.sessions.values()]) session.control.drain();
      const timer = setTimeout(() => {
        for (const session of [...state.sessions.values()])
          session.control.kill('the gateway is shutting down');
        setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, 1000).unref();
      }, config.limits.drain_timeout_ms);
      timer.unref();
      await Promise.all(closed);
      clearTimeout(timer);
      await state.audit.settle().catch(() => {});
      await state.audit.close();
    },
  };
}

/** Reads the certificate anew and proves that it can be used, so that a broken one is found before a client does. */
function settingsOf(listener: Listener, config: Config): ListenerSettings {
  let tls: ListenerSettings['tls'] = null;
  if (listener.tls) {
    tls = { cert: readFileSync(listener.tls.cert, 'utf8'), key: readFileSync(listener.tls.key, 'utf8') };
    createSecureContext(tls);
  }
  return {
    tls,
    allowCleartextLoopback: listener.allowCleartextLoopback,
    handshakeTimeoutMs: config.limits.handshake_timeout_ms,
    handshakeBytesMax: config.limits.handshake_bytes_max,
  };
}

function journalPolicy(state: GatewayState): void {
  state.audit.append(
    state.audit.template({
      event: 'policy.loaded',
      policy_version: state.policy.version,
      gateway_region: state.config.region,
    }),
    state.now(),
    {},
  );
}
