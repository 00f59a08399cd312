/**
 * A client that named no database. It may be a client program's Ctrl-C, which signs in a second time to cancel what the first
 * connection runs: with the secret of an open session it may do that, and nothing else. Nothing here is decided, and no server is asked.
 */
import type { Socket } from 'node:net';
import { decodeUtf8 } from '../bytes.ts';
import type { Gate } from '../gate.ts';
import { carryOut, isOwner, ownerOf, readKill } from './cancel.ts';
import { serverStatus } from './capabilities.ts';
import { command } from './client-messages.ts';
import { type Command, CommandQueue } from './command-queue.ts';
import { encodeError, serverErrors } from './errors.ts';
import { encodePacket } from './framing.ts';
import { encodeOk } from './handshake.ts';
import type { Arrival } from './sign-in.ts';
import { endGently } from './socket-ends.ts';

/** A KILL is short, and is sent at once. */
const commandBytesMax = 1024;
const idleMs = 10_000;

/** Serves a client without a database until it goes, or turns it away. */
export async function serveKills(arrival: Arrival, gate: Gate): Promise<void> {
  const { socket, rest, credentials, sequence } = arrival;
  socket.on('error', () => socket.destroy());
  const owner = ownerOf(credentials.secret, gate.ownerKey);
  if (!isOwner(owner) && !(await gate.ownsElsewhere(owner))) {
    end(socket, encodeError(serverErrors.noDatabase, sequence));
    return;
  }
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('end', () => endGently(socket));
  let isBusy = false;
  const queue = new CommandQueue(socket, commandBytesMax, {
    ready: () => !isBusy,
    command: (next) => {
      isBusy = true;
      void answerTo(next, owner, gate).then((answer) => {
        if (answer === null) {
          endGently(socket);
          return;
        }
        if (socket.writable) socket.write(answer);
        isBusy = false;
        queue.pump();
      });
    },
    failed: (error, last) => end(socket, encodeError(error, last + 1)),
  });
  socket.write(encodePacket(encodeOk(serverStatus.AUTOCOMMIT), sequence));
  queue.start(rest);
}

/** Null: the client says good-bye. Never rejects. */
async function answerTo(next: Command, owner: string, gate: Gate): Promise<Buffer | null> {
  const payload = next.buffer.subarray(next.start, next.end);
  const ok = encodePacket(encodeOk(serverStatus.AUTOCOMMIT), next.sequence + 1);
  if (payload[0] === command.QUIT) return null;
  if (payload[0] === command.PING) return ok;
  const kill = payload[0] === command.QUERY ? readKill(textOf(payload)) : null;
  if (kill === null) return encodeError(serverErrors.noDatabase, next.sequence + 1);
  const found = carryOut(kill, owner) || (await gate.killElsewhere(kill.connectionId, kill.queryOnly, owner));
  return found ? ok : encodeError(serverErrors.unknownThread, next.sequence + 1);
}

function textOf(payload: Buffer): string {
  try {
    return decodeUtf8(payload.subarray(1));
  } catch {
    return '';
  }
}

function end(socket: Socket, farewell: Buffer): void {
  socket.write(farewell);
  endGently(socket);
}
