/** Masks of texts as bytes: parts that stay, stars for the rest. */

const star = 0x2a;
const at = 0x40;

/** Where the character that begins before `end` begins: one byte, or a UTF-8 sequence. */
function characterStart(value: Uint8Array, end: number, wide: boolean): number {
  let start = end - 1;
  if (wide) while (start > 0 && ((value[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

/** Where the character that begins at `start` ends. */
function characterEnd(value: Uint8Array, start: number, wide: boolean): number {
  let end = start + 1;
  if (wide) while (end < value.length && ((value[end] ?? 0) & 0xc0) === 0x80) end += 1;
  return end;
}

function charactersIn(value: Uint8Array, wide: boolean): number {
  if (!wide) return value.length;
  let count = 0;
  for (let index = 0; index < value.length; index = characterEnd(value, index, true)) count += 1;
  return count;
}

/** Keeps the first and last characters and puts a star for each between; stars alone when nothing would be hidden. */
export function keepEnds(value: Uint8Array, first: number, last: number, wide: boolean): Uint8Array {
  const count = charactersIn(value, wide);
  if (count <= first + last) return new Uint8Array(count).fill(star);
  let head = 0;
  for (let kept = 0; kept < first; kept += 1) head = characterEnd(value, head, wide);
  let tail = value.length;
  for (let kept = 0; kept < last; kept += 1) tail = characterStart(value, tail, wide);
  const hidden = count - first - last;
  const masked = new Uint8Array(head + hidden + value.length - tail);
  masked.set(value.subarray(0, head), 0);
  masked.fill(star, head, head + hidden);
  masked.set(value.subarray(tail), head + hidden);
  return masked;
}

/** `a***@example.com`. Three stars alone for what is no address; a name of one character is hidden whole. */
export function keepDomain(value: Uint8Array, wide: boolean): Uint8Array {
  const sign = value.lastIndexOf(at);
  if (sign < 0 || !isDomain(value, sign + 1)) return Uint8Array.of(star, star, star);
  const first = sign === 0 ? 0 : characterEnd(value, 0, wide);
  const head = first < sign ? first : 0;
  const masked = new Uint8Array(head + 3 + value.length - sign);
  masked.set(value.subarray(0, head), 0);
  masked.fill(star, head, head + 3);
  masked.set(value.subarray(sign), head + 3);
  return masked;
}

/** Letters, digits, dots and hyphens, at least one: anything else behind the sign could be more than an address. */
function isDomain(value: Uint8Array, from: number): boolean {
  if (from >= value.length) return false;
  for (let index = from; index < value.length; index += 1) {
    const byte = value[index] ?? 0;
    const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
    const digit = byte >= 0x30 && byte <= 0x39;
    if (!letter && !digit && byte !== 0x2e && byte !== 0x2d) return false;
  }
  return true;
}

/** Without the blanks that a padded type adds. */
export function trimBlanks(value: Uint8Array): Uint8Array {
  let end = value.length;
  while (end > 0 && value[end - 1] === 0x20) end -= 1;
  return end === value.length ? value : value.subarray(0, end);
}
