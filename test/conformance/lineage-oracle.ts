/** Holds our reading of SELECT statements against what a real server records of a view of the same text. */
import pg from 'pg';
import { readPostgresCatalog } from '../../protocols/postgres/catalog.ts';
import type { Catalog } from '../../sql/catalog.ts';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import type { ColumnRef } from '../../sql/statement.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { schema } from './lineage-statements.ts';

/** What differs for one statement; empty lists mean agreement. */
export interface Comparison {
  readonly text: string;
  /** The server rejects the statement: nothing to compare. */
  readonly rejected: string | null;
  readonly disagreements: readonly string[];
}

export interface Oracle {
  compare(text: string): Promise<Comparison>;
  /** The server's own views, by definition: their outputs are compared, the server records no dependencies for them. */
  compareSystemViews(): Promise<readonly Comparison[]>;
  close(): Promise<void>;
}

const columnsOfView = `select r.nspname as schema, t.relname as table, a.attname as column
  from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
  join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid
  join pg_namespace r on r.oid = t.relnamespace
  left join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid and d.refobjsubid > 0
  where w.ev_class = $1::regclass and t.oid <> w.ev_class`;

const nameOf = ({ schema: s, table, column }: ColumnRef): string => `${s}.${table}.${column}`;

/** Fills a database of the server and reads its catalog. */
export async function lineageOracle(server: PostgresServer): Promise<Oracle> {
  const account = { host: server.host, port: server.port, user: server.user, password: server.password };
  const client = new pg.Client({ ...account, database: 'postgres' });
  await client.connect();
  await client.query(schema);
  const analyzer = await postgresAnalyzer();
  const { catalog } = await readCatalog(server);
  const path = ['pg_catalog', 'public'];

  /** Everything that the server says a view takes, and what the views among it take. */
  const dependencies = async (view: string): Promise<Set<string>> => {
    const found = new Set<string>();
    const { rows } = await client.query(columnsOfView, [view]);
    const views = new Set<string>();
    for (const row of rows as ColumnRef[]) {
      const table = catalog.table(row.schema, row.table);
      if (row.column) {
        found.add(nameOf(row));
        for (const parent of parentsOf(catalog, row)) found.add(parent);
      }
      if (table?.definition) views.add(`${row.schema}.${row.table}`);
    }
    for (const behind of views) for (const column of await dependencies(behind)) found.add(column);
    return found;
  };

  const outputsDiffer = async (text: string, run: string): Promise<string[]> => {
    const { fields } = await client.query({ text: run, rowMode: 'array' });
    const [statement] = analyzer.analyze(text, catalog, { path }).statements;
    if (statement?.kind !== 'analyzed')
      return [`not understood: ${statement?.kind === 'opaque' ? statement.message : ''}`];
    const { outputs } = statement;
    // A call whose columns can't be told: nothing is said of any.
    if (outputs.some((output) => output.sources === 'unknown')) return [];
    if (outputs.length !== fields.length) return [`${fields.length} columns, we say ${outputs.length}`];
    return fields.flatMap((field, i) => {
      const output = outputs[i]!;
      if (field.name !== output.name) return [`column "${field.name}" is called "${output.name}" by us`];
      const table = field.tableID === 0 ? undefined : catalog.tableByOid(field.tableID);
      const column = table?.columns.find((candidate) => candidate.position === field.columnID);
      if (!table || !column) return [];
      const origin = `${table.schema}.${table.name}.${column.name}`;
      if (output.sources === 'unknown' || !output.sources.some((source) => nameOf(source) === origin))
        return [`column "${field.name}" is ${origin}, which we don't say`];
      // A view's column may be computed inside the view; the server looks no deeper.
      if (output.direct || table.definition !== null) return [];
      return [`column "${field.name}" is a plain copy of ${origin}, which we don't say`];
    });
  };

  const compare = async (text: string): Promise<Comparison> => {
    const answer = (disagreements: string[], rejected: string | null = null) => ({
      text,
      rejected,
      disagreements,
    });
    const [statement] = analyzer.analyze(text, catalog, { path }).statements;
    await client.query('begin');
    try {
      const differ = await outputsDiffer(text, text);
      if (statement?.kind !== 'analyzed') return answer(differ);
      // A view's columns need names that differ and types that tables may have.
      const aliases = statement.outputs.map((_, i) => `v${i}`).join(', ');
      if (/\bfor update$/.test(text)) return answer(differ);
      await client.query(`create view public.compared (${aliases}) as ${text}`);
      const theirs = await dependencies('public.compared');
      const clauses = new Map<string, Set<string>>();
      for (const use of statement.columns) {
        const known = clauses.get(nameOf(use));
        if (known) known.add(use.clause);
        else clauses.set(nameOf(use), new Set([use.clause]));
      }
      for (const { sources } of statement.outputs)
        for (const source of sources === 'unknown' ? [] : sources)
          if (!clauses.has(nameOf(source))) clauses.set(nameOf(source), new Set(['output']));
      const missing = [...theirs].filter((name) => !clauses.has(name));
      // The server records a whole row as a use of the table alone.
      const extra = [...clauses].filter(
        ([name, how]) => !theirs.has(name) && !name.startsWith('pg_catalog.') && !how.has('whole_row'),
      );
      return answer([
        ...differ,
        ...missing.map((name) => `the server sees a use of ${name}`),
        ...extra.map(([name, how]) => `only we see a use of ${name} (${[...how].join(', ')})`),
      ]);
    } catch (problem) {
      return answer([], problem instanceof Error ? problem.message : 'failed');
    } finally {
      await client.query('rollback');
    }
  };

  return {
    compare,
    async compareSystemViews() {
      const { rows } = await client.query(
        `select n.nspname || '.' || quote_ident(c.relname) as name, pg_get_viewdef(c.oid) as text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'v' and n.nspname in ('pg_catalog', 'information_schema') order by 1`,
      );
      const all: Comparison[] = [];
      for (const { name, text } of rows as { name: string; text: string }[])
        all.push({
          text: name,
          rejected: null,
          disagreements: await outputsDiffer(text, `select * from (${text.replace(/;\s*$/, '')}) x limit 0`),
        });
      return all;
    },
    close: () => client.end(),
  };
}

/** A column's values show up in the same column of each parent. */
function parentsOf(catalog: Catalog, ref: ColumnRef): readonly string[] {
  const table = catalog.table(ref.schema, ref.table);
  return (table?.parents ?? []).flatMap((parent) => {
    const [schemaName, name] = parent.split('.') as [string, string];
    const above = catalog.table(schemaName, name);
    return above?.columns.some((column) => column.name === ref.column) ? [`${parent}.${ref.column}`] : [];
  });
}

function readCatalog({ host, port, user, password }: PostgresServer) {
  const tls = { mode: 'disable', ca: null, cert: null, key: null } as const;
  return readPostgresCatalog({ name: 'it', host, port, database: 'postgres', user, password, tls }, 1);
}
