/**
 * Length-encoded integers and strings of the MySQL protocol. Reading is strict: a reserved first byte or a length
 * that no buffer can have is a ProtocolError.
 */
import { type ByteReader, type ByteWriter, ProtocolError } from '../bytes.ts';

/** Reads a length-encoded integer that counts bytes or items; NULL (0xFB) is not one. */
export function readLength(reader: ByteReader): number {
  const first = reader.uint8();
  if (first < 0xfb) return first;
  if (first === 0xfc) return reader.uint16Le();
  if (first === 0xfd) return reader.uint24Le();
  if (first === 0xfe) {
    const value = reader.uint64Le();
    if (value > 0xffffffffn) throw new ProtocolError('length-encoded integer out of range');
    return Number(value);
  }
  throw new ProtocolError('malformed length-encoded integer');
}

/** Steps over a length-encoded integer whose value is a full 64-bit number (a row count, an insert id). */
export function skipInteger(reader: ByteReader): void {
  const first = reader.uint8();
  if (first < 0xfb) return;
  if (first === 0xfc) reader.skip(2);
  else if (first === 0xfd) reader.skip(3);
  else if (first === 0xfe) reader.skip(8);
  else throw new ProtocolError('malformed length-encoded integer');
}

/** Reads a length-encoded string as a view. */
export function readLengthBytes(reader: ByteReader): Buffer {
  return reader.bytes(readLength(reader));
}

/** Bytes that the length prefix of `length` bytes takes: 1, 3, 4 or 9. */
export function lengthPrefixBytes(length: number): number {
  if (length < 0xfb) return 1;
  if (length <= 0xffff) return 3;
  return length <= 0xffffff ? 4 : 9;
}

/** Writes the prefix at `at` of a buffer with room for it; answers the offset behind it. */
export function putLength(buffer: Buffer, at: number, length: number): number {
  if (length < 0xfb) return buffer.writeUInt8(length, at);
  if (length <= 0xffff) return buffer.writeUInt16LE(length, buffer.writeUInt8(0xfc, at));
  if (length <= 0xffffff) return buffer.writeUIntLE(length, buffer.writeUInt8(0xfd, at), 3);
  return buffer.writeBigUInt64LE(BigInt(length), buffer.writeUInt8(0xfe, at));
}

/** Appends a length-encoded string. */
export function writeLengthBytes(writer: ByteWriter, bytes: Uint8Array): void {
  const length = bytes.length;
  if (length < 0xfb) writer.uint8(length);
  else if (length <= 0xffff) writer.uint8(0xfc).uint16Le(length);
  else if (length <= 0xffffff) writer.uint8(0xfd).uint24Le(length);
  else writer.uint8(0xfe).uint64Le(BigInt(length));
  writer.bytes(bytes);
}
