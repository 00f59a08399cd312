/** The demo's policy, a catalog to go with it, and statements put together by hand for the tests of this folder. */
import { readFileSync } from 'node:fs';
import { decide } from '../../policy/decide.ts';
import type { Decision, DecisionContext } from '../../policy/decision.ts';
import { loadPolicy } from '../../policy/load.ts';
import type { Policy } from '../../policy/model.ts';
import { formatSourceError } from '../../policy/source.ts';
import {
  buildCatalog,
  type Catalog,
  type CatalogContents,
  type CatalogTable,
  type Engine,
  type RelationKind,
} from '../../sql/catalog.ts';
import type { Analyzed, Clause, ColumnRef, ColumnUse, Output, TableUse } from '../../sql/statement.ts';

export const shopPolicyText = readFileSync(new URL('../../fixtures/policy.yaml', import.meta.url), 'utf8');

/** Loads a text that has to load. */
export function policyFrom(text: string): Policy {
  const loaded = loadPolicy(text, 'policy.yaml');
  if (loaded.ok) return loaded.policy;
  throw new Error(loaded.errors.map(formatSourceError).join('\n'));
}

export const shopPolicy = policyFrom(shopPolicyText);

let nextOid = 20_000;

/** `columns`: `name` or `name:type`. */
export function table(
  name: string,
  columns: readonly string[],
  more: Partial<CatalogTable> & { kind?: RelationKind } = {},
): CatalogTable {
  const [schema = '', bare = ''] = name.split('.');
  nextOid += 1;
  return {
    schema,
    name: bare,
    kind: 'table',
    oid: nextOid,
    columns: columns.map((column, index) => {
      const [columnName = '', type = 'text'] = column.split(':');
      return { name: columnName, position: index + 1, type, typeId: 25, notNull: false, generated: false };
    }),
    definition: null,
    parents: [],
    hasTriggers: false,
    ...more,
  };
}

export function catalogOf(
  tables: readonly CatalogTable[],
  engine: Engine = 'postgres',
  more: Partial<CatalogContents> = {},
): Catalog {
  return buildCatalog({
    engine,
    version: 1,
    serverVersion: engine === 'postgres' ? 180_004 : 101_100,
    isMariaDb: engine === 'mysql',
    foldsTableNames: false,
    schemas: [...new Set(tables.map((one) => one.schema))],
    tables,
    functions: [],
    types: [],
    ...more,
  });
}

const order = ['id', 'customer_id', 'card_number', 'total'];
const shopTables = [
  table('public.customers', ['id', 'name', 'region', 'email', 'phone', 'ssn', 'born']),
  table('public.orders', order),
  table('public.us_orders', order),
  table('public.products', ['id', 'name', 'price']),
  table('public.secrets', ['id', 'word']),
];
export const shopCatalog = catalogOf(shopTables);

const routes: DecisionContext['routes'] = [
  { upstream: 'shop-eu', region: 'eu', kind: 'primary' },
  { upstream: 'shop-us', region: 'us', kind: 'primary' },
];

/** Somebody in the groups, or the subject when it holds a colon; everything else in `eu` unless said. */
export function asking(
  who: string,
  more: Partial<Omit<DecisionContext, 'principal'>> & { client?: string | null; gateway?: string } = {},
): DecisionContext {
  const { client = 'eu', gateway = 'eu', ...rest } = more;
  return {
    principal: {
      subject: who.includes(':') ? who : 'ann',
      issuer: 'https://idp.example.com',
      name: 'ann@example.com',
      groups: who.includes(':') ? [] : who.split(',').filter((group) => group !== ''),
      region: null,
      expiresAt: 4_000_000_000,
    },
    database: 'shop',
    routes,
    pinned: null,
    path: { gateway, client },
    ...rest,
  };
}

export const etl = 'repo:acme/etl:ref:refs/heads/main';

function column(path: string): ColumnRef {
  const [schema = '', tableName = '', name = ''] = path.split('.');
  return { schema, table: tableName, column: name };
}

export function use(path: string, clause: Clause): ColumnUse {
  return { ...column(path), clause };
}

/** A plain output column. */
export function plain(path: string): Output {
  const ref = column(path);
  return { name: ref.column, sources: [ref], direct: true };
}

export function tableUse(name: string, more: Partial<TableUse> = {}): TableUse {
  const [schema = '', bare = ''] = name.split('.');
  return {
    schema,
    table: bare,
    reads: true,
    writes: false,
    system: false,
    view: false,
    viaView: false,
    span: { start: 14, end: 14 + bare.length, aliased: false },
    ...more,
  };
}

/** A SELECT unless said otherwise; plain outputs are column uses too, as the analyzer has them. */
export function statement(more: Partial<Analyzed> = {}): Analyzed {
  const outputs = more.outputs ?? [];
  const copies = outputs.flatMap((output) =>
    output.sources === 'unknown' || !output.direct
      ? []
      : output.sources.map((source): ColumnUse => ({ ...source, clause: 'output' })),
  );
  return {
    kind: 'analyzed',
    shape: 'select ?',
    statementKind: 'select',
    tables: [],
    written: [],
    functions: [],
    effects: [],
    withoutWhere: false,
    literals: 'free',
    ...more,
    outputs,
    columns: [...copies, ...(more.columns ?? [])],
  };
}

export function selectFrom(
  names: string,
  outputs: readonly string[] = [],
  more: Partial<Analyzed> = {},
): Analyzed {
  return statement({
    tables: names.split(',').map((name) => tableUse(name)),
    outputs: outputs.map(plain),
    ...more,
  });
}

export const written = { reads: false, writes: true, span: null } as const;

export function deciding(
  who: string | DecisionContext,
  what: Parameters<typeof decide>[2],
  { policy = shopPolicy, catalog = shopCatalog, now = 0 } = {},
): Decision {
  return decide(policy, typeof who === 'string' ? asking(who) : who, what, catalog, now);
}

/** `allow shop-eu` or `refuse region_read path_client`: what a table of cases compares. */
export function inShort(decision: Decision): string {
  switch (decision.effect) {
    case 'allow':
      return `allow ${decision.route}`;
    case 'hold':
      return `hold ${decision.approvers.join(' ')}`;
    case 'refuse':
      return `refuse ${decision.because.reasons.join(' ')}`;
  }
}
