/**
 * The responses of a server that Cordon reads: OK, ERR, EOF, COM_STMT_PREPARE_OK, ColumnDefinition41. All parsing is
 * bound to one payload; anything that doesn't fit is a ProtocolError.
 */
import type { ResultColumn } from '../../masking/masker.ts';
import { ByteReader, ProtocolError } from '../bytes.ts';
import { readLength, readLengthBytes, skipInteger } from './length-encoded.ts';

/** Offset of the status flags in an OK_Packet and their value. */
export interface Ok {
  readonly status: number;
  readonly statusAt: number;
}

export function readOk(payload: Buffer): Ok {
  const reader = new ByteReader(payload);
  reader.skip(1);
  skipInteger(reader);
  skipInteger(reader);
  const statusAt = reader.position;
  const status = reader.uint16Le();
  reader.skip(2);
  return { status, statusAt };
}

/** EOF_Packet of protocol 4.1: 0xFE, warnings, status. */
export function readEofStatus(payload: Buffer): number {
  if (payload.length !== 5 || payload[0] !== 0xfe) throw new ProtocolError('EOF packet expected');
  return payload.readUInt16LE(3);
}

export interface Err {
  readonly code: number;
  readonly sqlState: string;
  readonly message: string;
}

/** ERR_Packet; the SQLSTATE is missing before capabilities are agreed upon. */
export function readErr(payload: Buffer): Err {
  const reader = new ByteReader(payload);
  if (reader.uint8() !== 0xff) throw new ProtocolError('ERR packet expected');
  const code = reader.uint16Le();
  let sqlState = 'HY000';
  if (reader.remaining >= 6 && reader.peekUint8() === 0x23) {
    reader.skip(1);
    sqlState = reader.bytes(5).toString('latin1');
  }
  return { code, sqlState, message: reader.rest().toString('utf8') };
}

/** The number alone: all that is kept of an error besides passing it on. */
export function readErrCode(payload: Buffer): number {
  if (payload.length < 3) throw new ProtocolError('ERR packet too short');
  return payload.readUInt16LE(1);
}

export interface PrepareOk {
  readonly statementId: number;
  readonly columns: number;
  readonly parameters: number;
}

export function readPrepareOk(payload: Buffer): PrepareOk {
  if (payload.length < 12 || payload[0] !== 0) throw new ProtocolError('COM_STMT_PREPARE_OK expected');
  return {
    statementId: payload.readUInt32LE(1),
    columns: payload.readUInt16LE(5),
    parameters: payload.readUInt16LE(7),
  };
}

/** The column count that opens a result set; the server's own bound is 4096. */
export function readColumnCount(payload: Buffer): number {
  const reader = new ByteReader(payload);
  const count = readLength(reader);
  reader.finish();
  if (count < 1 || count > 4096) throw new ProtocolError('column count out of range');
  return count;
}

/** ColumnDefinition41. Names that are no UTF-8 are read with replacement characters: they match nothing. */
export function readColumn(payload: Buffer, format: 'text' | 'binary'): ResultColumn {
  const reader = new ByteReader(payload);
  readLengthBytes(reader);
  const schema = readLengthBytes(reader).toString('utf8');
  readLengthBytes(reader);
  const table = readLengthBytes(reader).toString('utf8');
  const name = readLengthBytes(reader).toString('utf8');
  const column = readLengthBytes(reader).toString('utf8');
  if (readLength(reader) !== 12) throw new ProtocolError('column definition of an unknown shape');
  const collation = reader.uint16Le();
  reader.skip(4);
  const typeId = reader.uint8();
  const flags = reader.uint16Le();
  reader.skip(3);
  return {
    engine: 'mysql',
    name,
    typeId,
    tableOid: 0,
    attribute: 0,
    schema,
    table,
    column,
    format,
    collation,
    flags,
  };
}

/** A text row of one of Cordon's own queries. */
export function readTextRow(payload: Buffer, columns: number): (string | null)[] {
  const reader = new ByteReader(payload);
  const row: (string | null)[] = [];
  for (let index = 0; index < columns; index++) {
    if (reader.peekUint8() === 0xfb) {
      reader.skip(1);
      row.push(null);
    } else row.push(readLengthBytes(reader).toString('utf8'));
  }
  reader.finish();
  return row;
}
