/**
 * Connections that come through a proxy: who may say whose a connection is, and the wait until it has been said. What is
 * behind the header is left in the socket, unread, for the protocol.
 */
import type { Socket } from 'node:net';
import { createNetworks, type Networks } from '../identity/networks.ts';
import { readProxyHeader } from '../protocols/proxy-header.ts';

/** Tells which addresses are proxies'; null: none is. Throws TypeError for a text that is no network. */
export function createProxies(networks: readonly string[]): ((address: string) => boolean) | null {
  if (networks.length === 0) return null;
  const proxies: Networks = createNetworks({ proxies: networks });
  return (address) => proxies.regionOf(address) !== null;
}

/**
 * Reads the PROXY header (see proxy-header.ts) that a trusted proxy's connection begins with, then hands on the client's address:
 * empty where the proxy does not say it, and never the proxy's own. A connection without a header in time, or with a broken one, is
 * closed, and `serve` not called.
 * @param timeoutMs from now until the header is there
 */
export function awaitProxyHeader(socket: Socket, timeoutMs: number, serve: (address: string) => void): void {
  let received: Buffer = Buffer.alloc(0);
  const giveUp = (): void => {
    release();
    socket.destroy();
  };
  const timer = setTimeout(giveUp, timeoutMs);
  const onData = (piece: Buffer): void => {
    received = received.length === 0 ? piece : Buffer.concat([received, piece]);
    let header: ReturnType<typeof readProxyHeader>;
    try {
      header = readProxyHeader(received);
    } catch {
      giveUp();
      return;
    }
    if (header === null) return;
    release();
    socket.pause();
    if (received.length > header.length) socket.unshift(received.subarray(header.length));
    serve(header.source ?? '');
  };
  function release(): void {
    clearTimeout(timer);
    socket.off('data', onData);
    socket.off('end', giveUp);
    socket.off('close', release);
  }
  socket.on('data', onData);
  socket.once('end', giveUp);
  socket.once('close', release);
}
