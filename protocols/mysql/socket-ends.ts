/** Writing several pieces to a socket at once, and letting go of one so that the last words arrive. */
import type { Socket } from 'node:net';

const lingerMs = 2000;

/** Writes the parts in one go; false when the other side can't take more for now. */
export function writeAll(socket: Socket, parts: readonly Buffer[]): boolean {
  if (parts.length === 1) return socket.write(parts[0] as Buffer);
  socket.cork();
  let room = true;
  for (const part of parts) room = socket.write(part);
  socket.uncork();
  return room;
}

/** Ends the connection behind what has been written. Reading on keeps a reset from overtaking it; a peer that lingers is
 *  cut off. */
export function endGently(socket: Socket): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
