/** A listener in front of a real server with the open gate between them, for the protocol's own tests. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import mysql from 'mysql2/promise';
import type { ListenerSettings, UpstreamTarget, UpstreamTls } from '../../protocols/gate.ts';
import { serveMysql } from '../../protocols/mysql/session.ts';
import type { CertificateFiles } from '../servers/certificates.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { OpenGate, type OpenGateOptions } from './mysql-open-gate.ts';

export const noTls: UpstreamTls = { mode: 'disable', ca: null, cert: null, key: null };

export function targetOf(server: MySqlServer, more: Partial<UpstreamTarget> = {}): UpstreamTarget {
  const { host, port, user, password } = server;
  return { name: 'home', host, port, database: 'crm', user, password, tls: noTls, ...more };
}

export interface Listener {
  readonly port: number;
  readonly gate: OpenGate;
  close(): Promise<void>;
}

export async function listen(
  options: OpenGateOptions,
  more: { tls?: CertificateFiles; settings?: Partial<ListenerSettings> } = {},
): Promise<Listener> {
  const gate = new OpenGate(options);
  const tls =
    more.tls === undefined
      ? null
      : { cert: readFileSync(more.tls.cert, 'utf8'), key: readFileSync(more.tls.key, 'utf8') };
  const settings: ListenerSettings = {
    tls,
    allowCleartextLoopback: true,
    handshakeTimeoutMs: 5000,
    handshakeBytesMax: 64 * 1024,
    ...more.settings,
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveMysql(socket, gate, settings, Promise.resolve('8.0.36-cordon'));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    port: (server.address() as AddressInfo).port,
    gate,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** mysql2 as a client of the listener, with the token as a clear password. */
export function connectClient(
  port: number,
  more: mysql.ConnectionOptions = {},
  secret = 'token',
): Promise<mysql.Connection> {
  return mysql.createConnection({
    host: '127.0.0.1',
    port,
    user: 'ana',
    password: secret,
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${secret}\0`) },
    ...more,
  });
}

/** An account with every privilege, straight to the server. */
export function connectAdmin(
  server: MySqlServer,
  more: mysql.ConnectionOptions = {},
): Promise<mysql.Connection> {
  const { host, port, user, password } = server;
  return mysql.createConnection({ host, port, user, password, multipleStatements: true, ...more });
}

export interface ErrorSeen {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

/** The error that a promise rejects with. */
export async function errorOf(run: Promise<unknown>): Promise<ErrorSeen> {
  try {
    await run;
  } catch (error) {
    return error as ErrorSeen;
  }
  throw new Error('it succeeded');
}
