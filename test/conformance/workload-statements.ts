/** Workload files: what is in them, and the sessions that send their statements in every form that a driver has. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { Address, Product } from './workload-world.ts';

/** One statement of a workload file. */
export interface WorkloadStatement {
  readonly name: string;
  /** Parameters are $1 and so on. */
  readonly text: string;
  readonly values: readonly (string | number | null)[];
  /** It writes, locks or defines: nothing for an analyst. */
  readonly administratorOnly: boolean;
}

/** How a statement is sent: text alone, or with its values apart; on PostgreSQL also named and with binary results. */
export type Form = 'simple' | 'extended' | 'named' | 'binary';

/** What came back: rows as lists of texts, or how it was refused or failed. */
export interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows changed, where no rows came. */
  readonly changed: number | null;
  readonly error: string | null;
  /** True when Cordon refused it, as its message says. */
  readonly refused: boolean;
}

/** Reads `-- name:` sections with their `-- for:` and `-- with:` lines. `only: X` keeps a section to one product. */
export function readWorkload(file: string | URL, product: Product): readonly WorkloadStatement[] {
  return readFileSync(file, 'utf8')
    .split(/^-- name: /m)
    .slice(1)
    .flatMap((section) => {
      const lines = section.split('\n');
      const said = (key: string): string | undefined =>
        lines.find((line) => line.startsWith(`-- ${key}: `))?.slice(key.length + 5);
      const only = said('only');
      if (only !== undefined && !only.split(' ').includes(product)) return [];
      const text = lines
        .slice(1)
        .filter((line) => !line.startsWith('-- '))
        .join('\n')
        .trim()
        .replace(/;$/, '');
      return [
        {
          name: lines[0]!,
          text,
          values: JSON.parse(said('with') ?? '[]') as WorkloadStatement['values'],
          administratorOnly: said('for') === 'administrator',
        },
      ];
    });
}

/** A folder of queries, one a file and without parameters. */
export function readQueries(folder: string): readonly WorkloadStatement[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -4),
      text: readFileSync(join(folder, file), 'utf8').trim().replace(/;$/, ''),
      values: [],
      administratorOnly: false,
    }));
}

/** Statements of a file without sections, split at a semicolon that ends its line. */
export function readScript(file: string | URL): readonly string[] {
  return readFileSync(file, 'utf8')
    .replace(/^--.*$/gm, '')
    .split(/;\s*$/m)
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** A session of either product that never throws for a statement's failure. */
export interface WorkloadSession {
  readonly forms: readonly Form[];
  send(text: string, values: WorkloadStatement['values'], form: Form): Promise<Answer>;
  end(): Promise<void>;
}

export function openSession(to: Address): Promise<WorkloadSession> {
  return to.product === 'postgres' ? openPostgres(to) : openMySql(to);
}

async function openPostgres({ port, user, password, database }: Address): Promise<WorkloadSession> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
  client.on('error', () => {});
  await client.connect();
  // Values as the server wrote them: what they mean is not looked at.
  const types = { getTypeParser: () => (value: unknown) => asText(value) };
  let named = 0;
  return {
    forms: ['simple', 'extended', 'named', 'binary'],
    async send(text, values, form) {
      const query =
        form === 'simple'
          ? { text: withLiterals(text, values), rowMode: 'array' as const, types }
          : {
              text,
              values: [...values],
              queryMode: 'extended',
              rowMode: 'array' as const,
              types,
              ...(form === 'named' ? { name: `w${named++}` } : {}),
              ...(form === 'binary' ? { binary: true } : {}),
            };
      try {
        const result = await client.query(query);
        return {
          columns: result.fields.map((field) => field.name),
          rows: result.rows as string[][],
          changed: result.fields.length === 0 ? result.rowCount : null,
          error: null,
          refused: false,
        };
      } catch (error) {
        const { code, message, detail } = error as pg.DatabaseError;
        return failed(`${code} ${message} ${detail ?? ''}`, /^reason: /.test(detail ?? ''));
      }
    },
    end: () => client.end(),
  };
}

async function openMySql({ port, user, password, database }: Address): Promise<WorkloadSession> {
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port,
    user,
    password,
    database,
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
  });
  connection.on('error', () => {});
  return {
    forms: ['simple', 'extended'],
    async send(text, values, form) {
      try {
        const { placed, order } = questionMarks(text);
        const [result, fields] =
          form === 'simple'
            ? await connection.query(withLiterals(text, values))
            : await connection.execute(
                placed,
                order.map((index) => values[index] ?? null),
              );
        if (!Array.isArray(result))
          return { columns: [], rows: [], changed: result.affectedRows, error: null, refused: false };
        return {
          columns: (fields ?? []).map((field) => field.name),
          rows: (result as unknown[][]).map((row) => row.map(asText)),
          changed: null,
          error: null,
          refused: false,
        };
      } catch (error) {
        const { code, errno, message } = error as { code?: string; errno?: number; message: string };
        return failed(`${errno ?? code} ${message}`, /; decision: /.test(message));
      }
    },
    end: () => connection.end(),
  };
}

const failed = (error: string, refused: boolean): Answer => ({
  columns: [],
  rows: [],
  changed: null,
  error,
  refused,
});

function asText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

/** The same text with its values in place of $1 and so on. */
function withLiterals(text: string, values: WorkloadStatement['values']): string {
  return text.replace(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1] ?? null;
    if (value === null) return 'NULL';
    return typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`;
  });
}

/** MySQL's parameters have no numbers: which value goes where, by index. */
function questionMarks(text: string): { readonly placed: string; readonly order: readonly number[] } {
  const order: number[] = [];
  const placed = text.replace(/\$(\d+)/g, (_, number: string) => {
    order.push(Number(number) - 1);
    return '?';
  });
  return { placed, order };
}
