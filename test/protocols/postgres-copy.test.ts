/** Byte transcripts of COPY through the relay, without a socket, cut at random places. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CopyPlan } from '../../masking/masker.ts';
import { Relay } from '../../protocols/postgres/relay.ts';
import type { Copy } from '../../sql/statement.ts';
import { encodeStream, type Row } from './copy-format.ts';
import { type OpenGateOptions, OpenGateSession } from './postgres-open-gate.ts';
import { answer, framesOf, message, say, typesOf } from './postgres-wire.ts';

function start(options: Partial<OpenGateOptions> = {}) {
  const session = new OpenGateSession({ targets: [], ...options });
  const sent: Buffer[] = [];
  const got: Buffer[] = [];
  const ends = {
    ended: false,
    toClient: (bytes: Buffer) => void got.push(Buffer.from(bytes)),
    toUpstream: (bytes: Buffer) => void sent.push(Buffer.from(bytes)),
    switchTo: async () => {},
    holdClient: () => {},
    end(response: Buffer | null) {
      ends.ended = true;
      if (response !== null) got.push(response);
    },
  };
  const relay = new Relay(session, ends, 'home', '{pg_catalog,public}');
  return {
    session,
    ends,
    relay,
    client: (...frames: Buffer[]) => relay.client(Buffer.concat(frames)),
    upstream: (...frames: Buffer[]) => relay.fromUpstream(Buffer.concat(frames)),
    /** What came since the last look. */
    sent: () => Buffer.concat(sent.splice(0)),
    got: () => Buffer.concat(got.splice(0)),
  };
}

const base: Copy = {
  direction: 'out',
  format: 'text',
  delimiter: '\t',
  nullText: '\\N',
  quote: '"',
  escape: '"',
  header: false,
  forceQuote: [],
};
const layouts: Readonly<Record<string, Copy>> = {
  text: base,
  'text with another delimiter': { ...base, delimiter: '|' },
  'text with a header': { ...base, header: true },
  csv: { ...base, format: 'csv', delimiter: ',', nullText: '' },
  'csv, all quoted': { ...base, format: 'csv', delimiter: ',', nullText: '', forceQuote: 'all' },
  'csv with a header': { ...base, format: 'csv', delimiter: ',', nullText: '', header: true },
  'csv with an escape of its own': {
    ...base,
    format: 'csv',
    delimiter: ';',
    nullText: 'NIL',
    quote: "'",
    escape: '\\',
  },
  binary: { ...base, format: 'binary' },
};

/** Reverses bytes and adds every special one; longer values of a kind become NULL. */
function mask(value: Uint8Array): Buffer | null {
  if (value.length % 5 === 4) return null;
  return Buffer.from([...value].reverse().concat([...Buffer.from('\\\t\n\r,;|"\'')]));
}

const planOf = (layout: Copy): CopyPlan => ({
  layout,
  columns: [null, { mask }, null, { mask }],
  quoted: Array(4).fill(layout.forceQuote === 'all'),
});

const value = fc.oneof(
  fc.constant(null),
  fc.constantFrom('', '\\N', '\\.', 'NIL', '"', "'", '\\', 'a\\tb').map((text) => Buffer.from(text)),
  fc
    .array(fc.constantFrom(...'ab\\\t\n\r,;|"\'N.\b\f\v\xe9'), { maxLength: 8 })
    .map((chars) => Buffer.from(chars.join(''), 'latin1')),
);
const rowsOfFour = fc.array(fc.tuple(value, value, value, value), { maxLength: 6 });

