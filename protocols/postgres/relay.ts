/**
 * The relay of one signed-in session: client messages in, decided bytes for the upstream out; upstream bytes in,
 * what the client may see out. Every text and every execution passes the gate here. A state machine: no socket, no
 * clock, no randomness.
 */
import type { Admission, GateSession, Refused, SessionActivity, UpstreamName } from '../gate.ts';
import { clientType, flush } from './client-messages.ts';
import { ClientRequests } from './client-requests.ts';
import { breach, encodeFatal, endOf, SessionEnd, serverRefusal, transactionAborted } from './errors.ts';
import { afterAnswers, type Blocked, type Flow, type Handled, type RelayEnds, RoutePin } from './flow.ts';
import { ClientFrames } from './framing.ts';
import { refuseHeld } from './held.ts';
import { elsewhereRefused, unreadInPipeline } from './pinned.ts';
import { Request, RequestQueue } from './requests.ts';
import { type ResultEvents, Results } from './results.ts';
import { Scripts } from './script.ts';
import { status } from './server-messages.ts';
import { type ReadState, readAttemptsMax, readState, stateQuestion } from './session-state.ts';
import { SettingsLog } from './settings-log.ts';
import { Names, type Portal, type Prepared } from './statements.ts';
import { UpstreamFrames } from './upstream-frames.ts';

const inFlightMax = 8192;

export class Relay implements ResultEvents, Flow {
  readonly #session: GateSession;
  readonly #ends: RelayEnds;
  readonly #frames: ClientFrames;
  readonly #upstreamFrames: UpstreamFrames;
  readonly queue = new RequestQueue();
  readonly #statements = new Names<Prepared>();
  readonly #portals = new Names<Portal>();
  readonly #results: Results;
  readonly #requests: ClientRequests;
  readonly settings = new SettingsLog();
  readonly scripts: Scripts;
  readonly #pin: RoutePin;
  upstream: UpstreamName;
  #abort = new AbortController();
  /** Offset in the client frames' buffer from which bytes are to be sent on; -1: none. */
  #run = -1;
  #pumping = false;
  #ended = false;
  #draining = false;
  #blocked: Blocked = '';
  answer: Admission | null = null;
  #switched = false;
  #status: number = status.idle;
  group = 0;
  #groupOpen = false;
  /** The client's messages up to Sync are discarded, as the server does or will do. */
  #skipping = false;
  settlingGroup = false;
  #refreshWanted = false;
  unsettledTransaction = false;
  #readySeen = false;
  #skipSeen = false;
  #fatal = false;
  #full = false;
  #stateValue: ReadState | null = null;
  #stateAttempt = 1;
  #lastState: string;

