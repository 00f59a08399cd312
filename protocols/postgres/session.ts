/**
 * One client's connection from its first byte to its last: the greeting, the sign-in at the gate, the upstream
 * connections, and the sockets on both sides of the relay. Nothing here looks into a statement.
 */
import type net from 'node:net';
import { ProtocolError } from '../bytes.ts';
import type {
  Gate,
  GateSession,
  ListenerSettings,
  SessionActivity,
  SessionControl,
  SignInRefused,
  UpstreamName,
} from '../gate.ts';
import { TurnEndWriter } from '../turn-end.ts';
import { CancelKeys } from './cancel.ts';
import { terminate } from './client-messages.ts';
import { encodeFatal, idleEnds, SessionEnd } from './errors.ts';
import type { RelayEnds } from './flow.ts';
import { type FrameSource, runQuery } from './frame-source.ts';
import { type Greeted, Greeting } from './greeting.ts';
import { Relay } from './relay.ts';
import { pins } from './results.ts';
import {
  authenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReady,
  status,
} from './server-messages.ts';
import { readState, stateText } from './session-state.ts';
import { cancelUpstream, connectUpstream, type UpstreamConnection, UpstreamUnavailable } from './upstream.ts';

const heldBytesMax = 256 * 1024;

const cancelKeys = new CancelKeys();

/** A cancel request that another process of the gateway was sent. */
export function cancelPostgres(processId: number, key: Buffer): void {
  cancelKeys.cancel(processId, key);
}

/**
 * Serves one accepted connection until it ends. Never throws; a failure ends this connection alone.
 * @param clientAddress where the client is, when that is not the other end of the socket; empty: unknown
 */
export function servePostgres(
  socket: net.Socket,
  gate: Gate,
  settings: ListenerSettings,
  clientAddress = socket.remoteAddress ?? '',
): void {
  new Session(socket, gate, settings, clientAddress).start();
}

interface Opened {
  readonly connection: UpstreamConnection;
  /** Reads the connection while the relay doesn't. */
  frames: FrameSource | null;
  /** How many of the session's settings have been said here. */
  settings: number;
}

class Session implements RelayEnds, SessionControl {
  #client: net.Socket;
  readonly #clientAddress: string;
  readonly #gate: Gate;
  readonly #settings: ListenerSettings;
  readonly #upstreams = new Map<UpstreamName, Opened>();
  readonly #abort = new AbortController();
  #current: UpstreamConnection | null = null;
  #gateSession: GateSession | null = null;
  #relay: Relay | null = null;
  /** Writes what the relay has for the client. */
  #answers: TurnEndWriter | null = null;
  #greeted: Greeted | null = null;
  #cancelKey: { readonly processId: number; readonly key: Buffer } | null = null;
  #ended = false;
  /** Goes upstream when the journal has what was decided of it. */
  readonly #unjournaled: Buffer[] = [];
  #clientHeld = false;
  #clientStalled = false;
  #upstreamStalled = false;

  constructor(socket: net.Socket, gate: Gate, settings: ListenerSettings, clientAddress: string) {
    this.#client = socket;
    this.#clientAddress = clientAddress;
    this.#gate = gate;
    this.#settings = settings;
  }

  start(): void {
    const socket = this.#client;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.#over('08006'));
    const greeting = new Greeting(socket, this.#settings, this.#clientAddress, (processId, key) => {
      if (!cancelKeys.cancel(processId, key)) this.#gate.cancelElsewhere(processId, key);
    });
    const timer = setTimeout(() => {
      this.#client = greeting.socket;
      this.end(encodeFatal('57014', 'canceling authentication due to timeout'));
    }, this.#settings.handshakeTimeoutMs);
    this.#signIn(greeting)
      .catch((error: unknown) => {
        this.#client = greeting.socket;
        this.end(lastWords(error));
      })
      .finally(() => clearTimeout(timer));
  }

  async #signIn(greeting: Greeting): Promise<void> {
    const greeted = await greeting.run();
    this.#client = greeting.socket;
    if (greeted === null || this.#ended) {
      if (!this.#client.writableEnded) this.#client.destroy();
      return;
    }
    this.#greeted = greeted;
    if (this.#client !== greeted.socket) this.#client = greeted.socket;
    this.#client.on('error', () => {});
    this.#client.on('close', () => this.#over('08006'));
    const { parameters } = greeted;
    const answer = await this.#gate.signIn(
      {
        protocol: 'postgres',
        user: parameters.user,
        secret: greeted.password,
        database: parameters.database,
        clientAddress: this.#clientAddress,
        tls: greeted.secure,
        applicationName: parameters.applicationName,
      },
      this,
    );
    if ('effect' in answer) throw signInFault(answer, parameters.user, parameters.database);
    this.#gateSession = answer;
    if (this.#ended) {
      answer.closed();
      return;
    }
    await this.#begin(greeted, answer);
  }

