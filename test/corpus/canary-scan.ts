/** Looks for every secret, whole or in recognisable part, in the bytes that a client got, in one pass over them. */

/** No needle is shorter. */
const headLength = 4;

export class CanaryScan {
  /** By their first four bytes, read as one number. */
  readonly #needles = new Map<number, Buffer[]>();

  /** @throws RangeError when one is shorter than four bytes. */
  constructor(secrets: readonly (string | Buffer)[]) {
    for (const secret of secrets) {
      const needle = Buffer.from(secret as string);
      if (needle.length < headLength) throw new RangeError('a secret is too short to be recognised');
      const head = needle.readUInt32BE(0);
      const same = this.#needles.get(head);
      if (same) same.push(needle);
      else this.#needles.set(head, [needle]);
    }
  }

  /** The first secret in the bytes; null when there is none. */
  find(bytes: Buffer): string | null {
    let head = 0;
    for (let at = 0; at < bytes.length; at++) {
      head = ((head << 8) | bytes[at]!) >>> 0;
      if (at < headLength - 1) continue;
      const start = at - headLength + 1;
      for (const needle of this.#needles.get(head) ?? [])
        if (bytes.subarray(start, start + needle.length).equals(needle))
          return /^[\x20-\x7e]+$/.test(needle.toString('latin1'))
            ? needle.toString('latin1')
            : `0x${needle.toString('hex')}`;
    }
    return null;
  }
}
