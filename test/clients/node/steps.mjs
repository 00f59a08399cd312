/** What every Node client's script shares: where it connects, the texts, and one JSON line a step. */
import { createRequire } from 'node:module';

/** The target and its texts, as the matrix hands them over. */
export const target = JSON.parse(process.env.CORDON_CLIENT);
export const { steps: text } = target;
export const isPostgres = target.dialect === 'postgres';
export const large = 'y'.repeat(900_000);

/** Loads a package of the matrix's own, which lie outside of the project. */
export const load = createRequire(process.env.CORDON_NODE_CLIENTS);

/** Columns of a driver's answer as plain values: types stay visible. */
export function plain(value) {
  if (value === undefined) return 'undefined';
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) return value;
  if (typeof value === 'bigint') return `bigint:${value}`;
  if (Buffer.isBuffer(value)) return `bytes:${value.toString('hex')}`;
  if (value instanceof Date) return `Date:${value.toISOString()}`;
  if (Array.isArray(value)) return value.map(plain);
  const name = value.constructor?.name;
  if (/^Decimal/.test(name ?? '')) return `Decimal:${value}`;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** Runs one step and prints what it gave, or the native error. */
export async function step(name, action) {
  let line;
  try {
    line = { step: name, value: plain(await action()) };
  } catch (error) {
    line = { step: name, error: codeOf(error), message: String(error?.message ?? error).slice(0, 2000) };
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** The server's own code, however deep an ORM has put it. */
function codeOf(error) {
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 6; depth++) {
    // Prisma's own codes are P1000 and up; what the server said lies deeper.
    for (const code of isPostgres ? [at.code, at.originalCode] : [at.errno, at.originalCode, at.code]) {
      if (isPostgres ? /^(?!P[1-9])[0-9A-Z]{5}$/.test(code ?? '') : /^[1-9]\d{3}$/.test(code ?? ''))
        return String(code);
    }
    at = at.meta?.driverAdapterError ?? at.cause ?? at.original ?? at.driverError ?? at.parent ?? at.meta;
  }
  return String(error?.name ?? error);
}

/** TLS options of a MySQL driver; undefined for the server itself. */
export async function tls() {
  if (target.ca === null) return undefined;
  const { readFileSync } = await import('node:fs');
  return { ca: readFileSync(target.ca) };
}

/** Where a driver connects, under the names that most of them take. */
export const connection = {
  host: target.host,
  port: target.port,
  user: target.user,
  password: target.password,
  database: target.database,
};

const lengths = (rows) => rows.map((row) => Object.values(row).map((cell) => cell.length));
const digest = (rows) => [rows.length, rows[0], rows.at(-1)];

/**
 * The steps over `query(text)` and `execute(text, values)`, both answering rows as objects or arrays, and `affected` of a write.
 * `numbered`: placeholders are $1, $2 and not question marks.
 */
export async function driverSteps({ query, execute, write, numbered, transaction }) {
  const bound = (name) => {
    let number = 0;
    return numbered ? text[name].replace(/\?/g, () => `$${++number}`) : text[name];
  };
  for (const name of ['types', 'rows', 'masked']) await step(name, () => query(text[name]));
  await step('prepared', async () => {
    const all = [];
    for (const first of [1, 3, 1]) all.push(await execute(bound('prepared'), [first]));
    return all;
  });
  await step('masked_prepared', () => execute(bound('masked_prepared'), [1]));
  await step('parameters', () => execute(bound('parameters'), ["it's \\ ż", 42, null]));
  await step('large', async () => lengths(await query(text.large)));
  await step('large_parameter', () => execute(bound('large_parameter'), [large]));
  await step('many', async () => digest(await query(text.many)));
  for (const name of ['error', 'syntax', 'after', 'derived']) await step(name, () => query(text[name]));
  const value = isPostgres ? '777.5' : 'p@example.org';
  for (const [name, values] of [
    ['insert', []],
    ['insert_prepared', [value]],
  ]) {
    await step(name, () =>
      transaction(async (inner) => [
        await (inner.write ?? write)(bound(name), values),
        await (inner.query ?? query)(text.count),
      ]),
    );
  }
  await step('rolled_back', () => query(text.count));
}
