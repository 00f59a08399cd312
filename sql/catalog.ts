/**
 * SEAM. What a database server says exists: schemas, tables, columns, views, functions. Names are resolved
 * against this and nothing else. No I/O here: protocols/<engine>/catalog.ts reads the server and builds it.
 */

export type Engine = 'postgres' | 'mysql';

/** `type` is the engine's own name of the base type (`text`, `int4`, `numeric`, `varchar`), `typeId` its
 *  wire identity: PostgreSQL's type OID, or MySQL's protocol column type byte. */
export interface CatalogColumn {
  readonly name: string;
  /** PostgreSQL attribute number, MySQL ordinal position; from 1. */
  readonly position: number;
  readonly type: string;
  readonly typeId: number;
  readonly notNull: boolean;
  /** Filled in by the server itself (GENERATED ALWAYS AS (...)). */
  readonly generated: boolean;
}

export type RelationKind =
  | 'table'
  | 'partitioned'
  | 'view'
  | 'materialized_view'
  | 'foreign'
  | 'sequence'
  | 'system';

export interface CatalogTable {
  /** MySQL has no schemas inside a database: there `schema` is the database's name. */
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** PostgreSQL pg_class.oid; 0 for MySQL. */
  readonly oid: number;
  readonly columns: readonly CatalogColumn[];
  /** The SELECT of a view or materialized view, names fully qualified; null for anything else. */
  readonly definition: string | null;
  /** Parents by inheritance or partitioning, as `schema.name`. */
  readonly parents: readonly string[];
  /** True when the table has triggers or rules of a user: a write may do more than its text says. */
  readonly hasTriggers: boolean;
  /** It is one session's own and ends with it. */
  readonly temporary?: boolean;
}

export type Volatility = 'immutable' | 'stable' | 'volatile';

export interface CatalogFunction {
  readonly schema: string;
  readonly name: string;
  /** PostgreSQL pg_proc.oid (below 16384: shipped with the engine); 0 for MySQL. */
  readonly oid: number;
  readonly kind: 'function' | 'aggregate' | 'window' | 'procedure';
  readonly volatility: Volatility;
  /** True when the engine ships it. */
  readonly builtin: boolean;
  readonly returnsSet: boolean;
}

/** An immutable snapshot. `version` grows with each refresh; caches are keyed by it. */
export interface Catalog {
  readonly engine: Engine;
  readonly version: number;
  /** 180004 for PostgreSQL 18.4, 101100 for MariaDB 10.11.0, 90700 for MySQL 9.7.0. */
  readonly serverVersion: number;
  readonly isMariaDb: boolean;
  /** MySQL: names of databases and tables compare without case (lower_case_table_names <> 0). */
  readonly foldsTableNames: boolean;
  hasSchema(schema: string): boolean;
  table(schema: string, name: string): CatalogTable | undefined;
  /** PostgreSQL only: the table behind a RowDescription table OID. */
  tableByOid(oid: number): CatalogTable | undefined;
  /** All overloads with that name in that schema. */
  functions(schema: string, name: string): readonly CatalogFunction[];
  /** True when a type with that name exists there (PostgreSQL: casts to user types are named). */
  hasType(schema: string, name: string): boolean;
  tables(): Iterable<CatalogTable>;
}

/** What a session adds to the catalog when a name has no schema in front. */
export interface NameScope {
  /** PostgreSQL: the effective schemas in order, as current_schemas(true) gives them (pg_catalog included).
   *  MySQL: the current database alone, or empty when none is chosen. */
  readonly path: readonly string[];
}

/** What a catalog is built from; `buildCatalog` indexes it. */
export interface CatalogContents {
  readonly engine: Engine;
  readonly version: number;
  readonly serverVersion: number;
  readonly isMariaDb: boolean;
  readonly foldsTableNames: boolean;
  readonly schemas: readonly string[];
  readonly tables: readonly CatalogTable[];
  readonly functions: readonly CatalogFunction[];
  readonly types: readonly { readonly schema: string; readonly name: string }[];
}

