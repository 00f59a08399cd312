/**
 * The corpus's attacks and random statements of our own, asked of two databases that differ in secrets only. Run by itself:
 * `npm run differential:postgres -- [count] [seed] [minutes]`. What is compared, and how, stands in `postgres-compare.ts`.
 */
import { fileURLToPath } from 'node:url';
import { corpus } from '../../fixtures/corpus/postgres/classes.ts';
import { compare, holds, report } from './postgres-compare.ts';
import { StatementMaker } from './postgres-statements.ts';
import { startCorpusWorld } from './postgres-world.ts';

/** Attacks of one statement, then random ones. */
export function* mixed(count: number, seed: number): Generator<string> {
  for (const { attacks } of corpus)
    for (const { sql, as } of attacks) if (typeof sql === 'string' && as === undefined) yield sql;
  const maker = new StatementMaker(seed);
  for (let i = 0; i < count; i++) yield maker.next();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = '2000', seed = String(Date.now() % 1_000_000), minutes = '25'] = process.argv.slice(2);
  const world = await startCorpusWorld({ twins: true, settings: ["statement_timeout = '2s'"] });
  const found = await compare(
    world,
    mixed(Number(count), Number(seed)),
    Date.now() + Number(minutes) * 60_000,
  );
  await world.stop();
  console.log(`seed ${seed}`);
  report(found);
  process.exit(holds(found) ? 0 : 1);
}
