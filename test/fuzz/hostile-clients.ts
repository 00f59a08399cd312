/**
 * Clients that say broken things to the gateway's listeners and see whether it lets go of them, and polite ones for when
 * it is the upstream that is hostile. They read nothing of the answers, so nothing in an answer can break them.
 */
import { connect, type Socket } from 'node:net';
import type { Chance } from './chance.ts';
import * as mysql from './mysql-bytes.ts';
import * as postgres from './postgres-bytes.ts';

/** How a conversation ended. `held`: we had finished, and the gateway neither answered nor closed. */
export type Ending = 'closed' | 'held';

/** More than any of the gateway's own time limits for a sign-in. */
const PATIENCE_MS = 40_000;
/** Long enough for an answer, short enough for a thousand conversations in which none comes. */
const ANSWER_MS = 300;

/** One conversation with the PostgreSQL listener. Half of them sign in properly before they break anything. */
export async function hostilePostgresClient(port: number, token: string, chance: Chance): Promise<Ending> {
  const talk = await Conversation.open(port);
  if (chance.oneIn(5)) {
    talk.send(chance.bytes(chance.below(2000)), chance);
  } else if (chance.oneIn(2)) {
    const opening = chance.pick(postgres.openings);
    talk.send(chance.oneIn(3) ? opening : chance.mutate(opening), chance);
    await talk.answer();
    talk.send(
      chance.mutate(Buffer.concat([postgres.password(token), batch(chance, postgres.clientMessage)])),
      chance,
    );
  } else {
    talk.send(postgres.startup, chance);
    await talk.answer();
    talk.send(postgres.password(token), chance);
    await talk.answer();
    for (let rounds = 1 + chance.below(3); rounds > 0; rounds--) {
      const messages = batch(chance, postgres.clientMessage);
      talk.send(chance.oneIn(3) ? messages : chance.mutate(messages), chance);
      if (chance.oneIn(2)) await talk.answer();
    }
  }
  return talk.finish();
}

/** The same with the MySQL listener. */
export async function hostileMySqlClient(port: number, token: string, chance: Chance): Promise<Ending> {
  const talk = await Conversation.open(port);
  if (!chance.oneIn(8)) await talk.answer();
  if (chance.oneIn(5)) {
    talk.send(chance.bytes(chance.below(2000)), chance);
  } else if (chance.oneIn(2)) {
    const opening = chance.oneIn(2) ? chance.pick(mysql.openings) : mysql.handshakeResponse(token);
    talk.send(chance.oneIn(4) ? opening : chance.mutate(opening), chance);
    await talk.answer();
    talk.send(chance.mutate(batch(chance, mysql.clientCommand)), chance);
  } else {
    talk.send(mysql.handshakeResponse(token), chance);
    const reply = await talk.answer();
    if (reply[4] === 0xfe) {
      talk.send(mysql.clearPassword((reply[3] ?? 1) + 1, token), chance);
      await talk.answer();
    }
    for (let rounds = 1 + chance.below(3); rounds > 0; rounds--) {
      const commands = batch(chance, mysql.clientCommand);
      talk.send(chance.oneIn(3) ? commands : chance.mutate(commands), chance);
      await talk.answer();
    }
  }
  return talk.finish();
}

/** Whole and well-formed: sign-in, a plain query, a prepared one with binary results, an unmasked one. */
export async function politePostgresClient(port: number, token: string, chance: Chance): Promise<Ending> {
  const talk = await Conversation.open(port);
  for (const bytes of [postgres.startup, postgres.password(token), ...postgres.session]) {
    talk.send(bytes, chance);
    await talk.answer();
  }
  return talk.finish();
}

/** The same with the MySQL listener. */
export async function politeMySqlClient(port: number, token: string, chance: Chance): Promise<Ending> {
  const talk = await Conversation.open(port);
  await talk.answer();
  talk.send(mysql.handshakeResponse(token), chance);
  const reply = await talk.answer();
  const password = reply[4] === 0xfe ? [mysql.clearPassword((reply[3] ?? 1) + 1, token)] : [];
  for (const bytes of [...password, ...mysql.session]) {
    talk.send(bytes, chance);
    await talk.answer();
  }
  return talk.finish();
}

function batch(chance: Chance, make: (chance: Chance) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: 1 + chance.below(8) }, () => make(chance)));
}

class Conversation {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #received: Buffer[] = [];
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (bytes) => {
      // Only the first bytes of an answer are looked at.
      if (this.#received.length < 4) this.#received.push(bytes);
      this.#wake();
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#wake());
  }

  static open(port: number): Promise<Conversation> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const talk = new Conversation(socket);
      socket.once('connect', () => resolve(talk));
      socket.once('error', reject);
    });
  }

  send(bytes: Buffer, chance: Chance): void {
    this.#received = [];
    for (const piece of chance.cut(bytes)) if (!this.#socket.destroyed) this.#socket.write(piece);
  }

  /** What has come since the last `send`; empty when nothing came in time. */
  async answer(): Promise<Buffer> {
    if (this.#received.length === 0 && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ANSWER_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return Buffer.concat(this.#received);
  }

  /** Says that no more will come; the gateway has to close its side. */
  async finish(): Promise<Ending> {
    this.#socket.end();
    // Our side may stay open for the gateway's last words, but no longer than its own end.
    this.#socket.once('end', () => this.#socket.destroy());
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<Ending>((resolve) => {
      timer = setTimeout(() => resolve('held'), PATIENCE_MS);
    });
    const ending = await Promise.race([this.#closed.then((): Ending => 'closed'), patience]);
    clearTimeout(timer);
    this.#socket.destroy();
    return ending;
  }
}
