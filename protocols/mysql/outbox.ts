/**
 * Collects the bytes that one read makes ready for the other side. Neighbouring ranges of one buffer stay one range, so that
 * a chunk that goes through unchanged leaves as it came, without a copy.
 */

/** Below this many bytes, pieces are joined: one copy costs less than several writes. */
const joinBytesMax = 32 * 1024;

export class Outbox {
  readonly #parts: Buffer[] = [];
  #buffer: Buffer | null = null;
  #start = 0;
  #end = 0;

  /** Appends `buffer[start, end)`; the buffer must not be written to before `take`. */
  range(buffer: Buffer, start: number, end: number): void {
    if (start === end) return;
    if (this.#buffer === buffer && this.#end === start) {
      this.#end = end;
      return;
    }
    this.#close();
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
  }

  get isEmpty(): boolean {
    return this.#buffer === null && this.#parts.length === 0;
  }

  push(buffer: Buffer): void {
    this.range(buffer, 0, buffer.length);
  }

  /** What was collected, in order; the outbox is empty afterwards. */
  take(): readonly Buffer[] {
    this.#close();
    if (this.#parts.length === 0) return none;
    const parts = this.#parts.splice(0);
    if (parts.length === 1) return parts;
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    return total <= joinBytesMax ? [Buffer.concat(parts, total)] : parts;
  }

  /** Moves everything behind what `other` holds. */
  moveTo(other: Outbox): void {
    const tail = this.#buffer;
    for (const part of this.#parts.splice(0)) other.push(part);
    if (tail !== null) other.range(tail, this.#start, this.#end);
    this.#buffer = null;
  }

  clear(): void {
    this.#parts.length = 0;
    this.#buffer = null;
  }

  #close(): void {
    if (this.#buffer === null) return;
    const whole = this.#start === 0 && this.#end === this.#buffer.length;
    this.#parts.push(whole ? this.#buffer : this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = null;
  }
}

const none: readonly Buffer[] = [];
