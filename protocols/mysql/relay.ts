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
import { asksForCursor, Breach, completeFailed, type Finished, type Request } from './requests.ts';
import { isResultEnd, type ResultEnds, readResultEnd, resultEndFor } from './result-ends.ts';
import {
  type PrepareOk,
  readColumn,
  readColumnCount,
  readEofStatus,
  readErrCode,
  readOk,
  readPrepareOk,
  readTextRow,
  silencedOk,
} from './server-messages.ts';

type State =
  | 'idle'
  | 'first'
  | 'columns'
  | 'columns_end'
  | 'rows'
  | 'prepared_parameters'
  | 'prepared_columns';

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
  /** Rows were left out of what the client asked about: warnings could be of those. */
  #restricted = false;
  #index = 0;
  #resultRows = 0;
  #resultBytes = 0;
  #prepared: PrepareOk | null = null;
  #cursor: Cursor | null = null;
  #internalRows: (string | null)[][] = [];

  /** @param payloadBytesMax the largest packet that is read whole (a masked row, metadata). */
  constructor(payloadBytesMax: number, ends: ResultEnds) {
    this.#ends = ends;
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
    this.#prepared = null;
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
      case 'prepared_parameters':
      case 'prepared_columns':
        this.#preparedDefinition(buffer, start, end, sequence);
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
      const ok = readOk(payload);
      const silenced = this.#uncounted ? silencedOk(payload, ok) : null;
      this.#resultEnd(ok.status, buffer, start, end, sequence, silenced);
      return;
    }
    if (first === 0xfe && (kind === 'plain' || kind === 'internal')) {
      const status = readResultEnd(this.#ends, payload);
      this.#resultEnd(status, buffer, start, end, sequence, resultEndFor(this.#ends, payload, false));
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
    if (status & serverStatus.CURSOR_EXISTS) {
      if (!asksForCursor(this.#request)) throw new ProtocolError('a cursor that was not asked for');
      this.#stream.release(sequence);
      this.#resultEnd(
        status,
        buffer,
        start,
        end,
        sequence,
        resultEndFor(this.#ends, payload, this.#uncounted),
      );
      return;
    }
    if (this.#ends === 'eof_to_ok' || this.#request.kind === 'fields') this.#stream.leaveOut();
    else {
      const silenced = resultEndFor(this.#ends, payload, this.#uncounted);
      if (silenced === null) this.#stream.emit(buffer, start, end, sequence, true);
      else this.#stream.push(silenced, sequence, true);
    }
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
      const payload = buffer.subarray(start, end);
      const status = readResultEnd(this.#ends, payload);
      this.#resultEnd(
        status,
        buffer,
        start,
        end,
        sequence,
        resultEndFor(this.#ends, payload, this.#uncounted),
      );
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
    const prepared = readPrepareOk(payload);
    this.#prepared = prepared;
    payload.writeUInt32LE(request.clientId, 1);
    this.#stream.emit(buffer, start, end, sequence);
    this.#left = prepared.parameters;
    this.#state = 'prepared_parameters';
    if (this.#left === 0) this.#preparedColumns();
  }

  #preparedDefinition(buffer: Buffer, start: number, end: number, sequence: number): void {
    const isDefinition = this.#left > 0;
    if (isDefinition) this.#left -= 1;
    else readEofStatus(buffer.subarray(start, end));
    if (isDefinition || this.#ends === 'eof') this.#stream.emit(buffer, start, end, sequence);
    else this.#stream.leaveOut();
    // Behind the last definition stands an EOF_Packet, or nothing.
    if (isDefinition && (this.#left > 0 || this.#ends !== 'ok')) return;
    if (this.#state === 'prepared_parameters') this.#preparedColumns();
    else this.#finish(null, null, []);
  }

  #preparedColumns(): void {
    this.#state = 'prepared_columns';
    this.#left = this.#prepared?.columns ?? 0;
    if (this.#left === 0) this.#finish(null, null, []);
  }

  /** An OK or EOF ends one result; `replacement` is the payload that the client gets in its place. */
  #resultEnd(
    status: number,
    buffer: Buffer,
    start: number,
    end: number,
    sequence: number,
    replacement: Buffer | null,
  ): void {
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
    const settles = !more && 'settles' in request && request.settles;
    if (replacement === null) this.#stream.emit(buffer, start, end, sequence, settles);
    else this.#stream.push(replacement, sequence, settles);
    if (request.kind === 'fetch') request.cursor.delivered(this.#resultRows, this.#resultBytes);
    else if ('admitted' in request && this.#cursor === null) this.#account(request.admitted, more);
    this.#state = 'first';
    this.#plan = null;
    if (!more) this.#finish(null, status, this.#stream.takeHeld());
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
    const settles = 'settles' in request && request.settles;
    this.answered++;
    const other = otherWords(code, payload, this.#silent, this.timedOut);
    if (other !== null) this.#stream.push(encodeErrorPayload(other), sequence, settles);
    else this.#stream.emit(buffer, start, end, sequence, settles);
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
      prepared: this.#prepared,
      cursor: this.#cursor,
      rows: this.#internalRows,
    };
  }
}
