/** Byte transcripts through the relay, without a socket: what the upstream saw, what the client got. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { start, state } from './postgres-relay-start.ts';
import { answer, framesOf, message, say, typesOf } from './postgres-wire.ts';

function fieldsOf(frame: Buffer): Map<string, string> {
  const words = frame
    .toString('utf8', 5)
    .split('\0')
    .filter((word) => word !== '');
  return new Map(words.map((word) => [word[0]!, word.slice(1)]));
}

describe('what is admitted', () => {
  it('goes on byte for byte, a chunk in one piece', () => {
    const { client, upstream, ends } = start();
    const sent = [
      say.parse('s', 'select 1'),
      say.bind('', 's'),
      say.describe('P', ''),
      say.execute(''),
      say.sync(),
    ];
    client(...sent);
    assert.equal(ends.upstream.length, 1);
    assert.deepEqual(ends.takeUpstream(), Buffer.concat(sent));
    const got = [
      answer.parsed(),
      answer.bound(),
      answer.columns('n'),
      answer.row('1'),
      answer.complete('SELECT 1'),
      answer.ready(),
    ];
    upstream(...got);
    assert.equal(ends.client.length, 1);
    assert.deepEqual(ends.takeClient(), Buffer.concat(got));
  });

  it('is reported with rows, bytes and error', () => {
    const { client, upstream, session } = start();
    client(say.query('select 1; select 2'));
    upstream(
      answer.columns('n'),
      answer.row('1'),
      answer.row('22'),
      answer.complete('SELECT 2'),
      answer.error('22012'),
      answer.ready(),
    );
    assert.deepEqual(session.completions, [
      { text: 'select 1; select 2', index: 0, rows: 2, bytes: 25, error: null },
      { text: 'select 1; select 2', index: 1, rows: 0, bytes: 0, error: '22012' },
    ]);
  });

  it('executes a suspended portal again only after asking again', () => {
    const { client, upstream, session, ends } = start();
    client(say.parse('', 'select n'), say.bind('p', ''), say.execute('p', 1), say.flush());
    upstream(answer.parsed(), answer.bound(), answer.row('1'), answer.suspended());
    session.executionsRefused = true;
    ends.takeUpstream();
    client(say.execute('p', 1), say.sync());
    assert.deepEqual(typesOf(ends.takeUpstream()), 'PS');
    assert.equal(session.completions.length, 1);
  });
});

describe('what is refused', () => {
  it('is replaced, and its error is ours', () => {
    const { client, upstream, ends } = start();
    client(say.query('select forbidden'));
    const sent = ends.takeUpstream();
    assert.equal(typesOf(sent), 'Q');
    assert.doesNotMatch(sent.toString('latin1'), /forbidden|select/);
    upstream(answer.error('42601', 'syntax error'), answer.ready('E'));
    const [error, ready] = framesOf(ends.takeClient());
    assert.deepEqual(ready, answer.ready('E'));
    const fields = fieldsOf(error!);
    assert.equal(fields.get('C'), '42501');
    assert.equal(fields.get('S'), 'ERROR');
    assert.equal(fields.get('H'), 'ask for less');
  });

  it('takes what follows up to Sync with it', () => {
    const { client, upstream, session, ends } = start();
    client(
      say.parse('', 'forbidden'),
      say.bind('', ''),
      say.execute(''),
      say.parse('t', 'select 1'),
      say.sync(),
      say.query('select 2'),
    );
    assert.equal(typesOf(ends.takeUpstream()), 'PSQ');
    assert.deepEqual(session.texts, ['forbidden', 'select 2']);
    upstream(
      answer.error('42601'),
      answer.ready(),
      answer.columns('n'),
      answer.row('2'),
      answer.complete('SELECT 1'),
      answer.ready(),
    );
    assert.equal(typesOf(ends.takeClient()), 'EZTDCZ');
  });

  it('keeps its place behind an earlier failure of the server', () => {
    const { client, upstream, ends } = start();
    client(say.parse('', 'select 1'), say.parse('u', 'forbidden'), say.sync());
    upstream(answer.error('42P01', 'no such table'), answer.ready());
    const [error] = framesOf(ends.takeClient());
    assert.equal(fieldsOf(error!).get('M'), 'no such table');
  });

  it('is an FunctionCall, an unknown statement, an unknown portal', () => {
    const { client, ends, session } = start();
    client(message('F', Buffer.alloc(10)));
    assert.equal(typesOf(ends.takeUpstream()), 'Q');
    assert.deepEqual(session.refusedMessages, ['FunctionCall']);
    client(say.bind('', 'nobody'), say.sync());
    client(say.execute('nobody'), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'PSPS');
  });

  it('is a text that is no UTF-8', () => {
    const { client, ends, session } = start();
    client(message('Q', Buffer.from([0x73, 0xff, 0])));
    assert.equal(session.texts.length, 0);
    assert.doesNotMatch(ends.takeUpstream().toString('latin1'), /\xff/);
  });

  it('a server that accepts the replacement is not believed', () => {
    for (const frames of [
      [answer.complete('SELECT 1')],
      [answer.columns('n')],
      [answer.ready()],
      [answer.row('1')],
    ]) {
      const { client, upstream, ends } = start();
      client(say.query('forbidden'));
      upstream(...frames);
      assert.ok(ends.ended);
      assert.equal(fieldsOf(ends.takeClient()).get('S'), 'FATAL');
    }
  });
});

describe('masked rows', () => {
  it('are described first when the client does not ask', () => {
    const { client, upstream, ends } = start();
    client(say.parse('s', 'select id, email'), say.sync());
    upstream(answer.parsed(), answer.ready());
    ends.takeClient();
    ends.takeUpstream();
    client(say.bind('', 's'), say.execute(''), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'BDES');
    upstream(
      answer.bound(),
      answer.columns('id', 'email'),
      answer.row('1', 'a@b'),
      answer.row('2', null),
      answer.complete('SELECT 2'),
      answer.ready(),
    );
    assert.deepEqual(
      ends.takeClient(),
      Buffer.concat([
        answer.bound(),
        answer.row('1', 'masked'),
        answer.row('2', null),
        answer.complete('SELECT 2'),
        answer.ready(),
      ]),
    );
  });

  it('take the formats of the Bind when only the statement was described', () => {
    const { client, upstream, session } = start();
    client(say.parse('s', 'select 1'), say.describe('S', 's'), say.sync());
    upstream(answer.parsed(), answer.parameters(), answer.columns('id', 'email'), answer.ready());
    client(say.bind('', 's', [0, 1]), say.execute(''), say.sync());
    upstream(answer.bound(), answer.row('1', 'a@b'));
    assert.deepEqual(
      session.columns.at(-1)?.map((column) => column.format),
      ['text', 'binary'],
    );
  });

  it('are never delivered when a witness contradicts', () => {
    const { client, upstream, ends, session } = start();
    session.contradicts = true;
    client(say.query('select email'));
    upstream(answer.columns('email'), answer.row('a@b'));
    const got = ends.takeClient();
    assert.equal(typesOf(got), 'E');
    assert.equal(fieldsOf(got).get('S'), 'FATAL');
    assert.ok(ends.ended);
  });

  it('of another shape than described end the session, and leave nothing behind', () => {
    const wrong = [
      answer.row('1'),
      message('D', Buffer.from([0, 2, 0, 0, 0, 1, 65, 0, 0, 0, 9, 65])),
      message('D', Buffer.from([0, 2, 0, 0, 0, 1, 65, 255, 255, 255, 254])),
      message('D', Buffer.from([0, 2, 0, 0, 0, 1, 65, 0, 0, 0, 1, 65, 66])),
    ];
    for (const row of wrong) {
      const { client, upstream, ends } = start();
      client(say.query('select id, email'));
      upstream(answer.columns('id', 'email'), answer.row('1', 'a@b'), row);
      const got = ends.takeClient();
      assert.equal(typesOf(got), 'TDE');
      assert.ok(ends.ended);
    }
  });

  it('withhold errors and notices of the statement and of its transaction', () => {
    const { client, upstream, ends } = start();
    client(say.query('select email'));
    upstream(
      answer.columns('email'),
      answer.notice('value a@b'),
      answer.complete('SELECT 0'),
      answer.ready('T'),
    );
    client(say.query('commit'));
    upstream(answer.error('23505', 'a@b'), answer.ready());
    assert.doesNotMatch(ends.takeClient().toString(), /a@b/);
    client(say.query('select 1'));
    upstream(answer.notice('harmless words'), answer.error('22012', 'plain words'), answer.ready());
    assert.match(ends.takeClient().toString(), /harmless words.*plain words/s);
  });
});

describe('names', () => {
  const watched = 'select email from customers';

  it('whose Parse was skipped keep their old meaning: later pipelines wait for the answer', () => {
    const { client, upstream, ends } = start();
    client(say.parse('', watched), say.sync());
    upstream(answer.parsed(), answer.ready());
    ends.takeUpstream();
    client(
      say.parse('x', 'select broken'),
      say.parse('', 'select 1'),
      say.sync(),
      say.bind('', ''),
      say.execute(''),
      say.sync(),
    );
    assert.equal(typesOf(ends.takeUpstream()), 'PPS');
    assert.ok(ends.held);
    upstream(answer.error('42601'), answer.ready());
    // The server still holds the masked statement under that name: its rows are described and masked.
    assert.equal(typesOf(ends.takeUpstream()), 'BDES');
    assert.ok(!ends.held);
  });

  it('longer than 63 bytes are one when they begin alike', () => {
    const { client, upstream, ends } = start();
    const long = 'n'.repeat(63);
    client(say.parse(`${long}X`, 'select 1'), say.sync());
    upstream(answer.parsed(), answer.ready());
    client(say.close('S', `${long}Y`), say.parse(`${long}Z`, watched), say.sync());
    upstream(answer.closed(), answer.parsed(), answer.ready());
    ends.takeUpstream();
    client(say.bind('', `${long}X`), say.execute(''), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'BDES');
  });

  it('that SQL released and made anew are forgotten', () => {
    const { client, upstream, ends } = start();
    client(say.parse('s', 'select 1'), say.sync());
    upstream(answer.parsed(), answer.ready());
    client(say.query('deallocate s'));
    upstream(answer.complete('DEALLOCATE'), answer.ready());
    ends.takeUpstream();
    client(say.bind('', 's'), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'BS');
    upstream(answer.error('26000'), answer.ready());
    client(say.query('prepare s as select email'));
    upstream(answer.complete('PREPARE'), answer.ready());
    ends.takeUpstream();
    client(say.bind('', 's'), say.execute(''), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'PS');
  });

  it('of portals end with the transaction', () => {
    const { client, upstream, ends } = start();
    client(say.parse('s', 'select 1'), say.bind('p', 's'), say.sync());
    upstream(answer.parsed(), answer.bound(), answer.ready('I'));
    ends.takeUpstream();
    client(say.execute('p'), say.sync());
    assert.doesNotMatch(typesOf(ends.takeUpstream()), /E/);
  });

  it('of portals that a cursor took over are forgotten', () => {
    const { client, upstream, ends } = start();
    client(say.query('begin'));
    upstream(answer.complete('BEGIN'), answer.ready('T'));
    client(say.parse('s', 'select 1'), say.bind('p', 's'), say.sync());
    upstream(answer.parsed(), answer.bound(), answer.ready('T'));
    client(say.query('close p'), say.query('declare p cursor for select email'));
    upstream(
      answer.complete('CLOSE CURSOR'),
      answer.ready('T'),
      answer.complete('DECLARE CURSOR'),
      answer.ready('T'),
    );
    ends.takeUpstream();
    client(say.execute('p'), say.sync());
    assert.doesNotMatch(typesOf(ends.takeUpstream()), /E/);
  });

  it('are bounded', () => {
    const { client, ends } = start({ limits: { preparedMax: 2, portalsMax: 2 } });
    client(say.parse('a', 'select 1'), say.parse('b', 'select 1'), say.parse('c', 'select 1'), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'PPPS');
  });
});

describe('settling statements', () => {
  it('hold what follows until the state has been read', () => {
    const { client, upstream, ends, session } = start();
    client(say.query('set search_path = x'), say.query('select 1'));
    assert.equal(framesOf(ends.takeUpstream()).length, 1);
    upstream(answer.complete('SET'), answer.ready());
    assert.match(ends.takeUpstream().toString(), /current_schemas/);
    assert.deepEqual(session.texts, ['set search_path = x']);
    upstream(state('{pg_catalog,"x y"}'));
    assert.deepEqual(session.states, [
      { path: ['pg_catalog', 'x y'], upstream: 'home', transaction: false, fixedSnapshot: false },
    ]);
    assert.equal(ends.takeUpstream().toString('latin1', 5, 13), 'select 1');
    assert.equal(typesOf(ends.takeClient()), 'CZ');
  });

  it('that nobody took for one are noticed where the server reports the path', () => {
    const { client, upstream, ends, session } = start();
    client(say.query('select innocent()'));
    upstream(
      answer.columns('n'),
      answer.complete('SELECT 0'),
      answer.parameter('search_path', 'x'),
      answer.ready(),
    );
    client(say.query('select 1'));
    assert.match(ends.takeUpstream().toString(), /innocent.*current_schemas/s);
    upstream(state('{x}'));
    assert.deepEqual(
      session.states.map((one) => one.path),
      [['x']],
    );
    assert.match(ends.takeUpstream().toString(), /select 1/);
  });

  it('void an answer that was given before their end', async () => {
    const { client, upstream, ends, session } = start();
    client(say.query('select innocent()'), say.query('select 1 /*slow*/'));
    upstream(
      answer.columns('n'),
      answer.complete('SELECT 0'),
      answer.parameter('search_path', 'x'),
      answer.ready(),
    );
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.match(ends.takeUpstream().toString(), /innocent.*current_schemas/s);
    upstream(state('{x}'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.match(ends.takeUpstream().toString(), /select 1/);
    assert.deepEqual(session.texts, ['select innocent()', 'select 1 /*slow*/', 'select 1 /*slow*/']);
  });

  it('refuse new texts in their own pipeline', () => {
    const { client, ends, session } = start();
    client(
      say.parse('', 'set search_path = x'),
      say.bind('', ''),
      say.execute(''),
      say.parse('', 'select 1'),
      say.bind('', ''),
      say.execute(''),
      say.sync(),
    );
    assert.equal(typesOf(ends.takeUpstream()), 'PBEPS');
    assert.deepEqual(session.texts, ['set search_path = x']);
    assert.equal(session.refusedMessages.length, 1);
    assert.ok(ends.held);
  });
});

