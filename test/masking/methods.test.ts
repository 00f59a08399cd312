/** The named masks on both engines' types: what comes out, that it fits its type, and that nothing goes through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MaskMethod, ResultColumn } from '../../masking/masker.ts';
import { maskerFor } from '../../masking/methods.ts';
import { kindOf } from '../../masking/types.ts';
import { key, methods, myColumn, pgColumn } from './columns.ts';

const email: MaskMethod = { method: 'partial_email' };
const card: MaskMethod = { method: 'partial', keepFirst: 0, keepLast: 4 };
const hash: MaskMethod = { method: 'hash' };
const year: MaskMethod = { method: 'year' };
const redact: MaskMethod = { method: 'redact' };

function masked(method: MaskMethod, column: ResultColumn, value: string | Uint8Array): string | null {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const result = maskerFor(method, column, key).mask(bytes);
  return result === null ? null : Buffer.from(result).toString();
}

const text = pgColumn(25);

test('partial_email keeps a letter and the domain', () => {
  assert.equal(masked(email, text, 'anna@example.com'), 'a***@example.com');
  assert.equal(masked(email, text, 'äpfel@example.com'), 'ä***@example.com');
  assert.equal(masked(email, text, 'a@example.com'), '***@example.com');
  assert.equal(masked(email, text, 'a@b@example.com'), 'a***@example.com');
  for (const none of ['', 'secret', '@', 'anna@', 'anna@example.com and more', 'x@y z']) {
    assert.equal(masked(email, text, none), '***', none);
  }
});

test('partial keeps characters, not bytes, and never the whole', () => {
  assert.equal(masked(card, text, '4111111111111234'), '************1234');
  assert.equal(masked(card, text, '1234'), '****');
  assert.equal(masked(card, text, '12'), '**');
  assert.equal(masked(card, text, ''), '');
  const both: MaskMethod = { method: 'partial', keepFirst: 1, keepLast: 1 };
  assert.equal(masked(both, text, 'żółw'), 'ż**w');
  assert.equal(masked(both, text, '😀b😀'), '😀*😀');
  assert.equal(masked(both, pgColumn(1042), 'abcd      '), 'a**d');
  const latin1 = maskerFor(both, myColumn(0xfd, 'text', 8), key).mask(Uint8Array.of(0xe4, 0xf6, 0xfc));
  assert.deepEqual(latin1 && [...latin1], [0xe4, 0x2a, 0xfc]);
});

test('redact is a word for texts and NULL for the rest', () => {
  assert.equal(masked(redact, text, 'secret'), '[redacted]');
  assert.equal(masked(redact, pgColumn(23), '17'), null);
  assert.equal(masked(redact, pgColumn(3802), '{}'), null);
  assert.equal(masked(redact, pgColumn(70_000), 'label'), null);
  assert.equal(masked(redact, myColumn(0xfe), 'secret'), '[redacted]');
  assert.equal(masked(redact, myColumn(0xfe, 'text', 45, 0x100), 'label'), null);
  assert.equal(masked(redact, myColumn(0xf5), '{}'), null);
});

test('hash is keyed and keeps equality', () => {
  const first = masked(hash, text, '123-45-6789');
  assert.match(first ?? '', /^[0-9a-f]{32}$/);
  assert.equal(masked(hash, pgColumn(1043), '123-45-6789'), first);
  assert.notEqual(masked(hash, text, '123-45-6780'), first);
  const other = maskerFor(hash, text, Buffer.alloc(32, 8)).mask(Buffer.from('123-45-6789'));
  assert.notEqual(Buffer.from(other ?? []).toString(), first);
  const uuid = masked(hash, pgColumn(2950), '6f1c2d3e-0000-4000-8000-000000000001');
  assert.match(uuid ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(masked(hash, pgColumn(1700), '1.5'), null);
});

test('year is the first of January in the column’s own form', () => {
  assert.equal(masked(year, pgColumn(1082), '1980-05-17'), '1980-01-01');
  assert.equal(masked(year, pgColumn(1114), '1980-05-17 10:20:30.5'), '1980-01-01 00:00:00');
  assert.equal(masked(year, pgColumn(1184), '1980-05-17 10:20:30+02'), '1980-01-01 00:00:00+00');
  assert.equal(masked(year, pgColumn(1184), '1981-01-01 00:30:00+01'), '1980-01-01 00:00:00+00');
  for (const none of ['17.05.1980', '05/17/1980', '0044-03-15 BC', 'infinity', '']) {
    assert.equal(masked(year, pgColumn(1082), none), null, none);
  }
  assert.equal(masked(year, text, '1980-05-17'), null);
  assert.equal(masked(year, myColumn(0x0a), '1980-05-17'), '1980-01-01');
  assert.equal(masked(year, myColumn(0x0c), '1980-05-17 10:20:30'), '1980-01-01 00:00:00');
  assert.equal(masked(year, myColumn(0x0a), '0000-00-00'), null);
  assert.equal(masked(year, myColumn(0x0d), '1980'), '1980');
  const binary = maskerFor(year, myColumn(0x0c, 'binary'), key);
  assert.deepEqual(
    [...(binary.mask(Uint8Array.of(0xbc, 0x07, 5, 17, 10, 20, 30)) ?? [])],
    [0xbc, 0x07, 1, 1],
  );
  assert.equal(binary.mask(new Uint8Array()), null);
});

test('fixed is a value of the type, or NULL', () => {
  const fixed = (value: string): MaskMethod => ({ method: 'fixed', value });
  assert.equal(masked(fixed('gone'), text, 'x'), 'gone');
  assert.equal(masked(fixed('42'), pgColumn(23), '7'), '42');
  assert.equal(masked(fixed('99999999999'), pgColumn(23), '7'), null);
  assert.equal(masked(fixed('gone'), pgColumn(23), '7'), null);
  assert.equal(masked(fixed('2000-02-29'), pgColumn(1082), '1980-05-17'), '2000-02-29');
  assert.equal(masked(fixed('2001-02-29'), pgColumn(1082), '1980-05-17'), null);
  assert.equal(masked(fixed('true'), pgColumn(16), 'f'), 't');
  assert.equal(masked(fixed('1.50'), myColumn(0xf6), '9.99'), '1.50');
  const tiny = maskerFor(fixed('-3'), myColumn(0x01, 'binary', 63), key).mask(Uint8Array.of(9));
  assert.deepEqual([...(tiny ?? [])], [0xfd]);
  assert.equal(masked(fixed('-3'), myColumn(0x01, 'text', 63, 0x20), '9'), null);
});

test('a character set that isn’t known is NULL, binary strings are bytes', () => {
  const sjis = myColumn(0xfd, 'text', 13);
  for (const method of methods) assert.equal(masked(method, sjis, 'secret'), null);
  assert.equal(masked(card, myColumn(0xfc, 'text', 63), 'secret'), null);
  assert.equal(masked(redact, myColumn(0xfc, 'text', 63), 'secret'), '[redacted]');
});

const days = (date: string): number => (Date.parse(`${date}T00:00:00Z`) - Date.UTC(2000, 0, 1)) / 86_400_000;

test('PostgreSQL: text and binary format have the same mask', () => {
  const dates = fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString());
  fc.assert(
    fc.property(dates, (iso) => {
      const date = iso.slice(0, 10);
      const binary = Buffer.alloc(4);
      binary.writeInt32BE(days(date));
      const result = maskerFor(year, pgColumn(1082, 'binary'), key).mask(binary);
      const expected = masked(year, pgColumn(1082), date);
      assert.equal(Buffer.from(result ?? []).readInt32BE(0), days(expected ?? ''));
      const us = Buffer.alloc(8);
      us.writeBigInt64BE((BigInt(Date.parse(iso)) - BigInt(Date.UTC(2000, 0, 1))) * 1000n);
      const stamp = maskerFor(year, pgColumn(1184, 'binary'), key).mask(us);
      assert.equal(
        Buffer.from(stamp ?? []).readBigInt64BE(0),
        BigInt(days(expected ?? '')) * 86_400_000_000n,
      );
      assert.equal(
        masked(year, pgColumn(1184), `${iso.slice(0, 19).replace('T', ' ')}+00`)?.slice(0, 10),
        expected,
      );
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.uint8Array(), (number, bytes) => {
      const binary = Buffer.alloc(8);
      binary.writeBigInt64BE(number);
      const result = maskerFor(hash, pgColumn(20, 'binary'), key).mask(binary);
      const hashed = Buffer.from(result ?? []).readBigInt64BE(0);
      assert.equal(String(hashed), masked(hash, pgColumn(20), String(number)));
      assert.ok(hashed > 0n);
      const raw = maskerFor(hash, pgColumn(17, 'binary'), key).mask(bytes);
      assert.equal(
        `\\x${Buffer.from(raw ?? []).toString('hex')}`,
        masked(hash, pgColumn(17), `\\x${Buffer.from(bytes).toString('hex')}`),
      );
    }),
  );
});

test('MySQL: text and binary protocol have the same mask', () => {
  const types = [
    [0x01, 1, 8],
    [0x02, 2, 16],
    [0x09, 4, 24],
    [0x03, 4, 32],
    [0x08, 8, 64],
  ] as const;
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 2n ** 64n }),
      (type, unsigned, seed) => {
        const [id, size, bits] = type;
        const number = unsigned ? BigInt.asUintN(bits, seed) : BigInt.asIntN(bits, seed);
        const binary = Buffer.alloc(8);
        binary.writeBigInt64LE(BigInt.asIntN(64, number));
        const flags = unsigned ? 0x20 : 0;
        const result = maskerFor(hash, myColumn(id, 'binary', 63, flags), key).mask(binary.subarray(0, size));
        assert.equal(result?.length, size);
        const hashed = Buffer.concat([result ?? Buffer.alloc(0), Buffer.alloc(8 - size)]).readBigUInt64LE(0);
        assert.equal(String(hashed), masked(hash, myColumn(id, 'text', 63, flags), String(number)));
      },
    ),
  );
});

const pgTypes = [
  16, 17, 19, 20, 21, 23, 25, 26, 114, 700, 701, 705, 1005, 1042, 1043, 1082, 1083, 1114, 1184, 1700, 2950,
  3802, 99_999,
];
const myTypes = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15, 16, 242, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254,
  255,
];
const anyColumn = fc.oneof(
  fc
    .tuple(fc.constantFrom(...pgTypes), fc.constantFrom('text' as const, 'binary' as const))
    .map(([id, format]) => pgColumn(id, format)),
  fc
    .tuple(
      fc.constantFrom(...myTypes),
      fc.constantFrom('text' as const, 'binary' as const),
      fc.constantFrom(8, 11, 13, 28, 33, 45, 63, 255, 1069, 2304, 9999),
      fc.constantFrom(0, 0x20, 0x100, 0x800),
    )
    .map(([id, format, collation, flags]) => myColumn(id, format, collation, flags)),
);

test('whatever the bytes, a mask never throws, never writes to them, and can be read as its type', () => {
  const asciiValue = fc.stringMatching(/^[0-9a-zA-Z @.:+-]{0,30}$/).map((value) => Buffer.from(value));
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    asciiValue,
    fc.string({ unit: 'binary' }).map((one) => Buffer.from(one)),
  );
  fc.assert(
    fc.property(anyColumn, fc.constantFrom(...methods), value, (column, method, bytes) => {
      const before = Buffer.from(bytes);
      const result = maskerFor(method, column, key).mask(bytes);
      assert.deepEqual(Buffer.from(bytes), before);
      if (result === null) return;
      const kind = kindOf(column);
      switch (kind.kind) {
        case 'text':
          if (kind.wide && Buffer.from(before.toString()).equals(before)) {
            assert.ok(Buffer.from(Buffer.from(result).toString()).equals(Buffer.from(result)));
          }
          return;
        case 'integer': {
          const number = kind.read(result);
          assert.ok(number !== null && number >= kind.min && number <= kind.max);
          return;
        }
        case 'bytes':
        case 'uuid':
          assert.notEqual(kind.read(result), null);
          return;
        case 'moment':
          assert.notEqual(kind.readYear(result), null);
          return;
        case 'other':
          assert.fail('a type that is not known has a mask');
      }
    }),
    { numRuns: 3000 },
  );
});

test('nothing of the value is left by redact, hash, null and fixed', () => {
  const silent: readonly MaskMethod[] = [
    redact,
    hash,
    { method: 'null' },
    { method: 'fixed', value: 'gone' },
  ];
  const secret = fc.stringMatching(/^[G-Zg-z]{5,20}$/);
  fc.assert(
    fc.property(anyColumn, fc.constantFrom(...silent), secret, (column, method, word) => {
      const result = maskerFor(method, column, key).mask(Buffer.from(word));
      const shown = Buffer.from(result ?? []).toString('latin1');
      for (let at = 0; at + 4 <= word.length; at += 1) assert.ok(!shown.includes(word.slice(at, at + 4)));
    }),
    { numRuns: 1000 },
  );
});
