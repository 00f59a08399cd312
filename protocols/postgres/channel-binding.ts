/**
 * The channel binding `tls-server-end-point` (RFC 5929, section 4): a hash of the certificate that the server has shown. Who stands
 * between shows another one. Pure.
 */
import { createHash } from 'node:crypto';

/** The hash is the one of the certificate's signature; SHA-256 in place of what is too weak. By object identifier, as DER has it. */
const hashes: ReadonlyMap<string, string> = new Map([
  // RSA with MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512: 1.2.840.113549.1.1
  ['2a864886f70d010104', 'sha256'],
  ['2a864886f70d010105', 'sha256'],
  ['2a864886f70d01010e', 'sha224'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  // ECDSA with SHA-1: 1.2.840.10045.4.1; SHA-224 to SHA-512: 1.2.840.10045.4.3
  ['2a8648ce3d0401', 'sha256'],
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
]);

/** @param certificate in DER. Null: the RFC names no hash for such a signature, or it can't be read. */
export function endPointHash(certificate: Buffer): Buffer | null {
  const outer = element(certificate, 0, 0x30);
  const signed = outer && element(certificate, outer.content, 0x30);
  const algorithm = signed && element(certificate, signed.end, 0x30);
  const identifier = algorithm && element(certificate, algorithm.content, 0x06);
  if (!identifier) return null;
  const hash = hashes.get(certificate.toString('hex', identifier.content, identifier.end));
  return hash === undefined ? null : createHash(hash).update(certificate).digest();
}

/** Where an element's content begins and ends; null when there is none of that tag. */
function element(der: Buffer, at: number, tag: number): { content: number; end: number } | null {
  const first = der[at + 1];
  if (der[at] !== tag || first === undefined) return null;
  const bytes = first < 0x80 ? 0 : first - 0x80;
  if (bytes > 4 || at + 2 + bytes > der.length || first === 0x80) return null;
  const length = bytes === 0 ? first : der.readUIntBE(at + 2, bytes);
  const content = at + 2 + bytes;
  return content + length <= der.length ? { content, end: content + length } : null;
}
