/**
 * Connects to an upstream, with TLS as configured, and signs in there with Cordon's own account. What comes out is a
 * socket in the command phase; the relay takes it from there.
 */
import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, TLSSocket } from 'node:tls';
import type { ConnectionOptions } from 'mysql2/promise';
import { ProtocolError } from '../bytes.ts';
import type { UpstreamTarget, UpstreamTls } from '../gate.ts';
import { type Answerer, answererFor, type Channel } from './authentication.ts';
import { capability, neededCapabilities, optionalCapabilities } from './capabilities.ts';
import { command, textCommand } from './client-messages.ts';
import { Dialogue, type Packet } from './dialogue.ts';
import {
  encodeHandshakeResponse,
  encodeTlsRequest,
  type Greeting,
  readAuthSwitch,
  readGreeting,
} from './handshake.ts';
import { readErr, readOk } from './server-messages.ts';

/** A signed-in connection to an upstream; the socket is paused. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** Read already, and part of the command phase (empty for a server that keeps to the protocol). */
  readonly rest: Buffer;
  readonly serverVersion: string;
  readonly connectionId: number;
  readonly status: number;
  /** What was agreed upon. */
  readonly capabilities: number;
}

/** The upstream can't be used. The text is for the log: a client hears only that it can't be reached. */
class UpstreamRefused extends Error {
  override readonly name = 'UpstreamRefused';
}

const handshakeBytesMax = 256 * 1024;

/**
 * @param capabilities relayed flags that have to be in force on the connection, the optional ones if they can be had
 * @throws UpstreamRefused, ProtocolError, AuthenticationRefused, or the socket's own error
 */
export async function connectUpstream(
  target: UpstreamTarget,
  capabilities: number,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<UpstreamConnection> {
  signal?.throwIfAborted();
  const raw = connect({ host: target.host, port: target.port, noDelay: true, keepAlive: true });
  let socket = raw;
  let dialogue = new Dialogue(raw, handshakeBytesMax);
  const giveUp = (): void => dialogue.fail(new UpstreamRefused('no sign-in in time'));
  const timer = setTimeout(giveUp, timeoutMs);
  signal?.addEventListener('abort', giveUp);
  try {
    const first = await dialogue.next();
    if (first.payload[0] === 0xff) throw refusedBy(first.payload);
    const greeting = readGreeting(first.payload);
    const agreed = agree(greeting, capabilities);
    let sequence = first.sequence + 1;
    if (target.tls.mode !== 'disable') {
      if (!(greeting.capabilities & capability.SSL)) throw new UpstreamRefused('the upstream offers no TLS');
      dialogue.send(encodeTlsRequest(agreed), sequence++);
      if (dialogue.release().length > 0) throw new ProtocolError('bytes in front of the TLS handshake');
      socket = await upgrade(raw, target, signal, timeoutMs);
      dialogue = new Dialogue(socket, handshakeBytesMax);
      socket.resume();
    }
    const channel = channelOf(target.tls.mode, socket);
    const withTls = target.tls.mode === 'disable' ? agreed : agreed | capability.SSL;
    const status = await signIn(dialogue, target, greeting, withTls, channel, sequence);
    const { serverVersion, connectionId } = greeting;
    const rest = dialogue.release();
    return { socket, rest, serverVersion, connectionId, status, capabilities: agreed };
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    raw.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Ends what a connection of ours is doing, by way of another one, if that is still `wanted` when it can be said. */
export async function killQuery(
  target: UpstreamTarget,
  connectionId: number,
  timeoutMs: number,
  wanted: () => boolean = () => true,
): Promise<void> {
  const side = await connectUpstream(target, 0, timeoutMs);
  const dialogue = new Dialogue(side.socket, handshakeBytesMax);
  const timer = setTimeout(() => dialogue.fail(new UpstreamRefused('no answer in time')), timeoutMs);
  try {
    side.socket.resume();
    if (wanted()) {
      dialogue.send(textCommand(command.QUERY, `KILL QUERY ${connectionId}`), 0);
      await dialogue.next();
    }
    dialogue.send(Buffer.from([command.QUIT]), 0);
  } finally {
    clearTimeout(timer);
    dialogue.release();
    side.socket.on('error', () => {});
    side.socket.destroySoon();
  }
}

function agree(greeting: Greeting, capabilities: number): number {
  const optional = capabilities & greeting.capabilities & optionalCapabilities;
  const wanted =
    (capabilities & ~optionalCapabilities) | optional | neededCapabilities | capability.CONNECT_WITH_DB;
  if ((greeting.capabilities & wanted) !== wanted) {
    throw new UpstreamRefused('the upstream lacks a capability that the client was promised');
  }
  const lenenc = greeting.capabilities & capability.PLUGIN_AUTH_LENENC_CLIENT_DATA;
  // MariaDB leaves LONG_PASSWORD out of its offer, and takes a client that sets it for MySQL's: no extended flags follow.
  return wanted | lenenc | capability.LONG_PASSWORD;
}

async function signIn(
  dialogue: Dialogue,
  target: UpstreamTarget,
  greeting: Greeting,
  capabilities: number,
  channel: Channel,
  sequence: number,
): Promise<number> {
  let answerer = answererOrNull(greeting.plugin, target.password, channel);
  const answer = answerer?.(greeting.scramble) ?? Buffer.alloc(0);
  const { user, database } = target;
  const plugin = answerer === null ? 'mysql_native_password' : greeting.plugin;
  dialogue.send(encodeHandshakeResponse({ capabilities, user, database, plugin, answer }), sequence);
  // Two rounds are usual, four the most that a known plugin takes.
  for (let round = 0; round < 8; round++) {
    const packet: Packet = await dialogue.next();
    const { payload } = packet;
    let reply: Buffer | null = null;
    switch (payload[0]) {
      case 0x00:
        return readOk(payload).status;
      case 0xff:
        throw refusedBy(payload);
      case 0xfe: {
        const request = readAuthSwitch(payload);
        answerer = answererFor(request.plugin, target.password, channel);
        reply = answerer(request.data) ?? Buffer.alloc(0);
        break;
      }
      case 0x01:
        if (answerer === null) throw new ProtocolError('authentication data without a plugin');
        reply = answerer(payload.subarray(1));
        break;
      default:
        throw new ProtocolError('unknown packet in the connection phase');
    }
    if (reply !== null) dialogue.send(reply, packet.sequence + 1);
  }
  throw new ProtocolError('authentication without an end');
}

/** The greeting's default plugin need not be the account's: only a switch to an unknown one is an end. A clear password
 *  is never volunteered. */
function answererOrNull(plugin: string, password: string, channel: Channel): Answerer | null {
  if (plugin === 'mysql_clear_password' || plugin === 'sha256_password') return null;
  try {
    return answererFor(plugin, password, channel);
  } catch {
    return null;
  }
}

// The server's words may name accounts and addresses: only its number is told.
function refusedBy(payload: Buffer): UpstreamRefused {
  return new UpstreamRefused(`the upstream answered with error ${readErr(payload).code}`);
}

/** What the connection gives to a password sent over it. */
function channelOf(mode: UpstreamTls['mode'], socket: { readonly remoteAddress?: string }): Channel {
  if (mode === 'verify-ca' || mode === 'verify-full') return 'verified';
  if (mode === 'require') return 'encrypted';
  const address = socket.remoteAddress ?? '';
  return address === '::1' || /^(::ffff:)?127\./.test(address) ? 'loopback' : 'plain';
}

function upgrade(
  raw: Socket,
  target: UpstreamTarget,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { mode, ca, cert, key } = target.tls;
    const secure = connectTls({
      socket: raw,
      host: target.host,
      ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
      ...(ca === null ? {} : { ca }),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: mode !== 'require',
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    });
    const end = (error: Error | null): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      secure.off('error', end);
      secure.off('close', closed);
      if (error === null) {
        secure.pause();
        resolve(secure);
        return;
      }
      secure.on('error', () => {});
      secure.destroy();
      reject(error);
    };
    const stop = (): void => end(new UpstreamRefused('no TLS in time'));
    const closed = (): void => end(new UpstreamRefused('closed during the TLS handshake'));
    const timer = setTimeout(stop, timeoutMs);
    signal?.addEventListener('abort', stop);
    secure.once('secureConnect', () => end(null));
    secure.on('error', end);
    secure.on('close', closed);
  });
}

