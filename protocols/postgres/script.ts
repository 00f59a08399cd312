/**
 * A Query whose statements have to be decided and run one after another: each becomes a Query of its own, and the client hears of
 * one. Between them stand the gateway's own BEGIN and COMMIT, since the statements of one text are one transaction. No I/O.
 */
import { encodeQuery } from './client-messages.ts';
import type { ClientFrames } from './framing.ts';
import type { Request } from './requests.ts';

export class Script {
  /** The messages that take the place of the client's. */
  readonly messages: Buffer;
  /** A statement failed: those behind it are not run. */
  failed = false;
  readonly #begins: boolean;
  #left: number;
  #isFirst = true;

  /** @param begins whether a transaction has to be made around the texts */
  constructor(texts: readonly string[], begins: boolean) {
    const all = begins ? ['BEGIN', ...texts, 'COMMIT'] : texts;
    this.messages = Buffer.concat(all.map(encodeQuery));
    this.#begins = begins;
    this.#left = all.length;
  }

  /** The last message of one statement is on its way. */
  sent(request: Request): void {
    this.#left--;
    request.endsScript = this.#left === 0;
    request.hidden = request.kind === 'query' && this.#begins && (this.#isFirst || this.#left === 0);
    this.#isFirst = false;
  }

  /** Whether the client is to hear of the server being ready behind `request`. */
  isOverWith(request: Request): boolean {
    return request.endsScript || (this.failed && !this.#begins);
  }

  /** How many of the messages are not to be looked at any more. The COMMIT that is left ends a failed transaction. */
  skipped(): number {
    if (!this.failed) return 0;
    const kept = this.#begins && this.#left > 0 ? 1 : 0;
    const skipped = this.#left - kept;
    this.#left = kept;
    return skipped;
  }

  get isOver(): boolean {
    return this.#left === 0;
  }
}

/** The script that is running, if any, among the client's frames. */
export class Scripts {
  readonly #frames: ClientFrames;
  #running: Script | null = null;

  constructor(frames: ClientFrames) {
    this.#frames = frames;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Puts the texts in the place of the current message. */
  begin(texts: readonly string[], begins: boolean): void {
    this.#running = new Script(texts, begins);
    this.#frames.replace(this.#running.messages);
  }

  /** A message of a statement is on its way; `isLast`: it is the statement's last. True: its answer has to be waited for. */
  sent(request: Request, isLast: boolean): boolean {
    request.script = this.#running;
    if (isLast) this.#running?.sent(request);
    return isLast && this.#running !== null;
  }

  /** The server is ready. What is not to be run any more leaves the client's frames. */
  ready(): void {
    const running = this.#running;
    if (running === null) return;
    for (let skipped = running.skipped(); skipped > 0; skipped--) this.#frames.next();
    if (running.isOver) this.#running = null;
  }
}
