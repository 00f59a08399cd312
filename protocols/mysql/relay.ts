/**
 * The server's side of one upstream connection as a pure state machine: bytes of responses in, bytes for the client in
 * `outbox`, and what ended in `finished`. One request at a time; no socket, no clock, no policy here.
 */
import type { MaskPlan, ResultColumn } from '../../masking/masker.ts';
import { ProtocolError } from '../bytes.ts';
import type { Admitted } from '../gate.ts';
import { serverStatus } from './capabilities.ts';
import { ClientStream } from './client-stream.ts';
import { Cursor } from './cursors.ts';
import { encodeErrorPayload, otherWords } from './errors.ts';
import { matchesWildcard, withoutDefault } from './field-list.ts';
import { PacketFramer, type PacketSink, physicalPackets } from './framing.ts';
import { MaskedRows } from './masked-rows.ts';
import type { Outbox } from './outbox.ts';
import { PrepareResponse } from './prepare-response.ts';
import { asksForCursor, Breach, completeFailed, type Finished, type Request } from './requests.ts';
import { type End, isResultEnd, type ResultEnds, readOkEnd, readResultEnd } from './result-ends.ts';
import {
  readColumn,
  readColumnCount,
  readEofStatus,
  readErrCode,
  readPrepareOk,
  readTextRow,
} from './server-messages.ts';
import type { Tracking } from './session-state.ts';

type State = 'idle' | 'first' | 'columns' | 'columns_end' | 'rows' | 'prepared';

/** As many as a table has columns. */
const internalRowsMax = 4096;

export class Relay implements PacketSink {
  /** Set when a request has ended; the owner takes it and sets it back to null. */
  finished: Finished | null = null;
  /** Counts the results, errors too, that have ended. */
  answered = 0;
  /** The result under way was cancelled for the time that it took. */
  timedOut = false;
  readonly #framer: PacketFramer;
  readonly #ends: ResultEnds;
  readonly #tracking: Tracking;
  readonly #stream = new ClientStream();
  readonly #masked = new MaskedRows();
  #request: Request = { kind: 'plain' };
  #state: State = 'idle';
  #left = 0;
  #columns: readonly ResultColumn[] = [];
  #described: ResultColumn[] = [];
  #columnCount = 0;
  #plan: MaskPlan | null = null;
  #silent = false;
  /** The server has told of a change that nobody has looked into yet. */
  #moved = false;
  /** Rows were left out of what the client asked about: warnings could be of those. */
  #restricted = false;
  #index = 0;
  #resultRows = 0;
  #resultBytes = 0;
  #prepare: PrepareResponse | null = null;
  #cursor: Cursor | null = null;
  #internalRows: (string | null)[][] = [];

  /** @param payloadBytesMax the largest packet that is read whole (a masked row, metadata). */
  constructor(payloadBytesMax: number, ends: ResultEnds, tracking: Tracking = 'none') {
    this.#ends = ends;
    this.#tracking = tracking;
    this.#framer = new PacketFramer(this, payloadBytesMax);
  }

  /** What is ready for the client. */
  get outbox(): Outbox {
    return this.#stream.outbox;
  }

