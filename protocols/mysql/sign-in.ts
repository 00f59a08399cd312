/**
 * A client's connection phase: greeting, TLS, the switch to mysql_clear_password, the token. It ends in credentials for the
 * gate, or in an error that says no more than it must.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { ProtocolError } from '../bytes.ts';
import type { Credentials, ListenerSettings } from '../gate.ts';
import {
  capability,
  isReadableCollation,
  neededCapabilities,
  offeredCapabilities,
  serverStatus,
} from './capabilities.ts';
import { Dialogue } from './dialogue.ts';
import { accessDenied, encodeError, type ServerError, serverErrors } from './errors.ts';
import { clearPasswordRequest, encodeGreeting, readClearPassword, readClientHello } from './handshake.ts';
import { endGently } from './socket-ends.ts';

/** A client that has said who it is; its socket is paused. */
export interface Arrival {
  readonly socket: Socket;
  readonly rest: Buffer;
  /** `database` is empty when the client named none. */
  readonly credentials: Credentials;
  readonly connectionId: number;
  /** What was agreed upon: flags that were not offered are gone. */
  readonly capabilities: number;
  /** The sequence number of the answer, an OK or an ERR. */
  readonly sequence: number;
  /** How long signing in may take, should the client do it again. */
  readonly handshakeTimeoutMs: number;
}

/**
 * Makes the server's end of TLS of a socket that has just brought an SSLRequest. `early` was read behind it: it may go into
 * the TLS handshake and nowhere else, so that bytes sent in clear can't pass for encrypted ones.
 */
export type TlsUpgrade = (socket: Socket, early: Buffer, deadline: AbortSignal) => Promise<Socket>;

/** The client was told why and is gone. */
class TurnedAway extends Error {
  override readonly name = 'TurnedAway';
}

/** What a client may send as its secret. */
export const secretBytesMax = 16 * 1024;
/**
 * Rejects when the client can't be heard out; it has been answered, as far as it could be, and cut off by then.
 * @param clientAddress empty: unknown
 * @param connectionId told to the client; it names nothing on any server
 */
export async function receiveClient(
  plain: Socket,
  clientAddress: string,
  settings: ListenerSettings,
  serverVersion: string,
  connectionId: number,
  upgrade: TlsUpgrade,
): Promise<Arrival> {
  // A proxy's word that a client is local to it does not make the way from the proxy local.
  const isLocal = isLoopback(plain.remoteAddress ?? '') && isLoopback(clientAddress);
  let socket = plain;
  let dialogue = new Dialogue(socket, settings.handshakeBytesMax);
  socket.resume();
  let sequence = 0;
  const deadline = new AbortController();
  deadline.signal.addEventListener('abort', () => dialogue.fail(new ProtocolError('no sign-in in time')));
  const timer = setTimeout(() => deadline.abort(), settings.handshakeTimeoutMs);
  const turnAway = (error: ServerError, withState = true): never => {
    socket.write(encodeError(error, sequence, withState));
    throw new TurnedAway(error.message);
  };
  try {
    const tlsFlag = settings.tls === null ? 0 : capability.SSL;
    const offered = offeredCapabilities | tlsFlag;
    dialogue.send(greeting(serverVersion, connectionId, offered), 0);
    let packet = await dialogue.next();
    sequence = packet.sequence + 1;
    let hello = readClientHello(packet.payload);
    if (hello.kind === 'tls') {
      if (settings.tls === null) throw new ProtocolError('TLS was not offered');
      socket = await upgrade(socket, dialogue.release(), deadline.signal);
      dialogue = new Dialogue(socket, settings.handshakeBytesMax);
      socket.resume();
      packet = await dialogue.next();
      sequence = packet.sequence + 1;
      hello = readClientHello(packet.payload);
      if (hello.kind === 'tls') throw new ProtocolError('TLS inside TLS');
    }
    const tls = socket !== plain;
    const capabilities = hello.capabilities & offered;
    if ((capabilities & neededCapabilities) !== neededCapabilities) turnAway(serverErrors.oldClient);
    if (!isReadableCollation(hello.collation)) turnAway(serverErrors.charset);
    if (!tls && !(settings.allowCleartextLoopback && isLocal)) turnAway(serverErrors.needsTls);
    dialogue.send(clearPasswordRequest, sequence);
    packet = await dialogue.next();
    sequence = packet.sequence + 1;
    if (packet.payload.length > secretBytesMax) turnAway(accessDenied(hello.user));
    const credentials: Credentials = {
      protocol: 'mysql',
      user: hello.user,
      secret: readClearPassword(packet.payload),
      database: hello.database,
      clientAddress,
      tls,
      applicationName: hello.applicationName,
    };
    const { handshakeTimeoutMs } = settings;
    const rest = dialogue.release();
    return { socket, rest, credentials, connectionId, capabilities, sequence, handshakeTimeoutMs };
  } catch (error) {
    dialogue.release();
    socket.on('error', () => {});
    if (error instanceof ProtocolError) socket.write(encodeError(serverErrors.badHandshake, sequence, false));
    if (error instanceof ProtocolError || error instanceof TurnedAway) endGently(socket);
    else socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function greeting(serverVersion: string, connectionId: number, capabilities: number): Buffer {
  // No byte of a scramble may be NUL; nothing is ever proved with this one.
  const scramble = randomBytes(20).map((byte) => (byte % 94) + 33);
  return encodeGreeting({
    serverVersion,
    connectionId,
    scramble: Buffer.from(scramble),
    capabilities,
    status: serverStatus.AUTOCOMMIT,
    plugin: 'mysql_native_password',
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}
