/** A small shop as PostgreSQL's catalog would list it, with the shipped functions that the tests call. */
import {
  buildCatalog,
  type Catalog,
  type CatalogFunction,
  type CatalogTable,
  type RelationKind,
} from '../../sql/catalog.ts';

let oid = 16_384;

function table(
  schema: string,
  name: string,
  columns: string,
  rest: Partial<CatalogTable> = {},
): CatalogTable {
  return {
    schema,
    name,
    kind: 'table' as RelationKind,
    oid: oid++,
    columns: columns.split(' ').map((column, i) => ({
      name: column,
      position: i + 1,
      type: 'text',
      typeId: 25,
      notNull: false,
      generated: false,
    })),
    definition: null,
    parents: [],
    hasTriggers: false,
    ...rest,
  };
}

const view = (name: string, columns: string, definition: string): CatalogTable =>
  table('public', name, columns, { kind: 'view', definition });

const tables = [
  table('public', 'customers', 'id name email phone ssn born region'),
  table('public', 'orders', 'id customer_id card_number amount placed'),
  table('public', 'us_orders', 'id customer_id card_number amount placed'),
  table('public', 'products', 'id name price'),
  table('public', 'audited', 'id note', { hasTriggers: true }),
  view('audits', 'id note', 'SELECT audited.id, audited.note FROM public.audited'),
  table('public', 'far_away', 'id', { kind: 'foreign' }),
  table('public', 'events', 'id email', { kind: 'partitioned' }),
  table('public', 'events_2026', 'id email', { parents: ['public.events'] }),
  table('public', 'Größen', 'id email'),
  view(
    'contacts',
    'id mail short',
    'SELECT c.id, c.email AS mail, "left"(c.ssn, 4) AS short FROM public.customers c',
  ),
  view('mails', 'id mail', 'SELECT contacts.id, contacts.mail FROM public.contacts'),
  view('loop', 'id', 'SELECT loop.id FROM public.loop'),
  table('pg_catalog', 'pg_class', 'oid relname relnamespace relkind relacl reloptions', { kind: 'system' }),
  table('pg_catalog', 'pg_namespace', 'oid nspname', { kind: 'system' }),
  table('pg_catalog', 'pg_attribute', 'attrelid attname atttypid attnum atttypmod attisdropped', {
    kind: 'system',
  }),
  table('pg_catalog', 'pg_stats', 'schemaname tablename attname most_common_vals', { kind: 'system' }),
  table('pg_catalog', 'pg_authid', 'oid rolname rolpassword', { kind: 'system' }),
  table('pg_catalog', 'pg_stat_activity', 'pid query', { kind: 'system' }),
  table('pg_catalog', 'pg_settings', 'name setting unit', { kind: 'system' }),
  table('information_schema', 'columns', 'table_name column_name', { kind: 'system' }),
];

const shipped: readonly [
  names: string,
  kind: CatalogFunction['kind'],
  volatility: CatalogFunction['volatility'],
][] = [
  ['upper lower left substring md5 length abs like_escape to_regclass xmlagg', 'function', 'immutable'],
  [
    'now concat row_to_json to_jsonb format_type pg_get_userbyid pg_table_is_visible to_char',
    'function',
    'stable',
  ],
  ['array_to_string obj_description pg_get_expr current_setting timezone extract', 'function', 'stable'],
  [
    'set_config query_to_xml pg_read_file nextval random pg_sleep lo_import lo_get bernoulli',
    'function',
    'volatile',
  ],
  ['pg_terminate_backend some_new_function pg_logical_slot_get_changes', 'function', 'volatile'],
  ['table_to_xml pg_stat_get_backend_activity', 'function', 'stable'],
  ['generate_series unnest jsonb_each json_array_elements regexp_split_to_table', 'function', 'immutable'],
  ['string_to_array position', 'function', 'immutable'],
  ['count max min sum string_agg array_agg json_agg percentile_disc mode avg', 'aggregate', 'immutable'],
  ['row_number rank lag first_value', 'window', 'immutable'],
];

const functions: CatalogFunction[] = shipped.flatMap(([names, kind, volatility]) =>
  names.split(' ').map((name) => ({
    schema: 'pg_catalog',
    name,
    oid: 100,
    kind,
    volatility,
    builtin: true,
    returnsSet: /series|unnest|each|elements|_table$/.test(name),
  })),
);
const own = (schema: string, name: string): CatalogFunction => ({
  schema,
  name,
  oid: oid++,
  kind: 'function',
  volatility: 'immutable',
  builtin: false,
  returnsSet: true,
});
functions.push(
  { ...own('information_schema', '_pg_expandarray'), oid: 101, builtin: true },
  own('information_schema', '_pg_mine'),
);
functions.push(own('public', 'mine'), own('public', 'md5'), own('tools', 'upper'));
// An operator of somebody's, and a domain whose CHECK calls a function of somebody's.
functions.push(own('public', '|||'), own('tools', '='), own('public', 'leaky:cast'));

/** `serverVersion` as the server reports it, 180004 by default. */
export function shopCatalog(serverVersion = 180_004): Catalog {
  return buildCatalog({
    engine: 'postgres',
    version: 1,
    serverVersion,
    isMariaDb: false,
    foldsTableNames: false,
    schemas: ['public', 'tools', 'pg_catalog', 'information_schema'],
    tables,
    functions,
    types: [
      { schema: 'public', name: 'mood' },
      { schema: 'public', name: 'leaky' },
    ],
  });
}
