/**
 * Attacks that need the protocol itself: portals read in pieces, read by SQL, or executed again; parameters; the
 * function call message; startup options. And a bounded run of the differential.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { binaryCanaries, canaries } from '../../fixtures/corpus/postgres/secrets.ts';
import { message, say } from '../protocols/postgres-wire.ts';
import { mixed } from './differential.ts';
import { compare } from './postgres-compare.ts';
import { type CorpusWorld, startCorpusWorld } from './postgres-world.ts';
import { type Answer, bytesOf, type WireSession } from './wire.ts';

let world: CorpusWorld;
before(async () => {
  world = await startCorpusWorld({ twins: true });
});
after(() => world?.stop());

const needles = [...canaries('a').map((secret) => Buffer.from(secret)), ...binaryCanaries('a')];
const leaks = (answers: readonly Answer[]): boolean => {
  const bytes = Buffer.concat(answers.map(bytesOf));
  return needles.some((needle) => bytes.includes(needle));
};
const rowsIn = (answers: readonly Answer[]): number =>
  answers.flatMap((answer) => answer.frames).filter((frame) => frame[0] === 0x44).length;

type Step = readonly Buffer[];
async function play(session: WireSession, steps: readonly Step[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const step of steps) answers.push(await session.ask(step));
  session.end();
  return answers;
}

const secret = 'SELECT id, ssn, level, born FROM people ORDER BY id';
const pieces = (name: string, formats: number[]): readonly Step[] => [
  [say.query('BEGIN')],
  [say.parse('s', secret), say.bind(name, 's', formats), say.execute(name, 2), say.sync()],
  [say.execute(name, 3), say.sync()],
  [say.execute(name), say.sync()],
];

const masked: Readonly<Record<string, readonly Step[]>> = {
  'a portal in pieces': pieces('p', []),
  'a portal in pieces, binary': pieces('p', [1]),
  'a portal in pieces, formats mixed': pieces('p', [0, 1, 1, 0]),
  'the unnamed portal in one pipeline': [
    [say.query('BEGIN')],
    [
      say.parse('', secret),
      say.bind('', '', [1]),
      say.execute('', 1),
      say.execute('', 1),
      say.execute(''),
      say.sync(),
    ],
  ],
  'a statement described once, executed in another format': [
    [say.parse('s', secret), say.describe('S', 's'), say.sync()],
    [say.bind('', 's'), say.execute(''), say.bind('', 's', [1]), say.execute(''), say.sync()],
  ],
  'executed again without Describe': [
    [say.parse('s', secret), say.sync()],
    [say.bind('', 's'), say.execute(''), say.sync()],
    [say.bind('', 's', [1]), say.execute(''), say.sync()],
    [say.bind('x', 's'), say.execute('x'), say.sync()],
  ],
  'one statement behind another in a pipeline': [
    [
      ...[
        say.parse('', 'SELECT id, title FROM teams'),
        say.bind('', ''),
        say.describe('P', ''),
        say.execute(''),
      ],
      ...[say.parse('', 'SELECT id, ssn FROM people'), say.bind('', ''), say.execute(''), say.sync()],
    ],
  ],
  'a portal whose statement was replaced': [
    [say.query('BEGIN')],
    [
      say.parse('s', secret),
      say.bind('p', 's'),
      say.close('S', 's'),
      say.parse('s', 'SELECT 1, 2, 3, 4'),
      say.execute('p'),
      say.sync(),
    ],
  ],
  'rows before an error, which the client provokes': [
    [say.query('BEGIN')],
    [say.parse('', `${secret}`), say.bind('', ''), say.execute('', 3), say.execute('nowhere'), say.sync()],
  ],
};
for (const [name, steps] of Object.entries(masked)) {
  test(`masked: ${name}`, async () => {
    const bare = await play(await world.bare('a'), steps);
    assert.ok(leaks(bare), 'shows nothing on the bare server');
    const answers = await play(await world.through('a', 'reader'), steps);
    assert.ok(!leaks(answers));
    assert.equal(rowsIn(answers), rowsIn(bare));
  });
}

const bound = [say.parse('s', secret), say.bind('p', 's')];
const refused: Readonly<Record<string, readonly Step[]>> = {
  'FETCH from a portal': [[say.query('BEGIN')], [...bound, say.sync()], [say.query('FETCH ALL FROM p')]],
  'FETCH from a portal that was begun': [
    [say.query('BEGIN')],
    [...bound, say.execute('p', 1), say.sync()],
    [say.query('/* x */ fetch all p')],
  ],
  'FETCH in the same pipeline': [
    [say.query('BEGIN')],
    [...bound, say.parse('', 'FETCH ALL FROM p'), say.bind('', ''), say.execute(''), say.sync()],
  ],
  'a FETCH that was prepared before its portal': [
    [say.query('BEGIN')],
    [say.query('DECLARE p CURSOR FOR SELECT 1')],
    [say.parse('f', '-- x\nFETCH ALL FROM p'), say.describe('S', 'f'), say.sync()],
    [say.query('CLOSE p')],
    [...bound, say.bind('', 'f'), say.execute(''), say.sync()],
  ],
  'FETCH behind another statement': [
    [say.query('BEGIN')],
    [...bound, say.sync()],
    [say.query('SELECT 1; FETCH ALL FROM p')],
  ],
  'EXECUTE of a statement of the protocol': [[say.parse('s', secret), say.sync()], [say.query('EXECUTE s')]],
  'a table out of EXECUTE': [
    [say.parse('s', secret), say.sync()],
    [say.query('EXPLAIN ANALYZE EXECUTE s')],
    [say.query('EXECUTE s')],
  ],
};
for (const [name, steps] of Object.entries(refused)) {
  test(`refused: ${name}`, async () => {
    assert.ok(leaks(await play(await world.bare('a'), steps)), 'shows nothing on the bare server');
    const answers = await play(await world.through('a', 'reader'), steps);
    assert.ok(!leaks(answers));
    assert.ok(answers.some((answer) => answer.reason !== null));
  });
}

