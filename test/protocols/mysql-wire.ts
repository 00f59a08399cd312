/** A client that speaks packets, of a server or of the listener: what a driver hides can be compared byte by byte. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { UpstreamTarget } from '../../protocols/gate.ts';
import { capability, neededCapabilities, serverStatus } from '../../protocols/mysql/capabilities.ts';
import { command, textCommand } from '../../protocols/mysql/client-messages.ts';
import { Dialogue } from '../../protocols/mysql/dialogue.ts';
import { encodePacket, packetBytesMax, physicalPackets } from '../../protocols/mysql/framing.ts';
import { encodeHandshakeResponse } from '../../protocols/mysql/handshake.ts';
import {
  readColumnCount,
  readEofStatus,
  readOk,
  readPrepareOk,
} from '../../protocols/mysql/server-messages.ts';
import { connectUpstream } from '../../protocols/mysql/upstream.ts';

const bytesMax = 1024 * 1024 * 1024;
const flags =
  neededCapabilities |
  capability.CONNECT_WITH_DB |
  capability.LONG_PASSWORD |
  capability.MULTI_STATEMENTS |
  capability.MULTI_RESULTS |
  capability.PS_MULTI_RESULTS |
  capability.TRANSACTIONS;

/** The packets of one response; `status` of the last one, null after an error. */
export interface Response {
  readonly payloads: readonly Buffer[];
  readonly status: number | null;
}

export class Wire {
  readonly #dialogue: Dialogue;
  readonly #deprecatesEof: boolean;
  #sequence = 0;

  constructor(dialogue: Dialogue, deprecatesEof: boolean) {
    this.#dialogue = dialogue;
    this.#deprecatesEof = deprecatesEof;
  }

  /** Straight to a server. `more`: other flags, if the server has them. */
  static async direct(target: UpstreamTarget, deprecatesEof: boolean, more = 0): Promise<Wire> {
    const wanted =
      (flags & ~capability.LONG_PASSWORD) | (deprecatesEof ? capability.DEPRECATE_EOF : 0) | more;
    const { socket, capabilities } = await connectUpstream(target, wanted, 5000);
    assert.equal((capabilities & capability.DEPRECATE_EOF) !== 0, deprecatesEof);
    socket.resume();
    return new Wire(new Dialogue(socket, bytesMax), deprecatesEof);
  }

  /** To the listener, in clear. */
  static async through(port: number, deprecatesEof: boolean, secret = 'token', more = 0): Promise<Wire> {
    const dialogue = new Dialogue(connect(port, '127.0.0.1'), bytesMax);
    const greeting = await dialogue.next();
    const capabilities = flags | (deprecatesEof ? capability.DEPRECATE_EOF : 0) | more;
    const hello = { capabilities, user: 'ana', database: 'crm', plugin: 'mysql_native_password' };
    dialogue.send(
      encodeHandshakeResponse({ ...hello, answer: Buffer.alloc(0) }),
      (greeting.sequence + 1) & 0xff,
    );
    const wire = new Wire(dialogue, deprecatesEof);
    await wire.prove(secret);
    return wire;
  }

