/**
 * A client's first packets, up to its password: TLS, cancel requests, protocol version, start-up parameters. Nothing
 * here knows an upstream.
 */
import type net from 'node:net';
import tls from 'node:tls';
import { ProtocolError } from '../bytes.ts';
import type { ListenerSettings } from '../gate.ts';
import { clientType, readPassword } from './client-messages.ts';
import { SessionEnd } from './errors.ts';
import { ClientFrames } from './framing.ts';
import { type FirstPacket, firstPacketLength, newestMinor, readFirstPacket } from './handshake.ts';
import { authenticationCleartextPassword, encodeNegotiateProtocolVersion } from './server-messages.ts';
import { checkStartupParameters, type StartupParameters } from './startup-parameters.ts';
import { isLoopback } from './upstream.ts';

export interface Greeted {
  /** The socket to go on with: the TLS one when there is TLS. */
  readonly socket: net.Socket;
  readonly secure: boolean;
  readonly parameters: StartupParameters;
  readonly minor: number;
  readonly password: string;
  /** What came behind the password. */
  readonly leftover: Buffer;
}

const contexts = new WeakMap<object, tls.SecureContext>();

function contextOf(settings: { readonly cert: string; readonly key: string }): tls.SecureContext {
  let context = contexts.get(settings);
  if (context === undefined) {
    context = tls.createSecureContext({ cert: settings.cert, key: settings.key, minVersion: 'TLSv1.2' });
    contexts.set(settings, context);
  }
  return context;
}

/** One client's way in. `socket` changes when TLS begins. */
export class Greeting {
  socket: net.Socket;
  #secure = false;
  readonly #isLocal: boolean;
  #read = 0;
  #pending: Buffer = Buffer.alloc(0);
  readonly #settings: ListenerSettings;
  readonly #cancel: (processId: number, key: Buffer) => void;

  constructor(
    socket: net.Socket,
    settings: ListenerSettings,
    clientAddress: string,
    cancel: (processId: number, key: Buffer) => void,
  ) {
    this.socket = socket;
    this.#settings = settings;
    // A proxy's word that a client is local to it does not make the way from the proxy local.
    this.#isLocal = isLoopback(socket.remoteAddress) && isLoopback(clientAddress);
    this.#cancel = cancel;
  }

