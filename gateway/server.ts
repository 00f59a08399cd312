/** Listens, hands sockets to the protocols, puts a policy in force, drains: all that one process does for clients. */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Policy } from '../policy/model.ts';
import type { ListenerSettings } from '../protocols/gate.ts';
import { serveMysql } from '../protocols/mysql/session.ts';
import { servePostgres } from '../protocols/postgres/session.ts';
import type { Config, Listener } from './config.ts';
import { createGate } from './gate.ts';
import { greetingVersion } from './greeting-version.ts';
import { awaitProxyHeader, createProxies } from './proxied.ts';
import type { Listening } from './running.ts';
import type { GatewayState } from './state.ts';
import { TimeLimits } from './time-limits.ts';

export interface Server {
  readonly listening: readonly Listening[];
  /**
   * Reads the certificates anew; what it returns puts them and the policy in force.
   * Throws when a certificate can't be read or used: then nothing has changed.
   */
  prepare(policy: Policy): () => void;
  /** Ends in-flight work within the limit, then every connection. The audit log is left open. */
  drain(): Promise<void>;
}

/** Starts every listener; rejects, with none left open, when one can't be had. */
export async function startServer(state: GatewayState): Promise<Server> {
  const { config } = state;
  const gate = createGate(state);
  const readSettings = (): Map<Listener, ListenerSettings> =>
    new Map(config.listeners.map((listener) => [listener, settingsOf(listener, config)]));
  let settings = readSettings();
  const version = greetingVersion(state.catalogs, config.upstreams.values());
  const sockets = new Set<net.Socket>();
  const servers: net.Server[] = [];
  const listening: Listening[] = [];
  try {
    for (const listener of config.listeners) {
      const isProxy = createProxies(listener.proxies);
      const server = net.createServer({ noDelay: true, keepAlive: true, pauseOnConnect: false }, (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.on('error', () => socket.destroy());
        if (sockets.size > config.limits.sessions_max * 2 + 100) {
          socket.destroy();
          return;
        }
        const serve = (address: string): void => {
          if (listener.protocol === 'postgres') servePostgres(socket, gate, settings.get(listener)!, address);
          else serveMysql(socket, gate, settings.get(listener)!, version(), address);
        };
        const peer = socket.remoteAddress ?? '';
        if (isProxy?.(peer)) awaitProxyHeader(socket, config.limits.handshake_timeout_ms, serve);
        else serve(peer);
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

  const timeLimits = new TimeLimits(config.limits, state.sessions, () => performance.now());
  const sweep =
    timeLimits.intervalMs === null ? undefined : setInterval(() => timeLimits.sweep(), timeLimits.intervalMs);
  sweep?.unref();
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
    prepare(policy) {
      const next = readSettings();
      return () => {
        settings = next;
        state.policy = policy;
      };
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
      clearInterval(sweep);
      clearTimeout(timer);
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