  /** Answers the switch to mysql_clear_password; answers the server's last word on it. */
  async prove(secret: string): Promise<Buffer> {
    const request = await this.#dialogue.next();
    if (request.payload[0] !== 0xfe) return request.payload;
    this.#dialogue.send(Buffer.from(`${secret}\0`), request.sequence + 1);
    return (await this.#dialogue.next()).payload;
  }

  send(payload: Buffer): void {
    this.#sequence = (physicalPackets(payload.length) - 1) & 0xff;
    this.#dialogue.socket.write(encodePacket(payload, 0));
  }

  /** A packet that is no command, under a number of its own. */
  sendNumbered(payload: Buffer, sequence: number): void {
    this.sendRaw(encodePacket(payload, sequence));
  }

  sendRaw(wire: Buffer): void {
    this.#dialogue.socket.write(wire);
  }

  /** The next payload, whatever its number. */
  async next(): Promise<Buffer> {
    return (await this.#dialogue.next()).payload;
  }

  /** The client's last packet had this number. */
  numberedFrom(sequence: number): this {
    this.#sequence = sequence;
    return this;
  }

  /** The answer to what gives results, one or several. */
  async results(): Promise<Response> {
    const payloads: Buffer[] = [];
    for (;;) {
      const status = await this.#result(payloads);
      if (status === null || !(status & serverStatus.MORE_RESULTS_EXISTS)) return { payloads, status };
    }
  }

  query(text: string): Promise<Response> {
    this.send(textCommand(command.QUERY, text));
    return this.results();
  }

  async prepare(text: string): Promise<{ readonly id: number; readonly payloads: readonly Buffer[] }> {
    this.send(textCommand(command.STMT_PREPARE, text));
    const payloads = [await this.#next()];
    const first = payloads[0] as Buffer;
    assert.equal(first[0], 0, first.toString('latin1'));
    const { statementId, parameters, columns } = readPrepareOk(first);
    for (const count of [parameters, columns]) {
      const packets = count === 0 || this.#deprecatesEof ? count : count + 1;
      for (let index = 0; index < packets; index++) payloads.push(await this.#next());
    }
    return { id: statementId, payloads };
  }

  /** COM_STMT_EXECUTE without parameters. */
  execute(id: number, cursor = 0): Promise<Response> {
    const payload = Buffer.alloc(10);
    payload.writeUInt8(command.STMT_EXECUTE, 0);
    payload.writeUInt32LE(id, 1);
    payload.writeUInt8(cursor, 5);
    payload.writeUInt32LE(1, 6);
    this.send(payload);
    return this.results();
  }

  /** What follows a COM_STMT_FETCH: rows and an end, or an error. */
  async rows(): Promise<Response> {
    const payloads: Buffer[] = [];
    return { status: await this.#rows(payloads), payloads };
  }

  /** The next packet must be the end of the connection. */
  async closed(): Promise<void> {
    await assert.rejects(this.#dialogue.next());
  }

  end(): void {
    this.#dialogue.socket.destroy();
  }

  async one(): Promise<Buffer> {
    return await this.#next();
  }

  async #result(payloads: Buffer[]): Promise<number | null> {
    const first = await this.#take(payloads);
    if (first[0] === 0xff) return null;
    if (first[0] === 0x00) return readOk(first).status;
    const columns = readColumnCount(first);
    for (let index = 0; index < columns; index++) await this.#take(payloads);
    if (!this.#deprecatesEof) {
      const status = readEofStatus(await this.#take(payloads));
      if (status & serverStatus.CURSOR_EXISTS) return status;
    }
    return await this.#rows(payloads);
  }

  async #rows(payloads: Buffer[]): Promise<number | null> {
    for (;;) {
      const row = await this.#take(payloads);
      if (row[0] === 0xff) return null;
      if (row[0] === 0xfe && row.length < packetBytesMax && (this.#deprecatesEof || row.length < 9)) {
        return this.#deprecatesEof ? readOk(row).status : readEofStatus(row);
      }
    }
  }

  async #take(payloads: Buffer[]): Promise<Buffer> {
    const payload = await this.#next();
    payloads.push(payload);
    return payload;
  }

  async #next(): Promise<Buffer> {
    const { payload, sequence } = await this.#dialogue.next();
    this.#sequence = (this.#sequence + physicalPackets(payload.length)) & 0xff;
    assert.equal(sequence, this.#sequence, 'sequence number');
    return payload;
  }
}

/** The same server as one that never heard of DEPRECATE_EOF. */
export function withoutDeprecateEof(target: UpstreamTarget): ReturnType<typeof withoutCapabilities> {
  return withoutCapabilities(target, capability.DEPRECATE_EOF);
}

/** The same server as one that never heard of these flags, all of them upper ones. */
export async function withoutCapabilities(
  target: UpstreamTarget,
  gone: number,
): Promise<{ target: UpstreamTarget; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => [client, upstream].map((end) => end.destroy()));
    }
    upstream.once('data', (greeting) => {
      const versionEnd = greeting.indexOf(0, 5);
      // Thread id, scramble, filler, lower flags, collation, status: then the upper flags.
      const upperFlags = versionEnd + 1 + 4 + 8 + 1 + 2 + 1 + 2;
      greeting.writeUInt16LE(greeting.readUInt16LE(upperFlags) & ~(gone >>> 16), upperFlags);
      client.write(greeting);
      upstream.pipe(client);
      client.pipe(upstream);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    target: { ...target, host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
