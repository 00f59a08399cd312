/**
 * Random SELECTs asked of two databases that differ in secrets only: through the gateway every answer has to be the
 * same, byte for byte, and what sql/mysql says about each column is held against the server's own metadata.
 * Run by itself: `tsx test/corpus/mysql-differential.ts [mariadb|mysql] [count] [seed] [seconds]`.
 */
import { fileURLToPath } from 'node:url';
import type { Product } from '../../fixtures/corpus/mysql/entry.ts';
import { readMysqlCatalog } from '../../protocols/mysql/catalog.ts';
import type { Catalog } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { comparable, leaked } from './mysql-run.ts';
import type { Answer } from './mysql-session.ts';
import { StatementMaker } from './mysql-statements.ts';
import { type CorpusWorld, startCorpusWorld } from './mysql-world.ts';

/** What a run found. */
export interface Differences {
  readonly asked: number;
  /** Run by the bare server without an error. */
  readonly valid: number;
  /** Of those, let through by the gateway. */
  readonly passed: number;
  /** Answered differently by the two bare databases: what there was to be found. */
  readonly telling: number;
  /** Told the two apart through the gateway, or showed a secret. */
  readonly different: readonly string[];
  /** The same rows in another order. Ties do that; a masked column's order would too, so each is worth a look. */
  readonly reordered: readonly string[];
  /** Valid, and not understood by the gateway. */
  readonly unread: readonly string[];
  /** The server names another origin of a column than sql/mysql does. */
  readonly contradicted: readonly string[];
}

const analyzer = mysqlAnalyzer();

/** Asks until `count` or `deadline` (milliseconds since the epoch). */
export async function compare(
  world: CorpusWorld,
  count: number,
  seed: number,
  deadline: number,
): Promise<Differences> {
  const catalog = await catalogOf(world);
  const maker = new StatementMaker(seed);
  const [a, b, bareA, bareB] = await Promise.all([
    world.through('a', 'reader'),
    world.through('b', 'reader'),
    world.bare('a'),
    world.bare('b'),
  ]);
  let [asked, valid, passed, telling] = [0, 0, 0, 0];
  const different: string[] = [];
  const reordered: string[] = [];
  const unread: string[] = [];
  const contradicted: string[] = [];
  while (asked < count && Date.now() < deadline) {
    const sql = maker.next();
    asked++;
    const [bare, other] = await Promise.all([bareA.ask(sql), bareB.ask(sql)]);
    if (comparable(bare) !== comparable(other)) telling++;
    const values = asked % 3 === 0 ? [] : undefined;
    const [first, second] = await Promise.all([a.ask(sql, values), b.ask(sql, values)]);
    if (leaked(first) !== null) different.push(sql);
    else if (comparable(first) !== comparable(second)) {
      // rows that tie come in an order of the server's own, which differs from session to session
      if (unordered(first) === unordered(second)) reordered.push(sql);
      else different.push(sql);
    }
    if (bare.error !== null) continue;
    valid++;
    if (first.error === null) passed++;
    if (first.reason === 'opaque_statement' || first.reason === 'unknown_name')
      unread.push(`${sql}: ${first.error?.message}`);
    const contradiction = contradicts(sql, bare.fields, catalog);
    if (contradiction !== null) contradicted.push(`${sql}: ${contradiction}`);
  }
  for (const session of [a, b, bareA, bareB]) session.end();
  return { asked, valid, passed, telling, different, reordered, unread, contradicted };
}

/** An answer's packets without their numbers, sorted. */
function unordered(answer: Answer): string {
  if (answer.error !== null) return comparable(answer);
  const { bytes } = answer;
  const packets: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4 + bytes.readUIntLE(at, 3))
    packets.push(bytes.toString('latin1', at + 4, at + 4 + bytes.readUIntLE(at, 3)));
  return packets
    .map((packet) => packet.replaceAll(/corpus_[ab]/g, 'corpus_X'))
    .sort()
    .join('\n');
}

async function catalogOf(world: CorpusWorld): Promise<Catalog> {
  const { crm, secrets } = world.world;
  const { catalog } = await readMysqlCatalog(
    {
      name: 'corpus-a',
      host: crm!.host,
      port: crm!.port,
      database: 'corpus_a',
      user: 'cordon',
      password: secrets[1]!,
      tls: { mode: 'disable', ca: null, cert: null, key: null },
    },
    1,
  );
  return catalog;
}

/** A field of a result, as the server describes it. */
export interface Field {
  readonly name: string;
  readonly orgTable?: string;
  readonly orgName?: string;
}

/** How the server's metadata and the analysis disagree; null when they do not. */
function contradicts(sql: string, fields: readonly Field[], catalog: Catalog): string | null {
  const [statement] = analyzer.analyze(sql, catalog, { path: ['corpus_a'] }).statements;
  if (statement?.kind !== 'analyzed') return null;
  const { outputs } = statement;
  if (outputs.length !== fields.length) return `${outputs.length} columns foretold, ${fields.length} came`;
  for (const [at, field] of fields.entries()) {
    const output = outputs[at]!;
    if (output.name !== '' && output.name !== field.name) return `${output.name} is called ${field.name}`;
    const base = catalog.table('corpus_a', field.orgTable ?? '');
    if (base?.kind !== 'table' || output.sources === 'unknown') continue;
    // of a derived table that it stores, MariaDB tells the column by its alias; and a common table by its own name
    if (!base.columns.some((column) => column.name === field.orgName)) continue;
    const told = output.sources.some((ref) => ref.table === base.name);
    if (!told) return `${field.name} is ${field.orgTable}.${field.orgName}`;
  }
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [product = 'mariadb', count = '2000', seed = '1', seconds = '60'] = process.argv.slice(2);
  const world = await startCorpusWorld(product as Product);
  const found = await compare(world, Number(count), Number(seed), Date.now() + Number(seconds) * 1000);
  await world.stop();
  console.log({
    ...found,
    different: found.different.length,
    reordered: found.reordered.length,
    unread: found.unread.length,
    contradicted: found.contradicted.length,
  });
  for (const sql of [...found.different, ...found.contradicted, ...found.unread, ...found.reordered].slice(
    0,
    60,
  ))
    console.log(sql);
  process.exitCode = found.different.length + found.contradicted.length === 0 ? 0 : 1;
}
