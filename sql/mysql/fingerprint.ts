/**
 * The literal-free shape of a text: what a decision may be cached under. One pass, no parse, no names.
 * Placeholders: string `'?'`, number `?`, hex and bit `0x?`, a prepared statement's parameter `:?` (the lexer
 * refuses a bare colon, so no text can spell it). Identifiers and keywords stay as written; comments become a space.
 */
import { shapeOfComment } from './comments.ts';
import { Scanner } from './lexer.ts';

function needsNoSpace(shape: string): boolean {
  return shape === '';
}

/**
 * The shape of the whole text, or of the part between two offsets of token boundaries; null when the lexer can't get
 * through, or meets an executable comment with more in it than words (one with words alone stands in the shape as written).
 */
export function shapeOf(text: string): string | null {
  if (text.includes('\u0000')) return null;
  const scanner = new Scanner(text);
  let shape = '';
  // tuple bookkeeping: rows of `VALUES (..), (..)` made of nothing but literals and parameters fold into the first
  let tupleStart = -1;
  let firstTuple: string | null = null;
  let simple = false;
  let expectTuple = false;
  let rowsEnd = -1;
  // the length at which the shape ended with a fold; looking at its end each time would copy it each time
  let foldedTo = -1;
  while (scanner.next()) {
    const { kind, start, end } = scanner;
    const before = shape.length;
    if (scanner.spaced && !needsNoSpace(shape)) shape += ' ';
    switch (kind) {
      case 'string':
        shape += "'?'";
        continue;
      case 'number':
        shape += '?';
        continue;
      case 'bits':
        shape += '0x?';
        continue;
      case 'param':
        shape += ':?';
        continue;
      case 'operator': {
        const c = text.charCodeAt(start);
        if (c === 40 && expectTuple) {
          tupleStart = shape.length;
          simple = true;
          expectTuple = false;
        } else if (c === 40) simple = false;
        else if (c === 41 && tupleStart >= 0) {
          const tuple = shape.slice(tupleStart);
          if (!simple) {
            tupleStart = -1;
            firstTuple = null;
          } else if (firstTuple === null) {
            firstTuple = tuple;
            rowsEnd = shape.length + 1;
            tupleStart = -1;
          } else if (tuple === firstTuple) {
            shape = `${shape.slice(0, rowsEnd)}/*rows*/`;
            foldedTo = shape.length;
            tupleStart = -1;
            continue;
          } else {
            firstTuple = null;
            tupleStart = -1;
          }
        } else if (c === 44 && tupleStart < 0 && firstTuple !== null) {
          expectTuple = true;
          shape += ',';
          continue;
        } else if (c !== 44 && c !== 45 && c !== 43) simple = false;
        if (expectTuple && c !== 40) expectTuple = false;
        shape += text.slice(start, end);
        continue;
      }
      default: {
        const word =
          kind === 'executable_comment' ? shapeOfComment(text.slice(start, end)) : text.slice(start, end);
        if (word === null) return null;
        if (tupleStart >= 0) simple = false;
        else {
          expectTuple = (word.length === 6 || word.length === 5) && /^values?$/i.test(word);
          firstTuple = null;
        }
        if (shape.length === foldedTo && shape.length === before) shape += ' ';
        shape += word;
      }
    }
  }
  return scanner.error === null ? shape.trim() : null;
}
