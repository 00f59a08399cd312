/**
 * What the server holds under which name: prepared statements and portals. A name's meaning is uncertain from the
 * moment a message changes it until the server has answered, because an earlier error makes the server skip that
 * message; acting on such a guess could put one statement's rows under another one's plan. So a guess counts only
 * within its own pipeline (up to its Sync), where a skipped Parse means that what builds on it is skipped too.
 */
import type { MaskPlan } from '../../masking/masker.ts';
import type { Admitted, UpstreamName } from '../gate.ts';

export interface Prepared {
  readonly name: string;
  readonly upstream: UpstreamName;
  /** What the latest admission of this statement said. */
  admitted: Admitted;
  /** The text may end a transaction or go back in it, and with it settings. */
  readonly reverts: boolean;
  /** The text, when it is a SET or RESET that outlives its transaction. */
  readonly settingText: string | null;
  /** The text may be a FETCH or MOVE. */
  readonly fetches: boolean;
  /** The pipeline in which its Parse was sent. */
  readonly group: number;
  /** Names released so far when it was parsed. */
  readonly epoch: number;
  /** RowDescription as a Describe of the statement gave it. */
  description: Buffer | null;
  /** The last plan made, and what of. */
  planned: Planned | null;
}
export interface Planned {
  /** The admission, or what it plans as. */
  readonly by: object;
  readonly description: Buffer;
  readonly formats: readonly number[] | null;
  readonly plan: MaskPlan | null;
}

export interface Portal {
  readonly name: string;
  readonly prepared: Prepared;
  readonly formats: readonly number[];
  readonly group: number;
  readonly epoch: number;
  /** `GateSession.namesVersion` when it was bound. */
  readonly namesVersion: number | undefined;
  /** What the latest execution was admitted as; null: it has not been executed. */
  admitted: Admitted | null;
  /** RowDescription as a Describe of this portal gave it, with its formats. */
  description: Buffer | null;
  /** A Describe of this portal is on its way, or has been answered. */
  described: boolean;
}

interface Held {
  readonly name: string;
  readonly group: number;
  readonly epoch: number;
}

/** `wait`: the answer to an earlier pipeline's message has to come first. */
export type Lookup<T> = T | 'wait' | null;

export interface Guess<T> {
  /** null: closed. */
  readonly value: T | null;
  readonly group: number;
}

/** One kind of name. */
export class Names<T extends Held> {
  readonly #certain = new Map<string, T>();
  readonly #guesses = new Map<string, Guess<T>>();
  #epoch = 0;

  get size(): number {
    return this.#certain.size + this.#guesses.size;
  }
  get epoch(): number {
    return this.#epoch;
  }

  /** What `name` stands for, to a message of pipeline `group`. */
  find(name: string, group: number): Lookup<T> {
    const guess = this.#guesses.get(name);
    if (guess !== undefined) return guess.group === group ? guess.value : 'wait';
    return this.#certain.get(name) ?? null;
  }

  /** True when any name, certain or not, stands for something of the kind. */
  some(isOne: (value: T) => boolean): boolean {
    for (const value of this.#certain.values()) if (isOne(value)) return true;
    for (const { value } of this.#guesses.values()) if (value !== null && isOne(value)) return true;
    return false;
  }

  /** A message that makes (or, with null, closes) a name was sent in pipeline `group`. */
  guess(name: string, value: T | null, group: number): Guess<T> {
    const guess = { value, group };
    this.#guesses.set(name, guess);
    return guess;
  }

  /** The server did it. */
  confirm(name: string, guess: Guess<T>): void {
    if (guess.value === null) this.#certain.delete(name);
    else this.#certain.set(name, guess.value);
    if (this.#guesses.get(name) === guess) this.#guesses.delete(name);
  }

  /** The server failed at it or skipped it. */
  abandon(name: string, guess: Guess<T>): void {
    if (this.#guesses.get(name) === guess) this.#guesses.delete(name);
  }

  /** SQL may have released names (DEALLOCATE, CLOSE): which ones, the server's answer doesn't say. */
  released(): void {
    this.#epoch++;
  }

  /** SQL made a name (PREPARE, DECLARE): one that was released before, perhaps. Those are forgotten. */
  made(): void {
    for (const [name, held] of this.#certain) {
      if (held.epoch < this.#epoch) this.#certain.delete(name);
    }
  }

  /** The transaction that held them is over. */
  clear(): void {
    this.#certain.clear();
  }
}
