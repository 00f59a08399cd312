/**
 * Statements of SQLsmith (the Debian package of that name, GPL, run as a program): it reads a database's schema, and prints
 * random statements of that schema's tables and of the server's functions. They are made comparable here: no sampling that nobody can repeat.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Makes sure that the program is here. @throws Error that says how to get it. */
export function installSqlsmith(): void {
  const runs = (): boolean => spawnSync('sqlsmith', ['--version'], { stdio: 'ignore' }).error === undefined;
  if (runs()) return;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args: string[]) => spawnSync('apt-get', ['-qq', ...args], { stdio: 'inherit', env });
    apt('update');
    apt('install', '-y', '--no-install-recommends', 'sqlsmith');
  }
  if (!runs()) throw new Error('sqlsmith is missing; on Debian: apt-get install sqlsmith');
}

export interface Making {
  /** A libpq connection string of the database whose schema is read. */
  readonly target: string;
  readonly seed: number;
  readonly count: number;
  /** Relations of pg_catalog and information_schema too. */
  readonly catalog: boolean;
}

/** Prints of one run of the program, each without its semicolon. Same seed and schema, same statements. */
export async function* made({ target, seed, count, catalog }: Making): AsyncGenerator<string> {
  const child = spawn(
    'sqlsmith',
    [
      ...[`--target=${target}`, '--dry-run', `--seed=${seed}`, `--max-queries=${count}`],
      ...(catalog ? [] : ['--exclude-catalog']),
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  try {
    const lines: string[] = [];
    let at = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.endsWith(';')) {
        lines.push(line);
        continue;
      }
      lines.push(line.slice(0, -1));
      yield comparableText(lines.splice(0).join('\n').trim(), at++);
    }
  } finally {
    child.kill();
  }
}

/** What stands in for a constant NULL now and then: a condition over NULL alone finds no row, and so shows nothing. */
const constants: Readonly<Record<string, readonly string[]>> = {
  int2: ['3', '1'],
  int4: ['3', '1', '700000000'],
  int8: ['3', '1', '2'],
  float4: ['2.5'],
  float8: ['2.5', '1'],
  numeric: ['3', '500000.5'],
  text: ["'Q'", "'Ada'", "'a'"],
  name: ["'ssn'"],
  bool: ['true', 'true', 'false'],
  date: ["'1845-11-01'"],
  timestamptz: ["'1787-03-01'"],
  jsonb: [`'{"k": 1}'`],
  uuid: ["'66666666-aaaa-4aaa-8aaa-666666666666'"],
};

/** SQLsmith casts to pseudo-types, which the server takes in no cast: what stands in for them. */
const concrete: Readonly<Record<string, string>> = {
  anyrange: 'int4range',
  anymultirange: 'int4multirange',
  anycompatiblerange: 'int4range',
  anycompatiblemultirange: 'int4multirange',
  anyenum: 'public.mood',
  anyarray: '_int4',
  anycompatiblearray: '_int4',
  anyelement: 'int4',
  anynonarray: 'int4',
  anycompatible: 'int4',
  anycompatiblenonarray: 'int4',
};

/**
 * Sampling goes, or is made repeatable; two thirds of the constant NULLs of common types become values. Every other statement is
 * made to find rows: its outer condition lets NULL pass, and joins keep what has no partner.
 */
function comparableText(sql: string, at: number): string {
  let turn = at;
  const text = sql
    .replace(
      / tablesample (system|bernoulli) \([\d.]+\)/g,
      at % 6 === 0 ? ' tablesample bernoulli (60) repeatable (3)' : '',
    )
    .replace(/ as "?(any\w+)"?\)/g, (whole, type: string) =>
      concrete[type] === undefined ? whole : ` as ${concrete[type]})`,
    )
    .replace(/cast\(null as "?(\w+)"?\)/g, (whole, type: string) => {
      const values = constants[type];
      turn = (turn * 31 + 7) % 1009;
      return values === undefined || turn % 3 === 0
        ? whole
        : `cast(${values[turn % values.length]} as "${type}")`;
    });
  if (at % 2 === 0 || !text.startsWith('select')) return text;
  return text
    .replace(/\binner join\b/g, 'left join')
    .replace(
      /^where ([\s\S]*?)(?=^(?:limit|group by|order by|having)\b|(?![\s\S]))/m,
      'where ($1) is not false\n',
    );
}
