/** What the relay reads for the session alone, and the identity that a server may report. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { start, state } from './postgres-relay-start.ts';
import { answer, say, typesOf } from './postgres-wire.ts';

/** Answers the question for the state and the catalog. */
const catalogRead = (status: 'I' | 'T', undone: readonly string[] = []): Buffer => {
  const done = answer.complete('SELECT 0');
  const before = [...undone, status === 'T' ? 'SAVEPOINT' : 'BEGIN'];
  const after = status === 'T' ? ['ROLLBACK', 'RELEASE'] : ['COMMIT'];
  return Buffer.concat([
    ...[...before, 'SET', 'SET', 'SET'].map((tag) => answer.complete(tag)),
    answer.columns('oid', 'nspname'),
    answer.row('2200', 'public'),
    ...Array.from({ length: 7 }, () => done),
    ...after.map((tag) => answer.complete(tag)),
    state('{pg_temp_3,pg_catalog,public}', status),
  ]);
};

describe("a session's own catalog", () => {
  for (const status of ['I', 'T'] as const) {
    it(`is read before a text that needs it is decided, unseen by the client (${status})`, () => {
      const { client, upstream, ends, session } = start();
      if (status === 'T') {
        client(say.query('begin'));
        upstream(answer.complete('BEGIN'), answer.ready('T'));
        ends.takeUpstream();
        ends.takeClient();
      }
      session.catalogMissing = true;
      client(say.query('select mine'), say.query('select 1'));
      const question = ends.takeUpstream().toString();
      assert.match(question, status === 'T' ? /SAVEPOINT.*ROLLBACK TO SAVEPOINT/s : /BEGIN.*COMMIT/s);
      assert.doesNotMatch(question, /mine/);
      upstream(catalogRead(status));
      assert.deepEqual(session.states.at(-1)?.catalog?.schemas, ['public']);
      assert.deepEqual(session.states.at(-1)?.path, ['pg_temp_3', 'pg_catalog', 'public']);
      assert.equal(typesOf(ends.takeUpstream()), 'QQ');
      assert.equal(ends.takeClient().length, 0);
      assert.equal(ends.held, false);
    });
  }

  for (const status of ['I', 'T'] as const)
    it(`is read again when the server fails over what others drop meanwhile (${status})`, () => {
      const { client, upstream, ends, session, relay } = start();
      if (status === 'T') {
        client(say.query('begin'));
        upstream(answer.complete('BEGIN'), answer.ready('T'));
        ends.takeUpstream();
        ends.takeClient();
      }
      session.catalogMissing = true;
      client(say.query('select mine'));
      ends.takeUpstream();
      upstream(
        answer.complete(status === 'T' ? 'SAVEPOINT' : 'BEGIN'),
        answer.error('XX000'),
        answer.ready('E'),
      );
      const again = ends.takeUpstream().toString('latin1');
      assert.match(
        again,
        status === 'T' ? /^Q....ROLLBACK TO SAVEPOINT.*SAVEPOINT/s : /^Q....ROLLBACK; BEGIN.*COMMIT/s,
      );
      upstream(catalogRead(status, status === 'T' ? ['ROLLBACK', 'RELEASE'] : ['ROLLBACK']));
      assert.deepEqual(session.states.at(-1)?.catalog?.schemas, ['public']);
      assert.match(ends.takeUpstream().toString(), /mine/);
      assert.equal(ends.takeClient().length, 0);
      assert.equal(relay.ended, false);
    });

  it('is not read again for ever', () => {
    const { client, upstream, ends, session, relay } = start();
    session.catalogMissing = true;
    client(say.query('select mine'));
    for (let i = 0; i < 20 && !relay.ended; i++) upstream(answer.error('XX000'), answer.ready('E'));
    assert.equal(relay.ended, true);
    assert.doesNotMatch(ends.takeUpstream().toString(), /mine/);
  });

  it('is read before a Bind, never in the middle of a pipeline', () => {
    const { client, upstream, ends, session } = start();
    client(say.parse('s', 'select 1'), say.sync());
    upstream(answer.parsed(), answer.ready());
    ends.takeUpstream();
    session.catalogMissing = true;
    client(say.bind('', 's'), say.execute(''), say.sync());
    assert.match(ends.takeUpstream().toString(), /pg_namespace/);
    upstream(catalogRead('I'));
    assert.equal(typesOf(ends.takeUpstream()), 'BES');
    client(say.bind('', 's'));
    session.catalogMissing = true;
    client(say.parse('', 'select 2'));
    assert.doesNotMatch(ends.takeUpstream().toString(), /pg_namespace|select 2/);
    assert.equal(session.refusedMessages.length, 1);
  });

  it('can not be read in a transaction that has failed', () => {
    const { client, upstream, ends, session } = start();
    client(say.query('begin'), say.query('select broken'));
    upstream(answer.complete('BEGIN'), answer.ready('T'), answer.error('42601'), answer.ready('E'));
    ends.takeUpstream();
    ends.takeClient();
    session.catalogMissing = true;
    client(say.query('select 1'));
    upstream(answer.error('42601'), answer.ready('E'));
    assert.doesNotMatch(ends.takeUpstream().toString(), /pg_namespace/);
    assert.match(ends.takeClient().toString(), /25P02/);
  });

  it('a portal that was bound before names changed is not executed', () => {
    const { client, upstream, ends, session } = start();
    client(
      say.query('begin'),
      say.parse('s', 'select 1'),
      say.bind('p', 's'),
      say.bind('q', 's'),
      say.execute('q'),
      say.sync(),
    );
    upstream(answer.complete('BEGIN'), answer.ready('T'), answer.parsed(), answer.bound(), answer.bound());
    upstream(answer.complete('SELECT 0'), answer.ready('T'));
    ends.takeUpstream();
    session.namesVersion++;
    client(say.execute('q'), say.execute('p'), say.sync());
    assert.equal(typesOf(ends.takeUpstream()), 'EPS');
    assert.equal(session.refusedMessages.length, 1);
  });
});

describe('an identity', () => {
  it('may be reported as changed once a statement that changes it was admitted, and ends the session else', () => {
    const { client, upstream, ends, relay } = start();
    client(say.query('set role other /*identity*/'));
    upstream(answer.complete('SET'), answer.parameter('is_superuser', 'off'), answer.ready());
    assert.equal(typesOf(ends.takeClient()), 'CSZ');
    client(say.query('reset role /*identity*/'));
    upstream(answer.parameter('is_superuser', 'on'), answer.complete('RESET'), answer.ready());
    assert.equal(relay.ended, false);
    const other = start();
    other.client(say.query('select innocent()'));
    other.upstream(answer.parameter('is_superuser', 'off'));
    assert.equal(other.relay.ended, true);
  });
});
