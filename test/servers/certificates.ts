/**
 * A throw-away certificate authority and a server certificate, written without the openssl program.
 * For tests and the demo only: the authority's own key is forgotten at once.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

/** Paths of PEM files. `ca` signs `cert`, and nothing else ever will. */
export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Subject alternative names that every test server needs. */
const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1'];

/**
 * Writes `ca.crt`, `server.crt` and `server.key` into `dir`. `names` are DNS names and IPv4 addresses.
 * The validity can be moved, so that a test can present an expired certificate.
 */
export function writeCertificate(
  dir: string,
  names: readonly string[] = LOOPBACK_NAMES,
  validity: { notBefore?: Date; notAfter?: Date } = {},
): CertificateFiles {
  mkdirSync(dir, { recursive: true });
  const notBefore = validity.notBefore ?? new Date(Date.now() - 3_600_000);
  const notAfter = validity.notAfter ?? new Date(Date.now() + 30 * 86_400_000);
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authorityName = `Cordon test authority ${randomBytes(4).toString('hex')}`;
  const ca = certificate({
    subject: authorityName,
    issuer: authorityName,
    notBefore: new Date(notBefore.getTime() - 60_000),
    notAfter: new Date(notAfter.getTime() + 60_000),
    publicKey: authority.publicKey,
    authorityKey: authority,
    extensions: [
      extension('551d13', true, sequence(tagged(0x01, Buffer.from([0xff])))), // basicConstraints: a CA
      extension('551d0f', true, tagged(0x03, Buffer.from([0x01, 0x06]))), // keyUsage: keyCertSign, cRLSign
    ],
  });
  const cert = certificate({
    subject: names[0] ?? 'localhost',
    issuer: authorityName,
    notBefore,
    notAfter,
    publicKey: server.publicKey,
    authorityKey: authority,
    extensions: [
      extension('551d13', true, sequence()),
      extension('551d0f', true, tagged(0x03, Buffer.from([0x07, 0x80]))), // keyUsage: digitalSignature
      extension('551d25', false, sequence(oid('2b06010505070301'))), // extKeyUsage: serverAuth
      extension('551d11', false, sequence(...names.map(alternativeName))),
    ],
  });
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'server.crt'), key: join(dir, 'server.key') };
  writeFileSync(files.ca, pem('CERTIFICATE', ca));
  writeFileSync(files.cert, pem('CERTIFICATE', cert));
  writeFileSync(files.key, server.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return files;
}

interface Template {
  subject: string;
  issuer: string;
  notBefore: Date;
  notAfter: Date;
  publicKey: KeyObject;
  authorityKey: { privateKey: KeyObject; publicKey: KeyObject };
  extensions: readonly Buffer[];
}

/** RFC 5280, 4.1. */
function certificate(template: Template): Buffer {
  const algorithm = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40; // positive, and never shorter than its bytes
  const authorityId = keyIdentifier(template.authorityKey.publicKey);
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))), // version 3
    tagged(0x02, serial),
    algorithm,
    commonName(template.issuer),
    sequence(time(template.notBefore), time(template.notAfter)),
    commonName(template.subject),
    template.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(
      0xa3,
      sequence(
        ...template.extensions,
        extension('551d0e', false, tagged(0x04, keyIdentifier(template.publicKey))),
        extension('551d23', false, sequence(tagged(0x80, authorityId))),
      ),
    ),
  );
  const signature = sign('sha256', body, template.authorityKey.privateKey);
  return sequence(body, algorithm, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function tagged(tag: number, content: Buffer): Buffer {
  const length = content.length;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(name)))));
}

/** UTCTime, which RFC 5280 demands until 2049. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [tagged(0x01, Buffer.from([0xff]))] : []), tagged(0x04, value));
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 4) return tagged(0x87, Buffer.from(name.split('.').map(Number)));
  return tagged(0x82, Buffer.from(name));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
