/** Cutting packets: the same ones however the bytes come, within bounds, whatever the bytes are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../protocols/bytes.ts';
import {
  encodePacket,
  PacketFramer,
  PacketTooLarge,
  packetBytesMax,
  physicalPackets,
} from '../../protocols/mysql/framing.ts';
import { cut } from './mysql-chunks.ts';

interface Seen {
  readonly gathered: string[];
  passed: string;
}

/** Gathers packets whose first byte is even, passes the others. */
function frame(chunks: readonly Buffer[], bytesMax = 1 << 20): Seen {
  const seen: Seen = { gathered: [], passed: '' };
  const framer = new PacketFramer(
    {
      starting: (_length, first) => first < 0 || first % 2 === 0,
      passed: (buffer, start, end) => {
        seen.passed += buffer.toString('hex', start, end);
      },
      packet: (buffer, start, end, sequence) => {
        seen.gathered.push(`${sequence}:${buffer.toString('hex', start, end)}`);
        if (end - start < packetBytesMax) assert.equal(buffer.readUIntLE(start - 4, 3), end - start);
      },
    },
    bytesMax,
  );
  for (const chunk of chunks) framer.feed(chunk);
  return seen;
}

const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });

test('the same packets however the bytes are cut', () => {
  fc.assert(
    fc.property(payloads, sizes, (list, lengths) => {
      const bytes = Buffer.concat(list.map((payload, index) => encodePacket(payload, index)));
      const whole = frame([bytes]);
      assert.deepEqual(frame(cut(bytes, lengths)), whole);
      const expected = list.flatMap((payload, index) =>
        payload.length === 0 || (payload[0] as number) % 2 === 0
          ? [`${index}:${Buffer.from(payload).toString('hex')}`]
          : [],
      );
      assert.deepEqual(whole.gathered, expected);
    }),
  );
});

test('any bytes end in packets or a ProtocolError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), sizes, (bytes, lengths) => {
      try {
        frame(cut(Buffer.from(bytes), lengths), 1000);
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }),
  );
});

test('payloads at and around the split are joined', () => {
  for (const size of [packetBytesMax - 1, packetBytesMax, packetBytesMax + 1, 2 * packetBytesMax]) {
    const payload = Buffer.alloc(size, 2);
    const wire = encodePacket(payload, 250);
    assert.equal(wire.length, size + 4 * physicalPackets(size));
    const lengths: number[] = [];
    const numbers: number[] = [];
    const framer = new PacketFramer(
      {
        starting: () => true,
        passed: () => assert.fail('passed'),
        packet: (buffer, start, end, sequence) => {
          lengths.push(end - start);
          numbers.push(sequence);
          assert.ok(buffer.subarray(start, end).equals(payload));
        },
      },
      3 * packetBytesMax,
    );
    for (let at = 0; at < wire.length; at += 1_000_003) framer.feed(wire.subarray(at, at + 1_000_003));
    assert.deepEqual(lengths, [size]);
    assert.deepEqual(numbers, [(250 + physicalPackets(size) - 1) & 0xff]);
    assert.ok(framer.atBoundary);
  }
});

test('what is passed may be longer than what is gathered may be', () => {
  const long = Buffer.alloc(2000, 1);
  assert.equal(frame([encodePacket(long, 0)], 100).passed.length, 2 * 2004);
  assert.throws(() => frame([encodePacket(Buffer.alloc(2000, 2), 0)], 100), PacketTooLarge);
  assert.deepEqual(frame([encodePacket(Buffer.alloc(100, 2), 0)], 100).gathered.length, 1);
});

test('a length that is only claimed takes no memory', () => {
  const framer = new PacketFramer(
    { starting: () => true, passed: () => {}, packet: () => {} },
    packetBytesMax * 100,
  );
  const before = process.memoryUsage().arrayBuffers;
  framer.feed(Buffer.from([0xfe, 0xff, 0xff, 0, 2, 2]));
  assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
});
