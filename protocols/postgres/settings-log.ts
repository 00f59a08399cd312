/** The settings that a session has made, so that they can be made again on another upstream. No I/O. */

const settingsMax = 100;
const textBytesMax = 8192;

/** A text that is one SET or RESET which outlives its transaction, else null. */
export function settingOf(text: string): string | null {
  if (!/^\s*(re)?set\s/i.test(text) || /^\s*set\s+(local|transaction|constraints)\s/i.test(text)) return null;
  return text;
}

/** The text may end a transaction or go back in it; wrong only on the side of yes. */
export function mayRevert(text: string): boolean {
  return /\b(rollback|abort|commit|end|prepare)\b/i.test(text);
}

export class SettingsLog {
  readonly #texts: string[] = [];
  #pending: string[] = [];
  #lost = false;

  /** Texts in the order in which they ran; null when there were too many to keep. */
  get texts(): readonly string[] | null {
    return this.#lost ? null : this.#texts;
  }

  /** A setting ran in the open transaction (or alone). */
  ran(text: string): void {
    if (Buffer.byteLength(text) > textBytesMax || this.#pending.length >= settingsMax) this.#lost = true;
    else this.#pending.push(text);
  }

  /** The transaction failed or went back. */
  undone(): void {
    this.#pending = [];
  }

  /** The transaction is over. */
  kept(): void {
    if (this.#pending.length === 0) return;
    for (const text of this.#pending) {
      if (this.#texts.at(-1) === text) continue;
      if (this.#texts.length >= settingsMax) this.#lost = true;
      else this.#texts.push(text);
    }
    this.#pending = [];
  }
}
