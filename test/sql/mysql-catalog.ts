/** A small hand-built catalog of a MySQL server for the tests of sql/mysql. */
import { buildCatalog, type Catalog, type CatalogTable } from '../../sql/catalog.ts';

function table(
  schema: string,
  name: string,
  columns: readonly string[],
  definition: string | null = null,
): CatalogTable {
  return {
    schema,
    name,
    kind: definition === null ? 'table' : 'view',
    oid: 0,
    columns: columns.map((column, at) => ({
      name: column,
      position: at + 1,
      type: 'varchar',
      typeId: 253,
      notNull: false,
      generated: false,
    })),
    definition,
    parents: [],
    hasTriggers: false,
  };
}

const tables: readonly CatalogTable[] = [
  table('crm', 'contacts', ['id', 'name', 'email', 'notes', 'created_at', 'owner_id']),
  table('crm', 'accounts', ['id', 'title', 'balance', 'region', 'data']),
  table('crm', 'products', ['id', 'name', 'price']),
  table('other', 'things', ['id', 'label']),
  table(
    'crm',
    'v_contacts',
    ['contact', 'mail'],
    'select `crm`.`contacts`.`name` AS `contact`,`crm`.`contacts`.`email` AS `mail` from `crm`.`contacts`',
  ),
  table(
    'crm',
    'v_upper',
    ['up'],
    "select ucase(`v`.`mail`) AS `up` from `crm`.`v_contacts` `v` where `v`.`contact` <> _utf8mb4'x'",
  ),
  table('crm', 'v_broken', ['a'], 'select frobnicate the view'),
  {
    ...table('information_schema', 'TABLES', ['TABLE_SCHEMA', 'TABLE_NAME', 'TABLE_TYPE', 'ENGINE']),
    kind: 'system',
  },
  { ...table('information_schema', 'PROCESSLIST', ['ID', 'INFO']), kind: 'system' },
];

export function crmCatalog(options: { folds?: boolean; isMariaDb?: boolean } = {}): Catalog {
  const isMariaDb = options.isMariaDb ?? true;
  return buildCatalog({
    engine: 'mysql',
    version: 1,
    serverVersion: isMariaDb ? 101100 : 90700,
    isMariaDb,
    foldsTableNames: options.folds ?? false,
    schemas: ['crm', 'other', 'information_schema'],
    tables,
    functions: [],
    types: [],
  });
}
