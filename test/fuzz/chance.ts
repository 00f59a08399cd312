/** Seeded chance: the same seed breaks the same bytes again. What is broken with it is not said here. */

/** A small generator (mulberry32): good enough to break things, never for secrets. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= n < below. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** A generator of its own, so that what runs at the same time doesn't disturb its sequence. */
  fork(): Chance {
    return new Chance(this.below(0xffff_ffff));
  }

  /** The bytes with one to four accidents: flips, cuts, repeats, insertions, and lengths at the edges. */
  mutate(bytes: Buffer): Buffer {
    let result = Buffer.from(bytes);
    for (let accidents = 1 + this.below(4); accidents > 0; accidents--) {
      if (result.length === 0) return this.bytes(this.below(64));
      const at = this.below(result.length);
      switch (this.below(7)) {
        case 0:
          result[at] = this.below(256);
          break;
        case 1:
          result[at]! ^= 1 << this.below(8);
          break;
        case 2:
          result = result.subarray(0, at);
          break;
        case 3:
          result = Buffer.concat([
            result.subarray(0, at),
            this.bytes(1 + this.below(16)),
            result.subarray(at),
          ]);
          break;
        case 4: {
          const to = at + this.below(result.length - at);
          result = Buffer.concat([result.subarray(0, to), result.subarray(at)]);
          break;
        }
        case 5:
          if (at + 4 <= result.length) result.writeUInt32BE(this.pick(EDGES), at);
          break;
        default:
          if (at + 4 <= result.length) result.writeUInt32LE(this.pick(EDGES), at);
      }
    }
    return result;
  }

  /** The same bytes in pieces, as a slow network would bring them. */
  cut(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let from = 0; from < bytes.length; ) {
      const to = from + 1 + this.below(this.oneIn(3) ? 4 : bytes.length);
      pieces.push(bytes.subarray(from, to));
      from = to;
    }
    return pieces;
  }
}

const EDGES = [
  ...[0, 1, 3, 4, 5, 0xff, 0xffff, 0x10000, 0xff_ffff, 0x100_0000],
  ...[0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff],
];
