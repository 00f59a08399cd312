/** `npm run bench:analysis`: what reading a statement costs, cold and known, for both dialects; nothing is sent anywhere. */
import type { Analyzer } from '../sql/analyzer.ts';
import { buildCatalog, type Catalog, type Engine } from '../sql/catalog.ts';
import { mysqlAnalyzer } from '../sql/mysql/analyze.ts';
import { postgresAnalyzer } from '../sql/postgres/analyze.ts';
import { median } from './report.ts';

/** Enough that the compiler is done with most of them: a gateway analyzes for days. */
const runs = 100;

function catalogOf(engine: Engine): Catalog {
  const schema = engine === 'postgres' ? 'public' : 'shop';
  const type = engine === 'postgres' ? { type: 'text', typeId: 25 } : { type: 'varchar', typeId: 253 };
  return buildCatalog({
    engine,
    version: 1,
    serverVersion: engine === 'postgres' ? 180_000 : 90_000,
    isMariaDb: false,
    foldsTableNames: false,
    schemas: [schema],
    tables: Array.from({ length: 40 }, (_, t) => ({
      schema,
      name: `t${t}`,
      kind: 'table' as const,
      oid: 20_000 + t,
      columns: Array.from({ length: 30 }, (_, c) => ({
        name: `c${c}`,
        position: c + 1,
        ...type,
        notNull: false,
        generated: false,
      })),
      definition: null,
      parents: [],
      hasTriggers: false,
    })),
    functions: [],
    types: [],
  });
}

/** About 5 KB: a union of fourteen arms over joins, with predicates. */
function longStatement(variant: number): string {
  const arms = Array.from(
    { length: 14 },
    (_, i) =>
      `SELECT a.c1 AS x${variant}, b.c2 AS y, a.c3, b.c4 FROM t${i} a JOIN t${i + 1} b ON a.c1 = b.c1 AND b.c5 <> 'value ${i}' ` +
      `LEFT JOIN t${i + 2} c ON c.c6 = b.c6 WHERE a.c7 IN ('p', 'q', 'r') AND (b.c8 IS NULL OR b.c9 = 'some longer text here') ` +
      `AND EXISTS (SELECT 1 FROM t${i + 3} d WHERE d.c10 = a.c10 AND d.c11 > '${i}') AND a.c12 NOT LIKE 'abc%' AND a.c13 BETWEEN 'a' AND 'z' AND b.c14 = a.c15`,
  );
  return arms.join(' UNION ALL ');
}

function insertOf(rows: number, variant: number): string {
  const tuples = Array.from({ length: rows }, (_, i) => `('v${i}', 'text ${i}', ${i})`);
  return `INSERT INTO t${variant % 40} (c1, c2, c3) VALUES ${tuples.join(', ')}`;
}

function timed(work: () => void): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

function report(engine: Engine, analyzer: Analyzer): void {
  const catalog = catalogOf(engine);
  const names = { path: engine === 'postgres' ? ['pg_catalog', 'public'] : ['shop'] };
  const analyze = (text: string): void => {
    const { statements } = analyzer.analyze(text, catalog, names);
    if (statements.some((statement) => statement.kind !== 'analyzed'))
      throw new Error(`not understood: ${JSON.stringify(statements[0])}`);
  };
  const line = (what: string, times: readonly number[], unit: 'ms' | 'us'): void => {
    const shown = (value: number): string =>
      unit === 'us' ? `${(value * 1000).toFixed(1)} us` : `${value.toFixed(2)} ms`;
    const nearWorst = times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1]!;
    process.stdout.write(`| ${engine} | ${what} | ${shown(median([...times]))} | ${shown(nearWorst)} |\n`);
  };
  // The first statements of a process are read by code that the engine has not compiled yet.
  for (let i = 0; i < 5; i++) analyze(longStatement(1000 + i));
  const each = Array.from({ length: runs }, (_, i) => i);
  line(
    `a new statement of ${(longStatement(0).length / 1024).toFixed(1)} KB`,
    each.map((i) => timed(() => analyze(longStatement(i)))),
    'ms',
  );
  line(
    'an INSERT of 1,000 rows, new',
    each.map((i) => timed(() => analyze(insertOf(1000, i)))),
    'ms',
  );
  line(
    'its shape alone',
    each.map((i) => timed(() => void analyzer.shapeOf(insertOf(1000, i)))),
    'ms',
  );
  const short = "SELECT c1, c2 FROM t1 WHERE c3 = 'some value' AND c4 = 12345";
  line(
    'the shape of 60 characters (all that a known one costs)',
    each.map(
      () =>
        timed(() => {
          for (let i = 0; i < 1000; i++) analyzer.shapeOf(short);
        }) / 1000,
    ),
    'us',
  );
  const hostile = `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`;
  line(
    '20,000 nested parentheses, refused',
    [timed(() => void analyzer.analyze(hostile, catalog, names))],
    'ms',
  );
  const large = `SELECT c1 FROM t1 WHERE c2 IN (${Array.from({ length: 120_000 }, (_, i) => `'${i}'`).join(',')})`;
  line(
    `one text of ${(large.length / 1048576).toFixed(1)} MB`,
    [timed(() => void analyzer.analyze(large, catalog, names))],
    'ms',
  );
}

process.stdout.write('| engine | what | median | 95 in 100 at most |\n|---|---|---|---|\n');
report('postgres', await postgresAnalyzer());
report('mysql', mysqlAnalyzer());
