/**
 * The messages a client sends after signing in: their type bytes, their fields, and those that the gateway writes
 * itself in a client's place. No state, no decisions (manual 54.7).
 */
import { serialize } from 'pg-protocol';
import { ByteReader, ByteWriter, decodeUtf8, ProtocolError } from '../bytes.ts';

export const clientType = {
  bind: 0x42, // B
  close: 0x43, // C
  describe: 0x44, // D
  execute: 0x45, // E
  functionCall: 0x46, // F
  flush: 0x48, // H
  parse: 0x50, // P
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyFail: 0x66, // f
  password: 0x70, // p
} as const;

/** The server keys statements and portals by the first 63 bytes of their names (NAMEDATALEN): two longer names with
 *  the same beginning are one. Names are kept byte for byte, as Latin-1. */
const nameBytesMax = 63;

function name(reader: ByteReader): string {
  return reader.latin1(nameBytesMax);
}

/**
 * Query: the text as bytes.
 * @throws ProtocolError when the frame is not exactly one string.
 */
export function readQuery(content: Buffer): Buffer {
  const reader = new ByteReader(content);
  const text = reader.cstringBytes();
  reader.finish();
  return text;
}

export interface ParseMessage {
  readonly name: string;
  readonly text: Buffer;
  /** The parameter types as they came: count and OIDs. */
  readonly types: Buffer;
}
export function readParse(content: Buffer): ParseMessage {
  const reader = new ByteReader(content);
  const statement = name(reader);
  const text = reader.cstringBytes();
  const at = reader.position;
  reader.skip(4 * reader.uint16Be());
  reader.finish();
  return { name: statement, text, types: content.subarray(at) };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  /** Result format codes: none means text for all, one is for all, else one for each column. */
  readonly formats: readonly number[];
}
const noFormats: readonly number[] = [];
const text: readonly number[] = [0];
const binary: readonly number[] = [1];
export function readBind(content: Buffer): BindMessage {
  const reader = new ByteReader(content);
  const portal = name(reader);
  const statement = name(reader);
  reader.skip(2 * reader.uint16Be());
  const values = reader.uint16Be();
  for (let i = 0; i < values; i++) {
    const length = reader.int32Be();
    if (length < -1) throw new ProtocolError('a parameter length below -1');
    if (length > 0) reader.skip(length);
  }
  const count = reader.uint16Be();
  let formats = noFormats;
  if (count === 1) formats = formatCode(reader) === 1 ? binary : text;
  else if (count > 1) formats = Array.from({ length: count }, () => formatCode(reader));
  reader.finish();
  return { portal, statement, formats };
}
function formatCode(reader: ByteReader): number {
  const code = reader.uint16Be();
  if (code > 1) throw new ProtocolError('a format code that is neither 0 nor 1');
  return code;
}

/** Describe and Close: what is meant, and its name. */
export interface Named {
  readonly statement: boolean;
  readonly name: string;
}
export function readNamed(content: Buffer): Named {
  const reader = new ByteReader(content);
  const kind = reader.uint8();
  if (kind !== 0x53 && kind !== 0x50) {
    throw new ProtocolError('Describe or Close of neither a statement nor a portal');
  }
  const named = { statement: kind === 0x53, name: name(reader) };
  reader.finish();
  return named;
}

/** Execute: the portal's name (the row limit is the server's business). */
export function readExecute(content: Buffer): string {
  const reader = new ByteReader(content);
  const portal = name(reader);
  reader.skip(4);
  reader.finish();
  return portal;
}

/** PasswordMessage, or null for something else in its place. */
export function readPassword(content: Buffer): string {
  const reader = new ByteReader(content);
  const password = decodeUtf8(reader.cstringBytes());
  reader.finish();
  return password;
}

/** A Query or Parse text that no PostgreSQL grammar accepts: it stands in the place of a refused statement. */
const failingText = '!refused by cordon';

export const failingQuery: Buffer = serialize.query(failingText);

/** The same in the extended protocol. It has a name of its own in the place of Bind or Execute, so that the unnamed
 *  statement survives; a Parse keeps its name, since a failing Parse of the unnamed statement drops that. */
export function failingParse(statement: string): Buffer {
  return frame(clientType.parse, (w) =>
    w.bytes(Buffer.from(statement, 'latin1')).uint8(0).cstring(failingText).uint16Be(0),
  );
}
export const failingExtended: Buffer = failingParse('cordon_refused');

/** A Parse with another text, all else as it was. */
export function encodeParse(message: Pick<ParseMessage, 'name' | 'types'>, replacement: string): Buffer {
  return frame(clientType.parse, (w) =>
    w.bytes(Buffer.from(message.name, 'latin1')).uint8(0).cstring(replacement).bytes(message.types),
  );
}

export function encodeQuery(replacement: string): Buffer {
  return frame(clientType.query, (w) => w.cstring(replacement));
}

/** Describe or Close of a name that is kept as Latin-1. */
export function encodeNamed(type: number, statement: boolean, nameLatin1: string): Buffer {
  return frame(type, (w) =>
    w
      .uint8(statement ? 0x53 : 0x50)
      .bytes(Buffer.from(nameLatin1, 'latin1'))
      .uint8(0),
  );
}

export const terminate: Buffer = serialize.end();
export const sync: Buffer = Buffer.from(serialize.sync());
export const flush: Buffer = Buffer.from(serialize.flush());

function frame(type: number, content: (writer: ByteWriter) => ByteWriter): Buffer {
  const writer = new ByteWriter(64).uint8(type).uint32Be(0);
  content(writer);
  return writer.setUint32Be(1, writer.length - 1).finish();
}
