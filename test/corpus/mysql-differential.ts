/**
 * Random statements asked of two databases that differ in secrets only: through the gateway every answer has to be the
 * same, byte for byte, and what sql/mysql says about each column is held against the server's own metadata.
 * Run by itself: `npm run differential:mysql -- [mariadb|mysql] [count] [seed] [seconds] [file for what was refused]`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Product, Role } from '../../fixtures/corpus/mysql/entry.ts';
import type { Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { readMysqlCatalog } from '../../protocols/mysql/catalog.ts';
import type { Catalog } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { comparable, leaked } from './mysql-run.ts';
import type { Answer, RecordedSession } from './mysql-session.ts';
import { type Made, StatementMaker } from './mysql-statements.ts';
import { type CorpusWorld, startCorpusWorld } from './mysql-world.ts';

/** What a run found. */
export interface Differences {
  asked: number;
  /** Run by the bare server without an error. */
  valid: number;
  /** Let through by the gateway, and run. */
  passed: number;
  /** Of those, name a table or view with masked columns. */
  touching: number;
  /** Of those, show a secret when the bare server is asked. */
  showing: number;
  /** Let through only because the role sees NULL in place of masked values. */
  blanked: number;
  /** Answered differently by the two bare databases: what there was to be found. */
  telling: number;
  /** Showed a secret through the gateway, with the secret. */
  readonly leaking: string[];
  /** Told the two apart through the gateway. */
  readonly different: string[];
  /** The same bytes in another order. Ties do that; a masked column's order would too, so each is worth a look. */
  readonly reordered: string[];
  /** Valid, and not understood by the gateway. */
  readonly unread: string[];
  /** The statement before the server was gone, and the one that found it so. */
  readonly ended: string[];
  /** The server names another origin of a column than sql/mysql does. */
  readonly contradicted: string[];
  /** Valid, and refused although no role would see a masked value used: by reason. */
  readonly refused: Map<string, string[]>;
}

const analyzer = mysqlAnalyzer();

const masked = /\b(people|purchases|members|v_people|v_chain)\b/;

/** Asks until `count` or `deadline` (milliseconds since the epoch). The world needs twins. */
export async function compare(
  world: CorpusWorld,
  product: Product,
  count: number,
  seed: number,
  deadline: number,
): Promise<Differences> {
  const catalog = await catalogOf(world);
  const maker = new StatementMaker(seed, product);
  const found: Differences = {
    ...{ asked: 0, valid: 0, passed: 0, touching: 0, showing: 0, blanked: 0, telling: 0 },
    ...{
      leaking: [],
      different: [],
      reordered: [],
      unread: [],
      ended: [],
      contradicted: [],
      refused: new Map(),
    },
  };
  const sessions = new Map<string, RecordedSession>();
  const session = async (variant: Variant, who: Role | 'twin'): Promise<RecordedSession> => {
    const key = `${variant} ${who}`;
    const open = sessions.get(key);
    if (open && !open.closed) return open;
    const fresh = await (who === 'twin' ? world.twin(variant) : world.through(variant, who));
    sessions.set(key, fresh);
    return fresh;
  };
  const ask = (made: Made, who: Role | 'twin'): Promise<[Answer, Answer]> => {
    const one = async (variant: Variant): Promise<Answer> => {
      const on = await session(variant, who);
      if (made.changes) await on.ask('START TRANSACTION');
      const answer = await on.ask(made.sql, made.values ?? undefined);
      if (made.changes) await on.ask('ROLLBACK');
      return answer;
    };
    return Promise.all([one('a'), one('b')]);
  };
  const judge = (title: string, [a, b]: [Answer, Answer]): void => {
    // What is the same for both comes from neither's secrets, whatever it looks like: digits of a hash, an estimate.
    if (comparable(a) === comparable(b)) return;
    const secret = leaked(a) ?? leaked(b);
    if (secret !== null) found.leaking.push(`${secret}: ${title}`);
    else {
      // rows that tie come in an order of the server's own, which differs from session to session
      if (unordered(a) === unordered(b)) found.reordered.push(title);
      else found.different.push(title);
    }
  };
  let lastAsked = '';
  while (found.asked < count && Date.now() < deadline) {
    const made = maker.next();
    const { sql } = made;
    found.asked++;
    let bare: Answer;
    let other: Answer;
    try {
      [bare, other] = await ask(made, 'twin');
    } catch (problem) {
      // The server itself has ended, by the statement before as a rule.
      found.ended.push(`${lastAsked}; ${sql}: ${(problem as Error).message}`);
      break;
    }
    lastAsked = sql;
    if (comparable(bare) !== comparable(other)) found.telling++;
    let who: Role = made.changes ? 'writer' : 'reader';
    let answers = await ask(made, who);
    judge(`${who}: ${sql}`, answers);
    if (who === 'reader' && answers[0].reason === 'masked_use') {
      who = 'blind';
      answers = await ask(made, who);
      judge(`${who}: ${sql}`, answers);
    }
    const [answer] = answers;
    if (answer.reason === null && answer.error === null) {
      found.passed++;
      if (masked.test(sql)) found.touching++;
      if (leaked(bare) !== null) found.showing++;
      if (who === 'blind') found.blanked++;
    }
    if (bare.error !== null) continue;
    found.valid++;
    if (answer.reason === 'opaque_statement' || answer.reason === 'unknown_name')
      found.unread.push(`${sql}: ${answer.error?.message}`);
    if (answer.error !== null) {
      const key = answer.reason ?? 'the server, behind the gateway';
      const same = found.refused.get(key);
      if (same) same.push(`${answer.error.message}: ${sql}`);
      else found.refused.set(key, [`${answer.error.message}: ${sql}`]);
    }
    if (made.changes || made.values !== null || sql.startsWith('EXPLAIN')) continue;
    const contradiction = contradicts(sql, bare.fields, catalog);
    if (contradiction !== null) found.contradicted.push(`${sql}: ${contradiction}`);
  }
  for (const open of sessions.values()) open.end();
  return found;
}

/** An answer's bytes, sorted: rows, and values gathered into one, in any order. */
function unordered(answer: Answer): string {
  return [...comparable(answer)].sort().join('');
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
  const [product = 'mariadb', count = '2000', seed = '1', seconds = '1500', listTo] = process.argv.slice(2);
  const world = await startCorpusWorld(product as Product, { twins: true });
  const found = await compare(
    world,
    product as Product,
    Number(count),
    Number(seed),
    Date.now() + Number(seconds) * 1000,
  );
  await world.stop();
  const { refused, ...rest } = found;
  for (const [name, value] of Object.entries(rest))
    console.log(`${name.padEnd(12)} ${typeof value === 'number' ? value : value.length}`);
  for (const [reason, list] of refused) console.log(`refused      ${reason} ${list.length}`);
  for (const name of ['leaking', 'different', 'ended', 'contradicted', 'unread', 'reordered'] as const)
    for (const entry of found[name].slice(0, 20)) console.log(`${name}: ${entry}`);
  if (listTo !== undefined)
    writeFileSync(listTo, JSON.stringify({ ...rest, refused: Object.fromEntries(refused) }, null, 1));
  process.exitCode = found.leaking.length + found.different.length + found.contradicted.length === 0 ? 0 : 1;
}
