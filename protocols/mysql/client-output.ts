/** Writing to a client's socket, and letting go of it so that the last words arrive. */
import type { Socket } from 'node:net';

const lingerMs = 2000;

/** Writes the parts in one go; false when the client can't take more for now. */
export function writeAll(client: Socket, parts: readonly Buffer[]): boolean {
  if (parts.length === 1) return client.write(parts[0] as Buffer);
  client.cork();
  let room = true;
  for (const part of parts) room = client.write(part);
  client.uncork();
  return room;
}

/** Ends the connection behind what has been written. Reading on keeps a reset from overtaking it; a client that lingers is
 *  cut off. */
export function endGently(client: Socket): void {
  client.end();
  client.resume();
  const timer = setTimeout(() => client.destroy(), lingerMs);
  timer.unref();
  client.once('close', () => clearTimeout(timer));
}
