/**
 * The header that a proxy puts in front of a connection to say whose it is: the PROXY protocol (haproxy, doc/proxy-protocol.txt),
 * versions 1 and 2. Pure: who may send one, and what an address is good for, is decided elsewhere.
 */
import { ProtocolError } from './bytes.ts';

export interface ProxyHeader {
  /** The client's address; null: the proxy does not say (LOCAL, UNKNOWN, UNSPEC), as in its own checks. */
  readonly source: string | null;
  /** Bytes of the header: the client's own begin behind them. */
  readonly length: number;
}

/** Version 1 has no length: a line of at most this many bytes, CRLF included. */
const lineBytesMax = 107;
const lineStart = Buffer.from('PROXY ', 'latin1');
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const fixedBytes = signature.length + 4;
/** Version 2, the fixed part not counted. Addresses take at most 36 bytes, the rest is TLVs. */
const variableBytesMax = 4096;

/**
 * Reads the header at the beginning of a connection; null: more bytes are needed.
 * @throws ProtocolError as soon as the bytes can't become one.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | null {
  if (beginsAs(bytes, lineStart)) return readLine(bytes);
  if (beginsAs(bytes, signature)) return readBinary(bytes);
  throw malformed('neither version begins so');
}

/** So far as there are bytes. */
function beginsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader | null {
  const end = bytes.subarray(0, lineBytesMax).indexOf('\r\n', 0, 'latin1');
  if (end === -1) {
    if (bytes.length >= lineBytesMax) throw malformed('the line has no end');
    return null;
  }
  const line = bytes.toString('latin1', 0, end);
  const length = end + 2;
  // Whatever stands behind UNKNOWN is to be ignored.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { source: null, length };
  const [, family, source = '', destination = '', ...ports] = line.split(' ');
  const read = family === 'TCP4' ? readIPv4 : family === 'TCP6' ? readIPv6 : null;
  if (read === null) throw malformed('not TCP4, TCP6 or UNKNOWN');
  const client = read(source);
  if (client === null || read(destination) === null) throw malformed('no address of its family');
  if (ports.length !== 2 || !ports.every(isPort)) throw malformed('not two ports');
  return { source: client, length };
}

function readIPv4(text: string): string | null {
  const octets = text.split('.');
  const isOctet = (octet: string): boolean => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255;
  return octets.length === 4 && octets.every(isOctet) ? text : null;
}

/** As RFC 5952 writes it; an IPv4-mapped one (RFC 4291, 2.5.5.2) as the IPv4 address that it stands for. A zone is no part of it. */
function readIPv6(text: string): string | null {
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !URL.canParse(`http://[${text}]`)) return null;
  const written = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(written);
  if (mapped === null) return written;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const command = { local: 0, proxy: 1 };
/** Address family and transport protocol. */
const family = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21 };

function readBinary(bytes: Buffer): ProxyHeader | null {
  if (bytes.length < fixedBytes) return null;
  const versionAndCommand = bytes.readUInt8(signature.length);
  const familyAndProtocol = bytes.readUInt8(signature.length + 1);
  const variableBytes = bytes.readUInt16BE(signature.length + 2);
  if (versionAndCommand >> 4 !== 2) throw malformed('not version 2');
  const asked = versionAndCommand & 0x0f;
  if (asked !== command.local && asked !== command.proxy) throw malformed('an unknown command');
  if (variableBytes > variableBytesMax) throw malformed('too long');
  const length = fixedBytes + variableBytes;
  if (asked === command.local || familyAndProtocol === family.unspecified) {
    return bytes.length < length ? null : { source: null, length };
  }
  if (familyAndProtocol !== family.tcp4 && familyAndProtocol !== family.tcp6)
    throw malformed('not TCP over IP');
  const addressBytes = familyAndProtocol === family.tcp4 ? 4 : 16;
  if (variableBytes < 2 * addressBytes + 4) throw malformed('too short for its addresses');
  if (bytes.length < length) return null;
  const address = bytes.subarray(fixedBytes, fixedBytes + addressBytes);
  if (addressBytes === 4) return { source: address.join('.'), length };
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16));
  return { source: readIPv6(groups.join(':')), length };
}

function malformed(how: string): ProtocolError {
  return new ProtocolError(`no PROXY header: ${how}`);
}