/** Cuts bytes into pieces of the given lengths, over and over. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = at + (lengths[i % lengths.length] ?? 1);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}
const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

function dataOf(bytes: Buffer): Buffer {
  return Buffer.concat(
    framesOf(bytes)
      .filter((frame) => frame[0] === 0x64)
      .map((frame) => frame.subarray(5)),
  );
}

describe('COPY to the client, masked', () => {
  for (const [name, layout] of Object.entries(layouts)) {
    it(`${name}: any rows, cut anywhere, come as if the server had written the masks`, () => {
      fc.assert(
        fc.property(rowsOfFour, lengths, lengths, (rows, frameLengths, readLengths) => {
          const { client, upstream, got } = start({ copyPlan: planOf(layout) });
          client(say.query('copy t to stdout'));
          const header = layout.header ? [['a', 'b', 'c', 'd'].map((text) => Buffer.from(text))] : [];
          const whole: Row[] = [...header, ...rows];
          const stream = cut(encodeStream(whole, layout), frameLengths).map(answer.copyData);
          const bytes = Buffer.concat([
            answer.copyOut(4, layout.format === 'binary' ? 1 : 0),
            ...stream,
            answer.copyDone(),
            answer.complete(`COPY ${rows.length}`),
            answer.ready(),
          ]);
          for (const piece of cut(bytes, readLengths)) upstream(piece);
          const masked: Row[] = [
            ...header,
            ...rows.map((row) => row.map((one, i) => (one && i % 2 === 1 ? mask(one) : one))),
          ];
          const answered = got();
          assert.deepEqual(
            dataOf(answered).toString('latin1'),
            encodeStream(masked, layout).toString('latin1'),
          );
          const lines = whole.length + (layout.format === 'binary' ? 1 : 0);
          assert.equal(typesOf(answered), `H${'d'.repeat(lines)}cCZ`);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('says nothing by quotes of what stood there', () => {
    const { client, upstream, got } = start({
      copyPlan: {
        layout: { ...layouts.csv!, nullText: 'secret' },
        columns: [{ mask: () => Buffer.from('x') }],
        quoted: [false],
      },
    });
    client(say.query('copy t to stdout'));
    upstream(answer.copyOut(1), answer.copyData('"secret"\n'), answer.copyData('other\n'));
    upstream(answer.copyData('secret\n'));
    assert.equal(dataOf(got()).toString(), 'x\nx\nsecret\n');
  });

  it('is reported with rows and the bytes that the client got', () => {
    const { client, upstream, session, got } = start({
      copyPlan: { layout: base, columns: [{ mask: () => Buffer.from('xyz') }], quoted: [false] },
    });
    client(say.parse('', 'copy customers to stdout'), say.bind('', ''), say.execute(''), say.sync());
    upstream(answer.parsed(), answer.bound(), answer.noData(), answer.copyOut(1));
    upstream(answer.copyData('a\nb'), answer.copyData('c\n'), answer.copyDone());
    upstream(answer.complete('COPY 2'), answer.ready());
    assert.equal(typesOf(got()), '12HddcCZ');
    assert.deepEqual(
      session.completions.map(({ rows, bytes, error }) => ({ rows, bytes, error })),
      [{ rows: 2, bytes: 18, error: null }],
    );
  });

  const malformed: readonly (readonly [string, Copy, string | Buffer])[] = [
    ['too few columns', base, 'a\tb\n'],
    ['too many columns', base, 'a\tb\tc\td\te\n'],
    ['an escape that no server writes', base, 'a\t\\q\tc\td\n'],
    ['a row without end', base, 'a\tb'],
    ['half a quoted value', layouts.csv!, 'a,"b'],
    ['text behind a quoted value', layouts.csv!, 'a,"b"c,d,e\n'],
    ['a quote inside a plain value', layouts.csv!, 'a,b"c,d,e\n'],
    ['no signature', layouts.binary!, Buffer.alloc(40)],
    ['no trailer', layouts.binary!, encodeStream([], layouts.binary!).subarray(0, 19)],
    [
      'data behind the trailer',
      layouts.binary!,
      Buffer.concat([encodeStream([], layouts.binary!), Buffer.from('x')]),
    ],
    ['another number of columns', layouts.binary!, encodeStream([[Buffer.from('secret')]], layouts.binary!)],
  ];
  for (const [name, layout, data] of malformed) {
    it(`ends the session at ${name}`, () => {
      const { client, upstream, ends, got, session } = start({ copyPlan: planOf(layout) });
      client(say.query('copy t to stdout'));
      upstream(answer.copyOut(4, layout.format === 'binary' ? 1 : 0), answer.copyData(data));
      upstream(answer.copyDone());
      assert.ok(ends.ended);
      assert.doesNotMatch(got().toString('latin1'), /secret|\\q/);
      assert.equal(session.completions.length, 1);
    });
  }
});

describe('COPY to the client, unmasked', () => {
  it('passes as it came, in one piece, cut anywhere', () => {
    const bytes = Buffer.concat([
      answer.copyOut(2),
      answer.copyData('1\tone\n'),
      answer.copyData('2\ttwo\n'),
      answer.copyDone(),
      answer.complete('COPY 2'),
      answer.ready(),
    ]);
    for (let at = 1; at < bytes.length; at++) {
      const { client, upstream, session, got } = start();
      client(say.query('copy t to stdout'));
      upstream(bytes.subarray(0, at));
      upstream(bytes.subarray(at));
      assert.deepEqual(got(), bytes);
      assert.equal(session.completions[0]?.rows, 2);
      assert.equal(session.completions[0]?.bytes, 22);
    }
  });

  it('may fail in the middle, and the session goes on', () => {
    const { client, upstream, got, session } = start();
    client(say.query('copy t to stdout'), say.query('select 1'));
    upstream(answer.copyOut(1), answer.copyData('1\n'), answer.error('57014'), answer.ready());
    upstream(answer.columns('n'), answer.row('1'), answer.complete('SELECT 1'), answer.ready());
    assert.equal(typesOf(got()), 'HdEZTDCZ');
    assert.deepEqual(
      session.completions.map((one) => one.error),
      ['57014', null],
    );
  });

  const breaches: readonly (readonly [string, string, readonly Buffer[]])[] = [
    ['a COPY where none was admitted', 'select 1', [answer.copyOut(1)]],
    ['a COPY the other way', 'copy t to stdout', [answer.copyIn(1)]],
    ['the other way round', 'copy t from stdin', [answer.copyOut(1)]],
    ['CopyBothResponse', 'copy t to stdout', [message('W', [0, 0, 0])]],
    ['data without a beginning', 'copy t to stdout', [answer.copyData('x\n')]],
    ['an end without a beginning', 'copy t to stdout', [answer.copyDone()]],
    ['a second beginning', 'copy t to stdout', [answer.copyOut(1), answer.copyOut(1)]],
    ['completion before the end', 'copy t to stdout', [answer.copyOut(1), answer.complete('COPY 0')]],
    ['completion without a beginning', 'copy t to stdout', [answer.complete('COPY 0')]],
    ['a row in its place', 'copy t to stdout', [answer.row('x')]],
    ['a row in the middle', 'copy t to stdout', [answer.copyOut(1), answer.row('x')]],
    ['a format that there is not', 'copy t to stdout', [answer.copyOut(1, 2)]],
    ['completion while the client gives', 'copy t from stdin', [answer.copyIn(1), answer.complete('COPY 0')]],
  ];
  for (const [name, text, frames] of breaches) {
    it(`does not pass ${name}`, () => {
      const { client, upstream, ends } = start();
      client(say.query(text));
      upstream(...frames);
      assert.ok(ends.ended);
    });
  }

  it('a contradiction ends the session before any data', () => {
    const { client, upstream, ends, session, got } = start();
    session.contradicts = true;
    client(say.query('copy t to stdout'));
    upstream(answer.copyOut(1), answer.copyData('secret\n'));
    assert.ok(ends.ended);
    assert.equal(typesOf(got()), 'E');
  });
});

describe('COPY from the client', () => {
  it('waits for the server, then passes byte for byte', () => {
    const { client, upstream, session, sent, got } = start();
    client(say.query('copy t from stdin'), say.copyData('1\n'), say.copyDone(), say.query('select 1'));
    assert.equal(typesOf(sent()), 'Q');
    upstream(answer.copyIn(1));
    assert.deepEqual(sent(), Buffer.concat([say.copyData('1\n'), say.copyDone()]));
    upstream(answer.complete('COPY 1'), answer.ready());
    assert.equal(typesOf(sent()), 'Q');
    assert.equal(typesOf(got()), 'GCZ');
    assert.deepEqual(session.completions, [
      { text: 'copy t from stdin', index: 0, rows: 1, bytes: 7, error: null },
    ]);
  });

  it('in the extended protocol, with a Sync that the server does not heed', () => {
    const { client, upstream, sent, got } = start();
    client(say.parse('', 'copy t from stdin'), say.bind('', ''), say.execute(''), say.sync());
    assert.equal(typesOf(sent()), 'PBE');
    upstream(answer.parsed(), answer.bound(), answer.copyIn(1));
    client(say.copyData('1\n'), say.flush(), say.copyData('2\n'), say.copyDone(), say.sync());
    assert.equal(typesOf(sent()), 'ddcS');
    upstream(answer.complete('COPY 2'), answer.ready());
    client(say.query('select 1'));
    assert.equal(typesOf(sent()), 'Q');
    assert.equal(typesOf(got()), '12GCZ');
  });

  it('failed by the client', () => {
    const { client, upstream, session, sent, got } = start();
    client(say.query('copy t from stdin'));
    upstream(answer.copyIn(1));
    client(say.copyData('1\n'), say.copyFail('changed my mind'), say.query('select 1'));
    assert.equal(typesOf(sent()), 'Qdf');
    upstream(answer.error('57014'), answer.ready());
    assert.equal(typesOf(sent()), 'Q');
    assert.equal(typesOf(got()), 'GEZ');
    assert.equal(session.completions[0]?.error, '57014');
  });

  for (const late of [say.copyData('2\n'), say.copyDone(), say.copyFail('late')]) {
    it(`failed by the server, ${typesOf(late)} comes too late`, () => {
      const { client, upstream, sent, got } = start();
      client(say.query('copy t from stdin'));
      upstream(answer.copyIn(1));
      client(say.copyData('1\n'));
      upstream(answer.error('22P02'), answer.ready());
      sent();
      client(late, say.query('select 1'));
      assert.equal(typesOf(sent()), 'Q');
      upstream(answer.columns('n'), answer.complete('SELECT 0'), answer.ready());
      assert.equal(typesOf(got()), 'GEZTCZ');
    });

    it(`failed by the server in a pipeline, ${typesOf(late)} comes too late`, () => {
      const { client, upstream, sent, got } = start();
      client(say.parse('', 'copy t from stdin'), say.bind('', ''), say.execute(''), say.sync());
      upstream(answer.parsed(), answer.bound(), answer.copyIn(1));
      client(say.copyData('1\n'));
      upstream(answer.error('22P02'));
      sent();
      client(late, say.parse('', 'select 1'), say.sync(), say.query('select 1'));
      assert.equal(typesOf(sent()), 'SQ');
      upstream(answer.ready(), answer.columns('n'), answer.complete('SELECT 0'), answer.ready());
      assert.equal(typesOf(got()), '12GEZTCZ');
    });
  }

  it('refused by the server before it begins', () => {
    const { client, upstream, sent } = start();
    client(say.parse('', 'copy t from stdin'), say.bind('', ''), say.execute(''), say.sync());
    upstream(answer.parsed(), answer.bound(), answer.error('42501'));
    assert.equal(typesOf(sent()), 'PBES');
    upstream(answer.ready());
    client(say.query('copy t from stdin'));
    upstream(answer.error('42501'), answer.ready());
    client(say.query('select 1'));
    assert.equal(typesOf(sent()), 'QQ');
  });

  it('several in one text', () => {
    const { client, upstream, session, sent } = start();
    client(say.query('copy a from stdin; copy b from stdin; copy c to stdout; select 1'));
    upstream(answer.copyIn(1));
    client(say.copyData('1\n'), say.copyDone(), say.copyData('22\n'), say.copyDone(), say.query('select 2'));
    assert.equal(typesOf(sent()), 'Qdc');
    upstream(answer.complete('COPY 1'), answer.copyIn(1));
    assert.equal(typesOf(sent()), 'dc');
    upstream(answer.complete('COPY 1'), answer.copyOut(1), answer.copyDone(), answer.complete('COPY 0'));
    upstream(answer.columns('n'), answer.row('1'), answer.complete('SELECT 1'));
    assert.equal(typesOf(sent()), '');
    upstream(answer.ready());
    assert.equal(typesOf(sent()), 'Q');
    assert.deepEqual(
      session.completions.map(({ index, rows, bytes }) => [index, rows, bytes]),
      [
        [0, 1, 7],
        [1, 1, 8],
        [2, 0, 0],
        [3, 1, 12],
      ],
    );
  });

  it('is not mixed with other messages', () => {
    for (const other of [say.query('select 1'), say.parse('', 'select 1'), message('F', Buffer.alloc(10))]) {
      const { client, upstream, ends, sent } = start();
      client(say.query('copy t from stdin'));
      upstream(answer.copyIn(1));
      sent();
      client(say.copyData('1\n'), other);
      assert.ok(ends.ended);
      assert.doesNotMatch(sent().toString('latin1'), /select/);
    }
  });

  it('a client that leaves ends it unfinished', () => {
    const { client, upstream, ends, session } = start();
    client(say.query('copy t from stdin'));
    upstream(answer.copyIn(1));
    client(say.copyData('1\n'), say.terminate());
    assert.ok(ends.ended);
    assert.equal(session.completions[0]?.error, '57P01');
  });

  it('drains behind it', () => {
    const { client, upstream, ends, relay } = start();
    client(say.query('copy t from stdin'));
    upstream(answer.copyIn(1));
    relay.drain();
    client(say.copyData('1\n'));
    assert.ok(!ends.ended);
    client(say.copyDone());
    upstream(answer.complete('COPY 1'), answer.ready());
    assert.ok(ends.ended);
  });

  it('comes out the same wherever it is cut', () => {
    fc.assert(
      fc.property(lengths, lengths, (clientLengths, serverLengths) => {
        const { client, upstream, sent, got } = start();
        for (const piece of cut(say.query('copy t from stdin'), clientLengths)) client(piece);
        for (const piece of cut(answer.copyIn(1), serverLengths)) upstream(piece);
        const given = Buffer.concat([say.copyData('1\n'), say.copyData('2\n'), say.copyDone()]);
        for (const piece of cut(given, clientLengths)) client(piece);
        assert.deepEqual(sent(), Buffer.concat([say.query('copy t from stdin'), given]));
        for (const piece of cut(Buffer.concat([answer.complete('COPY 2'), answer.ready()]), serverLengths))
          upstream(piece);
        assert.equal(typesOf(got()), 'GCZ');
      }),
      { numRuns: 50 },
    );
  });
});
