/**
 * The answer to COM_STMT_PREPARE behind its first packet: definitions of parameters, then of columns, each with an EOF_Packet
 * behind unless there are none ("COM_STMT_PREPARE Response" in the protocol manual). All of it goes to the client as it came.
 */
import type { ClientStream } from './client-stream.ts';
import type { ResultEnds } from './result-ends.ts';
import { type PrepareOk, readEofStatus } from './server-messages.ts';

export class PrepareResponse {
  readonly prepared: PrepareOk;
  readonly #ends: ResultEnds;
  readonly #stream: ClientStream;
  #section: 'parameters' | 'columns' | 'done' = 'parameters';
  #left: number;

  constructor(prepared: PrepareOk, ends: ResultEnds, stream: ClientStream) {
    this.prepared = prepared;
    this.#ends = ends;
    this.#stream = stream;
    this.#left = prepared.parameters;
    if (this.#left === 0) this.#sectionEnds();
  }

  /** Nothing more follows. */
  get isComplete(): boolean {
    return this.#section === 'done';
  }

  /** The next packet's payload is `buffer[start, end)`. @throws ProtocolError */
  packet(buffer: Buffer, start: number, end: number, sequence: number): void {
    const isDefinition = this.#left > 0;
    if (isDefinition) this.#left -= 1;
    else readEofStatus(buffer.subarray(start, end));
    if (isDefinition || this.#ends === 'eof') this.#stream.emit(buffer, start, end, sequence);
    else this.#stream.leaveOut();
    if (!isDefinition || (this.#left === 0 && this.#ends === 'ok')) this.#sectionEnds();
  }

  #sectionEnds(): void {
    const wasParameters = this.#section === 'parameters';
    this.#left = wasParameters ? this.prepared.columns : 0;
    this.#section = this.#left > 0 ? 'columns' : 'done';
  }
}
