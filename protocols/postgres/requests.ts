/**
 * The requests that the upstream has been sent and has not answered yet, in order. A plain queue; what an answer
 * means is read in results.ts.
 */
import type { MaskPlan } from '../../masking/masker.ts';
import type { Admitted, Refused } from '../gate.ts';
import type { CopyStream } from './copy-stream.ts';
import type { Script } from './script.ts';
import type { Guess, Portal, Prepared } from './statements.ts';

export type RequestKind =
  | 'query'
  | 'parse'
  | 'bind'
  | 'describe'
  | 'execute'
  | 'close'
  | 'sync'
  /** A Parse that is sure to fail, in the place of a refused message. */
  | 'refusal'
  /** The gateway's own question for the session's state; the client sees none of its answers. */
  | 'state';

export class Request {
  readonly kind: RequestKind;
  /** What the client hears in place of the server's error. */
  refused: Refused | null = null;
  /** Sent by the gateway: its answers, errors aside, are dropped. */
  hidden = false;
  /** query and execute: leave to run. */
  admitted: Admitted | null = null;
  /** A tagged column is in play: words of the server may hold values. */
  watched = false;
  /** The text, when it may have to be said again on another upstream. */
  settingText: string | null = null;
  prepared: Prepared | null = null;
  portal: Portal | null = null;
  preparedGuess: Guess<Prepared> | null = null;
  portalGuess: Guess<Portal> | null = null;
  name = '';
  /** It is a part of what the client has sent as one Query. */
  script: Script | null = null;
  endsScript = false;
  /** describe: of a statement, not a portal. */
  ofStatement = false;
  /** describe: ParameterDescription has come. */
  halfway = false;

  /** query: the statement that is running, from 0. */
  index = 0;
  /** Of the running statement. */
  rows = 0;
  bytes = 0;
  plan: MaskPlan | null = null;
  /** `plan` is what holds for the rows to come. */
  planned = false;
  /** What the server copies for the running statement: `in` waits for the client's data, `given` has had the end of it. */
  copy: 'out' | 'in' | 'given' | 'over' | null = null;
  /** Masks what is copied to the client; null: it passes. */
  stream: CopyStream | null = null;
  /** state: the rows of each statement so far, in text. */
  readonly answers: (string | null)[][][] | null;
  /** query and state: an error came; only ReadyForQuery may follow. */
  failed = false;

  constructor(kind: RequestKind) {
    this.kind = kind;
    this.answers = kind === 'state' ? [[]] : null;
    this.hidden = kind === 'state';
  }
}

export class RequestQueue {
  /** Counts what has been answered: requests, and the statements of a Query. */
  answered = 0;
  /** What runs was cancelled for the time that it took. The server holds answers back up to the end of a pipeline or text, so that
   *  nothing tells which statement of it that was. */
  timedOut = false;
  #items: Request[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }
  get head(): Request | null {
    return this.#items[this.#head] ?? null;
  }

  /** The newest `count`, oldest first. */
  last(count: number): readonly Request[] {
    return this.#items.slice(Math.max(this.#head, this.#items.length - count));
  }

  push(request: Request): void {
    this.#items.push(request);
  }

  shift(): void {
    this.answered++;
    this.#head++;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Takes out everything before the next Sync, which stays; true when there is one. */
  skipToSync(taken: (request: Request) => void): boolean {
    for (let head = this.head; head !== null; head = this.head) {
      if (head.kind === 'sync') return true;
      taken(head);
      this.shift();
    }
    return false;
  }
}
