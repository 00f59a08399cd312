/**
 * One pass over the bytes of a JSON text (RFC 8259, UTF-8): checks every byte of it and replaces the parts that a tree
 * of places names. What isn't replaced stays as it was spelled; nothing is parsed into objects.
 */

import { viewOf } from './bytes.ts';
import type { Place } from './json-tree.ts';

/** Arrays and objects in each other; a value that goes deeper is not read. */
const depthMax = 500;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openArray = 0x5b;
const closeArray = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

const nullWord = Buffer.from('null');
const words: ReadonlyMap<number, Uint8Array> = new Map(
  ['true', 'false', 'null'].map((word): [number, Uint8Array] => [word.charCodeAt(0), Buffer.from(word)]),
);

/** The text with its named parts masked: the same bytes when none was there, null when it is no JSON text. */
export function maskJson(text: Uint8Array, places: Place | null): Uint8Array | null {
  const scan = new Scan(viewOf(text));
  return scan.run(places);
}

class Scan {
  readonly #text: Buffer;
  #at = 0;
  #depth = 0;
  /** What stands in front of `#copied`, masked. */
  readonly #pieces: Uint8Array[] = [];
  #copied = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  run(places: Place | null): Uint8Array | null {
    this.#blanks();
    if (!this.#value(places)) return null;
    this.#blanks();
    if (this.#at !== this.#text.length) return null;
    if (this.#pieces.length === 0) return this.#text;
    this.#pieces.push(this.#text.subarray(this.#copied));
    return Buffer.concat(this.#pieces);
  }

  /** Reads one value, which begins here; false when there is none. */
  #value(place: Place | null): boolean {
    const masker = place?.masker ?? null;
    if (masker === null) return this.#plain(place);
    const start = this.#at;
    const first = this.#text[start];
    if (!this.#plain(null)) return false;
    if (first === 0x6e) return true;
    let by: Uint8Array = nullWord;
    if (first === quote) {
      const string = this.#string(start, this.#at);
      if (string === null) return false;
      const masked = masker.mask(Buffer.from(string, 'utf8'));
      if (masked !== null) by = Buffer.from(JSON.stringify(viewOf(masked).toString('utf8')), 'utf8');
    }
    this.#pieces.push(this.#text.subarray(this.#copied, start), by);
    this.#copied = this.#at;
    return true;
  }

  #plain(place: Place | null): boolean {
    const first = this.#text[this.#at];
    switch (first) {
      case quote:
        return this.#skipString();
      case openObject:
        return this.#object(place);
      case openArray:
        return this.#array(place);
      case undefined:
        return false;
      default: {
        const word = words.get(first);
        return word === undefined ? this.#number() : this.#word(word);
      }
    }
  }

  #object(place: Place | null): boolean {
    this.#depth += 1;
    if (this.#depth > depthMax) return false;
    this.#at += 1;
    this.#blanks();
    const members = place === null || place.members.size === 0 ? null : place.members;
    if (this.#text[this.#at] === closeObject) return this.#close();
    for (;;) {
      const start = this.#at;
      if (this.#text[start] !== quote || !this.#skipString()) return false;
      let inner: Place | null = null;
      if (members !== null) {
        const name = this.#string(start, this.#at);
        if (name === null) return false;
        inner = members.get(name) ?? null;
      }
      this.#blanks();
      if (this.#text[this.#at] !== colon) return false;
      this.#at += 1;
      this.#blanks();
      if (!this.#value(inner)) return false;
      this.#blanks();
      const next = this.#text[this.#at];
      if (next === closeObject) return this.#close();
      if (next !== comma) return false;
      this.#at += 1;
      this.#blanks();
    }
  }

  #array(place: Place | null): boolean {
    this.#depth += 1;
    if (this.#depth > depthMax) return false;
    this.#at += 1;
    this.#blanks();
    if (this.#text[this.#at] === closeArray) return this.#close();
    for (let index = 0; ; index += 1) {
      const inner = place === null ? null : (place.elements.get(index) ?? place.others);
      if (!this.#value(inner)) return false;
      this.#blanks();
      const next = this.#text[this.#at];
      if (next === closeArray) return this.#close();
      if (next !== comma) return false;
      this.#at += 1;
      this.#blanks();
    }
  }

  #close(): boolean {
    this.#depth -= 1;
    this.#at += 1;
    return true;
  }

  #blanks(): void {
    const text = this.#text;
    let at = this.#at;
    for (; at < text.length; at += 1) {
      const byte = text[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    this.#at = at;
  }

  #word(word: Uint8Array): boolean {
    for (let index = 0; index < word.length; index += 1) {
      if (this.#text[this.#at + index] !== word[index]) return false;
    }
    this.#at += word.length;
    return true;
  }

  #number(): boolean {
    if (this.#text[this.#at] === 0x2d) this.#at += 1;
    if (this.#text[this.#at] === 0x30) this.#at += 1;
    else if (!this.#digits()) return false;
    if (this.#text[this.#at] === 0x2e) {
      this.#at += 1;
      if (!this.#digits()) return false;
    }
    if (((this.#text[this.#at] ?? 0) | 0x20) === 0x65) {
      this.#at += 1;
      const sign = this.#text[this.#at];
      if (sign === 0x2b || sign === 0x2d) this.#at += 1;
      if (!this.#digits()) return false;
    }
    return true;
  }

  #digits(): boolean {
    const start = this.#at;
    for (;;) {
      const byte = this.#text[this.#at] ?? 0;
      if (byte < 0x30 || byte > 0x39) return this.#at > start;
      this.#at += 1;
    }
  }

  /** Moves behind the string that begins here. */
  #skipString(): boolean {
    const text = this.#text;
    for (let at = this.#at + 1; at < text.length; at += 1) {
      const byte = text[at] ?? 0;
      if (byte === quote) {
        this.#at = at + 1;
        return true;
      }
      if (byte < 0x20) return false;
      if (byte !== backslash) continue;
      at += 1;
      if (text[at] === 0x75) {
        for (let digit = 1; digit <= 4; digit += 1) if (!isHex(text[at + digit] ?? 0)) return false;
        at += 4;
      } else if (!isEscape(text[at] ?? 0)) return false;
    }
    return false;
  }

  /** What a string of the text says; `#skipString` went over it. null: it is not UTF-8. */
  #string(start: number, end: number): string | null {
    const raw = this.#text.subarray(start + 1, end - 1);
    const spelled = raw.toString('utf8');
    if (spelled.includes('\ufffd') && !Buffer.from(spelled, 'utf8').equals(raw)) return null;
    return raw.includes(backslash) ? (JSON.parse(`"${spelled}"`) as string) : spelled;
  }
}

function isHex(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}

/** One of `"\/bfnrt`. */
function isEscape(byte: number): boolean {
  return '"\\/bfnrt'.includes(String.fromCharCode(byte)) && byte !== 0;
}
