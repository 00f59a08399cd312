/** What a MySQL client says, as bytes to be broken: HandshakeResponse41 and commands (internals manual, 14). */
import type { Chance } from './chance.ts';

/** A packet with its header; the payload is under 16 MiB. */
function packet(sequence: number, ...parts: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : part)));
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence & 0xff;
  return Buffer.concat([head, body]);
}

/** CLIENT_LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_*, PLUGIN_AUTH, PLUGIN_AUTH_LENENC, DEPRECATE_EOF. */
const CAPABILITIES =
  0x0000_0001 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x7_0000 | 0x8_0000 | 0x20_0000 | 0x100_0000;

/** Signs in to database `crm` with the token as mysql_clear_password. */
export function handshakeResponse(token: string): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(CAPABILITIES, 0);
  head.writeUInt32LE(0x100_0000, 4);
  head[8] = 45;
  const secret = Buffer.from(`${token}\0`);
  const length = Buffer.from([0xfc, secret.length & 0xff, secret.length >> 8]);
  return packet(1, head, Buffer.from('ana\0'), length, secret, Buffer.from('crm\0mysql_clear_password\0'));
}

/** The answer to an AuthSwitchRequest for mysql_clear_password. */
export function clearPassword(sequence: number, token: string): Buffer {
  return packet(sequence, Buffer.from(`${token}\0`));
}

/** Other things to open with: SSLRequest, an old client, nothing, a packet out of sequence. */
export const openings: readonly Buffer[] = [
  packet(1, Buffer.from([0x05, 0xae, 0x08, 0x00]), Buffer.alloc(28)),
  packet(1, Buffer.from([0x05, 0x00, 0, 0, 1]), Buffer.from('ana\0password\0')),
  packet(1),
  packet(7, Buffer.alloc(32)),
];

/** What a well-behaved client sends one after the other; its prepared statement has the session's first id. */
export const session: readonly Buffer[] = [
  packet(0, 0x03, Buffer.from('select id, email, notes from contacts')),
  packet(0, 0x16, Buffer.from('select id, email, created_at from contacts where id > ?')),
  packet(0, 0x17, Buffer.from([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0x08, 0]), Buffer.alloc(8)),
  packet(0, 0x03, Buffer.from('select 1')),
  packet(0, 0x0e),
];

const STATEMENTS = [
  'select id, email, notes from contacts',
  'select email from contacts where id = ?',
  'select * from campaigns',
  'begin',
  'commit',
  "select '\\'', \"x\", `id` from contacts",
  "update contacts set notes = 'x'",
  '/*!50000 select email from contacts */',
  'select 1; select 2',
  "load data local infile 'x' into table contacts",
  `select ${'('.repeat(200)}1${')'.repeat(200)}`,
  'use mysql',
  '',
];

/** One command that a client may send after its sign-in, whole and well-formed. */
export function clientCommand(chance: Chance): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32LE(chance.pick([1, 2, 3, 0xffff_ffff]));
  const text = Buffer.from(chance.pick(STATEMENTS));
  switch (chance.below(10)) {
    case 0:
    case 1:
    case 2:
      return packet(0, 0x03, text); // COM_QUERY
    case 3:
      return packet(0, 0x16, text); // COM_STMT_PREPARE
    case 4: // COM_STMT_EXECUTE with one parameter
      return packet(0, 0x17, id, Buffer.from([0, 1, 0, 0, 0, 0, 1, 0x08, 0]), Buffer.alloc(8, 1));
    case 5:
      return packet(0, chance.pick([0x18, 0x19, 0x1a, 0x1c]), id, Buffer.alloc(chance.below(8)));
    case 6:
      return packet(0, 0x02, Buffer.from('crm')); // COM_INIT_DB
    case 7:
      return packet(0, chance.pick([0x0e, 0x1f, 0x01, 0x0d])); // PING, RESET_CONNECTION, QUIT, DEBUG
    case 8:
      return packet(0, 0x11, Buffer.from('root\0\0crm\0')); // COM_CHANGE_USER
    default:
      return packet(0, chance.below(256), chance.bytes(chance.below(32)));
  }
}
