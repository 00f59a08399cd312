/** Short readings and writings of bytes that values of both engines need. */

/** ASCII text to bytes. */
export function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Bytes as text, one character each. */
export function latin(value: Uint8Array): string {
  return viewOf(value).toString('latin1');
}

/** A Buffer over the same memory. */
export function viewOf(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** A decimal integer, leading zeros and sign allowed; null for anything else or more than 20 digits. */
export function integerOf(value: Uint8Array): bigint | null {
  if (value.length === 0 || value.length > 255) return null;
  const text = latin(value);
  return /^[+-]?0*\d{1,20}$/.test(text) ? BigInt(text.startsWith('+') ? text.slice(1) : text) : null;
}