const driverTimeoutMs = 10_000;

/** What mysql2 needs to reach the target with the same care for the password as a session's own connections. */
export function driverOptions(target: UpstreamTarget): ConnectionOptions {
  const { mode, ca, cert, key } = target.tls;
  const ssl =
    mode === 'disable'
      ? {}
      : {
          ssl: {
            ...(ca === null ? {} : { ca }),
            ...(cert === null ? {} : { cert }),
            ...(key === null ? {} : { key }),
            minVersion: 'TLSv1.2' as const,
            rejectUnauthorized: mode !== 'require',
            // Of an address the driver checks nothing; see `driverPlugin`.
            verifyIdentity: mode === 'verify-full' && isIP(target.host) === 0,
          },
        };
  const plugins = [
    'mysql_native_password',
    'caching_sha2_password',
    'sha256_password',
    'client_ed25519',
    'mysql_clear_password',
  ];
  return {
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    charset: 'utf8mb4_general_ci',
    connectTimeout: driverTimeoutMs,
    supportBigNumbers: true,
    flags: ['-LOCAL_FILES'],
    authPlugins: Object.fromEntries(plugins.map((name) => [name, driverPlugin(name, target)])),
    ...ssl,
  };
}

type Mysql2Plugin = NonNullable<ConnectionOptions['authPlugins']>[string];

function driverPlugin(name: string, target: UpstreamTarget): Mysql2Plugin {
  return ({ connection }) => {
    const { stream } = connection as unknown as { readonly stream: unknown };
    let channel: Channel = 'plain';
    if (stream instanceof TLSSocket) {
      channel = channelOf(target.tls.mode, stream);
      if (target.tls.mode === 'verify-full') {
        const error = checkServerIdentity(target.host, stream.getPeerCertificate());
        if (error !== undefined) throw error;
      }
    } else if (target.tls.mode === 'disable') {
      channel = channelOf('disable', stream as { remoteAddress?: string });
    }
    return answererFor(name, target.password, channel);
  };
}
