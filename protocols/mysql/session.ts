/** Where an accepted MySQL connection comes in: its socket, TLS on it, and from there to sign-in and the session. */
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Gate, ListenerSettings } from '../gate.ts';
import { ClientSession } from './client-session.ts';
import { Disconnected } from './dialogue.ts';
import { serveWithoutDatabase } from './kill-session.ts';
import { receiveClient } from './sign-in.ts';

/**
 * Serves one accepted connection. Never throws; the socket is closed when it is over.
 * @param clientAddress where the client is, when that is not the other end of the socket; empty: unknown
 * @param serverVersion told in the greeting, before the client's database and its server are known; may not reject
 */
export function serveMysql(
  socket: Socket,
  gate: Gate,
  settings: ListenerSettings,
  serverVersion: Promise<string>,
  clientAddress = socket.remoteAddress ?? '',
): void {
  socket.setNoDelay(true);
  const connectionId = gate.connectionId();
  serverVersion
    .then((version) =>
      receiveClient(socket, clientAddress, settings, version, connectionId, (plain, early, deadline) =>
        secure(plain, early, settings, deadline),
      ),
    )
    .then(
      (arrival) => {
        if (arrival.credentials.database === '') void serveWithoutDatabase(arrival, gate);
        else new ClientSession(arrival).open(gate);
      },
      () => {},
    );
}

const contexts = new WeakMap<object, SecureContext>();

/** One context for a listener's settings: reading keys takes too long to do it for every client. */
function secureContextOf(tls: NonNullable<ListenerSettings['tls']>): SecureContext {
  let context = contexts.get(tls);
  if (context === undefined) {
    context = createSecureContext({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' });
    contexts.set(tls, context);
  }
  return context;
}

function secure(
  socket: Socket,
  early: Buffer,
  settings: ListenerSettings,
  deadline: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (settings.tls === null) throw new Error('no certificate');
    const secureContext = secureContextOf(settings.tls);
    if (early.length > 0) socket.unshift(early);
    const secured = new TLSSocket(socket, { isServer: true, secureContext });
    const failed = (): void => {
      secured.on('error', () => {});
      secured.destroy();
      socket.destroy();
      reject(new Disconnected('no TLS handshake'));
    };
    socket.on('error', failed);
    secured.once('error', failed);
    secured.once('close', failed);
    deadline.addEventListener('abort', failed);
    secured.once('secure', () => {
      secured.off('error', failed);
      secured.off('close', failed);
      deadline.removeEventListener('abort', failed);
      secured.pause();
      resolve(secured);
    });
  });
}
