/**
 * One command on its way: the gate's leave, the upstream that it leads to, its response, and what the session has become behind
 * it. One of these lives as long as its principal is signed in. What each command means is read elsewhere.
 */
import type { CatalogTable } from '../../sql/catalog.ts';
import type { Admission, Admitted, GateSession, Refused, SessionState } from '../gate.ts';
import { capability } from './capabilities.ts';
import { command, textCommand } from './client-messages.ts';
import { type Command, wireOf } from './command-queue.ts';
import { refusal, type ServerError, serverErrors } from './errors.ts';
import { encodePacket, packetBytesMax } from './framing.ts';
import type { Link, LinkOwner } from './link.ts';
import { Links } from './links.ts';
import { queryCommand } from './query-attributes.ts';
import type { Finished, Request } from './requests.ts';
import { PreparedStatements } from './statements.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** The client's end of a session. */
export interface ClientEnd {
  /** Sequence number of the client's last packet, or what stands for it: an answer has the next one. */
  sequence: number;
  /** True while a command is under way. */
  readonly busy: boolean;
  /** Bytes for the client; false when it can't take more for now. */
  deliver(parts: readonly Buffer[]): boolean;
  /** Ends the command with an error. */
  answer(error: ServerError): void;
  /** The command has been answered. */
  done(): void;
  /** An error after which the session can't go on. */
  fatal(error: ServerError, sequence?: number): void;
  end(): void;
  /** COM_CHANGE_USER: this principal's session is over, another one begins. @throws ProtocolError when it is malformed. */
  changeUser(payload: Buffer): void;
  /** Takes no more commands until the upstream has room again. */
  waitFor(link: Link): void;
}

/** After which the gate is told what the session has become. */
type Aftermath = 'none' | 'reset';

export class Exchange implements LinkOwner {
  readonly gate: GateSession;
  readonly links: Links;
  readonly statements: PreparedStatements;
  /** The client lays out its commands with query attributes. */
  readonly namesAttributes: boolean;
  readonly #client: ClientEnd;
  readonly #ended = new AbortController();
  /** The upstream that the command under way is at. */
  #active: Link | null = null;
  #request: Request | null = null;
  #text = '';
  #aftermath: Aftermath = 'none';

  /** @param capabilities relayed flags that the client negotiated */
  constructor(client: ClientEnd, gate: GateSession, capabilities: number) {
    this.#client = client;
    this.gate = gate;
    this.statements = new PreparedStatements(gate.limits.preparedMax);
    this.namesAttributes = (capabilities & capability.QUERY_ATTRIBUTES) !== 0;
    this.links = new Links(gate, capabilities, this, this.#ended.signal);
  }

  /** Connects to the session's home; answers its status flags. Rejects when it can't be reached. */
  async start(): Promise<number> {
    const home = await this.links.open(this.gate.home);
    if (!this.isOver) this.gate.refreshed(stateOf(home, home.database, []));
    return home.status;
  }

  get isOver(): boolean {
    return this.#ended.signal.aborted;
  }
  /** Aborted when the principal's session ends. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }
  get active(): Link | null {
    return this.#active;
  }
  get home(): Link | undefined {
    return this.links.get(this.gate.home);
  }

  /** The command has been answered, or the next one begins. */
  clear(): void {
    this.#active = null;
    this.#text = '';
    this.#aftermath = 'none';
  }

  /** Nothing of what the principal had outlives this: connections, statements, cursors. */
  end(): void {
    if (this.isOver) return;
    this.#ended.abort();
    this.links.end();
    this.statements.clear();
    this.gate.closed();
  }

  decide(admission: Admission | Promise<Admission>, then: (admitted: Admitted) => void): void {
    if (!(admission instanceof Promise)) {
      this.#decided(admission, then);
      return;
    }
    admission
      .then((decided) => this.#decided(decided, then))
      .catch(() => {
        if (!this.isOver) this.#client.answer(serverErrors.internal);
      });
  }

  #decided(admission: Admitted | Refused, then: (admitted: Admitted) => void): void {
    if (this.isOver) return;
    if (admission.effect === 'refuse') this.#client.answer(refusal(admission));
    else if (this.gate.unjournaled) this.#afterJournal(admission, then);
    else then(admission);
  }

  /** Nothing that was admitted leaves for an upstream before the journal has it. */
  #afterJournal(admitted: Admitted, then: (admitted: Admitted) => void): void {
    this.gate.onJournaled((isWritten) => {
      if (!isWritten) this.#unjournaled(admitted);
      else if (!this.isOver) {
        try {
          then(admitted);
        } catch {
          this.#client.answer(serverErrors.internal);
        }
      }
    });
  }

