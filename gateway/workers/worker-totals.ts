/** Keeps the numbers of workers that are gone, or late: a counter of the whole gateway never becomes less. */
import { combined, lasting, type Numbers } from '../metrics/numbers.ts';
import type { ProcessReport } from '../metrics/process-numbers.ts';

export class WorkerTotals {
  readonly #last = new Map<number, ProcessReport>();
  #gone: Numbers = new Map();

  told(index: number, report: ProcessReport): void {
    this.#last.set(index, report);
  }

  /** Its process has ended. What it counted after it told last is lost. */
  ended(index: number): void {
    const last = this.#last.get(index);
    if (!last) return;
    this.#last.delete(index);
    this.#gone = combined([this.#gone, lasting(last.numbers)]);
  }

  /** What each worker that runs has told last. */
  get present(): readonly ProcessReport[] {
    return [...this.#last.values()];
  }

  /** Of all that have ended, and of none that is present. */
  get gone(): Numbers {
    return this.#gone;
  }
}
