/**
 * The messages of the connection phase, both directions: Cordon greets clients with them and answers upstreams with
 * them (protocol manual, "Connection Phase Packets"). No state and no socket.
 */
import { ByteReader, ByteWriter, decodeUtf8, ProtocolError } from '../bytes.ts';
import { capability, serverStatus, utf8mb4Collation } from './capabilities.ts';
import { readLength, readLengthBytes, writeLengthBytes } from './length-encoded.ts';

/** Protocol::HandshakeV10, as far as it is used. */
export interface Greeting {
  readonly serverVersion: string;
  readonly connectionId: number;
  readonly scramble: Buffer;
  readonly capabilities: number;
  readonly status: number;
  readonly plugin: string;
}

/** `greeting.scramble` is 20 bytes without NUL. */
export function encodeGreeting(greeting: Greeting): Buffer {
  return new ByteWriter(128)
    .uint8(10)
    .cstring(greeting.serverVersion)
    .uint32Le(greeting.connectionId)
    .bytes(greeting.scramble.subarray(0, 8))
    .uint8(0)
    .uint16Le(greeting.capabilities & 0xffff)
    .uint8(utf8mb4Collation)
    .uint16Le(greeting.status)
    .uint16Le(greeting.capabilities >>> 16)
    .uint8(greeting.scramble.length + 1)
    .zeros(10)
    .bytes(greeting.scramble.subarray(8))
    .uint8(0)
    .cstring(greeting.plugin)
    .finish();
}

export function readGreeting(payload: Buffer): Greeting {
  const reader = new ByteReader(payload);
  if (reader.uint8() !== 10) throw new ProtocolError('handshake of an unknown version');
  const serverVersion = reader.cstringBytes().toString('latin1');
  const connectionId = reader.uint32Le();
  const first = reader.bytes(8);
  reader.skip(1);
  let capabilities = reader.uint16Le();
  reader.skip(1);
  const status = reader.uint16Le();
  capabilities = (capabilities | (reader.uint16Le() << 16)) >>> 0;
  const scrambleLength = reader.uint8();
  reader.skip(10);
  const second = reader.bytes(Math.max(13, scrambleLength - 8));
  const scramble = Buffer.concat([first, second.subarray(0, second.length - 1)]);
  const plugin = capabilities & capability.PLUGIN_AUTH ? untilNul(reader.rest()) : 'mysql_native_password';
  return { serverVersion, connectionId, scramble, capabilities, status, plugin };
}

/** Some servers leave out the NUL behind the last field. */
function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end === -1 ? bytes.length : end).toString('latin1');
}

/** What a client sends first: SSLRequest alone, or all of it. */
export type ClientHello =
  | { readonly kind: 'tls'; readonly capabilities: number }
  | {
      readonly kind: 'response';
      readonly capabilities: number;
      readonly collation: number;
      readonly user: string;
      readonly database: string;
      readonly applicationName: string;
    };

/** SSLRequest or HandshakeResponse41. What it brings as authentication is left aside: a switch follows in any case.
 *  @throws ProtocolError when the packet is neither. */
export function readClientHello(payload: Buffer): ClientHello {
  const reader = new ByteReader(payload);
  const capabilities = reader.uint32Le();
  if (!(capabilities & capability.PROTOCOL_41)) throw new ProtocolError('client of an old protocol');
  reader.skip(4);
  const collation = reader.uint8();
  reader.skip(23);
  if (reader.remaining === 0 && capabilities & capability.SSL) return { kind: 'tls', capabilities };
  const user = reader.cstring();
  if (capabilities & capability.PLUGIN_AUTH_LENENC_CLIENT_DATA) readLengthBytes(reader);
  else if (capabilities & capability.SECURE_CONNECTION) reader.skip(reader.uint8());
  else reader.cstringBytes();
  let database = '';
  if (capabilities & capability.CONNECT_WITH_DB && reader.remaining > 0) database = reader.cstring();
  if (capabilities & capability.PLUGIN_AUTH && reader.remaining > 0) reader.cstringBytes();
  let applicationName = '';
  if (capabilities & capability.CONNECT_ATTRS && reader.remaining > 0) {
    applicationName = readProgramName(reader.bytes(readLength(reader)));
  }
  return { kind: 'response', capabilities, collation, user, database, applicationName };
}

