/**
 * Two databases that differ in secrets only, asked the same through the gateway: every answer has to be the same, byte for
 * byte. Run by itself it asks the corpus's attacks and 2,000 random statements: `tsx test/corpus/differential.ts [count] [seed]`.
 */
import { fileURLToPath } from 'node:url';
import { corpus } from '../../fixtures/corpus/postgres/classes.ts';
import { say } from '../protocols/postgres-wire.ts';
import { StatementMaker } from './postgres-statements.ts';
import { type CorpusWorld, startCorpusWorld } from './postgres-world.ts';
import { type Answer, comparable, statusOf, type WireSession } from './wire.ts';

/** What a run found. */
export interface Differences {
  readonly asked: number;
  /** Statements that the gateway let through. */
  readonly passed: number;
  /** Statements that the bare server answers differently for the two: what there was to be found. */
  readonly telling: number;
  /** Statements whose answers told the two databases apart. */
  readonly different: readonly string[];
}

/** Asks each statement of both databases, in turns of the simple and the extended protocol, until `deadline`
 *  (milliseconds since the epoch). */
export async function compare(
  world: CorpusWorld,
  statements: Iterable<string>,
  deadline: number,
): Promise<Differences> {
  const open = async (): Promise<Record<'a' | 'b' | 'bareA' | 'bareB', WireSession>> => ({
    a: await world.through('a', 'reader'),
    b: await world.through('b', 'reader'),
    bareA: await world.bare('a'),
    bareB: await world.bare('b'),
  });
  let sessions = await open();
  let [asked, passed, telling] = [0, 0, 0];
  const different: string[] = [];
  for (const sql of statements) {
    if (Date.now() > deadline) break;
    asked++;
    const messages =
      asked % 2 === 0
        ? [say.query(sql)]
        : [say.parse('', sql), say.bind('', '', [asked % 4 === 1 ? 1 : 0]), say.execute(''), say.sync()];
    const [a, b] = await Promise.all([sessions.a.ask(messages), sessions.b.ask(messages)]);
    if (comparable(a) !== comparable(b)) different.push(sql);
    if (a.reason === null) passed++;
    const bare = await Promise.all([
      sessions.bareA.ask([say.query(sql)]),
      sessions.bareB.ask([say.query(sql)]),
    ]);
    if (comparable(bare[0]) !== comparable(bare[1])) telling++;
    const all: readonly Answer[] = [a, b, ...bare];
    if (all.some((answer) => answer.closed || statusOf(answer) !== 'I')) {
      for (const session of Object.values(sessions)) session.end();
      sessions = await open();
    }
  }
  for (const session of Object.values(sessions)) session.end();
  return { asked, passed, telling, different };
}

/** Attacks of one statement, then random ones. */
export function* mixed(count: number, seed: number): Generator<string> {
  for (const { attacks } of corpus)
    for (const { sql, as } of attacks) if (typeof sql === 'string' && as === undefined) yield sql;
  const maker = new StatementMaker(seed);
  for (let i = 0; i < count; i++) yield maker.next();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = '2000', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
  const world = await startCorpusWorld();
  const found = await compare(world, mixed(Number(count), Number(seed)), Date.now() + 10 * 60_000);
  await world.stop();
  console.log(
    `seed ${seed}: ${found.asked} statements, ${found.passed} let through, ${found.telling} tell the bare databases apart, ${found.different.length} told them apart through the gateway`,
  );
  for (const sql of found.different) console.log(sql);
  process.exit(found.different.length === 0 ? 0 : 1);
}