describe('waiting', () => {
  it('for a ReadyForQuery that the server skips ends with the error', () => {
    const { client, upstream, ends } = start();
    client(
      say.parse('', 'select broken'),
      say.query('set search_path = x'),
      say.sync(),
      say.query('select 1'),
    );
    assert.equal(typesOf(ends.takeUpstream()), 'PQ');
    upstream(answer.error('42601'));
    assert.equal(typesOf(ends.takeUpstream()), 'SQ');
    assert.equal(ends.held, false);
  });

  it('for answers begins when too much is in flight', () => {
    const { relay, upstream, ends } = start();
    const many = 20_000;
    relay.client(
      Buffer.concat([
        say.parse('', 'select 1'),
        ...Array.from({ length: many }, () => say.describe('S', '')),
      ]),
    );
    const first = typesOf(ends.takeUpstream());
    assert.ok(first.length < many && first.endsWith('H') && ends.held);
    upstream(
      answer.parsed(),
      ...Array.from({ length: first.length - 2 }, () =>
        Buffer.concat([answer.parameters(), answer.noData()]),
      ),
    );
    assert.match(typesOf(ends.takeUpstream()), /^D+H$/);
  });

  it('for a decision ends with a cancel request or the session', async () => {
    const { client, relay, ends } = start();
    client(say.query('select 1 /*held*/'), say.query('select 2'));
    assert.equal(ends.takeUpstream().length, 0);
    assert.equal(relay.cancelled(), false);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(typesOf(ends.takeUpstream()), 'QQ');
    assert.equal(relay.cancelled(), true);
  });
});

