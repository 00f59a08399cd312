/** A relay that knows nothing of what it relays, as a process of its own: the least that a gateway in Node costs. Arguments: port, upstream's port. */
import { connect, createServer } from 'node:net';

const [port, upstreamPort] = process.argv.slice(2).map(Number);
createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host: '127.0.0.1', port: upstreamPort ?? 0, noDelay: true });
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
  }
}).listen(port, '127.0.0.1');
