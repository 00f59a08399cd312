/**
 * How a result's metadata and rows end: with EOF_Packets, or as CLIENT_DEPRECATE_EOF has it with one OK_Packet whose header is
 * 0xFE ("EOF_Packet", "OK_Packet" in the protocol manual). No state here.
 */
import { serverStatus } from './capabilities.ts';
import { packetBytesMax } from './framing.ts';
import { readEofStatus, readOk } from './server-messages.ts';
import { movesSession, okFor, type Tracking } from './session-state.ts';

/** `eof`: EOF_Packets on both sides. `ok`: OK_Packets on both. `eof_to_ok`: the upstream's EOF_Packets become the OK_Packets
 *  that the client negotiated, and those behind metadata are left out. */
export type ResultEnds = 'eof' | 'ok' | 'eof_to_ok';

/** An OK_Packet or EOF_Packet of the upstream's. */
export interface End {
  /** Server status flags. */
  readonly status: number;
  /** Names or texts may mean something else than before. */
  readonly moves: boolean;
  /** What the client gets in its place; null: the same. */
  readonly replacement: Buffer | null;
}

/** True when a packet in the place of a row ends the rows. A row may begin with 0xFE too: with the length of a value that
 *  makes it longer than either form of the end. */
export function isResultEnd(ends: ResultEnds, length: number, first: number): boolean {
  return first === 0xfe && length < (ends === 'ok' ? packetBytesMax : 9);
}

/** An OK_Packet, whatever its header. `silent`: without warning count and info text. @throws ProtocolError */
export function readOkEnd(tracking: Tracking, payload: Buffer, silent: boolean): End {
  const ok = readOk(payload);
  const moves = movesSession(tracking, payload, ok);
  return { status: ok.status, moves, replacement: okFor(tracking, payload, ok, silent) };
}

/** What a result ends with. `silent`: without warning count and info text. @throws ProtocolError when it is no end. */
export function readResultEnd(ends: ResultEnds, tracking: Tracking, payload: Buffer, silent: boolean): End {
  if (ends === 'ok') return readOkEnd(tracking, payload, silent);
  return { status: readEofStatus(payload), moves: false, replacement: eofFor(ends, payload, silent) };
}

function eofFor(ends: 'eof' | 'eof_to_ok', payload: Buffer, silent: boolean): Buffer | null {
  if (ends === 'eof_to_ok') {
    const ok = Buffer.from([0xfe, 0, 0, 0, 0, 0, 0]);
    // An EOF_Packet has no room for the session's state, which this flag announces in an OK_Packet.
    ok.writeUInt16LE(payload.readUInt16LE(3) & ~serverStatus.SESSION_STATE_CHANGED, 3);
    if (!silent) payload.copy(ok, 5, 1, 3);
    return ok;
  }
  if (!silent) return null;
  const quiet = Buffer.from(payload);
  quiet.writeUInt16LE(0, 1);
  return quiet;
}