describe('a server out of step', () => {
  const cases: [string, Buffer[], Buffer[]][] = [
    ['a row without a request', [], [answer.row('1')]],
    ['a row before its description', [say.query('select 1')], [answer.row('1')]],
    [
      'more results than statements',
      [say.query('select 1')],
      [answer.complete('SELECT 1'), answer.columns('n')],
    ],
    [
      'more completions than statements',
      [say.query('select 1')],
      [answer.complete('SELECT 1'), answer.complete('SELECT 1')],
    ],
    ['an answer that was not asked', [say.query('select 1')], [answer.parsed()]],
    ['a description that was not asked', [say.parse('', 'select 1')], [answer.columns('n')]],
    ['ready before the answer', [say.parse('', 'select 1'), say.sync()], [answer.ready()]],
    ['an error without a request', [], [answer.error('22012')]],
    ['a COPY', [say.query('select 1')], [message('H', [0, 0, 0])]],
    ['authentication again', [], [message('R', [0, 0, 0, 3])]],
    ['an unknown type', [], [message('?', [])]],
    ['a length below four', [say.query('select 1')], [Buffer.from([0x43, 0, 0, 0, 3])]],
    ['a length beyond reason', [say.query('select 1')], [Buffer.from([0x54, 0x7f, 255, 255, 255])]],
    ['a negative length', [say.query('select 1')], [Buffer.from([0x44, 255, 255, 255, 255])]],
    ['a changed encoding', [], [answer.parameter('client_encoding', 'SJIS')]],
    ['a changed identity', [], [answer.parameter('session_authorization', 'postgres')]],
    ['rows of a masked statement under another shape', [say.query('select email')], [message('T', [0, 1])]],
  ];
  for (const [what, sent, got] of cases) {
    it(`${what} ends the session`, () => {
      const { client, upstream, ends } = start();
      client(...sent);
      upstream(...got);
      assert.ok(ends.ended);
      const last = framesOf(ends.takeClient()).at(-1);
      assert.equal(fieldsOf(last!).get('S'), 'FATAL');
    });
  }

  it('a FATAL error is passed on, and is the last word', () => {
    const { upstream, ends, relay } = start();
    upstream(answer.error('57P01', 'terminating', 'FATAL'));
    assert.match(ends.takeClient().toString(), /terminating/);
    assert.ok(relay.sawFatal);
  });
});