  /** It stands as decided where the journal takes it after all; that it did not run has to stand there too. */
  #unjournaled(admitted: Admitted): void {
    const error = refusal(this.gate.refuseUnjournaled());
    for (let i = 0; i < admitted.statements; i++) admitted.completed(i, 0, 0, String(error.code));
    if (!this.isOver) this.#client.answer(error);
  }

  /** The link that leave was given for, brought to the session's state. `text`: what is going to run there. */
  onLink(admitted: Admitted, text: string, then: (link: Link) => void): void {
    this.#text = text;
    const ready = this.links.ready(admitted.route);
    if (ready !== null) {
      then(ready);
      return;
    }
    this.links
      .open(admitted.route)
      .then((link) => {
        if (!this.isOver) then(link);
      })
      .catch(() => {
        if (!this.isOver) this.#client.answer(serverErrors.notReachable);
      });
  }

  /** Sends the client's own bytes. */
  forward(link: Link, request: Request, next: Command): void {
    this.#ask(link, request, wireOf(next), next.sequence);
  }

  /** Sends another text than the client's, or the same laid out for another server. `head`: as `queryCommand` takes it. */
  sendText(link: Link, request: Request, code: number, text: string, head: Buffer | null = null): void {
    const isQuery = code === command.QUERY;
    this.send(
      link,
      request,
      isQuery ? queryCommand(text, link.namesAttributes, head) : textCommand(code, text),
    );
  }

  /** Sends another command than the client's. */
  send(link: Link, request: Request, payload: Buffer): void {
    this.#ask(link, request, encodePacket(payload, 0), Math.floor(payload.length / packetBytesMax));
  }

  /** COM_RESET_CONNECTION goes to the session's home. */
  reset(home: Link, next: Command): void {
    this.#aftermath = 'reset';
    this.forward(home, { kind: 'plain' }, next);
  }

  #ask(link: Link, request: Request, wire: Buffer, lastSent: number): void {
    this.#active = link;
    this.#request = request;
    if (!link.ask(request, wire, lastSent & 0xff, this.#client.sequence)) this.#client.waitFor(link);
  }

  deliver(parts: readonly Buffer[]): boolean {
    return this.isOver || this.#client.deliver(parts);
  }

  finished(link: Link, finished: Finished): void {
    const request = this.#request;
    this.#request = null;
    if (this.isOver || request === null) return;
    this.statements.finished(request, finished, link.target.name);
    this.links.noteTransaction(link, finished.status);
    if ('settles' in request && request.settles) {
      if (finished.error === null && request.kind === 'query') this.links.noteSetting(this.#text);
      link.noteTemporary(request.admitted.temporary);
    }
    const reset = this.#aftermath === 'reset';
    if (finished.settles || reset) this.#settle(link, finished, reset);
    else this.#client.done();
  }

  failed(link: Link, error: Error): void {
    if (this.isOver || !this.links.has(link)) return;
    if (!this.#client.busy || (link === this.#active && !link.betweenPackets)) {
      this.#client.end();
      return;
    }
    this.#client.fatal(upstreamFailure(error), link === this.#active ? link.nextSequence : undefined);
  }

  /** The session may mean something else from now on: nothing goes on before that is known. */
  async #settle(link: Link, finished: Finished, reset: boolean): Promise<void> {
    this.#active = null;
    // An error from here on stands in the place of the packet that is held back.
    this.#client.sequence = finished.nextSequence - 1;
    try {
      if (reset) {
        link.noteReset();
        await link.pin();
      }
      const state = await link.inspect();
      const temporary = await link.temporaryTables();
      if (this.isOver) return;
      if (!state.pinned) {
        this.#client.fatal(serverErrors.drift);
        return;
      }
      this.links.noteDatabase(state.database);
      this.gate.refreshed(stateOf(link, state.database, temporary));
    } catch {
      if (!this.isOver) this.#client.fatal(serverErrors.upstreamLost);
      return;
    }
    this.#client.deliver(finished.held);
    this.#client.done();
  }
}

function stateOf(link: Link, database: string | null, temporary: readonly CatalogTable[]): SessionState {
  return { path: database === null ? [] : [database], upstream: link.target.name, temporary };
}
