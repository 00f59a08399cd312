/** Readers never pass the end of what they were given; writers and readers agree. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, decodeUtf8, ProtocolError } from '../../protocols/bytes.ts';

const reads: readonly ((reader: ByteReader) => unknown)[] = [
  (r) => r.uint8(),
  (r) => r.int8(),
  (r) => r.peekUint8(),
  (r) => r.uint16Be(),
  (r) => r.int16Be(),
  (r) => r.uint32Be(),
  (r) => r.int32Be(),
  (r) => r.uint16Le(),
  (r) => r.int16Le(),
  (r) => r.uint24Le(),
  (r) => r.uint32Le(),
  (r) => r.int32Le(),
  (r) => r.uint64Le(),
  (r) => r.bytes(3),
  (r) => r.cstringBytes(),
  (r) => r.cstring(),
  (r) => r.skip(2),
  (r) => r.rest(),
];

describe('ByteReader', () => {
  it('sees its own bytes only, whatever lies behind them', () => {
    const receive = Buffer.from('ab\0behind\0');
    const reader = new ByteReader(receive.subarray(0, 2));
    assert.throws(() => reader.cstring(), ProtocolError);
    assert.throws(() => reader.bytes(3), ProtocolError);
    assert.throws(() => reader.bytes(-1), ProtocolError);
    assert.equal(reader.rest().toString(), 'ab');
    reader.finish();
  });

  it('any reads of any bytes stay inside or throw ProtocolError', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 24 }),
        fc.array(fc.nat(reads.length - 1), { maxLength: 12 }),
        (bytes, order) => {
          const reader = new ByteReader(bytes);
          try {
            for (const at of order) reads[at]!(reader);
          } catch (error) {
            assert.ok(error instanceof ProtocolError);
          }
          assert.ok(reader.position <= bytes.length && reader.remaining >= 0);
        },
      ),
    );
  });

  it('takes malformed UTF-8 for a breach, and a byte order mark for a character', () => {
    assert.throws(() => decodeUtf8(Buffer.from([0xc0, 0x80])), ProtocolError);
    assert.equal(decodeUtf8(Buffer.from([0xef, 0xbb, 0xbf, 0x41])), '\ufeffA');
  });
});

describe('ByteWriter', () => {
  it('writes what a reader reads', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(0xffff),
        fc.nat(0xffffff),
        fc.string(),
        fc.uint8Array(),
        (a, b, c, text, bytes) => {
          const word = text.replaceAll('\0', '');
          const written = new ByteWriter(1)
            .uint8(a)
            .uint16Be(b)
            .uint16Le(b)
            .uint24Le(c)
            .uint32Be(c)
            .uint32Le(c)
            .uint64Le(BigInt(c))
            .cstring(word)
            .bytes(bytes)
            .zeros(2)
            .finish();
          const reader = new ByteReader(written);
          assert.deepEqual(
            [
              reader.uint8(),
              reader.uint16Be(),
              reader.uint16Le(),
              reader.uint24Le(),
              reader.uint32Be(),
              reader.uint32Le(),
              reader.uint64Le(),
            ],
            [a, b, b, c, c, c, BigInt(c)],
          );
          assert.equal(reader.cstringBytes().toString(), Buffer.from(word).toString());
          assert.deepEqual(Buffer.from(reader.bytes(bytes.length)), Buffer.from(bytes));
          assert.equal(reader.uint16Be(), 0);
          reader.finish();
        },
      ),
    );
  });

  it('writes no NUL into a NUL-terminated string', () => {
    assert.throws(() => new ByteWriter().cstring('a\0b'), ProtocolError);
  });
});
