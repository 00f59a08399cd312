/**
 * The messages a server sends: their type bytes, fields, and the encoding of those that the gateway sends to a
 * client itself (manual 54.7, 54.8). No state, no decisions.
 */
import type { ResultColumn } from '../../masking/masker.ts';
import { ByteReader, ByteWriter, ProtocolError } from '../bytes.ts';

export const serverType = {
  parseComplete: 0x31, // 1
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  notification: 0x41, // A
  commandComplete: 0x43, // C
  dataRow: 0x44, // D
  error: 0x45, // E
  copyIn: 0x47, // G
  copyOut: 0x48, // H
  emptyQuery: 0x49, // I
  backendKeyData: 0x4b, // K
  notice: 0x4e, // N
  authentication: 0x52, // R
  parameterStatus: 0x53, // S
  rowDescription: 0x54, // T
  copyBoth: 0x57, // W
  copyDone: 0x63, // c
  copyData: 0x64, // d
  ready: 0x5a, // Z
  noData: 0x6e, // n
  portalSuspended: 0x73, // s
  parameterDescription: 0x74, // t
  negotiateProtocolVersion: 0x76, // v
} as const;

/** Transaction status byte of ReadyForQuery. */
export const status = { idle: 0x49, inTransaction: 0x54, failed: 0x45 } as const;

const textual = new TextDecoder('utf-8');

/** RowDescription. `formats`, when given, are a Bind's result format codes and stand in for the message's own. */
export function readRowDescription(content: Buffer, formats?: readonly number[]): ResultColumn[] {
  const reader = new ByteReader(content);
  const count = reader.uint16Be();
  if (formats && formats.length > 1 && formats.length !== count) {
    throw new ProtocolError(`${formats.length} format codes for ${count} columns`);
  }
  const columns: ResultColumn[] = [];
  for (let i = 0; i < count; i++) {
    const name = textual.decode(reader.cstringBytes());
    const tableOid = reader.uint32Be();
    const attribute = reader.int16Be();
    const typeId = reader.uint32Be();
    reader.skip(6);
    const own = reader.uint16Be();
    if (own > 1) throw new ProtocolError('a format code that is neither 0 nor 1');
    const code = formats ? (formats.length > 1 ? formats[i] : (formats[0] ?? 0)) : own;
    columns.push({
      engine: 'postgres',
      name,
      typeId,
      tableOid,
      attribute,
      schema: '',
      table: '',
      column: '',
      format: code === 1 ? 'binary' : 'text',
      collation: 0,
      flags: 0,
    });
  }
  reader.finish();
  return columns;
}

/** CopyInResponse and CopyOutResponse: the format of each column. */
export function readCopyFormats(content: Buffer): ('text' | 'binary')[] {
  const reader = new ByteReader(content);
  const overall = reader.uint8();
  const codes = Array.from({ length: reader.uint16Be() }, () => reader.uint16Be());
  reader.finish();
  if (overall > 1 || codes.some((code) => code !== overall)) {
    throw new ProtocolError('a COPY of unknown formats');
  }
  return codes.map((code) => (code === 1 ? 'binary' : 'text'));
}

/** CommandComplete's tag, such as `SELECT 5`. Content at `start..end` of `source`. */
export function readCommandTag(source: Buffer, start: number, end: number): string {
  const last = end - 1;
  if (last < start || source[last] !== 0) throw new ProtocolError('a command tag without its NUL');
  const tag = source.toString('latin1', start, last);
  if (tag.includes('\0')) throw new ProtocolError('a command tag with something behind it');
  return tag;
}

/** The rows of a tag: its last word when that is a number, else 0. */
export function rowsOfTag(tag: string): number {
  const last = tag.slice(tag.lastIndexOf(' ') + 1);
  return /^\d+$/.test(last) ? Number(last) : 0;
}

/** The status byte of ReadyForQuery. Content at `start..end` of `source`. */
export function readReady(source: Buffer, start: number, end: number): number {
  if (end - start !== 1) throw new ProtocolError('a ReadyForQuery that is not one byte');
  const byte = source[start]!;
  if (byte !== status.idle && byte !== status.inTransaction && byte !== status.failed) {
    throw new ProtocolError('an unknown transaction status');
  }
  return byte;
}

export function readParameterStatus(content: Buffer): { name: string; value: string } {
  const reader = new ByteReader(content);
  const name = reader.cstring();
  const value = textual.decode(reader.cstringBytes());
  reader.finish();
  return { name, value };
}

/** The fields of ErrorResponse or NoticeResponse by their one-letter codes (manual 54.8). */
export function readFields(content: Buffer): Map<string, string> {
  const reader = new ByteReader(content);
  const fields = new Map<string, string>();
  for (;;) {
    const code = reader.uint8();
    if (code === 0) break;
    fields.set(String.fromCharCode(code), textual.decode(reader.cstringBytes()));
  }
  reader.finish();
  return fields;
}

/** A DataRow in text format. */
export function readRow(content: Buffer): (string | null)[] {
  const reader = new ByteReader(content);
  const count = reader.uint16Be();
  const row: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.int32Be();
    row.push(length === -1 ? null : reader.bytes(length).toString('utf8'));
  }
  reader.finish();
  return row;
}

export function encodeFields(type: number, fields: Iterable<readonly [string, string]>): Buffer {
  const writer = new ByteWriter(256).uint8(type).uint32Be(0);
  for (const [code, value] of fields) {
    writer.uint8(code.charCodeAt(0)).string(value.replaceAll('\u0000', ' ')).uint8(0);
  }
  writer.uint8(0);
  return writer.setUint32Be(1, writer.length - 1).finish();
}

export const authenticationOk: Buffer = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);
export const authenticationCleartextPassword: Buffer = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);

export function encodeReady(statusByte: number): Buffer {
  return Buffer.from([serverType.ready, 0, 0, 0, 5, statusByte]);
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  const writer = new ByteWriter(64).uint8(serverType.parameterStatus).uint32Be(0);
  writer.cstring(name).cstring(value);
  return writer.setUint32Be(1, writer.length - 1).finish();
}

export function encodeBackendKeyData(processId: number, key: Buffer): Buffer {
  return new ByteWriter(64)
    .uint8(serverType.backendKeyData)
    .uint32Be(8 + key.length)
    .uint32Be(processId)
    .bytes(key)
    .finish();
}

/** NegotiateProtocolVersion: the newest minor version of major 3 that is spoken here, and the options that aren't. */
export function encodeNegotiateProtocolVersion(minor: number, options: readonly string[]): Buffer {
  const writer = new ByteWriter(64).uint8(serverType.negotiateProtocolVersion).uint32Be(0);
  writer.uint32Be((3 << 16) | minor).uint32Be(options.length);
  for (const option of options) writer.cstring(option);
  return writer.setUint32Be(1, writer.length - 1).finish();
}
