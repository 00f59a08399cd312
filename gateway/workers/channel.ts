/** Questions, answers and notices over one process channel. What they mean is not known here. */
import type { Notice } from './messages.ts';

/** A table of questions: what is given, what is answered. */
type Questions = { readonly [kind: string]: { in: unknown; out: unknown } };
/** Who answers them. */
export type AnswersTo<Q extends Questions> = {
  readonly [K in keyof Q]: (given: Q[K]['in']) => Promise<Q[K]['out']>;
};

/** Either end of the channel, as `process` or a child process has it. */
export interface ChannelEnd {
  send?(
    message: unknown,
    handle: undefined,
    options: undefined,
    done: (error: Error | null) => void,
  ): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

/** What goes over the channel. */
type Message =
  | { readonly type: 'question'; readonly id: number; readonly kind: string; readonly given: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly message: string }
  | { readonly type: 'notice'; readonly notice: Notice };

interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

/** One end that asks the questions `Theirs` and answers `Ours`. */
export class Channel<Theirs extends Questions, Ours extends Questions> {
  readonly #end: ChannelEnd;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #gone = false;

  constructor(end: ChannelEnd, answers: AnswersTo<Ours>, noticed: (notice: Notice) => void) {
    this.#end = end;
    end.on('message', (received) => {
      const message = received as Message;
      if (message.type === 'notice') noticed(message.notice);
      else if (message.type === 'question') this.#answer(message, answers);
      else {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.type === 'answer') waiting?.resolve(message.value as never);
        else waiting?.reject(new Error(message.message));
      }
    });
    end.on('disconnect', () => {
      this.#gone = true;
      for (const { reject } of this.#waiting.values()) reject(new Error('the process has ended'));
      this.#waiting.clear();
    });
  }

  /** Rejects with what the other side says, and when it has ended. */
  ask<K extends keyof Theirs & string>(kind: K, given: Theirs[K]['in']): Promise<Theirs[K]['out']> {
    if (this.#gone) return Promise.reject(new Error('the process has ended'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ type: 'question', id, kind, given });
    });
  }

  tell(notice: Notice): void {
    if (!this.#gone) this.#send({ type: 'notice', notice });
  }

  #answer(question: Extract<Message, { type: 'question' }>, answers: AnswersTo<Ours>): void {
    answers[question.kind]!(question.given).then(
      (value) => this.#send({ type: 'answer', id: question.id, value }),
      (error: unknown) => this.#send({ type: 'failure', id: question.id, message: (error as Error).message }),
    );
  }

  #send(message: Message): void {
    // A channel that is closing tells by its 'disconnect'.
    this.#end.send?.(message, undefined, undefined, () => {});
  }
}