describe('a client out of step', () => {
  const bad: [string, Buffer, string][] = [
    ['an unknown type', message('?', []), '08P01'],
    ['a password after sign-in', message('p', 'x'), '08P01'],
    ['a length below four', Buffer.from([0x51, 0, 0, 0, 3]), '08P01'],
    ['a Query without its NUL', message('Q', Buffer.from('select 1')), '08P01'],
    ['bytes behind the text', message('Q', 'select 1', 'forbidden'), '08P01'],
    ['a Bind that ends early', message('B', '', ''), '08P01'],
    ['a Bind with impossible lengths', message('B', '', '', [0, 0, 0, 1, 127, 0, 0, 0]), '08P01'],
    ['a message over the limit', Buffer.from([0x51, 0x7f, 255, 255, 255]), '54000'],
  ];
  for (const [what, bytes, code] of bad) {
    it(`${what} ends the session, and goes nowhere`, () => {
      const { relay, ends } = start();
      relay.client(bytes);
      assert.ok(ends.ended);
      assert.equal(ends.takeUpstream().length, 0);
      assert.equal(fieldsOf(ends.takeClient()).get('C'), code);
    });
  }

  it('COPY data outside a COPY is ignored', () => {
    const { client, ends } = start();
    client(message('d', [1, 2, 3]), message('c'), say.query('select 1'));
    assert.equal(typesOf(ends.takeUpstream()), 'Q');
  });
});

