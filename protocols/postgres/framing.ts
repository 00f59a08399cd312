/**
 * Cuts a client's bytes into frames: a type byte and a length that counts itself (manual 54.2.1). Knows lengths
 * only; what a frame means is read elsewhere. The upstream's bytes are cut in upstream-frames.ts, without buffering.
 */
import { ProtocolError } from '../bytes.ts';

export const headerBytes = 5;

/** A frame is longer than the session's limit. Raised from its header, before its content is kept. */
export class FrameTooLong extends ProtocolError {
  override readonly name: string = 'FrameTooLong';
}

const empty = Buffer.alloc(0);

/**
 * Client frames in order. `next` moves to the next whole frame; `type`, `start` (of the type byte), `content` and
 * `end` then point into `buffer`, which is one of the pieces that were pushed whenever a frame did not span two.
 */
export class ClientFrames {
  buffer: Buffer = empty;
  type = 0;
  start = 0;
  end = 0;
  #filled = 0;
  readonly #bytesMax: number;

  /** @param bytesMax largest content (without header) that is let in. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Offset of the current frame's content. */
  get content(): number {
    return this.start + headerBytes;
  }

  /** Bytes that wait behind the current frame. */
  get waiting(): number {
    return this.#filled - this.end;
  }

  /** Adds bytes. Offsets of the current frame are void afterwards. */
  push(piece: Buffer): void {
    const left = this.#filled - this.end;
    if (left === 0) {
      this.buffer = piece;
      this.#filled = piece.length;
    } else {
      const need = left + piece.length;
      if (this.buffer.length - this.#filled >= piece.length && this.#owned) {
        piece.copy(this.buffer, this.#filled);
        this.#filled += piece.length;
        return;
      }
      const bigger = Buffer.allocUnsafe(Math.max(need * 2, 4096));
      this.buffer.copy(bigger, 0, this.end, this.#filled);
      piece.copy(bigger, left);
      this.buffer = bigger;
      this.#filled = need;
      this.#owned = true;
      this.start = 0;
      this.end = 0;
      return;
    }
    this.#owned = false;
    this.start = 0;
    this.end = 0;
  }
  #owned = false;

  /**
   * Moves to the next frame; false when it isn't there as a whole yet.
   * @throws ProtocolError on a length below four, FrameTooLong on one over the limit.
   */
  next(): boolean {
    const at = this.end;
    if (this.#filled - at < headerBytes) return false;
    const length = this.buffer.readInt32BE(at + 1);
    if (length < 4) throw new ProtocolError('a frame length below four');
    if (length - 4 > this.#bytesMax) throw new FrameTooLong(`a message of ${length} bytes`);
    if (this.#filled - at < length + 1) return false;
    this.type = this.buffer[at]!;
    this.start = at;
    this.end = at + 1 + length;
    return true;
  }

  /** Puts other frames in the place of the current one, and moves to before them. */
  replace(frames: Buffer): void {
    this.buffer = Buffer.concat([frames, this.buffer.subarray(this.end, this.#filled)]);
    this.#filled = this.buffer.length;
    this.#owned = false;
    this.start = 0;
    this.end = 0;
  }

  /** Goes back to before the current frame, so that `next` finds it again. */
  back(): void {
    this.end = this.start;
  }
}
