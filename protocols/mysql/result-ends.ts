/**
 * How a result's metadata and rows end: with EOF_Packets, or as CLIENT_DEPRECATE_EOF has it with one OK_Packet whose header is
 * 0xFE ("EOF_Packet", "OK_Packet" in the protocol manual). No state here.
 */
import { packetBytesMax } from './framing.ts';
import { readEofStatus, readOk, silencedEof, silencedOk } from './server-messages.ts';

/** `eof`: EOF_Packets on both sides. `ok`: OK_Packets on both. `eof_to_ok`: the upstream's EOF_Packets become the OK_Packets
 *  that the client negotiated, and those behind metadata are left out. */
export type ResultEnds = 'eof' | 'ok' | 'eof_to_ok';

/** True when a packet in the place of a row ends the rows. A row may begin with 0xFE too: with the length of a value that
 *  makes it longer than either form of the end. */
export function isResultEnd(ends: ResultEnds, length: number, first: number): boolean {
  return first === 0xfe && length < (ends === 'ok' ? packetBytesMax : 9);
}

/** The status flags of what the upstream ended with. @throws ProtocolError when it is no end. */
export function readResultEnd(ends: ResultEnds, payload: Buffer): number {
  return ends === 'ok' ? readOk(payload).status : readEofStatus(payload);
}

/** What the client gets in place of the upstream's end; null: the same. `silent`: without warning count and info text. */
export function resultEndFor(ends: ResultEnds, payload: Buffer, silent: boolean): Buffer | null {
  if (ends === 'eof_to_ok') {
    const ok = Buffer.from([0xfe, 0, 0, 0, 0, 0, 0]);
    payload.copy(ok, 3, 3, 5);
    if (!silent) payload.copy(ok, 5, 1, 3);
    return ok;
  }
  if (!silent) return null;
  return ends === 'ok' ? silencedOk(payload, readOk(payload)) : silencedEof(payload);
}
