/**
 * Query attributes: named values that a client sends along with a statement (CLIENT_QUERY_ATTRIBUTES; "COM_QUERY" and
 * "COM_STMT_EXECUTE" in the protocol manual). The flag changes how both commands are laid out, with no attribute too. No state here.
 */
import { ByteReader, ProtocolError } from '../bytes.ts';
import { command } from './client-messages.ts';
import { readLength, readLengthBytes } from './length-encoded.ts';

/** What stands between COM_QUERY's code and its text. */
export interface QueryHead {
  /** Where the text begins. */
  readonly textAt: number;
  /** How many attributes there are. */
  readonly attributes: number;
}

const plainHead: QueryHead = { textAt: 1, attributes: 0 };
const emptyHead: QueryHead = { textAt: 3, attributes: 0 };

/** More are not read. */
const attributesMax = 1024;

/** @param named whether the flag is agreed upon with the client. @throws ProtocolError */
export function readQueryHead(payload: Buffer, named: boolean): QueryHead {
  if (!named) return plainHead;
  if (payload.length >= 3 && payload[1] === 0 && payload[2] === 1) return emptyHead;
  const reader = new ByteReader(payload);
  reader.skip(1);
  const attributes = readLength(reader);
  if (readLength(reader) !== 1) throw new ProtocolError('several sets of query attributes');
  if (attributes > 0) skipValues(reader, attributes);
  return { textAt: reader.position, attributes };
}

/** A COM_QUERY as the server wants it. `head`: what a client sent in front of its text, null for none.
 *  @param named whether the flag is agreed upon with the server */
export function queryCommand(text: string, named: boolean, head: Buffer | null = null): Buffer {
  const front = named ? (head ?? noAttributes) : nothing;
  const payload = Buffer.allocUnsafe(1 + front.length + Buffer.byteLength(text, 'utf8'));
  payload.writeUInt8(command.QUERY, 0);
  front.copy(payload, 1);
  payload.write(text, 1 + front.length, 'utf8');
  return payload;
}
const nothing = Buffer.alloc(0);
const noAttributes = Buffer.from([0, 1]);

/** COM_STMT_EXECUTE's flag for a number of parameters that stands in it though the statement may have none. */
export const parameterCountAvailable = 8;

const executeHeadBytes = 10;

/**
 * A COM_STMT_EXECUTE of a client with the flag as it is laid out without; null when it holds attributes.
 * @param parameters of the statement. @throws ProtocolError
 */
export function executeWithoutNames(payload: Buffer, parameters: number): Buffer | null {
  const flags = payload.readUInt8(5);
  const head = Buffer.from(payload.subarray(0, executeHeadBytes));
  head.writeUInt8(flags & ~parameterCountAvailable, 5);
  const reader = new ByteReader(payload);
  reader.skip(executeHeadBytes);
  if (parameters === 0 && !(flags & parameterCountAvailable)) {
    reader.finish();
    return head;
  }
  const count = readLength(reader);
  if (count > parameters) return null;
  if (count < parameters) throw new ProtocolError('fewer parameters than the statement has');
  if (count === 0) {
    reader.finish();
    return head;
  }
  const front = reader.bytes(((count + 7) >> 3) + 1);
  const parts = [head, front];
  if (front.at(-1) === 1) {
    for (let index = 0; index < count; index++) {
      parts.push(reader.bytes(2));
      readLengthBytes(reader);
    }
  }
  return Buffer.concat([...parts, reader.rest()]);
}

/** Steps over bitmap, types, names and values: where they end the text begins, here as for the server. */
function skipValues(reader: ByteReader, count: number): void {
  if (count > attributesMax) throw new ProtocolError('too many query attributes');
  const nulls = reader.bytes((count + 7) >> 3);
  if (reader.uint8() !== 1) throw new ProtocolError('query attributes without types');
  const types: number[] = [];
  for (let index = 0; index < count; index++) {
    types.push(reader.uint8());
    reader.skip(1);
    readLengthBytes(reader);
  }
  for (let index = 0; index < count; index++) {
    if (((nulls[index >> 3] as number) >> (index & 7)) & 1) continue;
    const width = widths.get(types[index] as number);
    if (width === undefined) throw new ProtocolError('a query attribute of an unknown type');
    reader.skip(width === 'string' ? readLength(reader) : width);
  }
}

/** The types that clients send, which all servers read alike; dates and times have their length in one byte, as short strings have. */
const widths: ReadonlyMap<number, number | 'string'> = new Map<number, number | 'string'>([
  [0x01, 1], // TINY
  [0x02, 2], // SHORT
  [0x03, 4], // LONG
  [0x04, 4], // FLOAT
  [0x05, 8], // DOUBLE
  [0x08, 8], // LONGLONG
  [0x07, 'string'], // TIMESTAMP
  [0x0a, 'string'], // DATE
  [0x0b, 'string'], // TIME
  [0x0c, 'string'], // DATETIME
  [0x00, 'string'], // DECIMAL
  [0x0f, 'string'], // VARCHAR
  [0xf6, 'string'], // NEWDECIMAL
  [0xf9, 'string'], // TINY_BLOB
  [0xfa, 'string'], // MEDIUM_BLOB
  [0xfb, 'string'], // LONG_BLOB
  [0xfc, 'string'], // BLOB
  [0xfd, 'string'], // VAR_STRING
  [0xfe, 'string'], // STRING
]);
