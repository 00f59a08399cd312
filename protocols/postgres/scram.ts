/** SCRAM-SHA-256 and -PLUS as a client (RFC 5802, RFC 7677). Pure but for the key derivation's thread. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ProtocolError } from '../bytes.ts';

const derive = promisify(pbkdf2);
/** A server that asks for fewer makes a captured exchange cheap to guess from; one that asks for more, ties us up. */
const iterationsMin = 1000;
const iterationsMax = 1_000_000;

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/**
 * What the client says of the channel: none that could be bound; one that could be, but the server did not offer it (a server that
 * did, takes that for the work of somebody between); or its `tls-server-end-point` hash.
 */
export type ChannelBinding = 'none' | 'not_offered' | Buffer;

export class ScramClient {
  readonly #nonce: string;
  readonly #gs2Header: string;
  readonly #binding: Buffer;
  readonly #password: string;
  #serverSignature: Buffer | null = null;

  /** @param nonce printable ASCII without commas, fresh for each exchange. */
  constructor(password: string, nonce: string, binding: ChannelBinding = 'none') {
    this.#nonce = nonce;
    const bound = typeof binding !== 'string';
    this.#gs2Header = bound ? 'p=tls-server-end-point,,' : binding === 'none' ? 'n,,' : 'y,,';
    this.#binding = Buffer.concat([Buffer.from(this.#gs2Header), bound ? binding : Buffer.alloc(0)]);
    this.#password = password.normalize('NFKC');
  }

  /** client-first-message. PostgreSQL takes the user name from the StartupMessage. */
  first(): string {
    return `${this.#gs2Header}n=,r=${this.#nonce}`;
  }

  /**
   * client-final-message in answer to server-first-message.
   * @throws ProtocolError when the server's message is malformed, continues another nonce, or is out of bounds.
   */
  async final(serverFirst: string): Promise<string> {
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,.*)?$/.exec(
      serverFirst,
    );
    if (match === null) throw new ProtocolError('a malformed SCRAM challenge');
    const [, nonce, salt, count] = match as unknown as [string, string, string, string];
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ProtocolError('a SCRAM challenge for another nonce');
    }
    const iterations = Number(count);
    if (iterations < iterationsMin || iterations > iterationsMax) {
      throw new ProtocolError('a SCRAM iteration count out of bounds');
    }
    const salted = await derive(this.#password, Buffer.from(salt, 'base64'), iterations, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const withoutProof = `c=${this.#binding.toString('base64')},r=${nonce}`;
    const authMessage = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
    const proof = hmac(storedKey, authMessage);
    for (let i = 0; i < proof.length; i++) proof[i]! ^= clientKey[i]!;
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /**
   * Checks server-final-message: only who knows the password's verifier can sign it.
   * @throws ProtocolError when it doesn't hold.
   */
  verify(serverFinal: string): void {
    const match = /^v=([A-Za-z0-9+/]{43}=)(?:,.*)?$/.exec(serverFinal);
    const signature = match === null ? null : Buffer.from(match[1]!, 'base64');
    if (signature === null || this.#serverSignature === null || signature.length !== 32) {
      throw new ProtocolError('a malformed SCRAM signature');
    }
    if (!timingSafeEqual(signature, this.#serverSignature)) {
      throw new ProtocolError('a SCRAM signature that does not hold: the server does not know the password');
    }
  }
}
