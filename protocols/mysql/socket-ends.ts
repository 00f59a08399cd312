/** Letting go of a socket so that the last words arrive. */
import type { Socket } from 'node:net';

const lingerMs = 2000;

/** Ends the connection behind what has been written. Reading on keeps a reset from overtaking it; a peer that lingers is
 *  cut off. */
export function endGently(socket: Socket): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