/** The same bytes in other pieces. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((c) => c % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const to of [...at, bytes.length]) {
    if (to > from) pieces.push(Buffer.from(bytes.subarray(from, to)));
    from = to;
  }
  return pieces;
}

describe('properties', () => {
  const sent = Buffer.concat([
    say.query('select a, email; select 2'),
    say.parse('s', 'select b'),
    say.bind('', 's'),
    say.describe('P', ''),
    say.execute(''),
    say.sync(),
    say.parse('', 'forbidden'),
    say.bind('', ''),
    say.sync(),
    say.query('forbidden'),
  ]);
  const got = Buffer.concat([
    answer.columns('a', 'email'),
    answer.row('1', 'a@b'),
    answer.row('x'.repeat(300), null),
    answer.complete('SELECT 2'),
    answer.columns('n'),
    answer.row('2'),
    answer.row('3'),
    answer.complete('SELECT 2'),
    answer.ready(),
    answer.parsed(),
    answer.bound(),
    answer.columns('b'),
    answer.row('y'.repeat(100)),
    answer.row('z'),
    answer.complete('SELECT 2'),
    answer.ready(),
    answer.error('42601'),
    answer.ready(),
    answer.error('42601'),
    answer.ready(),
  ]);
  const whole = start();
  whole.client(sent);
  whole.upstream(got);
  const toUpstream = whole.ends.takeUpstream();
  const toClient = whole.ends.takeClient();

  it('the whole transcript is what it should be', () => {
    assert.equal(typesOf(toUpstream), 'QPBDESPSQ');
    assert.equal(typesOf(toClient), 'TDDCTDDCZ12TDDCZEZEZ');
    assert.doesNotMatch(toClient.toString(), /a@b/);
    assert.doesNotMatch(toUpstream.toString(), /forbidden/);
  });

  it('bytes come out the same however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2000), { maxLength: 40 }),
        fc.array(fc.nat(2000), { maxLength: 40 }),
        (a, b) => {
          const { relay, ends, session } = start();
          for (const piece of cut(sent, a)) relay.client(piece);
          for (const piece of cut(got, b)) relay.fromUpstream(piece);
          assert.deepEqual(ends.takeUpstream(), toUpstream);
          assert.deepEqual(ends.takeClient(), toClient);
          assert.deepEqual(session.completions, whole.session.completions);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('any bytes from either side end in whole frames or the end of the session', () => {
    const frame = fc
      .tuple(fc.constantFrom(...'123ACDEGHINSTWZnstQPBFXdcp'), fc.uint8Array({ maxLength: 40 }))
      .map(([type, content]) => message(type, [...content]));
    const noise = fc.oneof(
      frame,
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), noise), { maxLength: 20 }), (pieces) => {
        const { relay, ends } = start();
        for (const [fromClient, bytes] of pieces) {
          if (fromClient) relay.client(bytes);
          else relay.fromUpstream(bytes);
        }
        framesOf(ends.takeUpstream());
        if (ends.ended) assert.ok(relay.ended);
      }),
      { numRuns: 1000 },
    );
  });
});