  /**
   * Goes through the exchange; null when the connection has served its purpose or the client left.
   * @throws SessionEnd with the client's last message, ProtocolError.
   */
  async run(): Promise<Greeted | null> {
    let sslAsked = false;
    let gssAsked = false;
    for (let first = true; ; first = false) {
      const packet = await this.#packet(first);
      if (packet === null) return null;
      switch (packet.kind) {
        case 'ssl':
          if (sslAsked || this.#secure) throw new ProtocolError('SSLRequest out of order');
          sslAsked = true;
          if (this.#settings.tls === null) this.socket.write('N');
          else if (!(await this.#upgrade(false))) return null;
          break;
        case 'gssenc':
          if (gssAsked || this.#secure) throw new ProtocolError('GSSENCRequest out of order');
          gssAsked = true;
          this.socket.write('N');
          break;
        case 'cancel':
          this.#cancel(packet.processId, packet.key);
          this.socket.end();
          return null;
        case 'unsupported':
          throw new SessionEnd(
            '0A000',
            `unsupported frontend protocol ${packet.major}.${packet.minor}: this gateway speaks 3.0 to 3.${newestMinor}`,
          );
        case 'startup':
          return await this.#signIn(packet);
      }
    }
  }

  async #signIn(packet: Extract<FirstPacket, { kind: 'startup' }>): Promise<Greeted | null> {
    const parameters = checkStartupParameters(packet.parameters);
    if ('sqlState' in parameters) throw new SessionEnd(parameters.sqlState, parameters.message);
    if (!this.#secure && !(this.#settings.allowCleartextLoopback && this.#isLocal)) {
      const message =
        'this gateway takes a token as password, and only over TLS (sslmode=require or stronger)';
      throw new SessionEnd('28000', message);
    }
    const minor = Math.min(packet.minor, newestMinor);
    if (packet.minor > newestMinor || packet.options.length > 0) {
      this.socket.write(encodeNegotiateProtocolVersion(minor, packet.options));
    }
    this.socket.write(authenticationCleartextPassword);
    const frames = new ClientFrames(this.#settings.handshakeBytesMax);
    if (this.#pending.length > 0) frames.push(this.#pending);
    while (!frames.next()) {
      const piece = await this.#piece();
      if (piece === null) return null;
      frames.push(piece);
    }
    if (frames.type !== clientType.password) throw new ProtocolError('expected a password message');
    const password = readPassword(frames.buffer.subarray(frames.content, frames.end));
    const leftover = frames.buffer.subarray(frames.end, frames.end + frames.waiting);
    return { socket: this.socket, secure: this.#secure, parameters, minor, password, leftover };
  }

  async #packet(first: boolean): Promise<FirstPacket | null> {
    let bytes = this.#pending;
    for (;;) {
      if (first && bytes.length > 0 && bytes[0] === 0x16) {
        // Direct TLS: no other packet can begin so, a length of that size is out of bounds.
        if (this.#settings.tls === null) throw new ProtocolError('TLS is not configured');
        this.#pending = bytes;
        if (!(await this.#upgrade(true))) return null;
        return this.#packet(false);
      }
      const length = firstPacketLength(bytes, this.#settings.handshakeBytesMax);
      if (length !== null && bytes.length >= length) {
        this.#pending = bytes.subarray(length);
        return readFirstPacket(bytes.subarray(0, length));
      }
      const piece = await this.#piece();
      if (piece === null) return null;
      bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece]);
    }
  }

  /** What the next read gives; null when the client is gone. The socket is paused afterwards. */
  #piece(): Promise<Buffer | null> {
    const { socket } = this;
    return new Promise((resolve, reject) => {
      if (socket.destroyed || socket.readableEnded) {
        resolve(null);
        return;
      }
      const settle = (piece: Buffer | null): void => {
        socket.off('data', onData);
        socket.off('close', onClose);
        socket.off('end', onClose);
        socket.pause();
        this.#read += piece?.length ?? 0;
        if (this.#read > this.#settings.handshakeBytesMax)
          reject(new ProtocolError('too much before signing in'));
        else resolve(piece);
      };
      const onData = (piece: Buffer): void => settle(piece);
      const onClose = (): void => settle(null);
      socket.on('data', onData);
      socket.on('close', onClose);
      socket.on('end', onClose);
      socket.resume();
    });
  }

  /** Begins TLS; false when the client went away or failed at it. */
  async #upgrade(direct: boolean): Promise<boolean> {
    const plain = this.socket;
    if (direct) {
      plain.unshift(this.#pending);
      this.#pending = Buffer.alloc(0);
    } else {
      // Whatever came behind the request was sent in clear, by whoever (CVE-2021-23222).
      if (this.#pending.length > 0 || plain.readableLength > 0) {
        throw new ProtocolError('bytes before the TLS handshake');
      }
      plain.write('S');
    }
    const secured = new tls.TLSSocket(plain, {
      isServer: true,
      secureContext: contextOf(this.#settings.tls!),
      ALPNProtocols: ['postgresql'],
    });
    this.socket = secured;
    const established = await new Promise<boolean>((resolve) => {
      secured.once('secure', () => resolve(true));
      secured.on('error', () => resolve(false));
      secured.once('close', () => resolve(false));
    });
    if (!established) {
      secured.destroy();
      return false;
    }
    // RFC 7301 is what keeps a TLS client of another protocol from being led here.
    if (direct && secured.alpnProtocol !== 'postgresql')
      throw new ProtocolError('direct TLS without its ALPN protocol');
    this.#secure = true;
    return true;
  }
}
