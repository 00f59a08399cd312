/**
 * `npm run conformance:sqlsmith -- [count] [seed] [file for what was refused]`: random statements of SQLsmith, asked through the
 * gateway and of the bare server, on two databases that differ in masked values only: nothing may be shown or told. Most are made
 * from a schema in which a reader may read every table, the rest from all of it, every tenth with the catalogs.
 */
import { writeFileSync } from 'node:fs';
import pg from 'pg';
import { compare, type Findings, holds, report } from '../corpus/postgres-compare.ts';
import { startCorpusWorld } from '../corpus/postgres-world.ts';
import { installSqlsmith, made } from './sqlsmith-statements.ts';

const [count = '20000', seed = '1', listTo] = process.argv.slice(2);
const minutesMax = 25;
/** Statements of one run of the program: long enough for its start not to matter. */
const batch = 500;

/** Of ten runs, the schema that each is made from. */
const schemas = [
  ...Array<string>(7).fill('corpus_tables'),
  'corpus_readable',
  'corpus_a_twin',
  'corpus_a_twin',
];

installSqlsmith();
const world = await startCorpusWorld({
  twins: true,
  settings: [
    "statement_timeout = '500ms'",
    "lock_timeout = '200ms'",
    "log_statement = 'none'",
    'jit = off',
    'max_parallel_workers_per_gather = 0',
    "temp_file_limit = '64MB'",
  ],
});
const { shopEu, secrets } = world.world;
const account = { host: shopEu.host, port: shopEu.port, user: 'cordon', password: secrets[0]! };
await makeSchemas();

const began = Date.now();
const found = await compare(
  world,
  statements(Number(count), Number(seed)),
  began + minutesMax * 60_000,
  tell,
);
await world.stop();
console.log(`seed ${seed}, ${Math.round((Date.now() - began) / 1000)} s`);
report(found);
if (listTo !== undefined)
  writeFileSync(listTo, JSON.stringify({ ...found, refused: Object.fromEntries(found.refused) }, null, 1));
process.exit(holds(found) ? 0 : 1);

/** Databases whose schema is read, never their rows: what a reader may read, with the views over it and without them, and no
 *  function that a user made. */
async function makeSchemas(): Promise<void> {
  const admin = new pg.Client({
    ...{ host: shopEu.host, port: shopEu.port, user: shopEu.user, password: shopEu.password },
    database: 'postgres',
  });
  await admin.connect();
  for (const [name, dropped] of [
    ['corpus_readable', ''],
    [
      'corpus_tables',
      '; DROP VIEW v_members, v_people, v_chain, v_teams CASCADE; DROP TABLE events_2025, events_2026',
    ],
  ] as const) {
    await admin.query(`CREATE DATABASE ${name} TEMPLATE corpus_a_twin OWNER cordon`);
    const owner = new pg.Client({ ...account, database: name });
    await owner.connect();
    await owner.query(`DROP SCHEMA evil CASCADE; DROP TABLE unplaced, us_people; DROP PROCEDURE leak_out; DROP VIEW v_upper;
      DROP DOMAIN leaky; DROP FUNCTION leak, leaky_check, initcap(text, int), first_ssn(text, text), first_ssn(int) CASCADE${dropped}`);
    await owner.end();
  }
  await admin.end();
}

async function* statements(limit: number, first: number): AsyncGenerator<string> {
  for (let done = 0, run = 0; done < limit; run++) {
    const target = `host=${account.host} port=${account.port} user=${account.user} password=${account.password} dbname=${schemas[run % 10]}`;
    const before = done;
    for await (const sql of made({
      ...{ target, seed: first * 1000 + run, count: Math.min(batch, limit - done) },
      catalog: run % 10 === 9,
    })) {
      yield sql;
      done++;
    }
    if (done === before) throw new Error('sqlsmith made no statement');
  }
}

function tell(soFar: Findings): void {
  if (soFar.asked % 1000 === 0)
    console.log(
      `${soFar.asked} asked, ${soFar.passed} let through, ${Math.round((Date.now() - began) / 1000)} s`,
    );
}
