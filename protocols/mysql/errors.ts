/** What Cordon itself says to a MySQL client when something is refused or fails: error numbers, SQLSTATEs and words. */
import { ByteWriter } from '../bytes.ts';
import type { Credentials, Refused, SignInRefused } from '../gate.ts';
import { encodePacket } from './framing.ts';
import { readErr } from './server-messages.ts';

/** An error as an ERR_Packet carries it: the server's number, the SQLSTATE, one line of text. */
export interface ServerError {
  readonly code: number;
  readonly sqlState: string;
  readonly message: string;
}

/** The numbers are those of the server's own errors (mysqld_error.h). */
export const serverErrors = {
  notReachable: { code: 1040, sqlState: '08004', message: 'The database cannot be reached right now' },
  badHandshake: { code: 1043, sqlState: '08S01', message: 'Bad handshake' },
  noDatabase: { code: 1046, sqlState: '3D000', message: 'No database selected: name one when connecting' },
  unknownThread: { code: 1094, sqlState: 'HY000', message: 'Unknown thread id' },
  shutdown: { code: 1053, sqlState: '08S01', message: 'The gateway is ending this session' },
  queryTimeout: {
    code: 3024,
    sqlState: 'HY000',
    message: 'Query execution was interrupted, maximum statement execution time exceeded',
  },
  idle: {
    code: 4031,
    sqlState: 'HY000',
    message: 'The client was disconnected because of inactivity (idle_session_timeout_ms)',
  },
  idleTransaction: {
    code: 4031,
    sqlState: 'HY000',
    message:
      'The client was disconnected because of inactivity in a transaction (idle_transaction_timeout_ms)',
  },
  malformedCommand: { code: 1835, sqlState: 'HY000', message: 'Malformed communication packet' },
  internal: { code: 1105, sqlState: 'HY000', message: 'The gateway could not handle this statement' },
  upstreamLost: { code: 1105, sqlState: 'HY000', message: 'The connection to the database was lost' },
  upstreamMalformed: {
    code: 1105,
    sqlState: 'HY000',
    message: 'The database sent something that the gateway does not understand',
  },
  drift: {
    code: 1142,
    sqlState: '42000',
    message:
      'The session was set to read statements in another way than the gateway does (reason: session_drift); ' +
      'leave sql_mode and the client character set as they are',
  },
  tooLarge: { code: 1153, sqlState: '08S01', message: 'Got a packet bigger than the gateway accepts' },
  outOfOrder: { code: 1156, sqlState: '08S01', message: 'Got packets out of order' },
  unknownStatement: { code: 1243, sqlState: 'HY000', message: 'Unknown prepared statement handler' },
  noCursor: { code: 1421, sqlState: 'HY000', message: 'The statement has no open cursor' },
  tooManyCursors: { code: 1105, sqlState: 'HY000', message: 'Too many cursors are open in this session' },
  tooManyStatements: {
    code: 1461,
    sqlState: '42000',
    message: 'Too many prepared statements are open in this session',
  },
  notUtf8: { code: 1300, sqlState: 'HY000', message: 'The statement is not valid UTF-8' },
  oldClient: {
    code: 1251,
    sqlState: '08004',
    message:
      'Client does not support the authentication that is asked for; use a client with CLIENT_PLUGIN_AUTH',
  },
  needsTls: {
    code: 1045,
    sqlState: '28000',
    message: 'Access denied: a token may travel over TLS only; connect with TLS (--ssl-mode=REQUIRED)',
  },
  charset: {
    code: 1115,
    sqlState: '42000',
    message: 'Unsupported client character set; use utf8mb4',
  },
} as const satisfies Record<string, ServerError>;

/** The same words whatever was wrong with the identity. */
export function accessDenied(user: string): ServerError {
  return { code: 1045, sqlState: '28000', message: `Access denied for user '${user.slice(0, 80)}'` };
}

function unknownDatabase(database: string): ServerError {
  return { code: 1049, sqlState: '42000', message: `Unknown database '${database.slice(0, 80)}'` };
}

export function signInFailure(fault: SignInRefused['fault'], credentials: Credentials): ServerError {
  if (fault === 'sign_in') return accessDenied(credentials.user);
  if (fault === 'unavailable') return serverErrors.notReachable;
  return credentials.database === '' ? serverErrors.noDatabase : unknownDatabase(credentials.database);
}

/** A refusal in one line: MySQL has no fields for detail and hint. */
export function refusal(refused: Refused): ServerError {
  const parts = [refused.message, refused.detail === '' ? '' : `(${refused.detail})`, refused.hint];
  return {
    code: refused.sqlState === '42601' ? 1064 : 1142,
    sqlState: '42000',
    message: parts.filter((part) => part !== '').join(' '),
  };
}

/** ER_QUERY_INTERRUPTED: what a statement comes to that was ended by KILL QUERY. */
const queryInterrupted = 1317;

/** Stands in for the server's own text where that may quote values of a masked column. */
function neutralMessage(code: number): string {
  return `The statement failed with error ${code}; the server's text is withheld because a masked column is in play`;
}

/**
 * What the client gets in place of the upstream's ERR_Packet; null: the packet itself.
 * @param silent no word of the server's may reach the client
 * @param timedOut the statement was cancelled for the time that it took
 */
export function otherWords(
  code: number,
  payload: Buffer,
  silent: boolean,
  timedOut: boolean,
): ServerError | null {
  if (timedOut && code === queryInterrupted) return serverErrors.queryTimeout;
  return silent ? { code, sqlState: readErr(payload).sqlState, message: neutralMessage(code) } : null;
}

/** An ERR_Packet's payload. `withState` is false before the client has named its capabilities. */
export function encodeErrorPayload(error: ServerError, withState = true): Buffer {
  const writer = new ByteWriter(128).uint8(0xff).uint16Le(error.code);
  if (withState) writer.uint8(0x23).string(error.sqlState);
  return writer.string(error.message.replace(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, 4000)).finish();
}

/** As encodeErrorPayload, with its header. */
export function encodeError(error: ServerError, sequence: number, withState = true): Buffer {
  return encodePacket(encodeErrorPayload(error, withState), sequence & 0xff);
}
