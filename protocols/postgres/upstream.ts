/**
 * Connections to a PostgreSQL server as its client: TLS, authentication, start-up, and CancelRequest. What is sent
 * on an established connection is the caller's business. Messages are written by pg-protocol and read by our own
 * readers, each bound to its frame.
 */
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { serialize } from 'pg-protocol';
import { ByteReader, ProtocolError } from '../bytes.ts';
import type { UpstreamTarget } from '../gate.ts';
import { encodeCancelRequest } from './cancel.ts';
import { endPointHash } from './channel-binding.ts';
import { FrameSource } from './frame-source.ts';
import { ScramClient } from './scram.ts';
import { readFields, readParameterStatus, readReady, serverType } from './server-messages.ts';

/** An established connection, idle, outside a transaction. */
export interface UpstreamConnection {
  readonly target: UpstreamTarget;
  readonly socket: net.Socket;
  readonly parameters: ReadonlyMap<string, string>;
  readonly processId: number;
  readonly key: Buffer;
  readonly frames: FrameSource;
}

/** No connection came about. `message` has no secret and no address; `sqlState` is the server's, if it spoke. */
export class UpstreamUnavailable extends Error {
  override readonly name = 'UpstreamUnavailable';
  readonly sqlState: string | null;
  constructor(message: string, sqlState: string | null = null) {
    super(message);
    this.sqlState = sqlState;
  }
}

const connectTimeoutMs = 10_000;
const handshakeFrameBytesMax = 1024 * 1024;

/**
 * Connects and authenticates.
 * @param settings start-up parameters besides user, database and client_encoding (which is always UTF8).
 * @throws UpstreamUnavailable
 */
export async function connectUpstream(
  target: UpstreamTarget,
  settings: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<UpstreamConnection> {
  const attempt = new Attempt(target, signal);
  try {
    return await attempt.run(settings);
  } catch (error) {
    attempt.destroy();
    if (error instanceof UpstreamUnavailable) throw error;
    const why = error instanceof ProtocolError ? error.message : 'the connection failed';
    throw new UpstreamUnavailable(`upstream "${target.name}": ${why}`);
  } finally {
    attempt.done();
  }
}

/** Asks the server to cancel what `connection` runs, over a connection of its own. Failing is silent. */
export async function cancelUpstream(
  connection: UpstreamConnection,
  wanted: () => boolean = () => true,
): Promise<void> {
  const attempt = new Attempt(connection.target);
  try {
    const socket = await attempt.open();
    socket.on('error', () => {});
    if (!wanted()) return;
    socket.end(encodeCancelRequest(connection.processId, connection.key));
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).resume());
  } catch {
    // The statement goes on; there is nobody to tell.
  } finally {
    attempt.done();
    attempt.destroy();
  }
}

class Attempt {
  readonly #target: UpstreamTarget;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = (): void => this.destroy();
  #socket: net.Socket | null = null;
  #secure = false;

  constructor(target: UpstreamTarget, signal?: AbortSignal) {
    this.#target = target;
    this.#signal = signal;
    this.#timer = setTimeout(() => this.destroy(), connectTimeoutMs);
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) queueMicrotask(this.#abort);
  }

  destroy(): void {
    this.#socket?.destroy(new Error('gave up'));
  }