test('the function call message is refused', async () => {
  const int = (size: number, value: number) => {
    const bytes = Buffer.alloc(size);
    bytes.writeIntBE(value, 0, size);
    return bytes;
  };
  // pg_backend_pid() has the OID 2026.
  const call = message('F', int(4, 2026), int(2, 0), int(2, 0), int(2, 0));
  const [answer] = await play(await world.through('a', 'reader'), [[call]]);
  assert.equal(answer?.reason, 'channel_refused');
});

test('a search_path of the startup message decides what names mean', async () => {
  const session = await world.through('a', 'reader', { options: '-c search_path=evil' }).catch(() => null);
  if (session === null) return;
  const answers = await play(session, [
    [say.query('SELECT title FROM colours')],
    [say.query('SELECT upper(title) FROM colours')],
  ]);
  assert.ok(!leaks(answers));
});

const harmless: Readonly<Record<string, readonly Step[]>> = {
  'a plain portal in pieces': [
    [say.query('BEGIN')],
    [
      say.parse('s', 'SELECT id, title FROM teams ORDER BY id'),
      say.bind('p', 's'),
      say.execute('p', 1),
      say.sync(),
    ],
    [say.execute('p'), say.sync()],
    [say.query('COMMIT')],
  ],
  'a cursor of SQL, read in pieces': [
    [say.query('BEGIN')],
    [say.query('DECLARE c SCROLL CURSOR FOR SELECT title FROM teams')],
    [say.query('FETCH 2 FROM c')],
    [say.query('MOVE BACKWARD 1 IN c')],
    [say.query('FETCH NEXT FROM c')],
    [say.query('CLOSE c')],
    [say.query('COMMIT')],
  ],
  'FETCH from a plain portal': [
    [say.query('BEGIN')],
    [say.parse('s', 'SELECT title FROM teams'), say.bind('p', 's'), say.sync()],
    [say.query('FETCH ALL FROM p')],
    [say.query('COMMIT')],
  ],
  'FETCH once the masked portal is closed': [
    [say.query('BEGIN')],
    [say.query('DECLARE c CURSOR FOR SELECT title FROM teams')],
    [...bound, say.execute('p', 1), say.close('P', 'p'), say.sync()],
    [say.query('FETCH ALL FROM c')],
    [say.query('COMMIT')],
  ],
  'FETCH FIRST beside a masked portal': [
    [say.query('BEGIN')],
    [...bound, say.execute('p', 1), say.sync()],
    [say.query('SELECT title FROM teams FETCH FIRST 1 ROW ONLY')],
    [say.query('COMMIT')],
  ],
};
for (const [name, steps] of Object.entries(harmless)) {
  test(`harmless: ${name}`, async () => {
    const answers = await play(await world.through('a', 'reader'), steps);
    assert.deepEqual(
      answers.map((answer) => answer.error).filter((error) => error !== ' |  | ' && error !== ''),
      [],
    );
    assert.equal(rowsIn(answers), rowsIn(await play(await world.bare('a'), steps)));
  });
}

test('random statements give the same answers whatever the secrets are', async () => {
  const found = await compare(world, mixed(400, 42), Date.now() + 40_000);
  assert.deepEqual([...found.different, ...found.leaking, ...found.broken], []);
  assert.ok(found.telling > 100 && found.passed > 100, JSON.stringify(found));
});
