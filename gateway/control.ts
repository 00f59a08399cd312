/**
 * The control socket: a Unix socket that only the gateway's user can open, one JSON line in, one out. The command line speaks it
 * to the running gateway.
 */
import { chmodSync, mkdirSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { z } from 'zod';
import { formatSourceError } from '../policy/source.ts';
import type { RunningGateway } from './running.ts';

const requestSchema = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  z.strictObject({ command: z.literal('reload') }),
  z.strictObject({ command: z.literal('settle') }),
  z.strictObject({ command: z.literal('sessions') }),
  z.strictObject({ command: z.literal('kill'), session: z.string().max(64) }),
]);
export type ControlRequest = z.infer<typeof requestSchema>;

/** `ok: false` carries lines for standard error. */
export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly errors: readonly string[] };

const requestBytesMax = 4096;
const answerTimeoutMs = 30_000;

/** Listens on the socket; a stale one of a dead gateway is replaced, one that answers is an error. */
export async function startControl(path: string, gateway: RunningGateway): Promise<{ close(): void }> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) throw new Error(`another gateway answers at ${path}`);
  try {
    unlinkSync(path);
  } catch {
    // There was none.
  }
  const control = net.createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(answerTimeoutMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end === -1) {
        if (text.length > requestBytesMax) socket.destroy();
        return;
      }
      socket.removeAllListeners('data');
      void answer(text.slice(0, end), gateway).then((result) => socket.end(`${JSON.stringify(result)}\n`));
    });
  });
  const mask = process.umask(0o077);
  try {
    await new Promise<void>((resolve, reject) => {
      control.once('error', reject);
      control.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return { close: () => control.close() };
}

/** Asks the running gateway; null when none answers at that path. */
export function askControl(path: string, request: ControlRequest): Promise<ControlAnswer | null> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(answerTimeoutMs, () => socket.destroy());
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => resolve(null));
    socket.on('close', () => {
      try {
        resolve(JSON.parse(text) as ControlAnswer);
      } catch {
        resolve(null);
      }
    });
  });
}

async function answers(path: string): Promise<boolean> {
  return (await askControl(path, { command: 'status' })) !== null;
}

async function answer(line: string, gateway: RunningGateway): Promise<ControlAnswer> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return { ok: false, errors: ['not a request'] };
  }
  const request = requestSchema.safeParse(json);
  if (!request.success) return { ok: false, errors: ['unknown request'] };
  try {
    return await carryOut(request.data, gateway);
  } catch (error) {
    return { ok: false, errors: [`cordon: ${(error as Error).message}`] };
  }
}

async function carryOut(request: ControlRequest, gateway: RunningGateway): Promise<ControlAnswer> {
  switch (request.command) {
    case 'status':
      return { ok: true, result: await gateway.status() };
    case 'reload': {
      const reloaded = await gateway.reload();
      if (reloaded.ok) return { ok: true, result: { version: reloaded.version } };
      return { ok: false, errors: reloaded.errors.map(formatSourceError) };
    }
    case 'settle':
      await gateway.settle();
      return { ok: true, result: null };
    case 'sessions':
      return { ok: true, result: await gateway.sessions() };
    case 'kill':
      if (await gateway.kill(request.session)) return { ok: true, result: { session: request.session } };
      return { ok: false, errors: [`no open session ${request.session}`] };
  }
}
