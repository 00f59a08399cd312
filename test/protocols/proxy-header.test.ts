/** PROXY headers of both versions: what is one, what is none, and that no bytes make the reader do anything else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../protocols/bytes.ts';
import { readProxyHeader } from '../../protocols/proxy-header.ts';
import { binaryHeader } from './proxy-wire.ts';

const line = (text: string): Buffer => Buffer.from(text, 'latin1');
const longest = `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`;
const ipv6 = Buffer.from('20010db8000000000000000000000001', 'hex');
const mapped = Buffer.from('00000000000000000000ffff0a020304', 'hex');

const good: readonly (readonly [string, Buffer, string | null])[] = [
  ['TCP4', line('PROXY TCP4 10.2.0.7 10.0.0.1 56324 5432\r\n'), '10.2.0.7'],
  ['TCP6', line('PROXY TCP6 2001:DB8:0::1 ::1 0 65535\r\n'), '2001:db8::1'],
  ['TCP6 of an IPv4-mapped address', line('PROXY TCP6 ::ffff:10.2.3.4 ::1 1 2\r\n'), '10.2.3.4'],
  ['the longest line', line(longest), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['UNKNOWN', line('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with more', line('PROXY UNKNOWN 10.2.0.7 whatever\r\n'), null],
  ['binary TCP4', binaryHeader({ source: Buffer.from([10, 2, 0, 7]) }), '10.2.0.7'],
  ['binary TCP6', binaryHeader({ source: ipv6, family: 0x21 }), '2001:db8::1'],
  ['binary TCP6, mapped', binaryHeader({ source: mapped, family: 0x21 }), '10.2.3.4'],
  ['binary with TLVs', binaryHeader({ source: Buffer.from([1, 2, 3, 4]), tlvs: 700 }), '1.2.3.4'],
  ['binary LOCAL', binaryHeader({ command: 0, source: Buffer.from([10, 2, 0, 7]) }), null],
  ['binary LOCAL without addresses', binaryHeader({ command: 0, family: 0 }), null],
  ['binary UNSPEC', binaryHeader({ family: 0 }), null],
];

for (const [name, header, source] of good) {
  test(`${name}: whole, cut anywhere, and with the client's bytes behind it`, () => {
    const { length } = header;
    assert.deepEqual(readProxyHeader(header), { source, length });
    assert.deepEqual(readProxyHeader(Buffer.concat([header, line('\x16\x03\x01PROXY \r\n')])), {
      source,
      length,
    });
    for (let cut = 0; cut < length; cut++) assert.equal(readProxyHeader(header.subarray(0, cut)), null);
  });
}

const bad: readonly (readonly [string, Buffer])[] = [
  ['a start-up packet', Buffer.from('0000000804d2162f', 'hex')],
  ['a TLS handshake', Buffer.from('1603010200', 'hex')],
  ['a lower-case line', line('proxy TCP4 10.2.0.7 10.0.0.1 1 2\r\n')],
  ['a line of UDP', line('PROXY UDP4 10.2.0.7 10.0.0.1 1 2\r\n')],
  ['a line without end', line(`PROXY TCP4 ${'1'.repeat(107)}`)],
  ['a line of 108 bytes', line(`PROXY UNKNOWN${' '.repeat(93)}\r\n`)],
  ['UNKNOWN and more in one word', line('PROXY UNKNOWNS\r\n')],
  ['an IPv6 address of TCP4', line('PROXY TCP4 ::1 10.0.0.1 1 2\r\n')],
  ['an IPv4 address of TCP6', line('PROXY TCP6 10.2.0.7 ::1 1 2\r\n')],
  ['an address with a zone', line('PROXY TCP6 fe80::1%lo ::1 1 2\r\n')],
  ['an octal address', line('PROXY TCP4 010.2.0.7 10.0.0.1 1 2\r\n')],
  ['a name', line('PROXY TCP4 localhost 10.0.0.1 1 2\r\n')],
  ['a port out of bounds', line('PROXY TCP4 10.2.0.7 10.0.0.1 1 65536\r\n')],
  ['a port with a sign', line('PROXY TCP4 10.2.0.7 10.0.0.1 +1 2\r\n')],
  ['one port', line('PROXY TCP4 10.2.0.7 10.0.0.1 1\r\n')],
  ['two spaces', line('PROXY TCP4  10.2.0.7 10.0.0.1 1 2\r\n')],
  ['a bare line feed', line('PROXY TCP4 10.2.0.7 10.0.0.1 1 2\nPROXY TCP4 127.0.0.1 10.0.0.1 1 2\r\n')],
  ['binary version 1', binaryHeader({ version: 1 })],
  ['a binary command 2', binaryHeader({ command: 2 })],
  ['binary UDP', binaryHeader({ family: 0x12 })],
  ['a binary UNIX socket', binaryHeader({ family: 0x31, tlvs: 216 })],
  ['binary TCP4 that is too short', binaryHeader({ family: 0x11, source: Buffer.alloc(0), cut: 11 })],
  [
    'binary TCP6 with the addresses of TCP4',
    binaryHeader({ family: 0x21, source: Buffer.from([10, 2, 0, 7]) }),
  ],
  ['a binary header that is too long', binaryHeader({ tlvs: 5000 })],
];

for (const [name, bytes] of bad) {
  test(`no header: ${name}`, () => {
    assert.throws(() => readProxyHeader(bytes), ProtocolError);
  });
}

test('a mismatch is told by its first byte', () => {
  for (let first = 0; first < 256; first++) {
    const bytes = Buffer.from([first]);
    if (first === 0x50 || first === 0x0d) assert.equal(readProxyHeader(bytes), null);
    else assert.throws(() => readProxyHeader(bytes), ProtocolError);
  }
});

test('a header with any one byte changed is another header or none, and is bounded', () => {
  for (const [, header] of good) {
    for (let at = 0; at < header.length; at++) {
      for (const value of [
        0,
        1,
        0x0a,
        0x0d,
        0x20,
        0x31,
        0x3a,
        0x7f,
        0xff,
        header[at]! ^ 1,
        header[at]! ^ 0x80,
      ]) {
        const changed = Buffer.from(header);
        changed[at] = value;
        try {
          const read = readProxyHeader(changed);
          if (read === null) continue;
          assert.ok(read.length > 0 && read.length <= changed.length);
          assert.ok(read.source === null || /^[0-9a-f:.]{2,45}$/.test(read.source), String(read.source));
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }
    }
  }
});

test('what never becomes a header is never waited for beyond its bounds', () => {
  assert.throws(
    () => readProxyHeader(Buffer.concat([line('PROXY '), Buffer.alloc(101, 0x20)])),
    ProtocolError,
  );
  const endless = binaryHeader({ tlvs: 4084 });
  assert.equal(readProxyHeader(endless)?.length, 16 + 4096);
  assert.throws(() => readProxyHeader(binaryHeader({ tlvs: 4085 }).subarray(0, 16)), ProtocolError);
});
