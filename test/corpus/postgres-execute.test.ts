/**
 * SQL's PREPARE and EXECUTE against the protocol's own statements, which share their names: whatever a name comes to stand for,
 * and however late the gateway hears of it, no masked value gets out, and what is harmless runs.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { binaryCanaries, canaries } from '../../fixtures/corpus/postgres/secrets.ts';
import { say } from '../protocols/postgres-wire.ts';
import { type CorpusWorld, startCorpusWorld } from './postgres-world.ts';
import { type Answer, bytesOf, type WireSession } from './wire.ts';

let world: CorpusWorld;
before(async () => {
  world = await startCorpusWorld();
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
const blank = 'SELECT 1, NULL::text, NULL::int, NULL::date';
/** One statement in a pipeline of its own, or in the middle of another. */
const run = (text: string): Step => [say.parse('', text), say.bind('', ''), say.execute('')];
const script = (...texts: readonly string[]): readonly Step[] => texts.map((text) => [say.query(text)]);
const shadow = 'CREATE TEMP TABLE people (id int, ssn text, level int, born date)';

const masked: Readonly<Record<string, readonly Step[]>> = {
  'prepared and executed': script(`PREPARE p AS ${secret}`, 'EXECUTE p', 'EXECUTE p'),
  'with arguments': script(
    'PREPARE p (int) AS SELECT ssn FROM people WHERE id = $1',
    'EXECUTE p (1)',
    'EXECUTE p (1 + 1)',
  ),
  'by the extended protocol, in binary': [
    [...run(`PREPARE p AS ${secret}`), say.sync()],
    [say.parse('', 'EXECUTE p'), say.bind('', '', [1]), say.execute(''), say.sync()],
    [say.parse('e', 'EXECUTE p'), say.describe('S', 'e'), say.sync()],
    [say.bind('', 'e'), say.execute(''), say.bind('', 'e', [1]), say.execute('', 1), say.sync()],
  ],
  'in pieces': [
    ...script('BEGIN', `PREPARE p AS ${secret}`),
    [say.parse('', 'EXECUTE p'), say.bind('x', ''), say.execute('x', 2), say.sync()],
    [say.execute('x', 2), say.sync()],
    [say.execute('x'), say.sync()],
  ],
  'survives ROLLBACK': script('BEGIN', `PREPARE p AS ${secret}`, 'ROLLBACK', 'EXECUTE p'),
  'a cursor of its name beside it': script(
    'BEGIN',
    `PREPARE p AS ${secret}`,
    'DECLARE p CURSOR FOR SELECT 1',
    'EXECUTE p',
  ),
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

const refused: Readonly<Record<string, readonly Step[]>> = {
  'a new meaning in the same pipeline': [
    ...script(`PREPARE p AS ${blank}`, 'BEGIN'),
    [say.parse('', 'EXECUTE p'), say.bind('x', ''), say.sync()],
    [
      ...run('DEALLOCATE p'),
      ...run(`PREPARE p AS ${secret}`),
      ...[say.execute('x'), say.execute('x'), say.sync()],
    ],
  ],
  'prepared and executed in one pipeline': [
    ...script(`PREPARE p AS ${blank}`),
    [...run('DEALLOCATE p'), ...run(`PREPARE p AS ${secret}`), ...run('EXECUTE p'), say.sync()],
  ],
  'prepared and executed in one text': script(
    `PREPARE p AS ${blank}`,
    `DEALLOCATE p; PREPARE p AS ${secret}; EXECUTE p`,
    'EXECUTE p',
  ),
  'a statement of the protocol in place of it': [
    ...script(`PREPARE p AS ${blank}`),
    [say.close('S', 'p'), say.parse('p', secret), say.sync()],
    ...script('EXECUTE p'),
  ],
  '... in one pipeline': [
    ...script(`PREPARE p AS ${blank}`, 'BEGIN'),
    [say.parse('', 'EXECUTE p'), say.bind('x', ''), say.sync()],
    [say.close('S', 'p'), say.parse('p', secret), say.execute('x'), say.sync()],
  ],
  'it in place of a statement of the protocol': [
    [say.parse('p', blank), say.sync()],
    ...script(`DEALLOCATE p; PREPARE p AS ${secret}`),
    [say.bind('', 'p'), say.execute(''), say.sync()],
  ],
  '... all in one pipeline': [
    [say.parse('p', blank), say.sync()],
    [
      ...run('DEALLOCATE p'),
      ...run(`PREPARE p AS ${secret}`),
      ...[say.bind('', 'p'), say.execute(''), say.sync()],
    ],
  ],
  'an EXECUTE that was prepared before its name was taken by another': [
    ...script(`PREPARE p AS ${blank}`),
    [say.parse('e', 'EXECUTE p'), say.describe('S', 'e'), say.sync()],
    ...script('DEALLOCATE p', `PREPARE p AS ${secret}`),
    [say.bind('', 'e'), say.execute(''), say.sync()],
  ],
  'names that the server cuts to the same': script(
    `PREPARE ${'p'.repeat(63)} AS ${blank}`,
    `DEALLOCATE ${'p'.repeat(64)}`,
    `PREPARE ${'p'.repeat(65)} AS ${secret}`,
    `EXECUTE ${'p'.repeat(63)}`,
  ),
};
for (const [name, steps] of Object.entries(refused)) {
  test(`refused: ${name}`, async () => {
    assert.ok(leaks(await play(await world.bare('a'), steps)), 'shows nothing on the bare server');
    const answers = await play(await world.through('a', 'reader'), steps);
    assert.ok(!leaks(answers));
    assert.ok(answers.some((answer) => answer.reason !== null || answer.error !== ''));
  });
}

const shadowed: Readonly<Record<string, readonly Step[]>> = {
  'a temporary table before what was prepared': script(
    'CREATE TEMP TABLE first (x int)',
    `PREPARE p AS ${secret}`,
    shadow,
    'EXECUTE p',
  ),
  'a temporary table before what the protocol prepared': [
    ...script('CREATE TEMP TABLE first (x int)'),
    [say.parse('s', secret), say.sync()],
    ...script(shadow),
    [say.bind('', 's'), say.execute(''), say.sync()],
  ],
  'a table into which EXECUTE puts rows': script(
    `PREPARE p AS ${secret}`,
    'CREATE TEMP TABLE copied AS EXECUTE p',
    'SELECT * FROM copied',
  ),
  'EXPLAIN ANALYZE': script(
    "PREPARE p AS SELECT (SELECT ssn FROM people WHERE id = 1) || 'x'",
    'EXPLAIN (ANALYZE, VERBOSE) EXECUTE p',
    'EXECUTE p',
  ),
};
for (const [name, steps] of Object.entries(shadowed)) {
  test(`refused to who may define things: ${name}`, async () => {
    assert.ok(leaks(await play(await world.bare('a'), steps)), 'shows nothing on the bare server');
    const answers = await play(await world.through('a', 'writer'), steps);
    assert.ok(!leaks(answers));
    assert.ok(answers.some((answer) => answer.reason !== null));
  });
}

const harmless: Readonly<Record<string, readonly Step[]>> = {
  'prepared, executed, dropped': script(
    'PREPARE p AS SELECT title FROM teams',
    'EXECUTE p',
    'EXPLAIN (COSTS OFF) EXECUTE p',
    'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE p',
    'DEALLOCATE p',
    'PREPARE p (int) AS SELECT title FROM teams WHERE id = $1',
    'EXECUTE p (1)',
    "EXECUTE p ('2')",
    'DEALLOCATE ALL',
  ),
  'a name that was one of the protocol': [
    [say.parse('p', 'SELECT title FROM teams'), say.sync()],
    ...script('DEALLOCATE p', 'PREPARE p AS SELECT 1', 'EXECUTE p'),
  ],
  'names as SQL spells them': script(
    'PREPARE "A b" AS SELECT 1',
    'EXECUTE "A b"',
    'PREPARE X AS VALUES (2)',
    'EXECUTE x',
  ),
  'in a transaction': script(
    'BEGIN',
    'PREPARE p AS SELECT count(*) FROM teams',
    'EXECUTE p',
    'COMMIT',
    'EXECUTE p',
  ),
  'by the extended protocol': [
    [...run('PREPARE p AS SELECT title FROM teams ORDER BY id'), say.sync()],
    [say.parse('e', 'EXECUTE p'), say.describe('S', 'e'), say.bind('', 'e'), say.execute(''), say.sync()],
    [say.bind('', 'e', [1]), say.execute('', 1), say.sync()],
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

test('harmless: a table of what EXECUTE gives', async () => {
  const steps = script(
    'PREPARE p AS SELECT title FROM teams',
    'CREATE TEMP TABLE copied AS EXECUTE p',
    'SELECT * FROM copied',
  );
  const answers = await play(await world.through('a', 'writer'), steps);
  assert.equal(rowsIn(answers), rowsIn(await play(await world.bare('a'), steps)));
});
