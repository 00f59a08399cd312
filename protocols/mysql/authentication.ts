/**
 * How Cordon proves its own account to an upstream: one answerer a plugin. mysql2's plugins where they fit, MariaDB's
 * client_ed25519 written out here. The password leaves in no other way than the ones below.
 */
import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import mysql2 from 'mysql2';
import { ProtocolError } from '../bytes.ts';

/** What protects the connection; `verified` also says who answers. */
export type Channel = 'plain' | 'loopback' | 'encrypted' | 'verified';

/** Answers the server's data, first the scramble and then each AuthMoreData; null: nothing to say. */
export type Answerer = (data: Buffer) => Buffer | null;

/** The upstream wants something that would give the password away, or that Cordon doesn't know. */
class AuthenticationRefused extends Error {
  override readonly name = 'AuthenticationRefused';
}

/** @throws AuthenticationRefused for a plugin that is unknown, or unfit for the channel. */
export function answererFor(plugin: string, password: string, channel: Channel): Answerer {
  const encrypted = channel === 'encrypted' || channel === 'verified';
  switch (plugin) {
    case 'mysql_native_password':
      return fromMysql2(mysql2.authPlugins.mysql_native_password({ password }), password);
    case 'caching_sha2_password': {
      const answer = fromMysql2(
        mysql2.authPlugins.caching_sha2_password({ overrideIsSecure: encrypted }),
        password,
      );
      return keyRequestGuard(answer, 0x02, channel, password);
    }
    case 'sha256_password':
      // In TLS the password itself; mysql2's plugin looks for that in its own connection, so it is said here.
      if (encrypted) return () => Buffer.from(`${password}\0`, 'utf8');
      return keyRequestGuard(
        fromMysql2(mysql2.authPlugins.sha256_password({}), password),
        0x01,
        channel,
        password,
      );
    case 'client_ed25519':
      return (scramble) => signEd25519(scramble, password);
    case 'mysql_clear_password':
      if (channel !== 'verified') {
        throw new AuthenticationRefused('the upstream asks for a clear password outside verified TLS');
      }
      return () => Buffer.from(`${password}\0`, 'utf8');
    default:
      throw new AuthenticationRefused('the upstream asks for an authentication plugin that is not known');
  }
}

type Mysql2Plugin = ReturnType<typeof mysql2.authPlugins.mysql_native_password>;

function fromMysql2(plugin: Mysql2Plugin, password: string): Answerer {
  // The plugins read no more of their connection than these two.
  const metadata = { connection: { config: { password }, stream: null }, command: {} } as unknown;
  const answer = plugin(metadata as Parameters<Mysql2Plugin>[0]);
  return (data) => {
    const answered = answer(data);
    if (answered === null || Buffer.isBuffer(answered)) return answered;
    throw new ProtocolError('authentication plugin answered in a way that is not expected');
  };
}

/** A public key that anybody on the way may have sent protects nothing: it is asked for on loopback only. */
function keyRequestGuard(answer: Answerer, request: number, channel: Channel, password: string): Answerer {
  return (data) => {
    const answered = answer(data);
    const asksForKey = answered?.length === 1 && answered[0] === request;
    if (asksForKey && channel === 'plain' && password !== '') {
      throw new AuthenticationRefused('the upstream wants the password itself: that needs TLS');
    }
    return answered;
  };
}

/**
 * MariaDB's ed25519 signature of the 32-byte scramble: as RFC 8032, 5.1.6, with SHA-512 of the *password* in the place
 * of SHA-512 of a 32-byte seed.
 */
export function signEd25519(scramble: Buffer, password: string): Buffer {
  if (scramble.length < 32) throw new ProtocolError('client_ed25519 scramble too short');
  const message = scramble.subarray(0, 32);
  const expanded = sha512(Buffer.from(password, 'utf8'));
  const scalarBytes = Buffer.from(expanded.subarray(0, 32));
  scalarBytes[0] = (scalarBytes[0] as number) & 0xf8;
  scalarBytes[31] = ((scalarBytes[31] as number) & 0x3f) | 0x40;
  const order = ed25519.Point.Fn.ORDER;
  const scalar = littleEndian(scalarBytes) % order;
  const publicKey = ed25519.Point.BASE.multiply(scalar).toBytes();
  const nonce = littleEndian(sha512(expanded.subarray(32), message)) % order;
  const commitment = ed25519.Point.BASE.multiply(nonce).toBytes();
  const challenge = littleEndian(sha512(commitment, publicKey, message)) % order;
  const response = (nonce + challenge * scalar) % order;
  const signature = Buffer.alloc(64);
  signature.set(commitment, 0);
  let rest = response;
  for (let at = 32; at < 64; at++) {
    signature[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return signature;
}

function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}
