/**
 * Offsets of one text: the parser counts UTF-8 bytes of the text without its repeated rows and items, we count UTF-16
 * units of the whole, clients count characters of the whole from 1.
 */
import { skipBlank, skipIdentifier, skipQuotedIdentifier, startsIdentifier } from './lexer.ts';
import type { Cut } from './literal-lists.ts';

export class SourceText {
  /** The client's. */
  readonly text: string;
  /** What the parser gets. */
  readonly parsed: string;
  readonly #cuts: readonly Cut[];
  readonly #ascii: boolean;
  #offsets: Uint32Array | null = null;

  constructor(text: string, cuts: readonly Cut[]) {
    this.text = text;
    this.parsed = without(text, cuts);
    this.#cuts = cuts;
    this.#ascii = Buffer.byteLength(this.parsed) === this.parsed.length;
  }

  /** UTF-16 offset of a byte offset. */
  offset(byte: number): number {
    if (this.#ascii) return this.#whole(byte);
    this.#offsets ??= offsetsOf(this.parsed);
    return this.#whole(this.#offsets[Math.min(byte, this.#offsets.length - 1)]!);
  }

  /** 1-based character position of a byte offset. */
  position(byte: number): number {
    const end = this.offset(byte);
    if (this.#ascii && this.#cuts.length === 0) return end + 1;
    return charactersIn(this.text, end) + 1;
  }

  /** 1-based character position of a 0-based one in what the parser got. */
  positionOf(character: number): number {
    let position = character;
    for (const { start, end } of this.#cuts) {
      if (charactersIn(this.text, start) > position) break;
      position += charactersIn(this.text, end, start);
    }
    return position + 1;
  }

  #whole(offset: number): number {
    let whole = offset;
    for (const { start, end } of this.#cuts) {
      if (start > whole) break;
      whole += end - start;
    }
    return whole;
  }

  /** The UTF-16 span of a table's name that begins at a byte offset: dots and a `*` behind it included. Null when
   *  the name isn't written plainly there. */
  nameSpan(byte: number): { readonly start: number; readonly end: number } | null {
    const { text } = this;
    const start = this.offset(byte);
    let at = start;
    for (;;) {
      let end = plainWordEnd(text, at);
      if (end < 0) return null;
      const next = skipBlank(text, end);
      if (text.charCodeAt(next) !== 0x2e) {
        if (text.charCodeAt(next) === 0x2a) end = next + 1;
        return { start, end };
      }
      at = skipBlank(text, next + 1);
    }
  }

  /** The UTF-16 span of the first word of a dotted name that begins at a byte offset, its dot included. Null when it
   *  isn't written plainly there, or isn't `word`. */
  firstWordSpan(byte: number, word: string): { readonly start: number; readonly end: number } | null {
    const { text } = this;
    const start = this.offset(byte);
    const end = plainWordEnd(text, start);
    if (end < 0) return null;
    const written = text.slice(start, end);
    const name = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
    if (name !== word && written.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) !== word) return null;
    const dot = skipBlank(text, end);
    return text.charCodeAt(dot) === 0x2e ? { start, end: dot + 1 } : null;
  }
}

/** The offset behind the identifier at `at`; -1 when none is written plainly there. */
function plainWordEnd(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code === 0x22) return skipQuotedIdentifier(text, at);
  if (!startsIdentifier(code)) return -1;
  const end = skipIdentifier(text, at);
  // U&"..." may have a UESCAPE behind it.
  return text.charCodeAt(end) === 0x26 && end === at + 1 ? -1 : end;
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

function without(text: string, cuts: readonly Cut[]): string {
  if (cuts.length === 0) return text;
  let rest = '';
  let from = 0;
  for (const { start, end } of cuts) {
    rest += text.slice(from, start);
    from = end;
  }
  return rest + text.slice(from);
}

/** Pairs of surrogates are one character. */
function charactersIn(text: string, end: number, start = 0): number {
  let characters = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < 0xdc00 || code > 0xdfff) characters++;
  }
  return characters;
}
