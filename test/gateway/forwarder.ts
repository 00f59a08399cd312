/** A TCP proxy in front of a listener, which puts a header of the test's choosing in front of what its clients send. */
import net from 'node:net';

export interface ForwarderOptions {
  /** What the gateway reads first; empty: nothing. */
  readonly header: Buffer;
  /**
   * `whole`: at once; `bytes`: byte by byte, each in a packet of its own; `joined`: in one write with the client's first bytes,
   * for protocols in which the client speaks first.
   */
  readonly sent?: 'whole' | 'bytes' | 'joined';
  /** The proxy's own address on loopback. */
  readonly from: string;
}

export interface Forwarder {
  readonly port: number;
  close(): Promise<void>;
}

/** Forwards connections to a port of 127.0.0.1 until it is closed. */
export async function startForwarder(target: number, options: ForwarderOptions): Promise<Forwarder> {
  const { header, sent = 'whole', from } = options;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect({
      port: target,
      host: '127.0.0.1',
      localAddress: from,
      family: 4,
      noDelay: true,
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    const pipe = (): void => {
      client.pipe(upstream);
      upstream.pipe(client);
    };
    if (sent === 'joined') {
      client.once('data', (first: Buffer) => {
        client.pause();
        upstream.write(Buffer.concat([header, first]));
        pipe();
      });
    } else if (sent === 'bytes') {
      void inPieces(upstream, header).then(pipe);
    } else {
      if (header.length > 0) upstream.write(header);
      pipe();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function inPieces(socket: net.Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