/** COM_CHANGE_USER. What it brings as authentication is left aside: a switch follows in any case. */
export interface ChangeUser {
  readonly user: string;
  /** Empty when none is named. */
  readonly database: string;
  /** 0 when none is named. */
  readonly collation: number;
  readonly applicationName: string;
}

/** @param capabilities what was agreed upon with the client. @throws ProtocolError */
export function readChangeUser(payload: Buffer, capabilities: number): ChangeUser {
  const reader = new ByteReader(payload);
  reader.skip(1);
  const user = reader.cstring();
  reader.skip(reader.uint8());
  const database = reader.cstring();
  const collation = reader.remaining > 0 ? reader.uint16Le() : 0;
  if (capabilities & capability.PLUGIN_AUTH && reader.remaining > 0) reader.cstringBytes();
  let applicationName = '';
  if (capabilities & capability.CONNECT_ATTRS && reader.remaining > 0) {
    applicationName = readProgramName(reader.bytes(readLength(reader)));
  }
  return { user, database, collation, applicationName };
}

function readProgramName(attributes: Buffer): string {
  const reader = new ByteReader(attributes);
  while (reader.remaining > 0) {
    const name = readLengthBytes(reader).toString('latin1');
    const value = readLengthBytes(reader);
    if (name === 'program_name') {
      return value
        .subarray(0, 128)
        .toString('utf8')
        .replace(/[\u0000-\u001f\u007f]/g, '');
    }
  }
  return '';
}

export interface HandshakeResponse {
  readonly capabilities: number;
  readonly user: string;
  readonly database: string;
  readonly plugin: string;
  readonly answer: Buffer;
}

/** SSLRequest: the front of a HandshakeResponse41. */
export function encodeTlsRequest(capabilities: number): Buffer {
  return hello(capabilities | capability.SSL).finish();
}

/** HandshakeResponse41. */
export function encodeHandshakeResponse(response: HandshakeResponse): Buffer {
  const writer = hello(response.capabilities).cstring(response.user);
  if (response.capabilities & capability.PLUGIN_AUTH_LENENC_CLIENT_DATA) {
    writeLengthBytes(writer, response.answer);
  } else writer.uint8(response.answer.length).bytes(response.answer);
  if (response.capabilities & capability.CONNECT_WITH_DB) writer.cstring(response.database);
  return writer.cstring(response.plugin).finish();
}

function hello(capabilities: number): ByteWriter {
  return new ByteWriter(256)
    .uint32Le(capabilities >>> 0)
    .uint32Le(packetBytesAnnounced)
    .uint8(utf8mb4Collation)
    .zeros(23);
}
const packetBytesAnnounced = 0x4000_0000;

/** Protocol::AuthSwitchRequest. */
export interface AuthSwitch {
  readonly plugin: string;
  readonly data: Buffer;
}

function encodeAuthSwitch(request: AuthSwitch): Buffer {
  return new ByteWriter(64).uint8(0xfe).cstring(request.plugin).bytes(request.data).uint8(0).finish();
}

/** Asks a client for its secret in clear: all that a token can be proved by. */
export const clearPasswordRequest = encodeAuthSwitch({
  plugin: 'mysql_clear_password',
  data: Buffer.alloc(0),
});

/** A payload of one byte is the pre-4.1 form: mysql_old_password, which is refused by its name. */
export function readAuthSwitch(payload: Buffer): AuthSwitch {
  if (payload.length === 1) return { plugin: 'mysql_old_password', data: Buffer.alloc(0) };
  const reader = new ByteReader(payload);
  reader.skip(1);
  const plugin = reader.cstringBytes().toString('latin1');
  // The NUL behind most scrambles stays: client_ed25519 sends none, and each plugin knows its own length.
  return { plugin, data: reader.rest() };
}

/** The answer to an AuthSwitchRequest to mysql_clear_password: the secret and a NUL. */
export function readClearPassword(payload: Buffer): string {
  const end = payload.at(-1) === 0 ? payload.length - 1 : payload.length;
  return decodeUtf8(payload.subarray(0, end));
}

/** An OK_Packet of Cordon's own: no rows, no warnings. `status` may be an upstream's. */
export function encodeOk(status: number): Buffer {
  // No session state follows, whatever the upstream had to tell.
  const flags = status & ~serverStatus.SESSION_STATE_CHANGED;
  return new ByteWriter(16).uint8(0).uint8(0).uint8(0).uint16Le(flags).uint16Le(0).finish();
}
