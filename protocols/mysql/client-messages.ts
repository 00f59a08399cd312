/** The commands that a client sends after sign-in ("Command Phase" in the protocol manual), as far as Cordon reads them. */
import { ProtocolError } from '../bytes.ts';

export const command = {
  QUIT: 0x01,
  INIT_DB: 0x02,
  QUERY: 0x03,
  FIELD_LIST: 0x04,
  STATISTICS: 0x09,
  PING: 0x0e,
  CHANGE_USER: 0x11,
  STMT_PREPARE: 0x16,
  STMT_EXECUTE: 0x17,
  STMT_SEND_LONG_DATA: 0x18,
  STMT_CLOSE: 0x19,
  STMT_RESET: 0x1a,
  SET_OPTION: 0x1b,
  STMT_FETCH: 0x1c,
  RESET_CONNECTION: 0x1f,
} as const;

/** Commands that are refused by name; any number that stands nowhere is refused as unknown. */
const refusedCommands: ReadonlyMap<number, string> = new Map([
  [0x00, 'COM_SLEEP'],
  [0x05, 'COM_CREATE_DB'],
  [0x06, 'COM_DROP_DB'],
  [0x07, 'COM_REFRESH'],
  [0x08, 'COM_SHUTDOWN'],
  [0x0a, 'COM_PROCESS_INFO'],
  [0x0b, 'COM_CONNECT'],
  [0x0c, 'COM_PROCESS_KILL'],
  [0x0d, 'COM_DEBUG'],
  [0x0f, 'COM_TIME'],
  [0x10, 'COM_DELAYED_INSERT'],
  [0x12, 'COM_BINLOG_DUMP'],
  [0x13, 'COM_TABLE_DUMP'],
  [0x14, 'COM_CONNECT_OUT'],
  [0x15, 'COM_REGISTER_SLAVE'],
  [0x1d, 'COM_DAEMON'],
  [0x1e, 'COM_BINLOG_DUMP_GTID'],
  [0x20, 'COM_CLONE'],
  [0xfa, 'COM_STMT_BULK_EXECUTE'],
  [0xfe, 'COM_MULTI'],
]);

/** The manual's name of a command that is refused for what it is. */
export function commandName(code: number): string {
  return refusedCommands.get(code) ?? `command 0x${code.toString(16).padStart(2, '0')}`;
}

/** The statement id of a COM_STMT_* command. @throws ProtocolError when the packet is too short for one. */
export function statementId(payload: Buffer): number {
  if (payload.length < 5) throw new ProtocolError('statement command without its id');
  return payload.readUInt32LE(1);
}

/** COM_STMT_EXECUTE's flags (byte 5). @throws ProtocolError when the packet is too short. */
export function executeFlags(payload: Buffer): number {
  if (payload.length < 10) throw new ProtocolError('COM_STMT_EXECUTE too short');
  return payload.readUInt8(5);
}

/** COM_STMT_EXECUTE's flag for a cursor that is read forwards: the only kind there is. */
export const cursorReadOnly = 1;

/** COM_SET_OPTION: whether a text may hold several statements. @throws ProtocolError for any other option. */
export function readSetOption(payload: Buffer): boolean {
  const option = payload.length === 3 ? payload.readUInt16LE(1) : -1;
  if (option !== 0 && option !== 1) throw new ProtocolError('COM_SET_OPTION for an unknown option');
  return option === 0;
}

/** Checks a COM_STMT_FETCH: a statement id and a number of rows. @throws ProtocolError */
export function checkFetch(payload: Buffer): void {
  if (payload.length !== 9) throw new ProtocolError('COM_STMT_FETCH of another length');
}

/** A command that is a code and a text. */
export function textCommand(code: number, text: string): Buffer {
  const payload = Buffer.allocUnsafe(1 + Buffer.byteLength(text, 'utf8'));
  payload.writeUInt8(code, 0);
  payload.write(text, 1, 'utf8');
  return payload;
}

/** A name between backticks. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
