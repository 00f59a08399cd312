/** PROXY headers of version 2, right and wrong, byte by byte. */

export interface BinaryHeader {
  readonly version?: number;
  /** 0: LOCAL, 1: PROXY. */
  readonly command?: number;
  /** Address family and protocol: 0x11 TCP4, 0x21 TCP6, 0 UNSPEC. */
  readonly family?: number;
  /** The client's address. */
  readonly source?: Buffer;
  /** How many bytes follow the addresses. */
  readonly tlvs?: number;
  /** Leave that many bytes of the addresses in place. */
  readonly cut?: number;
}

/** A header whose destination is all zeros. */
export function binaryHeader(header: BinaryHeader): Buffer {
  const { version = 2, command = 1, source = Buffer.from([10, 2, 0, 7]), family = 0x11, tlvs = 0 } = header;
  const whole =
    family === 0 ? Buffer.alloc(0) : Buffer.concat([source, Buffer.alloc(source.length), Buffer.alloc(4)]);
  const addresses = header.cut === undefined ? whole : Buffer.alloc(header.cut);
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  fixed[12] = (version << 4) | command;
  fixed[13] = family;
  fixed.writeUInt16BE(addresses.length + tlvs, 14);
  return Buffer.concat([fixed, addresses, Buffer.alloc(tlvs, 4)]);
}
