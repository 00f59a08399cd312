/**
 * The packets that come before any type byte: SSLRequest, GSSENCRequest, CancelRequest and StartupMessage (manual
 * 54.2.1, 54.7). Reads and classifies; who answers what is in session.ts.
 */
import { ByteReader, ProtocolError } from '../bytes.ts';

/** The server's own bound on such a packet. */
const startupBytesMax = 10_000;

/** The newest minor version of protocol 3 that is spoken to clients. */
export const newestMinor = 2;

export type FirstPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | {
      readonly kind: 'startup';
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** Protocol options (`_pq_.`), of which none is known. */
      readonly options: readonly string[];
    }
  | { readonly kind: 'unsupported'; readonly major: number; readonly minor: number };

/**
 * The length of the packet that begins here, itself included; null while it can't be told.
 * @throws ProtocolError when it is out of bounds.
 */
export function firstPacketLength(bytes: Buffer, bytesMax: number): number | null {
  if (bytes.length < 4) return null;
  const length = bytes.readUInt32BE(0);
  if (length < 8 || length > Math.min(bytesMax, startupBytesMax)) {
    throw new ProtocolError('a start-up packet of an impossible length');
  }
  return length;
}

/**
 * Reads one whole packet, length included.
 * @throws ProtocolError on anything malformed, repeated parameters included: whichever of the two a reader takes,
 * another may take the other.
 */
export function readFirstPacket(packet: Buffer): FirstPacket {
  const reader = new ByteReader(packet);
  reader.skip(4);
  const major = reader.uint16Be();
  const minor = reader.uint16Be();
  if (major === 1234) {
    if (minor === 5678) return readCancel(reader);
    if (minor === 5679 || minor === 5680) {
      reader.finish();
      return { kind: minor === 5679 ? 'ssl' : 'gssenc' };
    }
  }
  if (major !== 3) return { kind: 'unsupported', major, minor };
  const parameters = new Map<string, string>();
  const options: string[] = [];
  for (;;) {
    const name = reader.cstring();
    if (name === '') break;
    const value = reader.cstring();
    if (name.startsWith('_pq_.')) options.push(name);
    else if (parameters.has(name)) throw new ProtocolError('a start-up parameter that comes twice');
    else parameters.set(name, value);
  }
  reader.finish();
  return { kind: 'startup', minor, parameters, options };
}

/** Keys are 4 bytes in protocol 3.0, up to 256 in 3.2. */
function readCancel(reader: ByteReader): FirstPacket {
  const processId = reader.uint32Be();
  const key = reader.rest();
  if (key.length < 4 || key.length > 256) throw new ProtocolError('a cancel key of an impossible length');
  return { kind: 'cancel', processId, key };
}
