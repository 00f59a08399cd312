/** One worker process as the supervisor has it: its channel, the seats that it holds, its end. */
import cluster, { type Worker } from 'node:cluster';
import type { Listening } from '../running.ts';
import type { CountedSeats, NoSeat, Seat } from '../seats.ts';
import { type AnswersTo, Channel } from './channel.ts';
import type { Begin, Notice, SupervisorAnswers, WorkerAnswers } from './messages.ts';

/** A worker that does not answer by then can't be trusted to have done what it was told. */
const answerMs = 10_000;
/** A worker that was told to drain knows its own limit; this is for one that has lost its way. */
const drainGraceMs = 5000;

export class SupervisedWorker {
  readonly #process: Worker;
  readonly #channel: Channel<WorkerAnswers, SupervisorAnswers>;
  readonly #seats = new Map<number, Seat>();
  #nextSeat = 1;
  #drainMs = 0;
  /** It has begun to serve. */
  isServing = false;
  /** Resolves to how the process ended. */
  readonly ended: Promise<string>;
  readonly #loaded: Promise<void>;

  /** Starts the process. `others` and `noticed` are asked and told what concerns other workers. */
  constructor(
    seats: CountedSeats,
    others: Omit<AnswersTo<SupervisorAnswers>, 'seat'>,
    noticed: (notice: Notice) => void,
  ) {
    this.#process = cluster.fork();
    let loaded = (): void => {};
    this.#loaded = new Promise((resolve) => {
      loaded = resolve;
    });
    this.#channel = new Channel<WorkerAnswers, SupervisorAnswers>(
      this.#process.process,
      { ...others, seat: async (subject) => this.#take(seats, subject) },
      (notice) => {
        if (notice.kind === 'loaded') loaded();
        else if (notice.kind === 'free_seat') {
          this.#seats.get(notice.seat)?.release();
          this.#seats.delete(notice.seat);
        } else noticed(notice);
      },
    );
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        for (const seat of this.#seats.values()) seat.release();
        this.#seats.clear();
        resolve(signal ?? `exit code ${code}`);
      });
    });
  }

  #take(seats: CountedSeats, subject: string): number | NoSeat {
    const seat = seats.take(subject);
    if (typeof seat === 'string') return seat;
    const number = this.#nextSeat++;
    this.#seats.set(number, seat);
    return number;
  }

  /** Has it serve; rejects with the reason why it can't, and the process is gone. */
  async begin(given: Begin): Promise<readonly Listening[]> {
    this.#drainMs = given.config.limits.drain_timeout_ms + drainGraceMs;
    try {
      const how = await Promise.race([this.#loaded, this.ended]);
      if (how !== undefined) throw new Error(`the worker ended (${how})`);
      const listening = await this.#channel.ask('begin', given);
      this.isServing = true;
      return listening;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Rejects when it does not answer in time, and when it has ended. */
  async ask<K extends keyof WorkerAnswers>(
    kind: K,
    given: WorkerAnswers[K]['in'],
    withinMs: number = answerMs,
  ): Promise<WorkerAnswers[K]['out']> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the worker does not answer')), withinMs);
    });
    try {
      return await Promise.race([this.#channel.ask(kind, given), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  tell(notice: Notice): void {
    this.#channel.tell(notice);
  }

  /** Ends its sessions within the limit, then the process. */
  async drain(): Promise<void> {
    const timer = setTimeout(() => this.#process.process.kill('SIGKILL'), this.#drainMs);
    await this.#channel.ask('drain', null).catch(() => {});
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the process now. */
  async stop(): Promise<undefined> {
    this.#process.process.kill('SIGKILL');
    await this.ended;
  }
}
