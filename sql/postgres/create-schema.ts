/**
 * CREATE SCHEMA with definitions in it (manual: SQL commands, CREATE SCHEMA). Names without a schema mean the new one's objects first,
 * which hold no row yet: using them is no use of data. A definition sees what the server has made before it, which is in an order of
 * its own (parse_utilcmd.c, transformCreateSchemaStmtElements).
 */
import type { CreateStmt, Node, RangeVar, ViewStmt } from 'libpg-query';
import type { Catalog } from '../catalog.ts';
import type { StatementKind } from '../statement.ts';
import { createView, definition, definitionKind } from './definitions.ts';
import { type Column, constant, type Walk, type WithQuery } from './model.ts';
import { renamed } from './relations.ts';
import { type Body, open, stringsOf, unsupported } from './tree.ts';

/** Walks the statement; its kind is the strongest of its parts. */
export function createSchema(walk: Walk, body: Body): StatementKind {
  const { schemaElts, ...head } = body;
  definition(walk, 'CreateSchemaStmt', head);
  const elements = inOrder(walk, ((schemaElts ?? []) as readonly Node[]).map(open));
  if (elements.length === 0) return 'ddl';
  // Where the server alone knows the name, no text can say it either.
  const schema = String(body.schemaname ?? (body.authrole as Body | undefined)?.rolename ?? '');
  const made = new Map<string, WithQuery>();
  const inside: Walk = { ...walk, catalog: without(walk.catalog, schema), path: [schema, ...walk.path] };
  let kind: StatementKind = 'ddl';
  for (const [name, element] of elements) {
    if (name === 'ViewStmt') {
      const view = element as ViewStmt;
      const own = { ...view.view, schemaname: view.view?.schemaname ?? schema };
      const columns = createView(inside, { ...view, view: own }, { queries: new Map(made), parent: null });
      const aliases = stringsOf(view.aliases);
      makes(walk, made, own.relname!, () => renamed(columns, aliases));
      continue;
    }
    const found = definitionKind(name, element);
    if (!found) throw unsupported(name);
    if (found === 'admin') kind = found;
    const own = name === 'GrantStmt' ? undefined : ((element.relation ?? element.sequence) as RangeVar);
    definition(inside, name, inSchema(element, own, schema, made));
    if (name === 'CreateStmt') makes(walk, made, own!.relname!, () => columnsOf(element));
    if (name === 'CreateSeqStmt') makes(walk, made, own!.relname!, () => sequence);
  }
  return kind;
}

type Element = ReturnType<typeof open>;

const order = ['CreateSeqStmt', 'CreateStmt', 'ViewStmt', 'IndexStmt', 'CreateTrigStmt', 'GrantStmt'];

function inOrder({ catalog }: Walk, elements: readonly Element[]): readonly Element[] {
  if (elements.length > 1 && catalog.serverVersion >= 190_000)
    throw unsupported('CREATE SCHEMA with several definitions on this version of the server');
  return elements.toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}

/** The server looks into its own schema and the session's temporary one before all others. */
function makes(walk: Walk, made: Map<string, WithQuery>, name: string, columns: WithQuery['columns']): void {
  const first = walk.path.filter((schema) => schema === 'pg_catalog' || schema.startsWith('pg_temp_'));
  if (first.some((schema) => walk.catalog.table(schema, name)))
    throw unsupported(`"${name}", which stands for another relation as well,`);
  made.set(name, { name, columns });
}

const column = (name: string): Column => ({ ...constant, name });
const sequence: readonly Column[] = ['last_value', 'log_cnt', 'is_called'].map(column);

function columnsOf(element: Body): readonly Column[] {
  const table = element as CreateStmt;
  const elsewhere = table.inhRelations ?? table.partbound ?? table.ofTypename;
  return (table.tableElts ?? []).flatMap((node) => {
    const [kind, part] = open(node);
    if (elsewhere || kind === 'TableLikeClause')
      throw unsupported('a table whose columns come from another one');
    return kind === 'ColumnDef' ? [column(String(part.colname))] : [];
  });
}

/** The same definition, where what it makes and what was made before it have the schema in front. */
function inSchema(
  element: Body,
  own: RangeVar | undefined,
  schema: string,
  made: ReadonlyMap<string, WithQuery>,
): Body {
  return JSON.parse(
    JSON.stringify(element, (_key, value: unknown) => {
      if (typeof value !== 'object' || value === null || !('relname' in value)) return value;
      const range = value as { relname: string; schemaname?: string };
      const here = range === own || made.has(range.relname);
      return here && range.schemaname === undefined ? { ...range, schemaname: schema } : value;
    }),
  ) as Body;
}

/** A schema of the name that is there already is the server's to refuse. */
function without(catalog: Catalog, schema: string): Catalog {
  return {
    ...catalog,
    table: (of, name) => (of === schema ? undefined : catalog.table(of, name)),
    functions: (of, name) => (of === schema ? [] : catalog.functions(of, name)),
    hasType: (of, name) => of !== schema && catalog.hasType(of, name),
  };
}
