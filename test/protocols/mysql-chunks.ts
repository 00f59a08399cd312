/** Streams for the MySQL protocol's tests: cut anyhow, and packets of a server written out. */
import { ByteWriter } from '../../protocols/bytes.ts';
import { encodePacket } from '../../protocols/mysql/framing.ts';
import { writeLengthBytes } from '../../protocols/mysql/length-encoded.ts';

/** The bytes in pieces of those lengths, over and over. */
export function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? 1;
    chunks.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return chunks;
}

/** Payloads as packets with numbers from `first`. */
export function numbered(payloads: readonly Uint8Array[], first = 1): Buffer {
  return Buffer.concat(payloads.map((payload, index) => encodePacket(payload, (first + index) & 0xff)));
}

export function okPayload(status: number, info = ''): Buffer {
  return new ByteWriter().uint8(0).uint8(3).uint8(0).uint16Le(status).uint16Le(5).string(info).finish();
}

export function eofPayload(status: number): Buffer {
  return new ByteWriter().uint8(0xfe).uint16Le(5).uint16Le(status).finish();
}

export function columnPayload(name: string, typeId = 0xfd): Buffer {
  const writer = new ByteWriter();
  for (const text of ['def', 'crm', 'contacts', 'contacts', name, name])
    writeLengthBytes(writer, Buffer.from(text));
  return writer.uint8(12).uint16Le(45).uint32Le(400).uint8(typeId).uint16Le(0).uint8(0).uint16Le(0).finish();
}

export function textRowPayload(values: readonly (string | null)[]): Buffer {
  const writer = new ByteWriter();
  for (const value of values) {
    if (value === null) writer.uint8(0xfb);
    else writeLengthBytes(writer, Buffer.from(value));
  }
  return writer.finish();
}

/** The OK_Packet that ends rows under DEPRECATE_EOF. */
export function okEndPayload(status: number, warnings = 5): Buffer {
  return new ByteWriter().uint8(0xfe).uint8(0).uint8(0).uint16Le(status).uint16Le(warnings).finish();
}

/** A whole text result: count, definitions, EOF, rows, EOF; with `ends` `ok` as under DEPRECATE_EOF. */
export function resultPayloads(
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
  status = 2,
  ends: 'eof' | 'ok' = 'eof',
): Buffer[] {
  return [
    Buffer.from([columns.length]),
    ...columns.map((name) => columnPayload(name)),
    ...(ends === 'ok' ? [] : [eofPayload(status & ~8)]),
    ...rows.map(textRowPayload),
    ends === 'ok' ? okEndPayload(status) : eofPayload(status),
  ];
}
