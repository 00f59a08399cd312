/**
 * Reading and writing the fields of one frame, for both wire protocols. A reader sees exactly the bytes that it was
 * given; nothing here knows a message, a socket or a state.
 */

/** The other side broke the protocol; the connection has no future. The text names fields and sizes, never values. */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes UTF-8 strictly.
 * @throws ProtocolError on a malformed sequence: bytes that can't be read one way only must not be decided upon.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ProtocolError('text is not valid UTF-8');
  }
}

/** Reads the fields of one frame from front to back. Every read throws ProtocolError rather than pass the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  /** `bytes` is one frame's content (or a part of it), not a receive buffer. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Offset of the next byte. */
  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  #take(count: number): number {
    if (!Number.isSafeInteger(count) || count < 0 || count > this.#bytes.length - this.#at) {
      throw new ProtocolError(
        `frame too short: ${count} bytes wanted at ${this.#at} of ${this.#bytes.length}`,
      );
    }
    const at = this.#at;
    this.#at += count;
    return at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }
  int8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }
  /** The next byte without moving on. */
  peekUint8(): number {
    if (this.remaining < 1) throw new ProtocolError(`frame too short: no byte at ${this.#at}`);
    return this.#bytes.readUInt8(this.#at);
  }

  uint16Be(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }
  int16Be(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }
  uint32Be(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }
  int32Be(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint16Le(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }
  int16Le(): number {
    return this.#bytes.readInt16LE(this.#take(2));
  }
  uint24Le(): number {
    return this.#bytes.readUIntLE(this.#take(3), 3);
  }
  uint32Le(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  int32Le(): number {
    return this.#bytes.readInt32LE(this.#take(4));
  }
  uint64Le(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  /** The next `count` bytes as a view: valid as long as the frame's own bytes are. */
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** The bytes up to the next NUL, which is consumed and not part of the answer. */
  cstringBytes(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new ProtocolError(`string without its NUL at ${this.#at}`);
    const at = this.#take(end - this.#at + 1);
    return this.#bytes.subarray(at, end);
  }

  /** A NUL-terminated string byte for byte, cut after `bytesMax`. Made for short ones. */
  latin1(bytesMax: number): string {
    const bytes = this.#bytes;
    const start = this.#at;
    let end = start;
    while (end < bytes.length && bytes[end] !== 0) end++;
    this.#take(end - start + 1);
    return end === start ? '' : bytes.toString('latin1', start, Math.min(end, start + bytesMax));
  }

  /** A NUL-terminated string, strictly UTF-8. */
  cstring(): string {
    return decodeUtf8(this.cstringBytes());
  }

  /** All that is left, as a view. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** The frame has to end here. */
  finish(): void {
    if (this.remaining !== 0) {
      throw new ProtocolError(`${this.remaining} bytes left over at the end of a frame`);
    }
  }
}

/** Builds bytes in a buffer that grows. Strings are written as UTF-8. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(Math.max(16, initialBytes));
  }

  get length(): number {
    return this.#length;
  }

  #grow(count: number): number {
    const at = this.#length;
    const need = at + count;
    if (need > this.#buffer.length) {
      const bigger = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2));
      this.#buffer.copy(bigger, 0, 0, at);
      this.#buffer = bigger;
    }
    this.#length = need;
    return at;
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  uint16Be(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }
  int16Be(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }
  uint32Be(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }
  int32Be(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  uint16Le(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }
  uint24Le(value: number): this {
    const at = this.#grow(3);
    this.#buffer.writeUIntLE(value, at, 3);
    return this;
  }
  uint32Le(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }
  uint64Le(value: bigint): this {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** UTF-8 without terminator. */
  string(value: string): this {
    const size = Buffer.byteLength(value, 'utf8');
    const at = this.#grow(size);
    this.#buffer.write(value, at, size, 'utf8');
    return this;
  }

  /**
   * UTF-8 and a NUL.
   * @throws ProtocolError when the text holds a NUL itself: it would end early on the other side.
   */
  cstring(value: string): this {
    if (value.includes('\u0000')) throw new ProtocolError('a NUL inside a NUL-terminated string');
    return this.string(value).uint8(0);
  }

  zeros(count: number): this {
    const at = this.#grow(count);
    this.#buffer.fill(0, at, at + count);
    return this;
  }

  /** Overwrites four bytes written before, such as a length known only afterwards. */
  setUint32Be(at: number, value: number): this {
    if (at < 0 || at + 4 > this.#length) throw new RangeError('outside of what was written');
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }
  /** As setUint32Be, three bytes, little-endian. */
  setUint24Le(at: number, value: number): this {
    if (at < 0 || at + 3 > this.#length) throw new RangeError('outside of what was written');
    this.#buffer.writeUIntLE(value, at, 3);
    return this;
  }

  /** What was written. A view: the writer must not be used afterwards, except after `reset`, which invalidates it. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Starts over in the same memory. */
  reset(): void {
    this.#length = 0;
  }
}
