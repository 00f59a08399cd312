/** Offsets of one text: the parser counts UTF-8 bytes, we count UTF-16 units, clients count characters from 1. */
import { skipBlank, skipIdentifier, skipQuotedIdentifier, startsIdentifier } from './fingerprint.ts';

export class SourceText {
  readonly text: string;
  readonly #ascii: boolean;
  #offsets: Uint32Array | null = null;

  constructor(text: string) {
    this.text = text;
    this.#ascii = Buffer.byteLength(text) === text.length;
  }

  /** UTF-16 offset of a byte offset. */
  offset(byte: number): number {
    if (this.#ascii) return byte;
    this.#offsets ??= offsetsOf(this.text);
    return this.#offsets[Math.min(byte, this.#offsets.length - 1)]!;
  }

  /** 1-based character position of a byte offset. */
  position(byte: number): number {
    if (this.#ascii) return byte + 1;
    let characters = 0;
    const end = this.offset(byte);
    for (let i = 0; i < end; i++) {
      const code = this.text.charCodeAt(i);
      if (code < 0xdc00 || code > 0xdfff) characters++;
    }
    return characters + 1;
  }

  /** The UTF-16 span of a table's name that begins at a byte offset: dots and a `*` behind it included. Null when
   *  the name isn't written plainly there. */
  nameSpan(byte: number): { readonly start: number; readonly end: number } | null {
    const { text } = this;
    const start = this.offset(byte);
    let at = start;
    let end: number;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 0x22) end = skipQuotedIdentifier(text, at);
      else if (startsIdentifier(code)) {
        end = skipIdentifier(text, at);
        // U&"..." may have a UESCAPE behind it.
        if (text.charCodeAt(end) === 0x26 && end === at + 1) return null;
      } else return null;
      if (end < 0) return null;
      const next = skipBlank(text, end);
      if (text.charCodeAt(next) !== 0x2e) {
        if (text.charCodeAt(next) === 0x2a) end = next + 1;
        return { start, end };
      }
      at = skipBlank(text, next + 1);
    }
  }
}

function offsetsOf(text: string): Uint32Array {
  const offsets = new Uint32Array(Buffer.byteLength(text) + 1);
  let byte = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const pair =
      code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00 && i + 1 < text.length;
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : pair ? 4 : 3;
    for (let k = 0; k < bytes; k++) offsets[byte++] = i;
    if (pair) i++;
  }
  offsets[byte] = text.length;
  return offsets;
}