  done(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  /** A connected socket, in TLS when the target asks for it. */
  async open(): Promise<net.Socket> {
    const { host, port } = this.#target;
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    await event(socket, 'connect');
    if (this.#target.tls.mode === 'disable') return socket;
    socket.write(serialize.requestSsl());
    const answer = await new Promise<Buffer>((resolve, reject) => {
      socket.once('data', (piece: Buffer) => {
        socket.pause();
        resolve(piece);
      });
      socket.once('error', reject);
      socket.once('close', () => reject(new ProtocolError('the server closed the connection')));
    });
    // Anything behind the one byte was sent in clear by whoever stands between (CVE-2021-23222).
    if (answer.length !== 1 || socket.readableLength > 0)
      throw new ProtocolError('bytes before the TLS handshake');
    if (answer[0] !== 0x53) throw new UpstreamUnavailable(`upstream "${this.#target.name}" offers no TLS`);
    const secured = tls.connect({ socket, ...tlsOptions(this.#target) });
    this.#socket = secured;
    try {
      await event(secured, 'secureConnect');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'handshake failure';
      throw new UpstreamUnavailable(`upstream "${this.#target.name}": TLS was not established (${code})`);
    }
    this.#secure = true;
    return secured;
  }

  async run(settings: ReadonlyMap<string, string>): Promise<UpstreamConnection> {
    const socket = await this.open();
    const { user, database, password } = this.#target;
    const parameters: Record<string, string> = { user, database };
    for (const [name, value] of settings) parameters[name] = value;
    if ([...Object.values(parameters), password].some((value) => value.includes('\u0000'))) {
      throw new UpstreamUnavailable(`upstream "${this.#target.name}": a NUL in a start-up parameter`);
    }
    const frames = new FrameSource(socket, handshakeFrameBytesMax);
    socket.write(serialize.startup(parameters));
    await this.#authenticate(socket, frames);
    const reported = new Map<string, string>();
    let processId = 0;
    let key: Buffer = Buffer.alloc(0);
    for (;;) {
      const { type, content } = await frames.next();
      if (type === serverType.parameterStatus) {
        const { name, value } = readParameterStatus(content);
        reported.set(name, value);
      } else if (type === serverType.backendKeyData) {
        const reader = new ByteReader(content);
        processId = reader.uint32Be();
        key = Buffer.from(reader.rest());
      } else if (type === serverType.ready) {
        readReady(content, 0, content.length);
        break;
      } else this.#otherwise(type, content);
    }
    return { target: this.#target, socket, parameters: reported, processId, key, frames };
  }

  async #authenticate(socket: net.Socket, frames: FrameSource): Promise<void> {
    const { user, password } = this.#target;
    for (;;) {
      const { type, content } = await frames.next();
      if (type !== serverType.authentication) {
        this.#otherwise(type, content);
        continue;
      }
      const reader = new ByteReader(content);
      const method = reader.uint32Be();
      if (method === 0) return;
      if (method === 3) {
        if (!this.#secure && !isLoopback(socket.remoteAddress)) {
          throw new UpstreamUnavailable(
            `upstream "${this.#target.name}" wants its password in clear, without TLS`,
          );
        }
        socket.write(serialize.password(password));
      } else if (method === 5) {
        const inner = md5(Buffer.from(password + user));
        socket.write(serialize.password(`md5${md5(Buffer.concat([Buffer.from(inner), reader.bytes(4)]))}`));
      } else if (method === 10) {
        await this.#scram(socket, frames, reader);
        return;
      } else throw new ProtocolError(`an authentication method that is not supported (${method})`);
    }
  }

  async #scram(socket: net.Socket, frames: FrameSource, offered: ByteReader): Promise<void> {
    const mechanisms: string[] = [];
    for (let name = offered.cstring(); name !== ''; name = offered.cstring()) mechanisms.push(name);
    const hash = socket instanceof tls.TLSSocket ? endPointHash(socket.getPeerCertificate().raw) : null;
    const bound = hash !== null && mechanisms.includes('SCRAM-SHA-256-PLUS');
    const mechanism = bound ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256';
    if (!mechanisms.includes(mechanism)) throw new ProtocolError('no SASL mechanism in common');
    const binding = hash === null ? 'none' : bound ? hash : 'not_offered';
    const client = new ScramClient(this.#target.password, randomBytes(18).toString('base64'), binding);
    socket.write(serialize.sendSASLInitialResponseMessage(mechanism, client.first()));
    socket.write(serialize.sendSCRAMClientFinalMessage(await client.final(await this.#sasl(frames, 11))));
    client.verify(await this.#sasl(frames, 12));
    if ((await this.#sasl(frames, 0)) !== '') throw new ProtocolError('bytes behind AuthenticationOk');
  }

  async #sasl(frames: FrameSource, expected: number): Promise<string> {
    for (;;) {
      const { type, content } = await frames.next();
      if (type !== serverType.authentication) {
        this.#otherwise(type, content);
        continue;
      }
      const reader = new ByteReader(content);
      if (reader.uint32Be() !== expected) throw new ProtocolError('authentication messages out of order');
      return reader.rest().toString('utf8');
    }
  }

  /** What may come at any time during start-up, or ends it. */
  #otherwise(type: number, content: Buffer): void {
    if (type === serverType.error) {
      const fields = readFields(content);
      const sqlState = fields.get('C') ?? 'XX000';
      // A fault of the settings is the client's to hear of; anything else is between the gateway and the server.
      const words = sqlState.startsWith('22') ? `: ${fields.get('M') ?? ''}` : '';
      throw new UpstreamUnavailable(
        `upstream "${this.#target.name}" refused the connection (${sqlState})${words}`,
        sqlState,
      );
    }
    if (type !== serverType.notice && type !== serverType.negotiateProtocolVersion) {
      throw new ProtocolError('an unexpected message during start-up');
    }
  }
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (/^(::ffff:)?127\./.test(address) || address === '::1');
}

function tlsOptions(target: UpstreamTarget): tls.ConnectionOptions {
  const { mode, ca, cert, key } = target.tls;
  return {
    host: target.host,
    ...(net.isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['postgresql'],
    rejectUnauthorized: mode !== 'require',
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function event(socket: net.Socket, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const close = (): void => reject(new Error('closed'));
    socket.once(name, () => {
      socket.off('error', reject);
      socket.off('close', close);
      // A later error ends the connection; its 'close' is what the owner acts on.
      socket.on('error', () => {});
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', close);
  });
}
