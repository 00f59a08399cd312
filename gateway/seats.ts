/** The bounds on sessions at once, over all and of one subject. A seat is taken before a session is opened. */

/** Why there is no seat: the limit's name in cordon.yaml. */
export type NoSeat = 'sessions_max' | 'sessions_per_subject_max';

/** A place for one session; `release` more than once does nothing. */
export interface Seat {
  release(): void;
}

/** Gives seats out. `subject` is unique over all issuers. */
export interface Seats {
  take(subject: string): Seat | NoSeat | Promise<Seat | NoSeat>;
}

/** The seats of a whole gateway, counted in the process that has them. */
export class CountedSeats implements Seats {
  readonly #max: number;
  readonly #ofSubjectMax: number;
  readonly #ofSubject = new Map<string, number>();
  #taken = 0;

  constructor(max: number, ofSubjectMax: number) {
    this.#max = max;
    this.#ofSubjectMax = ofSubjectMax;
  }

  take(subject: string): Seat | NoSeat {
    const taken = this.#ofSubject.get(subject) ?? 0;
    if (this.#taken >= this.#max) return 'sessions_max';
    if (taken >= this.#ofSubjectMax) return 'sessions_per_subject_max';
    this.#taken++;
    this.#ofSubject.set(subject, taken + 1);
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#taken--;
        const left = this.#ofSubject.get(subject)! - 1;
        if (left === 0) this.#ofSubject.delete(subject);
        else this.#ofSubject.set(subject, left);
      },
    };
  }
}
