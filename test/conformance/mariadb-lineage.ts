/**
 * `npm run conformance:lineage:mariadb -- [FILES]`: what sql/mysql says that each output of a SELECT is made of, held against
 * what MariaDB writes of the query when it has resolved its names (EXPLAIN EXTENDED), and against the origins in its result's
 * metadata. Where the two differ, the body of a view of the same query decides: the optimizer doesn't touch that one.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Catalog, CatalogTable } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import type { Output } from '../../sql/statement.ts';
import { type Field, Play, startTestServer } from './mariadb-bare.ts';
import { TestCatalog } from './mariadb-catalog.ts';
import { readRewritten, type Sources, Unread } from './mariadb-rewritten.ts';
import { readTest } from './mysqltest.ts';

const cache = '/var/tmp/cordon/mariadb-tests';
execFileSync(fileURLToPath(new URL('fetch-mariadb-tests.sh', import.meta.url)), [cache], {
  stdio: 'inherit',
});
const root = join(cache, 'mysql-test');
const wanted = process.argv.slice(2);
const files =
  wanted.length > 0
    ? wanted
    : 'select join join_nested join_outer subselect subselect2 derived derived_view view cte_nonrecursive cte_recursive union group_by win having distinct table_value_constr brackets case func_group order_by'.split(
        ' ',
      );

process.env.TMPDIR = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cordon-lineage-'));
process.once('exit', () => rmSync(process.env.TMPDIR!, { recursive: true, force: true }));
const analyzer = mysqlAnalyzer();
const server = await startTestServer();
const reader = await TestCatalog.open(server);

const counts = { compared: 0, agree: 0, byView: 0, unread: 0, refused: 0 };
const explained = new Map<string, number>();
const open: string[] = [];
for (const file of files) {
  const test = readTest(root, `main/${file.replace(/\.test$/, '')}.test`);
  const play = await Play.begin(server, reader);
  for (const { sql, line } of test.steps) {
    if (play.unplayable(sql) !== null) continue;
    const select =
      /^\s*\(*\s*(select|with|values)\b/i.test(sql) &&
      !/\binto\s+(@|outfile|dumpfile)|:=|procedure\s+analyse|\?/i.test(sql);
    const catalog = select ? await play.catalog() : null;
    const { names } = play;
    let fields: readonly Field[] = [];
    const outcome = await play.session.run(sql, (found) => {
      fields = found;
    });
    if (outcome.error !== null) continue;
    await play.after(sql);
    if (catalog === null) continue;
    const [statement, ...more] = analyzer.analyze(sql, catalog, names).statements;
    if (statement?.kind !== 'analyzed' || more.length > 0) {
      counts.refused++;
      continue;
    }
    const title = `${file}:${line}: ${sql.replace(/\s+/g, ' ').slice(0, 300)}`;
    const theirs = await rewritten(play, sql);
    if (theirs === null) {
      counts.unread++;
      continue;
    }
    counts.compared++;
    const { outputs } = statement;
    const differences = [...compare(outputs, theirs, catalog), ...origins(outputs, fields, catalog)];
    if (differences.length === 0) {
      counts.agree++;
      continue;
    }
    const view = await viewBody(play, sql, outputs.length);
    const left = [
      ...(view === null ? compare(outputs, theirs, catalog) : compare(outputs, view, catalog)),
      ...origins(outputs, fields, catalog),
    ];
    if (left.length === 0) {
      counts.byView++;
      continue;
    }
    const why = explanation(sql, left, view === null);
    if (why !== null) {
      explained.set(why, (explained.get(why) ?? 0) + 1);
      continue;
    }
    open.push(`${title}\n    ${left.join('; ')}${view === null ? ' (no view)' : ''}`);
  }
  play.end();
  process.stdout.write(`${file}: ${counts.compared} compared so far, ${open.length} disagree\n`);
}
reader.end();
await server.stop();
for (const [what, count] of explained) process.stdout.write(`${String(count).padStart(6)}  ${what}\n`);
writeFileSync(join(cache, 'lineage.txt'), open.join('\n'));
process.stdout.write(`${JSON.stringify(counts)}, ${open.length} disagree (lineage.txt)\n`);

/** Why a difference is none; null when nobody knows. */
function explanation(sql: string, left: readonly string[], noView: boolean): string | null {
  const alone = left.every((one) => one.endsWith('to us alone'));
  if (alone && /\busing\s*\(|\bnatural\b/i.test(sql))
    return 'a column joined by USING or NATURAL copies from both sides to us, from one to the server';
  if (alone && noView)
    return 'the optimizer put a constant in the place of a column, and the query can be no view: it has user variables';
  if (left.every((one) => one.endsWith("which we don't say"))) {
    if (/\bexists\b/i.test(sql)) return 'what EXISTS looks at is a use to us, not what its answer is made of';
    if (/\bwindow\b/i.test(sql))
      return 'what a named window sorts by is a use to us, not what the output is made of';
  }
  return null;
}

/** Null when the server's text isn't read here. */
async function rewritten(play: Play, sql: string): Promise<Sources | null> {
  if ((await play.session.run(`EXPLAIN EXTENDED ${sql}`)).error !== null) return null;
  const { results } = await play.session.run('SHOW WARNINGS');
  for (const result of results)
    for (const [, code, message] of 'rows' in result ? result.rows : [])
      if (code === '1003' && message) return read(Buffer.from(message, 'latin1').toString('utf8'));
  return null;
}

function read(text: string): Sources | null {
  try {
    return readRewritten(text);
  } catch (cause) {
    if (!(cause instanceof Unread)) throw cause;
    explained.set(
      `not read: ${cause.message.replace(/\d+/g, '_')}`,
      (explained.get(`not read: ${cause.message.replace(/\d+/g, '_')}`) ?? 0) + 1,
    );
    return null;
  }
}

async function viewBody(play: Play, sql: string, width: number): Promise<Sources | null> {
  const columns = Array.from({ length: width }, (_, at) => `c${at}`).join(', ');
  const made = await play.session.run(`CREATE OR REPLACE VIEW mtr.compared (${columns}) AS ${sql}`);
  if (made.error !== null) return null;
  const { results } = await play.session.run(
    "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'mtr'",
  );
  const text = results[0] && 'rows' in results[0] ? results[0].rows[0]?.[0] : null;
  return text ? read(Buffer.from(text, 'latin1').toString('utf8')) : null;
}

function ownNames({ sources }: Output): Set<string> {
  return new Set(
    sources === 'unknown'
      ? []
      : sources.map(({ schema, table, column }) => `${schema}.${table}.${column}`.toLowerCase()),
  );
}

/** A view's column stands for what is behind it: the server names views in the bodies of views. */
function behind(name: string, catalog: Catalog, depth = 0): readonly string[] {
  const [schema = '', table = '', column = ''] = name.replace(/^\?/, '').split('.');
  const known = tableOf(catalog, schema, table);
  if (known?.kind !== 'view' || known.definition === null || depth > 8) return [name];
  const at = known.columns.findIndex((one) => one.name.toLowerCase() === column);
  const body = read(known.definition);
  return [...(body?.[at] ?? [])].flatMap((one) => behind(one, catalog, depth + 1));
}

function tableOf(catalog: Catalog, schema: string, table: string): CatalogTable | undefined {
  const exact = catalog.table(schema, table);
  if (exact) return exact;
  for (const one of catalog.tables())
    if (one.schema.toLowerCase() === schema && one.name.toLowerCase() === table) return one;
  return undefined;
}

/** What one side says and the other does not, columns of tables only. */
function compare(outputs: readonly Output[], theirs: Sources, catalog: Catalog): string[] {
  if (outputs.length !== theirs.length) return [`${theirs.length} columns, we say ${outputs.length}`];
  return outputs.flatMap((output, at) => {
    const ours = ownNames(output);
    const named = new Set([...(theirs[at] ?? [])].flatMap((one) => behind(one, catalog)));
    const found: string[] = [];
    for (const name of named) {
      const bare = name.replace(/^\?/, '');
      const [schema = '', table = ''] = bare.split('.');
      if (ours.has(bare) || tableOf(catalog, schema, table)?.kind !== 'table') continue;
      found.push(`column ${at + 1} is made of ${bare}, which we don't say`);
    }
    for (const name of ours) {
      if (named.has(name) || named.has(`?${name}`) || name.startsWith('information_schema.')) continue;
      found.push(`column ${at + 1} is made of ${name} to us alone`);
    }
    return found;
  });
}

/** The origin that the protocol tells of each column. */
function origins(outputs: readonly Output[], fields: readonly Field[], catalog: Catalog): string[] {
  if (fields.length !== outputs.length) return [`${fields.length} columns came, we say ${outputs.length}`];
  return fields.flatMap((field, at) => {
    const output = outputs[at]!;
    if (!field.orgTable || !field.orgName) return [];
    const base = field.schema ? catalog.table(field.schema, field.orgTable) : undefined;
    if (base?.kind !== 'table' || !base.columns.some(({ name }) => name === field.orgName)) return [];
    const told = `${base.schema}.${base.name}.${field.orgName}`.toLowerCase();
    return ownNames(output).has(told) ? [] : [`column ${at + 1} is ${told} to the protocol`];
  });
}