/** Indexes the contents. Lookups are by exact name, except MySQL table names when the server folds them. */
export function buildCatalog(contents: CatalogContents): Catalog {
  const fold = (name: string): string => (contents.foldsTableNames ? name.toLowerCase() : name);
  const key = (schema: string, name: string): string => `${fold(schema)}\u0000${fold(name)}`;
  const tables = new Map(contents.tables.map((table) => [key(table.schema, table.name), table]));
  const byOid = new Map(
    contents.tables.filter((table) => table.oid !== 0).map((table) => [table.oid, table]),
  );
  const schemas = new Set(contents.schemas.map(fold));
  const types = new Set(contents.types.map((type) => `${type.schema}\u0000${type.name}`));
  const functions = new Map<string, CatalogFunction[]>();
  // MySQL's routine names compare without case, whatever its tables' do
  const routine = (schema: string, name: string): string =>
    contents.engine === 'mysql' ? `${fold(schema)}\u0000${name.toLowerCase()}` : `${schema}\u0000${name}`;
  for (const fn of contents.functions) {
    const at = routine(fn.schema, fn.name);
    const overloads = functions.get(at);
    if (overloads) overloads.push(fn);
    else functions.set(at, [fn]);
  }
  return {
    engine: contents.engine,
    version: contents.version,
    serverVersion: contents.serverVersion,
    isMariaDb: contents.isMariaDb,
    foldsTableNames: contents.foldsTableNames,
    hasSchema: (schema) => schemas.has(fold(schema)),
    table: (schema, name) => tables.get(key(schema, name)),
    tableByOid: (oid) => byOid.get(oid),
    functions: (schema, name) => functions.get(routine(schema, name)) ?? [],
    hasType: (schema, name) => types.has(`${schema}\u0000${name}`),
    tables: () => tables.values(),
  };
}

/** What one PostgreSQL session sees besides the engine's own objects: its uncommitted work and temporary objects included. */
export type OwnContents = Pick<CatalogContents, 'schemas' | 'tables' | 'functions' | 'types'>;

/** Objects with a lower OID came with the server (PostgreSQL's FirstNormalObjectId); no session makes or alters any. */
const firstUserOid = 16_384;

/** The engine's own objects from `base`, all others from `own`. */
export function withOwnContents(base: Catalog, version: number, own: OwnContents): Catalog {
  const { engine, serverVersion, isMariaDb, foldsTableNames } = base;
  const users = buildCatalog({ engine, version, serverVersion, isMariaDb, foldsTableNames, ...own });
  const ifShipped = (table: CatalogTable | undefined): CatalogTable | undefined =>
    table !== undefined && table.oid < firstUserOid ? table : undefined;
  return {
    ...users,
    table: (schema, name) => users.table(schema, name) ?? ifShipped(base.table(schema, name)),
    tableByOid: (oid) => (oid < firstUserOid ? base.tableByOid(oid) : users.tableByOid(oid)),
    functions: (schema, name) => {
      const shipped = base.functions(schema, name).filter((fn) => fn.oid < firstUserOid);
      const others = users.functions(schema, name);
      return others.length === 0 ? shipped : [...shipped, ...others];
    },
    hasType: (schema, name) =>
      users.hasType(schema, name) || (shippedSchemas.has(schema) && base.hasType(schema, name)),
    *tables() {
      yield* users.tables();
      for (const table of base.tables()) if (table.oid < firstUserOid) yield table;
    },
  };
}

const shippedSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

/**
 * `base` with one MySQL session's temporary tables. Where others have come to see something under the name of one, the name stands
 * for nothing: a statement would mean the one, and a view the other.
 */
export function withTemporaryTables(
  base: Catalog,
  version: number,
  temporary: readonly CatalogTable[],
): Catalog {
  const { engine, serverVersion, isMariaDb, foldsTableNames } = base;
  const nothing = { schemas: [], functions: [], types: [] };
  const flags = { engine, version, serverVersion, isMariaDb, foldsTableNames };
  const own = buildCatalog({ ...flags, ...nothing, tables: temporary });
  return {
    ...base,
    version,
    table: (schema, name) => {
      const hiding = own.table(schema, name);
      const hidden = base.table(schema, name);
      return hiding === undefined ? hidden : hidden === undefined ? hiding : undefined;
    },
    *tables() {
      yield* own.tables();
      yield* base.tables();
    },
  };
}