  /** @param state the literal that `current_schemas(true)` gave at the start. */
  constructor(session: GateSession, ends: RelayEnds, upstream: UpstreamName, state: string) {
    this.#session = session;
    this.#pin = new RoutePin(session);
    this.#ends = ends;
    this.upstream = upstream;
    this.#lastState = state;
    this.#frames = new ClientFrames(session.limits.messageBytesMax);
    this.scripts = new Scripts(this.#frames);
    this.#results = new Results(this.queue, this.#statements, this.#portals, this);
    this.#requests = new ClientRequests(this, session, this.#statements, this.#portals);
    this.#upstreamFrames = new UpstreamFrames(this.#results, (bytes) => ends.toClient(bytes));
  }

  /** What a read of the client's side gave. */
  client(piece: Buffer): void {
    if (this.#ended) return;
    this.#frames.push(piece);
    this.#pump();
  }

  /** What a read of the current upstream gave. */
  fromUpstream(piece: Buffer): void {
    if (this.#ended) return;
    try {
      this.#upstreamFrames.push(piece);
      if (this.#readySeen) this.#afterReady();
      if (this.#skipSeen) this.#afterSkip();
      if (this.#blocked === 'copy' && this.queue.head?.copy === 'in') this.#unblock();
    } catch (error) {
      this.#fail(error, 'the upstream');
      return;
    }
    if (this.#blocked === 'full' && this.queue.length < inFlightMax / 2) this.#unblock();
  }

  /** What goes upstream in place of `held`, whose decisions could not be journaled; null: the session has ended instead. */
  instead(held: readonly Buffer[]): Buffer | null {
    if (this.#ended) return null;
    try {
      return refuseHeld(this.queue, held, this.#session.refuseUnjournaled());
    } catch (error) {
      this.#fail(error, 'the client');
      return null;
    }
  }

  /** A cancel request: ends a wait for a decision. True when there was none, and the upstream is to be asked. */
  cancelled(): boolean {
    if (this.#blocked !== 'admission') return true;
    this.#abort.abort();
    this.#abort = new AbortController();
    return false;
  }

  /** End as soon as nothing is open. */
  drain(): void {
    this.#draining = true;
    this.#endIfDrained();
  }

  /** The session is over for a reason outside; `sqlState` is what a running statement came to. */
  close(sqlState: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    this.#results.abort(sqlState);
  }

  get activity(): SessionActivity {
    const { head } = this.queue;
    if (head !== null) return head.kind === 'state' ? 'waiting' : 'statement';
    if (this.#blocked !== '') return 'waiting';
    return this.#status === status.idle && !this.#groupOpen ? 'idle' : 'transaction';
  }

  /** Bytes of the client that wait for their turn. */
  get waitingBytes(): number {
    return this.#frames.waiting;
  }
  get busy(): boolean {
    return this.queue.length > 0;
  }
  get ended(): boolean {
    return this.#ended;
  }
  /** The client has half a row: a message would be taken for the rest of it. */
  get midRow(): boolean {
    return this.#upstreamFrames.midRow;
  }

  #end(sqlState: string, response: Buffer | null): void {
    this.close(sqlState);
    this.#ends.end(response);
  }

  #fail(error: unknown, side: 'the client' | 'the upstream'): void {
    if (this.#ended) return;
    const { sqlState, response } = endOf(error, side);
    this.#end(sqlState, response);
  }

  #pump(): void {
    if (this.#pumping || this.#ended || this.#blocked !== '') return;
    this.#pumping = true;
    const frames = this.#frames;
    try {
      while (this.#blocked === '' && !this.#ended && frames.next()) {
        const handled = this.#message(frames.type);
        if (handled === 'again') {
          this.#flushRun();
          frames.back();
          continue;
        }
        this.answer = null;
        this.#switched = false;
        if (handled === 'verbatim') {
          if (this.#run === -1) this.#run = frames.start;
        } else this.#flushRun();
        if (this.#full) this.#waitForAnswers();
      }
      this.#flushRun(true);
    } catch (error) {
      this.#run = -1;
      this.#fail(error, 'the client');
    } finally {
      this.#pumping = false;
    }
    this.#endIfDrained();
  }

  /** Too much is in flight: the server is made to answer before more is taken. */
  #waitForAnswers(): void {
    this.#full = false;
    this.#flushRun(true);
    this.#ends.toUpstream(flush);
    if (this.#blocked === '') this.block('full');
  }

  /** Sends on what came before the current frame, or (`whole`) the current frame too. */
  #flushRun(whole = false): void {
    if (this.#run === -1) return;
    const { buffer, start, end } = this.#frames;
    const to = whole ? end : start;
    if (to > this.#run && !this.#ended) this.#ends.toUpstream(buffer.subarray(this.#run, to));
    this.#run = -1;
  }

  send(bytes: Buffer): void {
    this.#flushRun();
    this.#ends.toUpstream(bytes);
  }

  block(reason: Blocked): Handled {
    this.#blocked = reason;
    this.#ends.holdClient(true);
    return 'again';
  }

  #unblock(): void {
    this.#blocked = '';
    if (this.#ended) return;
    this.#pump();
    if (this.#blocked === '' && !this.#ended) this.#ends.holdClient(false);
  }

  #message(type: number): Handled {
    if (this.#skipping) {
      if (type === clientType.sync) this.#skipping = false;
      else if (type !== clientType.terminate) return this.#requests.discard(type);
    }
    const { buffer, content, end } = this.#frames;
    const head = this.queue.head;
    if (head?.copy === 'in') return this.#requests.copyIn(type, buffer.subarray(content, end), head);
    if (type === clientType.sync && content === end) return this.#requests.sync();
    return this.#requests.message(type, buffer.subarray(content, end));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  wait(admission: Promise<Admission>): Handled {
    admission.then(
      (answer) => this.#answered(answer),
      () => this.#answered(serverRefusal('57014', 'the wait for a decision was ended')),
    );
    return this.block('admission');
  }

  #answered(answer: Admission): void {
    if (this.#ended) return;
    if (this.#refreshWanted && !this.#groupOpen) {
      // Names changed meanwhile: the answer is void, and the message is decided again.
      this.#blocked = 'settle';
      if (this.queue.length === 0) this.#afterReady();
      return;
    }
    this.answer = answer;
    this.#unblock();
  }

  elsewhere(route: UpstreamName, answer: Admission | null): Refused | 'wait' | null {
    if (route === this.upstream) return null;
    const idle = this.queue.length === 0 && !this.#groupOpen;
    if (!idle && !this.#groupOpen && this.#status === status.idle) {
      this.block('idle');
      return 'wait';
    }
    const settings = this.settings.texts;
    if (!idle || this.#status !== status.idle || this.#switched || settings === null)
      return elsewhereRefused(this.#session, this.upstream, route);
    this.#switched = true;
    this.block('switch');
    this.#ends.switchTo(route, settings).then(
      () => {
        if (this.#ended) return;
        this.upstream = route;
        this.answer = answer;
        this.#askState();
      },
      () => this.#answered(serverRefusal('08001', `upstream "${route}" could not be reached`)),
    );
    return 'wait';
  }

  apart(texts: readonly string[], bare: boolean): Refused | 'wait' | null {
    if (this.#groupOpen || this.scripts.isRunning) return null;
    if (this.queue.length > 0) this.block('idle');
    else if (this.#status === status.failed) return transactionAborted;
    else {
      this.#flushRun();
      this.scripts.begin(texts, bare && this.#status === status.idle);
      this.answer = null;
    }
    return 'wait';
  }

  openGroup(request: Request): void {
    this.scripts.sent(request, false);
    this.queue.push(request);
    if (!this.#groupOpen) {
      this.#groupOpen = true;
      this.#pin.hold(this.upstream);
    }
    if (this.queue.length >= inFlightMax) this.#full = true;
  }

  endGroup(request: Request): void {
    this.queue.push(request);
    if (this.scripts.sent(request, true)) this.block('idle');
    if (this.queue.length >= inFlightMax) this.#full = true;
    this.group++;
    this.#groupOpen = false;
    this.settlingGroup = false;
  }

  settle(): void {
    this.#refreshWanted = true;
    this.block('settle');
  }

  settleAtSync(): void {
    this.settlingGroup = true;
    this.#refreshWanted = true;
  }

  skip(): void {
    this.#skipping = true;
  }

  terminate(): Handled {
    this.#end('57P01', null);
    return 'consumed';
  }

  ready(statusByte: number): void {
    const before = this.#status;
    this.#status = statusByte;
    this.#readySeen = true;
    this.scripts.ready();
    if (statusByte === status.idle) {
      this.settings.kept();
      if (!this.#groupOpen && this.queue.length === 0) this.#pin.release();
    } else this.#pin.hold(this.upstream);
    const back = statusByte === status.idle || before === status.failed;
    if (this.unsettledTransaction && back && before !== statusByte) this.#refreshWanted = true;
  }

  state(answers: readonly (readonly (readonly (string | null)[])[])[] | null): void {
    if (answers === null) this.#askState(true, this.#stateAttempt + 1);
    else this.#stateValue = readState(answers, this.#status !== status.idle);
  }

  skipping(): void {
    this.#skipping = true;
    this.#skipSeen = true;
  }

  drifted(): void {
    this.#refreshWanted = true;
  }

  fatal(): void {
    this.#fatal = true;
  }

  /** A FATAL error has been passed on: the upstream closes the session, and nothing more need be said. */
  get sawFatal(): boolean {
    return this.#fatal;
  }

  readCatalog(upstream: UpstreamName): Refused | 'wait' {
    const elsewhere = this.elsewhere(upstream, null);
    if (elsewhere !== null) return elsewhere;
    if (this.#groupOpen) return unreadInPipeline(this.#session);
    if (this.queue.length > 0) this.block('idle');
    else if (this.#status === status.failed) return transactionAborted;
    else this.#askState(true);
    return 'wait';
  }

  catalogForBind(): boolean {
    if (this.#groupOpen || this.#status === status.failed || !this.#session.lacksCatalog) return false;
    return this.readCatalog(this.upstream) === 'wait';
  }

  #askState(catalog = false, attempt = 1): void {
    if (attempt > readAttemptsMax) throw new SessionEnd('08006', 'the session state could not be read');
    this.#stateAttempt = attempt;
    this.#blocked = 'state';
    this.#stateValue = null;
    this.#ends.holdClient(true);
    this.queue.push(new Request('state'));
    this.send(stateQuestion(catalog, this.#status !== status.idle, attempt > 1));
  }

  /** After what a read gave has been handed on, when a ReadyForQuery was in it. */
  #afterReady(): void {
    this.#readySeen = false;
    if (this.#blocked === 'admission' || this.#blocked === 'switch') return;
    if (this.queue.length === 0) {
      if (this.#blocked === 'state') this.#stateRead();
      else if (this.#refreshWanted && this.#groupOpen) this.settlingGroup = true;
      else if (this.#refreshWanted && this.#status !== status.failed) {
        this.#askState();
        return;
      } else if (this.#refreshWanted) {
        this.#refreshWanted = false;
        this.unsettledTransaction = true;
      }
      if (afterAnswers.has(this.#blocked)) this.#unblock();
    } else if (this.#refreshWanted && this.#blocked === '') {
      if (this.#groupOpen) this.settlingGroup = true;
      else this.block('settle');
    }
    if (this.#blocked === 'confirm') this.#unblock();
    this.#endIfDrained();
  }

  /** The server skips to a Sync that the client has still to send: no ReadyForQuery comes before that. */
  #afterSkip(): void {
    this.#skipSeen = false;
    if (!this.#skipping || this.queue.length > 0) return;
    if (this.#blocked === 'confirm' || afterAnswers.has(this.#blocked)) this.#unblock();
  }

  #stateRead(): void {
    const read = this.#stateValue;
    if (read === null) throw breach('did not tell the session state');
    const { path, fixedSnapshot, catalog, literal } = read;
    const state = { path, upstream: this.upstream, transaction: this.#status !== status.idle, fixedSnapshot };
    this.#session.refreshed(catalog === null ? state : { ...state, catalog });
    // An answer that was waited for speaks of the names as they were.
    if (literal !== this.#lastState || catalog !== null) this.answer = null;
    this.#lastState = literal;
    this.#refreshWanted = false;
    this.unsettledTransaction = this.#status !== status.idle;
  }

  #endIfDrained(): void {
    if (!this.#draining || this.#ended || this.queue.length > 0 || this.#groupOpen) return;
    if (this.#status !== status.idle || this.#blocked !== '') return;
    this.#end('57P01', encodeFatal('57P01', 'terminating connection: the gateway is shutting down'));
  }
}
