/**
 * A forwarder in front of a real server that, while its storm lasts, breaks what the server says: the gateway's
 * sign-in, its catalog queries and its clients' results are all answered by something that was nearly right.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { Chance } from './chance.ts';

/** The gateway is told `port` in place of the real server's. */
export interface HostileUpstream {
  readonly port: number;
  /** Connections whose answers were broken so far. */
  readonly broken: number;
  /** Every connection passes untouched while this is null. Takes effect at the next bytes of each. */
  storm: Chance | null;
  stop(): Promise<void>;
}

/** Forwards to a port of 127.0.0.1. */
export async function startHostileUpstream(target: number): Promise<HostileUpstream> {
  const sockets = new Set<Socket>();
  const state = { storm: null as Chance | null, broken: 0 };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(upstream);
    let counted = false;
    upstream.on('data', (bytes) => {
      const { storm } = state;
      if (storm === null || !storm.oneIn(3)) {
        client.write(bytes);
        return;
      }
      if (!counted) state.broken++;
      counted = true;
      client.write(storm.oneIn(10) ? storm.bytes(storm.below(4000)) : storm.mutate(bytes));
      if (storm.oneIn(6)) client.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the forwarder has no port');
  return {
    port: address.port,
    get broken() {
      return state.broken;
    },
    get storm() {
      return state.storm;
    },
    set storm(chance) {
      state.storm = chance;
      // What was broken before is not to disturb what comes after.
      if (chance === null) for (const socket of sockets) socket.destroy();
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
