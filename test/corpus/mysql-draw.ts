/** Chance that can be repeated, and what the corpus's MySQL tables are known to have. */

export interface Known {
  readonly name: string;
  readonly columns: readonly string[];
  /** Those of `columns` that are masked for a reader. */
  readonly masked: readonly string[];
}

const known = (name: string, plain: string, masked = ''): Known => {
  const [open, hidden] = [plain, masked].map((text) => text.split(' ').filter(Boolean));
  return { name, columns: [...open!, ...hidden!], masked: hidden! };
};

export const tables: readonly Known[] = [
  known(
    'people',
    'id name team note joined',
    'email phone ssn born salary level card tag doc street seen token photo',
  ),
  known('teams', 'id title size'),
  known('purchases', 'id person amount status', 'card'),
  known('members', 'id name region points', 'email'),
  known('spare', 'id label amount at'),
  known('v_people', 'id name team', 'email label'),
  known('v_chain', 'nr b', 'a'),
  known('v_teams', 'id title members'),
];

export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