  /** Results go without the number of their warnings. */
  get #uncounted(): boolean {
    return this.#silent || this.#restricted;
  }

  get busy(): boolean {
    return this.#state !== 'idle';
  }

  /** True when the client's stream stands between two packets, so that an ERR_Packet may follow. */
  get betweenPackets(): boolean {
    return this.#framer.atBoundary || this.#state !== 'rows' || this.#plan !== null || this.#stream.renumbers;
  }

  /** The sequence number of the next packet to the client, behind all that is in the outbox. */
  get nextSequence(): number {
    return this.#stream.nextSequence;
  }

  /**
   * A request is on its way upstream. `lastSent` is the sequence number of its last packet there, `lastReceived` of the
   * client's.
   */
  begin(request: Request, lastSent: number, lastReceived: number): void {
    if (this.#state !== 'idle') throw new Error('a request is already under way');
    this.#request = request;
    this.#state = 'first';
    this.timedOut = false;
    this.#framer.sequence = lastSent;
    this.#stream.begin(lastSent, lastReceived, request.kind === 'internal');
    this.#index = 0;
    this.#plan = null;
    this.#prepare = null;
    this.#moved = false;
    this.#internalRows = [];
    this.#silent = 'admitted' in request && request.admitted.watched;
    this.#restricted = 'admitted' in request && request.admitted.text !== null;
    this.#resultRows = 0;
    this.#resultBytes = 0;
    this.#cursor = null;
    if (request.kind !== 'fetch') return;
    const { cursor } = request;
    this.#state = 'rows';
    this.#columns = cursor.columns;
    this.#plan = cursor.plan;
    this.#silent = cursor.admitted.watched || cursor.plan !== null;
    this.#restricted = cursor.admitted.text !== null;
    if (cursor.plan !== null) this.#masked.begin();
  }

  /**
   * Bytes from the upstream.
   * @throws ProtocolError when they make no response, Breach when the response may not be delivered.
   */
  feed(chunk: Buffer): void {
    try {
      this.#framer.feed(chunk);
    } finally {
      this.#masked.flush(this.outbox);
    }
  }

  /** The response will never be complete: accounts for what was delivered. */
  abandon(error: string): void {
    if (this.#state === 'idle') return;
    this.#state = 'idle';
    this.#stream.dropHeld();
    completeFailed(this.#request, this.#index, this.#resultRows, this.#resultBytes, error);
  }

  starting(length: number, first: number, _sequence: number): boolean {
    if (this.#state !== 'rows') {
      if (this.#state === 'idle') throw new ProtocolError('packet without a request');
      return true;
    }
    if (length === 0) throw new ProtocolError('a row without a byte');
    if (first === 0xff || isResultEnd(this.#ends, length, first)) return true;
    if (this.#request.kind === 'fields') throw new ProtocolError('a row where none was asked for');
    this.#resultRows += 1;
    return this.#plan !== null || this.#stream.renumbers || this.#request.kind === 'internal';
  }

  passed(buffer: Buffer, start: number, end: number): void {
    this.#resultBytes += end - start;
    this.#stream.passed(buffer, start, end, this.#framer.sequence);
  }

  packet(buffer: Buffer, start: number, end: number, sequence: number): void {
    switch (this.#state) {
      case 'first':
        this.#first(buffer, start, end, sequence);
        return;
      case 'columns':
        this.#column(buffer, start, end, sequence);
        return;
      case 'columns_end':
        this.#columnsEnd(buffer, start, end, sequence);
        return;
      case 'rows':
        this.#row(buffer, start, end, sequence);
        return;
      case 'prepared':
        this.#prepare?.packet(buffer, start, end, sequence);
        if (this.#prepare?.isComplete) this.#finish(null, null, []);
        return;
      case 'idle':
        throw new ProtocolError('packet without a request');
    }
  }

  #first(buffer: Buffer, start: number, end: number, sequence: number): void {
    const payload = buffer.subarray(start, end);
    const first = payload[0];
    const kind = this.#request.kind;
    if (first === 0xff) {
      this.#error(buffer, start, end, sequence);
      return;
    }
    if (kind === 'prepare') {
      this.#prepareOk(buffer, start, end, sequence);
      return;
    }
    if (first === 0x00) {
      const ok = readOkEnd(this.#tracking, payload, this.#uncounted);
      this.#resultEnd(ok, buffer, start, end, sequence);
      return;
    }
    if (first === 0xfe && (kind === 'plain' || kind === 'internal')) {
      this.#resultEnd(this.#readEnd(payload, false), buffer, start, end, sequence);
      return;
    }
    if (first === 0xfb) throw new Breach('the upstream asked for a local file', null);
    if (kind === 'plain') throw new ProtocolError('a result where none was asked for');
    this.#columnCount = readColumnCount(payload);
    this.#left = this.#columnCount;
    this.#described = [];
    this.#columns = this.#described;
    this.#stream.holdAnew();
    this.#plan = null;
    this.#state = 'columns';
    if (kind === 'fields') this.#stream.leaveOut();
    else this.#stream.emit(buffer, start, end, sequence, true);
  }

  #column(buffer: Buffer, start: number, end: number, sequence: number): void {
    const request = this.#request;
    if (request.kind !== 'internal') {
      const format = request.kind === 'execute' ? 'binary' : 'text';
      this.#described.push(readColumn(buffer.subarray(start, end), format));
    }
    if (request.kind !== 'fields') this.#stream.emit(buffer, start, end, sequence, true);
    else if (matchesWildcard(this.#described.at(-1)?.name ?? '', request.wildcard)) {
      this.#stream.push(withoutDefault(buffer.subarray(start, end)), sequence, true);
    } else this.#stream.leaveOut();
    if (--this.#left > 0) return;
    if (this.#ends !== 'ok') this.#state = 'columns_end';
    else if (this.#beginRows()) this.#stream.release(sequence + 1);
  }

  #columnsEnd(buffer: Buffer, start: number, end: number, sequence: number): void {
    const payload = buffer.subarray(start, end);
    if (payload[0] === 0xff) {
      this.#error(buffer, start, end, sequence);
      return;
    }
    const status = readEofStatus(payload);
    if (!this.#beginRows()) return;
    const ended = this.#readEnd(payload, this.#uncounted);
    if (status & serverStatus.CURSOR_EXISTS) {
      if (!asksForCursor(this.#request)) throw new ProtocolError('a cursor that was not asked for');
      this.#stream.release(sequence);
      this.#resultEnd(ended, buffer, start, end, sequence);
      return;
    }
    if (this.#ends === 'eof_to_ok' || this.#request.kind === 'fields') this.#stream.leaveOut();
    else this.#emitOr(ended.replacement, buffer, start, end, sequence, true);
    this.#stream.release(sequence + 1);
  }

  /** The metadata is complete; false when no client waits for it. */
  #beginRows(): boolean {
    this.#state = 'rows';
    if (this.#request.kind === 'internal') {
      this.#stream.dropHeld();
      return false;
    }
    this.#choosePlan();
    return true;
  }

  #choosePlan(): void {
    const request = this.#request;
    if (request.kind !== 'query' && request.kind !== 'execute' && request.kind !== 'fields') {
      throw new ProtocolError('rows out of place');
    }
    const plan = request.admitted.plan(this.#columns, this.#index);
    if (plan === null) return;
    if ('effect' in plan) throw new Breach('the result contradicts its decision', plan);
    if (plan.length !== this.#columns.length) throw new Breach('a mask plan of another width', null);
    if (plan.every((masker) => masker === null)) return;
    this.#plan = plan;
    this.#silent = true;
    this.#masked.begin();
  }

  #row(buffer: Buffer, start: number, end: number, sequence: number): void {
    const length = end - start;
    const first = buffer[start];
    if (first === 0xff) {
      this.#masked.flush(this.outbox);
      this.#error(buffer, start, end, sequence);
      return;
    }
    if (first === 0xfe && isResultEnd(this.#ends, length, first)) {
      this.#masked.flush(this.outbox);
      const ended = this.#readEnd(buffer.subarray(start, end), this.#uncounted);
      this.#resultEnd(ended, buffer, start, end, sequence);
      return;
    }
    if (this.#request.kind === 'internal') {
      if (this.#internalRows.length >= internalRowsMax)
        throw new ProtocolError('internal query: too many rows');
      this.#internalRows.push(readTextRow(buffer.subarray(start, end), this.#columnCount));
    } else if (this.#plan !== null) this.#maskRow(this.#plan, buffer, start, end, sequence);
    else {
      this.#resultBytes += length + 4;
      this.#stream.emit(buffer, start, end, sequence);
    }
  }

  #maskRow(plan: MaskPlan, buffer: Buffer, start: number, end: number, sequence: number): void {
    const joined = physicalPackets(end - start);
    // The number of the first physical packet, on either side.
    const number = this.#stream.firstNumber(sequence, joined);
    const { kind } = this.#request;
    const columns = kind === 'execute' || kind === 'fetch' ? this.#columns : null;
    const length = this.#masked.row(buffer, start, end, columns, plan, number, this.outbox);
    const split = physicalPackets(length);
    this.#resultBytes += length + 4;
    this.#stream.replaced(number, joined, split);
  }

  #prepareOk(buffer: Buffer, start: number, end: number, sequence: number): void {
    const request = this.#request;
    if (request.kind !== 'prepare') throw new ProtocolError('COM_STMT_PREPARE_OK out of place');
    const payload = buffer.subarray(start, end);
    this.#prepare = new PrepareResponse(readPrepareOk(payload), this.#ends, this.#stream);
    payload.writeUInt32LE(request.clientId, 1);
    this.#stream.emit(buffer, start, end, sequence);
    this.#state = 'prepared';
    if (this.#prepare.isComplete) this.#finish(null, null, []);
  }

  #readEnd(payload: Buffer, silent: boolean): End {
    return readResultEnd(this.#ends, this.#tracking, payload, silent);
  }

  #emitOr(
    replacement: Buffer | null,
    buffer: Buffer,
    start: number,
    end: number,
    sequence: number,
    held: boolean,
  ): void {
    if (replacement === null) this.#stream.emit(buffer, start, end, sequence, held);
    else this.#stream.push(replacement, sequence, held);
  }

  /** An OK or EOF ends one result. */
  #resultEnd(ended: End, buffer: Buffer, start: number, end: number, sequence: number): void {
    const { status } = ended;
    const more = (status & serverStatus.MORE_RESULTS_EXISTS) !== 0;
    const request = this.#request;
    this.answered++;
    this.timedOut = false;
    if (more && request.kind !== 'query' && request.kind !== 'execute') {
      throw new ProtocolError('more results than were asked for');
    }
    if (status & serverStatus.CURSOR_EXISTS && this.#state === 'rows' && asksForCursor(this.#request)) {
      if (more) throw new ProtocolError('a cursor among several results');
      this.#cursor = new Cursor((request as { admitted: Admitted }).admitted, this.#columns, this.#plan);
      this.#cursor.delivered(this.#resultRows, this.#resultBytes);
    }
    this.#moved ||= ended.moves;
    this.#emitOr(ended.replacement, buffer, start, end, sequence, !more && this.#settles);
    if (request.kind === 'fetch') request.cursor.delivered(this.#resultRows, this.#resultBytes);
    else if ('admitted' in request && this.#cursor === null) this.#account(request.admitted, more);
    this.#state = 'first';
    this.#plan = null;
    if (!more) this.#finish(null, status, this.#stream.takeHeld());
  }

  /** The end of the response waits until the session's state is known. */
  get #settles(): boolean {
    const request = this.#request;
    return request.kind !== 'internal' && (this.#moved || ('settles' in request && request.settles));
  }

  // A CALL gives more results than statements: they belong to the last one.
  #account(admitted: Admitted, more: boolean): void {
    if (more && this.#index >= admitted.statements - 1) {
      if (admitted.watched) throw new Breach('more results than statements', null);
      return;
    }
    if (admitted.statements > 0) {
      admitted.completed(this.#index, this.#resultRows, this.#resultBytes, null);
    }
    this.#resultRows = 0;
    this.#resultBytes = 0;
    if (more) this.#index += 1;
  }

  #error(buffer: Buffer, start: number, end: number, sequence: number): void {
    const payload = buffer.subarray(start, end);
    const code = readErrCode(payload);
    const request = this.#request;
    // Metadata may be waiting in front of an error that comes in place of its end.
    this.#stream.release(sequence);
    this.answered++;
    const other = otherWords(code, payload, this.#silent, this.timedOut);
    const replacement = other === null ? null : encodeErrorPayload(other);
    this.#emitOr(replacement, buffer, start, end, sequence, this.#settles);
    completeFailed(request, this.#index, this.#resultRows, this.#resultBytes, String(code));
    this.#finish(code, null, this.#stream.takeHeld());
  }

  #finish(error: number | null, status: number | null, held: readonly Buffer[]): void {
    this.#state = 'idle';
    this.#plan = null;
    const { nextSequence } = this;
    this.finished = {
      error,
      status,
      held,
      nextSequence,
      settles: this.#settles,
      prepared: this.#prepare?.prepared ?? null,
      cursor: this.#cursor,
      rows: this.#internalRows,
    };
  }
}