  async #begin(greeted: Greeted, session: GateSession): Promise<void> {
    const opened = await this.#open(session.home);
    const { connection } = opened;
    const rows = await runQuery(connection.socket, connection.frames, stateText);
    if (this.#ended) throw new ProtocolError('the session is over');
    const { literal, path, fixedSnapshot } = readState([rows]);
    session.refreshed({ path, upstream: session.home, transaction: false, fixedSnapshot });
    const relay = new Relay(session, this, session.home, literal);
    this.#relay = relay;
    this.#answers = new TurnEndWriter(this.#client, () => {
      this.#clientStalled = true;
      this.#current?.socket.pause();
    });
    const { processId } = connection;
    const key = cancelKeys.add(processId, greeted.minor >= 2 ? 32 : 4, () => this.#cancel());
    this.#cancelKey = { processId, key };
    this.#client.cork();
    this.#client.write(authenticationOk);
    for (const [name, value] of connection.parameters) {
      const shown = name === 'session_authorization' ? greeted.parameters.user : value;
      this.#client.write(encodeParameterStatus(name, shown));
    }
    this.#client.write(encodeBackendKeyData(processId, key));
    this.#client.write(encodeReady(status.idle));
    this.#client.uncork();
    this.#attach(opened);
    this.#client.on('data', (piece: Buffer) => {
      relay.client(piece);
      if (this.#clientHeld) this.#flow();
    });
    this.#client.on('drain', () => {
      this.#clientStalled = false;
      this.#current?.socket.resume();
    });
    this.#client.on('end', () => this.#over('08006'));
    if (greeted.leftover.length > 0) relay.client(greeted.leftover);
    this.#flow();
  }

  async #open(name: UpstreamName): Promise<Opened> {
    const known = this.#upstreams.get(name);
    if (known !== undefined) return known;
    const target = this.#gateSession!.target(name);
    const settings = this.#greeted!.parameters.settings;
    const connection = await connectUpstream(target, settings, this.#abort.signal);
    for (const [pin, value] of pins) {
      if (connection.parameters.get(pin) !== value) {
        connection.socket.destroy();
        throw new UpstreamUnavailable(`upstream "${name}": ${pin} is not ${value}`);
      }
    }
    if (this.#ended) {
      connection.socket.destroy();
      throw new UpstreamUnavailable('the session is over');
    }
    const opened: Opened = { connection, frames: connection.frames, settings: 0 };
    this.#upstreams.set(name, opened);
    connection.socket.on('close', () => {
      if (this.#ended) return;
      const sawFatal = this.#relay?.sawFatal === true && this.#current === connection;
      this.#relay?.close('08006');
      this.end(sawFatal ? null : encodeFatal('08006', `the connection to upstream "${name}" was lost`));
    });
    return opened;
  }

  /** Gives a connection's bytes to the relay. */
  #attach(opened: Opened): void {
    const { socket } = opened.connection;
    const leftover = opened.frames?.detach();
    opened.frames = null;
    this.#current = opened.connection;
    this.#upstreamStalled = false;
    socket.on('data', this.#fromUpstream);
    socket.on('drain', this.#upstreamDrained);
    if (leftover !== undefined && leftover.length > 0) this.#fromUpstream(leftover);
    if (!this.#clientStalled) socket.resume();
  }

  readonly #fromUpstream = (piece: Buffer): void => {
    this.#relay?.fromUpstream(piece);
  };
  readonly #upstreamDrained = (): void => {
    this.#upstreamStalled = false;
    this.#flow();
  };

  /** Reads from the client unless the relay or the upstream can't take more. A client that waits for a decision is
   *  read on, within bounds, or its leaving would go unnoticed. */
  #flow(): void {
    const waiting = this.#clientHeld && this.#relay!.waitingBytes > heldBytesMax;
    if (waiting || this.#upstreamStalled) this.#client.pause();
    else if (this.#relay !== null) this.#client.resume();
  }

  toClient(bytes: Buffer): void {
    this.#answers!.write(bytes);
  }

  toUpstream(bytes: Buffer): void {
    const waiting = this.#unjournaled;
    if (waiting.length === 0) {
      if (!this.#gateSession!.unjournaled) {
        this.#send(bytes);
        return;
      }
      this.#gateSession!.onJournaled(this.#journaled);
    }
    waiting.push(bytes);
  }

  readonly #journaled = (isWritten: boolean): void => {
    const waiting = this.#unjournaled;
    if (!this.#ended) {
      if (isWritten) for (const bytes of waiting) this.#send(bytes);
      else {
        const instead = this.#relay!.instead(waiting);
        if (instead !== null) this.#send(instead);
      }
    }
    waiting.length = 0;
  };

  #send(bytes: Buffer): void {
    const socket = this.#current!.socket;
    if (socket.writable && !socket.write(bytes)) {
      this.#upstreamStalled = true;
      this.#flow();
    }
  }

  holdClient(held: boolean): void {
    this.#clientHeld = held;
    this.#flow();
  }

  async switchTo(name: UpstreamName, settings: readonly string[]): Promise<void> {
    const opened = await this.#open(name);
    const { socket } = opened.connection;
    opened.frames ??= opened.connection.frames.again();
    while (opened.settings < settings.length) {
      await runQuery(socket, opened.frames, settings[opened.settings]!);
      opened.settings++;
    }
    // The connection that is left is idle. It is read on, or its end would go unnoticed.
    const before = this.#current!.socket;
    before.off('data', this.#fromUpstream);
    before.off('drain', this.#upstreamDrained);
    this.#attach(opened);
  }

  end(response: Buffer | null): void {
    if (this.#ended) return;
    const client = this.#client;
    this.#answers?.flush();
    if (client.writable) {
      if (response === null || this.#relay?.midRow) client.end();
      else client.end(response);
      // What the client still sends is not read; it has a moment to take its last message.
      client.resume();
      setTimeout(() => client.destroy(), 2000).unref();
    }
    this.#over('57P01');
  }

  kill(reason: string): void {
    this.#relay?.close('57P01');
    this.end(encodeFatal('57P01', `terminating connection due to administrator command: ${reason}`));
  }

  drain(): void {
    if (this.#relay !== null) this.#relay.drain();
    else this.end(encodeFatal('57P01', 'terminating connection: the gateway is shutting down'));
  }

  get activity(): SessionActivity {
    return this.#relay?.activity ?? 'waiting';
  }
  get turns(): number {
    const relay = this.#relay;
    if (relay === null) return 0;
    // What a client sends while a statement runs does not give it more time.
    return relay.queue.answered + (relay.busy ? 0 : this.#client.bytesRead);
  }

  expire(activity: 'idle' | 'transaction' | 'statement'): void {
    if (activity === 'statement') {
      this.#cancelForTime();
      return;
    }
    const { sqlState, message } = idleEnds[activity];
    this.#relay?.close(sqlState);
    this.end(encodeFatal(sqlState, message));
  }

  #cancelForTime(): void {
    const queue = this.#relay?.queue;
    const connection = this.#current;
    if (queue === undefined || connection === null) return;
    const { answered } = queue;
    queue.timedOut = true;
    void cancelUpstream(connection, () => queue.length > 0 && queue.answered === answered);
  }

  #cancel(): void {
    if (this.#relay?.cancelled() && this.#current !== null) void cancelUpstream(this.#current);
  }

  #over(sqlState: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const busy = this.#relay?.busy === true;
    this.#relay?.close(sqlState);
    this.#abort.abort();
    if (this.#cancelKey !== null) cancelKeys.remove(this.#cancelKey.processId, this.#cancelKey.key);
    for (const { connection } of this.#upstreams.values()) {
      if (busy && connection.processId === this.#current?.processId) void cancelUpstream(connection);
      if (connection.socket.writable) connection.socket.end(terminate);
      connection.socket.resume();
      setTimeout(() => connection.socket.destroy(), 1000).unref();
    }
    this.#gateSession?.closed();
    if (!this.#client.writableEnded) this.#client.destroy();
  }
}

function signInFault(refused: SignInRefused, user: string, database: string): SessionEnd {
  switch (refused.fault) {
    case 'sign_in':
      return new SessionEnd('28P01', `password authentication failed for user "${user}"`);
    case 'database':
      return new SessionEnd('3D000', `database "${database}" does not exist`);
    case 'unavailable':
      return new SessionEnd('53300', 'the gateway takes no more sessions now');
  }
}

function lastWords(error: unknown): Buffer | null {
  if (error instanceof SessionEnd) return error.response;
  if (error instanceof UpstreamUnavailable) {
    return encodeFatal(error.sqlState?.startsWith('22') ? error.sqlState : '57P03', error.message);
  }
  if (error instanceof ProtocolError) return encodeFatal('08P01', `protocol violation: ${error.message}`);
  return encodeFatal('XX000', 'the gateway failed; the session was closed');
}
