/**
 * The operator's HTTP listener: `/metrics`, `/health/live`, `/health/ready`. It has no sign-in, so it tells numbers
 * and codes only, and takes nothing.
 */
import http from 'node:http';
import type net from 'node:net';
import type { RunningGateway } from '../running.ts';
import { expositionType } from './exposition.ts';

const connectionsMax = 64;
const requestMs = 10_000;
const textType = 'text/plain; charset=utf-8';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Listens; rejects when the address can't be had. `close` ends open connections too. */
export async function startEndpoints(
  address: { readonly host: string; readonly port: number },
  gateway: Pick<RunningGateway, 'metrics' | 'unreadiness'>,
): Promise<{ readonly host: string; readonly port: number; close(): void }> {
  const server = http.createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      keepAliveTimeout: requestMs,
      maxHeaderSize: 8192,
    },
    (request, response) => {
      request.resume();
      void answerTo(request, gateway)
        .catch((): Answer => ({ status: 500, type: textType, body: 'the gateway can not tell\n' }))
        .then(({ status, type, body }) => {
          response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
          response.end(request.method === 'HEAD' ? undefined : body);
        });
    },
  );
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  return {
    host: address.host,
    port: (server.address() as net.AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answerTo(
  { method, url }: http.IncomingMessage,
  gateway: Pick<RunningGateway, 'metrics' | 'unreadiness'>,
): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, type: textType, body: 'GET\n' };
  switch (url?.split('?', 1)[0]) {
    case '/metrics':
      return { status: 200, type: expositionType, body: await gateway.metrics() };
    case '/health/live':
      return { status: 200, type: textType, body: 'ok\n' };
    case '/health/ready': {
      const reason = await gateway.unreadiness();
      return { status: reason === null ? 200 : 503, type: textType, body: `${reason ?? 'ok'}\n` };
    }
    default:
      return { status: 404, type: textType, body: '/metrics, /health/live, /health/ready\n' };
  }
}
