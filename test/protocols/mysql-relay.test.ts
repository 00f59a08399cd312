/** The relay as a state machine: transcripts in, bytes for the client out; no server in sight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResultColumn } from '../../masking/masker.ts';
import { ByteWriter, ProtocolError } from '../../protocols/bytes.ts';
import type { Admitted } from '../../protocols/gate.ts';
import { encodePacket } from '../../protocols/mysql/framing.ts';
import { writeLengthBytes } from '../../protocols/mysql/length-encoded.ts';
import { Relay } from '../../protocols/mysql/relay.ts';
import { Breach, type Finished, type Request } from '../../protocols/mysql/requests.ts';
import type { ResultEnds } from '../../protocols/mysql/result-ends.ts';
import { RowWriter } from '../../protocols/mysql/values.ts';
import {
  columnPayload,
  cut,
  eofPayload,
  numbered,
  okEndPayload,
  okPayload,
  resultPayloads,
  textRowPayload,
} from './mysql-chunks.ts';

interface Told {
  readonly completed: (readonly [number, number, string | null])[];
  planned: number[];
}

function leave(more: Partial<Admitted> = {}): { admitted: Admitted; told: Told } {
  const told: Told = { completed: [], planned: [] };
  const admitted: Admitted = {
    effect: 'allow',
    route: 'home',
    text: null,
    statements: 1,
    watched: false,
    settles: false,
    copies: false,
    plan: (columns: readonly ResultColumn[], index) => {
      told.planned.push(index);
      if (!columns.some(({ column }) => column === 'email')) return null;
      return columns.map(({ column }) => (column === 'email' ? { mask: () => Buffer.from('***') } : null));
    },
    completed: (index, rows, _bytes, error) => void told.completed.push([index, rows, error]),
    ...more,
  };
  return { admitted, told };
}

function query(admitted: Admitted): Request {
  return { kind: 'query', admitted, settles: admitted.settles };
}

function run(
  request: Request,
  chunks: readonly Buffer[],
  received = 0,
  ends: ResultEnds = 'eof',
): { out: Buffer; finished: Finished | null } {
  const relay = new Relay(64 * 1024 * 1024, ends);
  relay.begin(request, 0, received);
  const out: Buffer[] = [];
  for (const chunk of chunks) {
    relay.feed(chunk);
    out.push(...relay.outbox.take());
  }
  return { out: Buffer.concat(out), finished: relay.finished };
}

const names = fc.constantFrom('id', 'email', 'name');
const values = fc.option(fc.string({ maxLength: 300 }), { nil: null });
const results = fc
  .record({ columns: fc.array(names, { minLength: 1, maxLength: 4 }), count: fc.integer({ min: 0, max: 6 }) })
  .chain(({ columns, count }) =>
    fc.tuple(
      fc.constant(columns),
      fc.array(fc.array(values, { minLength: columns.length, maxLength: columns.length }), {
        minLength: count,
        maxLength: count,
      }),
    ),
  );
const endings = fc.constantFrom<ResultEnds>('eof', 'ok', 'eof_to_ok');
const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 });

test('the same bytes for the client however the response is cut, masked where the plan says so', () => {
  fc.assert(
    fc.property(results, sizes, fc.boolean(), endings, ([columns, rows], lengths, shifted, ends) => {
      const wire = numbered(resultPayloads(columns, rows, 2, ends === 'ok' ? 'ok' : 'eof'));
      const received = shifted ? 2 : 0;
      const { out, finished } = run(query(leave().admitted), cut(wire, lengths), received, ends);
      const shown = rows.map((row) =>
        row.map((value, index) => (columns[index] === 'email' && value !== null ? '***' : value)),
      );
      const payloads = resultPayloads(columns, shown, 2, ends === 'eof' ? 'eof' : 'ok');
      if (columns.includes('email')) {
        // Warnings are counted no more, once rows are masked.
        if (ends === 'eof') payloads[columns.length + 1]?.writeUInt16LE(0, 1);
        payloads.at(-1)?.writeUInt16LE(0, ends === 'eof' ? 1 : 5);
      }
      assert.ok(out.equals(numbered(payloads, 1 + received)));
      assert.equal(finished?.status, 2);
      assert.equal(finished?.error, null);
    }),
  );
});

test('what is not masked goes through as the chunks that came', () => {
  const wire = numbered(resultPayloads(['id'], [['1'], ['2'], ['3']]));
  const relay = new Relay(1024, 'eof');
  relay.begin(query(leave().admitted), 0, 0);
  relay.feed(wire);
  const parts = relay.outbox.take();
  assert.equal(parts.length, 1);
  assert.equal(parts[0]?.buffer, wire.buffer);
});

test('any bytes end in a response, a ProtocolError or a Breach', () => {
  const kinds = fc.constantFrom('query', 'execute', 'prepare', 'plain', 'internal');
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 6 }))
      .map(([payloads]) => numbered(payloads)),
    fc.tuple(results, fc.nat(), fc.nat(255)).map(([[columns, rows], at, value]) => {
      const wire = numbered(resultPayloads(columns, rows));
      wire[at % wire.length] = value;
      return wire;
    }),
  );
  fc.assert(
    fc.property(kinds, bytes, sizes, endings, (kind, stream, lengths, ends) => {
      const { admitted } = leave();
      const request = { kind, admitted, settles: false, clientId: 1 } as Request;
      try {
        run(request, cut(Buffer.from(stream), lengths), 0, ends);
      } catch (error) {
        assert.ok(error instanceof ProtocolError || error instanceof Breach, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('each statement of a text is planned and completed under its own number', () => {
  const { admitted, told } = leave({ statements: 3 });
  const payloads = [
    ...resultPayloads(['id'], [['1']], 2 | 8),
    okPayload(2 | 8),
    ...resultPayloads(['email'], [['a']]),
  ];
  run(query(admitted), [numbered(payloads)]);
  assert.deepEqual(told.planned, [0, 2]);
  assert.deepEqual(told.completed, [
    [0, 1, null],
    [1, 0, null],
    [2, 1, null],
  ]);
});

test('more results than statements belong to the last one, unless a masked column is in play', () => {
  const payloads = [
    ...resultPayloads(['id'], [['1']], 2 | 8),
    ...resultPayloads(['id'], [['2']], 2 | 8),
    okPayload(2),
  ];
  const { admitted, told } = leave();
  run(query(admitted), [numbered(payloads)]);
  assert.deepEqual(told.planned, [0, 0]);
  assert.deepEqual(told.completed, [[0, 2, null]]);
  assert.throws(() => run(query(leave({ watched: true }).admitted), [numbered(payloads)]), Breach);
});

test('a watched statement tells neither warnings nor the words of an error', () => {
  const { admitted } = leave({ watched: true });
  const ok = run(query(admitted), [numbered([okPayload(2, 'Rows matched: 7')])]).out;
  assert.ok(ok.equals(encodePacket(Buffer.from([0, 3, 0, 2, 0, 0, 0]), 1)));
  const error = new ByteWriter()
    .uint8(0xff)
    .uint16Le(1292)
    .string('#22007')
    .string("value: 'secret'")
    .finish();
  const told = run(query(leave({ watched: true }).admitted), [numbered([error])]).out.toString('latin1');
  assert.match(told, /#22007/);
  assert.doesNotMatch(told, /secret/);
  assert.match(run(query(leave().admitted), [numbered([error])]).out.toString('latin1'), /secret/);
});

test('a refused plan delivers nothing, and its error has the number that the result would have begun with', () => {
  const refused = {
    effect: 'refuse',
    sqlState: '42501',
    message: '',
    detail: '',
    hint: '',
    position: null,
  } as const;
  const relay = new Relay(1024, 'eof');
  relay.begin(query(leave({ plan: () => refused }).admitted), 0, 0);
  assert.throws(() => relay.feed(numbered(resultPayloads(['id'], [['1']]))), Breach);
  assert.equal(relay.outbox.take().length, 0);
  assert.equal(relay.nextSequence, 1);
});

test('a request for a local file is a breach', () => {
  const request = query(leave().admitted);
  assert.throws(() => run(request, [numbered([Buffer.from('\u00fb/etc/passwd', 'latin1')])]), Breach);
});

test("a settling statement's end is held back", () => {
  const { out, finished } = run(query(leave({ settles: true }).admitted), [numbered([okPayload(2)])]);
  assert.equal(out.length, 0);
  assert.ok(Buffer.concat(finished?.held ?? []).equals(numbered([okPayload(2)])));
  assert.equal(finished?.nextSequence, 1);
});

test('a row that shrinks from several packets to one renumbers what follows', () => {
  const long = 'x'.repeat(0xffffff + 10);
  const payloads = [...resultPayloads(['email'], [[long], ['b']], 2 | 8), ...resultPayloads(['id'], [['1']])];
  const wire = Buffer.concat(
    payloads.map((payload, index) => encodePacket(payload, index < 4 ? index + 1 : index + 2)),
  );
  const { out } = run(query(leave({ statements: 2 }).admitted), cut(wire, [1 << 20]));
  const expected = [
    ...resultPayloads(['email'], [['***'], ['***']], 2 | 8),
    ...resultPayloads(['id'], [['1']]),
  ];
  for (const payload of expected)
    if (payload[0] === 0xfe && payload.length === 5) payload.writeUInt16LE(0, 1);
  assert.ok(out.equals(numbered(expected)));
});

test('an abandoned statement is completed once, with what was delivered', () => {
  const { admitted, told } = leave();
  const relay = new Relay(1024, 'eof');
  relay.begin(query(admitted), 0, 0);
  relay.feed(numbered(resultPayloads(['id'], [['1'], ['2']]).slice(0, -1)));
  relay.abandon('2013');
  relay.abandon('2013');
  assert.deepEqual(told.completed, [[0, 2, '2013']]);
});

test('binary rows keep the layout of every type, whatever a mask answers', () => {
  const types = [0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0xfd, 0xf6, 0x10];
  const widths: Record<number, number> = { 1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 8: 8, 9: 4, 13: 2 };
  const columns = types.map((typeId) => ({ typeId }) as ResultColumn);
  const row = new ByteWriter().uint8(0).zeros((types.length + 9) >> 3);
  for (const typeId of types) {
    const width = widths[typeId];
    if (width !== undefined) row.zeros(width);
    else if (typeId === 0x0b) row.uint8(8).zeros(8);
    else if (typeId === 0x0a || typeId === 0x0c) row.uint8(4).zeros(4);
    else writeLengthBytes(row, Buffer.from('value'));
  }
  const bytes = row.finish();
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.uint8Array({ maxLength: 12 })), { minLength: 14, maxLength: 14 }),
      (masks) => {
        const writer = new RowWriter();
        writer.begin(16);
        const plan = masks.map((mask, index) => (index % 3 === 0 ? null : { mask: () => mask }));
        writer.binaryRow(bytes, 0, bytes.length, columns, plan);
        // The result is a row of the same columns: reading it again without masks changes nothing.
        const again = new RowWriter();
        again.begin(16);
        const masked = Buffer.from(writer.buffer.subarray(0, writer.length));
        again.binaryRow(
          masked,
          0,
          masked.length,
          columns,
          types.map(() => null),
        );
        assert.ok(again.buffer.subarray(0, again.length).equals(masked));
      },
    ),
  );
});

test('prepared statements: ids are ours, definitions pass', () => {
  const { admitted } = leave();
  const prepareOk = (id: number): Buffer =>
    new ByteWriter().uint8(0).uint32Le(id).uint16Le(1).uint16Le(1).uint8(0).uint16Le(0).finish();
  const rest = [columnPayload('?'), eofPayload(2), columnPayload('email'), eofPayload(2)];
  const { out, finished } = run({ kind: 'prepare', admitted, clientId: 7 }, [
    numbered([prepareOk(99), ...rest]),
  ]);
  assert.ok(out.equals(numbered([prepareOk(7), ...rest])));
  assert.equal(finished?.prepared?.statementId, 99);
});

test('under DEPRECATE_EOF a row may be long enough to begin as an end does', () => {
  const long = 'x'.repeat(0x1000000);
  for (const ends of ['ok', 'eof_to_ok'] as const) {
    const from = resultPayloads(['id'], [[long], ['b']], 2, ends === 'ok' ? 'ok' : 'eof');
    const longAt = ends === 'ok' ? 2 : 3;
    const wire = (payloads: Buffer[], at: number): Buffer =>
      Buffer.concat(
        payloads.map((payload, index) => encodePacket(payload, index <= at ? index + 1 : index + 2)),
      );
    const { out, finished } = run(query(leave().admitted), cut(wire(from, longAt), [1 << 20]), 0, ends);
    assert.ok(out.equals(wire(resultPayloads(['id'], [[long], ['b']], 2, 'ok'), 2)));
    assert.equal(finished?.error, null);
  }
});

test('several results and an error, with ends translated', () => {
  const first = (ends: 'eof' | 'ok'): Buffer[] => resultPayloads(['id'], [['1']], 2 | 8, ends);
  const error = new ByteWriter().uint8(0xff).uint16Le(1054).string('#42S22no').finish();
  const second = [Buffer.from([1]), columnPayload('id')];
  const row = textRowPayload(['2']);
  const wire = numbered([...first('eof'), okPayload(2 | 8), ...second, eofPayload(2), row, error]);
  const { out, finished } = run(query(leave({ statements: 3 }).admitted), [wire], 0, 'eof_to_ok');
  assert.ok(out.equals(numbered([...first('ok'), okPayload(2 | 8), ...second, row, error])));
  assert.equal(finished?.nextSequence, 10);
});

test('definitions of a prepared statement, with ends left out', () => {
  for (const [parameters, columns] of [
    [0, 0],
    [2, 0],
    [0, 1],
    [1, 2],
  ] as const) {
    const ok = new ByteWriter().uint8(0).uint32Le(7).uint16Le(columns).uint16Le(parameters).zeros(3).finish();
    const definitions = (count: number): Buffer[] => Array.from({ length: count }, () => columnPayload('id'));
    const end = (count: number): Buffer[] => (count > 0 ? [eofPayload(2)] : []);
    const inParts = [
      ok,
      ...definitions(parameters),
      ...end(parameters),
      ...definitions(columns),
      ...end(columns),
    ];
    const bare = numbered([ok, ...definitions(parameters), ...definitions(columns)]);
    for (const ends of ['ok', 'eof_to_ok'] as const) {
      const { admitted } = leave();
      const wire = ends === 'ok' ? Buffer.from(bare) : numbered(inParts);
      const { out, finished } = run({ kind: 'prepare', admitted, clientId: 7 }, [wire], 0, ends);
      assert.ok(out.equals(bare));
      assert.equal(finished?.error, null);
    }
  }
});

test("what answers COM_SET_OPTION is an end in the client's form", () => {
  const plain: Request = { kind: 'plain' };
  assert.ok(run(plain, [numbered([eofPayload(2)])]).out.equals(numbered([eofPayload(2)])));
  assert.ok(run(plain, [numbered([okEndPayload(2)])], 0, 'ok').out.equals(numbered([okEndPayload(2)])));
  assert.ok(run(plain, [numbered([eofPayload(2)])], 0, 'eof_to_ok').out.equals(numbered([okEndPayload(2)])));
});

test('rows of another shape than their columns are malformed', () => {
  const payloads = resultPayloads(['email', 'id'], [['a', '1']]);
  const shapes = [textRowPayload(['a']), textRowPayload(['a', 'b', 'c']), Buffer.from([1]), Buffer.alloc(0)];
  for (const row of [...shapes, Buffer.from([0xfe]), Buffer.from([0xff])]) {
    payloads[4] = row;
    assert.throws(() => run(query(leave().admitted), [numbered(payloads)]), ProtocolError);
  }
});
