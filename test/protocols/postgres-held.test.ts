/** What goes upstream in place of messages whose decisions the journal did not take, and what becomes of their answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { start } from './postgres-relay-start.ts';
import { answer, framesOf, say, typesOf } from './postgres-wire.ts';

/** Takes what was to go upstream for the bytes that wait. */
function heldBy({ ends, relay }: ReturnType<typeof start>): Buffer {
  const held = ends.upstream.splice(0);
  assert.ok(held.length > 0);
  const instead = relay.instead(held);
  assert.ok(instead);
  return instead;
}

const words = (frame: Buffer): string => frame.toString('utf8', 5).replaceAll('\0', ' ').trim();

describe('what the journal does not take', () => {
  it('a Query: a text that fails goes in its place, and the client hears why', () => {
    const run = start();
    run.client(say.query('delete from t'));
    const instead = heldBy(run);
    assert.equal(typesOf(instead), 'Q');
    assert.doesNotMatch(words(instead), /delete/);
    run.upstream(answer.error('42601'), answer.ready());
    const got = run.ends.takeClient();
    assert.equal(typesOf(got), 'EZ');
    assert.match(words(framesOf(got)[0]!), /the journal is full/);
    assert.deepEqual(
      run.session.completions.map(({ error }) => error),
      ['42501'],
    );
    run.client(say.query('select 1'));
    assert.deepEqual(run.ends.takeUpstream(), say.query('select 1'), 'the session goes on');
  });

  it('a pipeline: its first message fails, and the rest is left out up to Sync', () => {
    const run = start();
    const pipeline = [
      say.parse('s', 'select 1'),
      say.bind('', 's'),
      say.describe('P', ''),
      say.execute(''),
      say.flush(),
      say.sync(),
    ];
    run.client(...pipeline, say.parse('', 'select 2'), say.sync(), say.query('select 3'));
    const instead = heldBy(run);
    assert.equal(typesOf(instead), 'PHSPSQ');
    assert.doesNotMatch(words(instead), /select/);
    run.upstream(
      ...[answer.error('42601'), answer.ready()],
      ...[answer.error('42601'), answer.ready()],
      ...[answer.error('42601'), answer.ready()],
    );
    assert.equal(typesOf(run.ends.takeClient()), 'EZEZEZ');
    run.client(say.bind('', 's'), say.sync());
    assert.equal(typesOf(run.ends.takeUpstream()), 'PS', 'the statement was not made');
    run.upstream(answer.error('26000'), answer.ready());
    assert.match(words(run.ends.takeClient()), /does not exist/);
  });

  it('the end of a pipeline whose beginning has left', () => {
    const run = start();
    run.client(say.parse('s', 'select 1'), say.bind('', 's'), say.flush());
    run.ends.takeUpstream();
    run.client(say.execute(''), say.sync());
    assert.equal(typesOf(heldBy(run)), 'PS');
    run.upstream(answer.parsed(), answer.bound(), answer.error('42601'), answer.ready());
    assert.equal(typesOf(run.ends.takeClient()), '12EZ');
    assert.equal(run.session.completions[0]?.error, '42501');
    run.client(say.bind('', 's'), say.execute(''), say.sync());
    assert.equal(typesOf(run.ends.takeUpstream()), 'BES', 'what was there before stays');
  });

  it('a refusal stays what it was', () => {
    const run = start();
    run.client(say.query('forbidden'), say.parse('', 'forbidden'), say.bind('', ''), say.sync());
    assert.equal(typesOf(heldBy(run)), 'QPS');
    run.upstream(answer.error('42601'), answer.ready(), answer.error('42601'), answer.ready());
    const got = framesOf(run.ends.takeClient());
    assert.match(words(got[0]!), /this text is forbidden/);
    assert.match(words(got[2]!), /this text is forbidden/);
  });

  it('the unnamed statement is dropped by a Parse that fails, as on the server', () => {
    const run = start();
    run.client(say.parse('', 'select 1'), say.sync());
    run.ends.takeUpstream();
    run.upstream(answer.parsed(), answer.ready());
    run.client(say.parse('', 'select 2'), say.sync());
    assert.equal(words(framesOf(heldBy(run))[0]!).split(' ')[0], '!refused');
  });

  it("the gateway's own question can't be refused: the session ends", () => {
    const run = start();
    run.client(say.query('set search_path to a'));
    run.ends.takeUpstream();
    run.upstream(answer.complete('SET'), answer.ready());
    assert.equal(run.relay.instead(run.ends.upstream.splice(0)), null);
    assert.ok(run.ends.ended);
    assert.match(words(run.ends.takeClient()), /57P01/);
  });
});
