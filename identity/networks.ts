/** Where a client is, judged by its address. Pure. */
import { BlockList, isIP } from 'node:net';
import type { Region } from '../policy/decision.ts';

/** The networks of all regions. */
export interface Networks {
  /** The region of the longest network prefix that holds the address; null when none does or it is no IP address. */
  regionOf(address: string): Region | null;
}

type Family = 'ipv4' | 'ipv6';

interface Address {
  readonly text: string;
  readonly family: Family;
}

/** Reads an address; an IPv4-mapped one (RFC 4291, 2.5.5.2) is the IPv4 address that it stands for. */
function addressOf(text: string): Address | null {
  // RFC 4007, 11: a zone names this host's interface and says nothing of the network.
  const zone = text.indexOf('%');
  const plain = zone === -1 ? text : text.slice(0, zone);
  switch (isIP(plain)) {
    case 4:
      return { text: plain, family: 'ipv4' };
    case 6: {
      const written = new URL(`http://[${plain}]`).hostname.slice(1, -1);
      const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(written);
      if (mapped === null) return { text: written, family: 'ipv6' };
      const high = Number.parseInt(mapped[1] as string, 16);
      const low = Number.parseInt(mapped[2] as string, 16);
      return { text: `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`, family: 'ipv4' };
    }
    default:
      return null;
  }
}

function networkOf(cidr: string): Address & { readonly prefix: number } {
  const [text = '', prefixText, ...rest] = cidr.split('/');
  const address = text.includes('%') || rest.length > 0 ? null : addressOf(text);
  if (address === null) throw new TypeError(`${cidr} is not a network`);
  const bits = isIP(text) === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > bits) throw new TypeError(`${cidr} is not a network`);
  if (address.family === 'ipv6' || bits === 32) return { ...address, prefix };
  if (prefix < 96) throw new TypeError(`${cidr} holds more than the IPv4-mapped addresses`);
  return { ...address, prefix: prefix - 96 };
}

/**
 * Networks by region, in CIDR notation; a bare address is a network of one. Throws TypeError for a text that is no
 * network, and for a network that is given to two regions.
 */
export function createNetworks(map: Readonly<Record<Region, readonly string[]>>): Networks {
  // One list for each region and prefix length, the longest prefixes first.
  const lists: { region: Region; family: Family; prefix: number; list: BlockList }[] = [];
  for (const [region, cidrs] of Object.entries(map)) {
    for (const cidr of cidrs) {
      const { text, family, prefix } = networkOf(cidr);
      const isTaken = lists.some(
        (each) =>
          each.region !== region &&
          each.family === family &&
          each.prefix === prefix &&
          each.list.check(text, family),
      );
      if (isTaken) throw new TypeError(`network ${cidr} is given to two regions`);
      let entry = lists.find(
        (each) => each.region === region && each.family === family && each.prefix === prefix,
      );
      if (entry === undefined) {
        entry = { region, family, prefix, list: new BlockList() };
        lists.push(entry);
      }
      entry.list.addSubnet(text, prefix, family);
    }
  }
  lists.sort((a, b) => b.prefix - a.prefix);
  return {
    regionOf(address) {
      const client = addressOf(address);
      if (client === null) return null;
      for (const { region, family, list } of lists) {
        if (family === client.family && list.check(client.text, family)) return region;
      }
      return null;
    },
  };
}
