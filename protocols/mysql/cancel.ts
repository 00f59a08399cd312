/**
 * KILL as clients use it to cancel: Ctrl-C in `mysql` and a driver's cancel sign in a second time and send KILL QUERY with the
 * connection id of the greeting. That id is Cordon's own, so it is answered here and goes to no server.
 */
import { createHmac } from 'node:crypto';

/** What may be done to a running session by the one who signed in with the same secret. */
export interface Cancellable {
  /** Stops the statement that is running, if one is. */
  cancel(): void;
  kill(reason: string): void;
}

/** A KILL of one connection, and nothing else in the text. */
export interface KillRequest {
  readonly connectionId: number;
  readonly queryOnly: boolean;
}

/** Null for any other text. */
export function readKill(text: string): KillRequest | null {
  if (text.length > 100) return null;
  const match = /^\s*kill\s+(?:(query|connection)\s+)?(\d{1,10})\s*;?\s*$/i.exec(text);
  if (match === null) return null;
  return { connectionId: Number(match[2]), queryOnly: match[1]?.toLowerCase() === 'query' };
}

const sessions = new Map<number, { readonly owner: string; readonly session: Cancellable }>();

/** Stands for a secret as long as the gateway runs: the secret itself is not kept. `key` is Gate.ownerKey. */
export function ownerOf(secret: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(secret).digest('base64');
}

export function register(connectionId: number, owner: string, session: Cancellable): void {
  sessions.set(connectionId, { owner, session });
}

export function unregister(connectionId: number): void {
  sessions.delete(connectionId);
}

/** True when a session of this process is open that signed in with the owner's secret. */
export function isOwner(owner: string): boolean {
  for (const entry of sessions.values()) if (entry.owner === owner) return true;
  return false;
}

/** False when there is no such session in this process, or it is not the owner's: the two look alike. */
export function carryOut(request: KillRequest, owner: string): boolean {
  const entry = sessions.get(request.connectionId);
  if (entry === undefined || entry.owner !== owner) return false;
  if (request.queryOnly) entry.session.cancel();
  else entry.session.kill('killed by its owner');
  return true;
}
