/**
 * What a server says of a change of the session's state in an OK_Packet ("Session State Information" in the protocol manual),
 * on connections with CLIENT_SESSION_TRACK. It is for clients that asked for it, and evidence for Cordon. No state here.
 */
import { ByteReader } from '../bytes.ts';
import { serverStatus } from './capabilities.ts';
import { readLength, readLengthBytes } from './length-encoded.ts';
import type { Ok } from './server-messages.ts';

/** Who has negotiated CLIENT_SESSION_TRACK. `upstream`: no client did, and what is told is kept here. A client that did before an
 *  upstream that doesn't is told nothing: `none`. */
export type Tracking = 'none' | 'upstream' | 'both';

/** Variables whose change makes texts mean something else than they were read to mean, or hides such a change. */
export const trackedVariables = [
  'sql_mode',
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'session_track_system_variables',
  'session_track_schema',
] as const;
const watched: ReadonlySet<string> = new Set(trackedVariables);

const typeSystemVariable = 0;
const typeSchema = 1;

/** True when the OK_Packet tells that names or texts may mean something else from now on. @throws ProtocolError */
export function movesSession(tracking: Tracking, payload: Buffer, ok: Ok): boolean {
  if (tracking === 'none' || !(ok.status & serverStatus.SESSION_STATE_CHANGED)) return false;
  const { state } = tailOf(payload, ok);
  const reader = new ByteReader(state);
  let moves = false;
  while (reader.remaining > 0) {
    const type = reader.uint8();
    const data = readLengthBytes(reader);
    if (type === typeSchema) moves = true;
    else if (type === typeSystemVariable) moves = namesWatched(data) || moves;
  }
  return moves;
}

/** MariaDB puts several variables into one entry. */
function namesWatched(data: Buffer): boolean {
  const reader = new ByteReader(data);
  let found = false;
  while (reader.remaining > 0) {
    const name = readLengthBytes(reader).toString('latin1');
    readLengthBytes(reader);
    if (watched.has(name.toLowerCase())) found = true;
  }
  return found;
}

/**
 * What the client gets in place of the upstream's OK_Packet; null: the same.
 * @param silent without warning count and info text: both tell of values that rows would show masked
 */
export function okFor(tracking: Tracking, payload: Buffer, ok: Ok, silent: boolean): Buffer | null {
  const changed = (ok.status & serverStatus.SESSION_STATE_CHANGED) !== 0;
  if (!silent && (!changed || tracking === 'both')) return null;
  const behind = payload.subarray(ok.statusAt + 4);
  let tail = silent ? nothing : behind;
  if (changed && tracking !== 'none') {
    const { info, state } = tailOf(payload, ok);
    if (tracking === 'upstream') tail = silent || info[0] === 0 ? nothing : info;
    else tail = Buffer.concat([emptyText, behind.subarray(info.length)]);
    if (state.length === 0) tail = nothing;
  }
  const head = Buffer.from(payload.subarray(0, ok.statusAt + 4));
  const keepsState = changed && tracking === 'both' && tail.length > 0;
  if (!keepsState) head.writeUInt16LE(ok.status & ~serverStatus.SESSION_STATE_CHANGED, ok.statusAt);
  if (silent) head.writeUInt16LE(0, ok.statusAt + 2);
  return Buffer.concat([head, tail]);
}
const nothing = Buffer.alloc(0);
const emptyText = Buffer.from([0]);

/** The info text with its length in front, and the state without. */
function tailOf(payload: Buffer, ok: Ok): { readonly info: Buffer; readonly state: Buffer } {
  const reader = new ByteReader(payload.subarray(ok.statusAt + 4));
  reader.skip(readLength(reader));
  const info = payload.subarray(ok.statusAt + 4, ok.statusAt + 4 + reader.position);
  const state = readLengthBytes(reader);
  reader.finish();
  return { info, state };
}
