/**
 * The words of errors: refusals, the ends of sessions, and server messages whose words may carry values. Only
 * encodings; who gets which error is decided elsewhere. SQLSTATEs as in the manual's appendix A.
 */
import { ProtocolError } from '../bytes.ts';
import type { Refused } from '../gate.ts';
import { FrameTooLong } from './framing.ts';
import { encodeFields, readFields, serverType } from './server-messages.ts';

/** A refusal as the server's own kind of error: the session goes on. */
export function encodeRefusal(refused: Refused): Buffer {
  return refusal(refused, 'ERROR');
}

/** The same as the session's last word. */
export function encodeFatalRefusal(refused: Refused): Buffer {
  return refusal(refused, 'FATAL');
}

function refusal(refused: Refused, severity: 'ERROR' | 'FATAL'): Buffer {
  const fields: [string, string][] = [
    ['S', severity],
    ['V', severity],
    ['C', refused.sqlState],
    ['M', refused.message],
  ];
  if (refused.detail !== '') fields.push(['D', refused.detail]);
  if (refused.hint !== '') fields.push(['H', refused.hint]);
  if (refused.position !== null) fields.push(['P', String(refused.position)]);
  return encodeFields(serverType.error, fields);
}

/** An error that ends the session. */
export function encodeFatal(sqlState: string, message: string, hint = ''): Buffer {
  const fields: [string, string][] = [
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', sqlState],
    ['M', message],
  ];
  if (hint !== '') fields.push(['H', hint]);
  return encodeFields(serverType.error, fields);
}

/** A refusal of the protocol's own making, that no decision stands behind. */
export function serverRefusal(sqlState: string, message: string, hint = ''): Refused {
  return { effect: 'refuse', sqlState, message, detail: '', hint, position: null };
}

/** What anything but its end comes to in a failed transaction. */
export const transactionAborted = serverRefusal(
  '25P02',
  'current transaction is aborted, commands ignored until end of transaction block',
);

/** What a statement comes to that was cancelled for its time. */
export const statementTimeout = serverRefusal('57014', 'canceling statement due to statement timeout');

/** The last words to a session that idled, with or without an open transaction. */
export const idleEnds = {
  idle: { sqlState: '57P05', message: 'terminating connection due to idle-session timeout' },
  transaction: { sqlState: '25P03', message: 'terminating connection due to idle-in-transaction timeout' },
} as const;

/** Names of objects, never values: severity, code, schema, table, column, data type, constraint, position. */
const harmless = new Set(['S', 'V', 'C', 's', 't', 'c', 'd', 'n', 'P']);

/** What may be said in place of the server's own words, which a function could have chosen. */
const neutral: ReadonlyMap<string, string> = new Map([
  ['25P02', 'current transaction is aborted, commands ignored until end of transaction block'],
  ['40001', 'could not serialize access'],
  ['40P01', 'deadlock detected'],
  ['55P03', 'a lock is not available'],
  ['57014', 'canceling statement due to a request or a timeout'],
]);

/**
 * An ErrorResponse or NoticeResponse without any word that could hold a value of a row: message, detail, hint,
 * context and internal query go.
 */
export function withholdValues(type: number, content: Buffer): Buffer {
  const fields = [...readFields(content)].filter(([code]) => harmless.has(code));
  const code = fields.find(([name]) => name === 'C')?.[1] ?? '';
  const message =
    neutral.get(code) ??
    (type === serverType.error
      ? 'the statement failed on the server (details withheld: masked columns are in play)'
      : 'the server sent a notice (details withheld: masked columns are in play)');
  return encodeFields(type, [...fields, ['M', message] as const]);
}

/** An end to the session, with what the client is told. */
export class SessionEnd extends Error {
  override readonly name = 'SessionEnd';
  readonly sqlState: string;
  /** What the client gets in place of this error's own words, if anything. */
  readonly response: Buffer;
  constructor(sqlState: string, message: string, response = encodeFatal(sqlState, message)) {
    super(message);
    this.sqlState = sqlState;
    this.response = response;
  }
}

/** The upstream said something that it may not say here. */
export function breach(what: string): SessionEnd {
  return new SessionEnd('08P01', `the session was closed: the upstream ${what}`);
}

/** How a session ends that `error` ended; `side` is whose bytes were being read. */
export function endOf(error: unknown, side: 'the client' | 'the upstream'): SessionEnd {
  if (error instanceof SessionEnd) return error;
  if (error instanceof FrameTooLong) {
    return new SessionEnd('54000', `${error.message} is over this gateway's limit`);
  }
  if (error instanceof ProtocolError) {
    return new SessionEnd('08P01', `protocol violation by ${side}: ${error.message}`);
  }
  return new SessionEnd('XX000', 'the gateway failed; the session was closed');
}
