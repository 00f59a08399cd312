/**
 * Reads what a MySQL or MariaDB server says exists, with Cordon's own account, into a Catalog. What that account may not see
 * is not in it, and is refused as unknown by whoever resolves names.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import mysql from 'mysql2/promise';
import {
  buildCatalog,
  type Catalog,
  type CatalogColumn,
  type CatalogFunction,
  type CatalogTable,
  type RelationKind,
} from '../../sql/catalog.ts';
import type { UpstreamTarget } from '../gate.ts';
import { driverOptions } from './upstream.ts';

const readTimeoutMs = 60_000;

/**
 * @param version what the snapshot is to be called
 * @throws the driver's error when the server can't be reached, or reading takes more than a minute
 */
export async function readMysqlCatalog(
  target: UpstreamTarget,
  version: number,
  signal?: AbortSignal,
): Promise<{ catalog: Catalog }> {
  signal?.throwIfAborted();
  const connection = await mysql.createConnection(driverOptions(target));
  const stop = (): void => connection.destroy();
  const timer = setTimeout(stop, readTimeoutMs);
  signal?.addEventListener('abort', stop);
  try {
    return { catalog: await read(connection, version) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    connection.destroy();
  }
}

type Row = readonly (string | number | null)[];

async function rowsOf(connection: Connection, sql: string): Promise<readonly Row[]> {
  const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
  return rows as unknown as readonly Row[];
}

const systemSchemas = new Set(['information_schema', 'mysql', 'performance_schema', 'sys']);
/** Engines whose tables hold other servers' or other tables' rows. */
const foreignEngines = new Set(['FEDERATED', 'CONNECT', 'SPIDER', 'MRG_MYISAM', 'S3']);

async function read(connection: Connection, version: number): Promise<Catalog> {
  const [server] = await rowsOf(connection, 'SELECT VERSION(), @@lower_case_table_names');
  const versionText = textOf(server?.[0]);
  const schemas = await rowsOf(connection, 'SELECT SCHEMA_NAME FROM information_schema.SCHEMATA');
  const tables = await rowsOf(
    connection,
    'SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES',
  );
  const columns = await rowsOf(
    connection,
    `SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, IS_NULLABLE, GENERATION_EXPRESSION
     FROM information_schema.COLUMNS ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
  );
  const views = await rowsOf(
    connection,
    'SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS',
  );
  const triggers = await rowsOf(
    connection,
    'SELECT DISTINCT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS',
  );
  const routines = await rowsOf(
    connection,
    'SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, IS_DETERMINISTIC FROM information_schema.ROUTINES',
  );
  const columnsByTable = new Map<string, CatalogColumn[]>();
  for (const row of columns) {
    const key = keyOf(row);
    const list = columnsByTable.get(key);
    if (list === undefined) columnsByTable.set(key, [columnOf(row)]);
    else list.push(columnOf(row));
  }
  const definitions = new Map(views.map((row) => [keyOf(row), textOf(row[2])]));
  const triggered = new Set(triggers.map(keyOf));
  return buildCatalog({
    engine: 'mysql',
    version,
    serverVersion: versionNumber(versionText),
    isMariaDb: /mariadb/i.test(versionText),
    foldsTableNames: Number(server?.[1]) !== 0,
    schemas: schemas.map((row) => textOf(row[0])),
    tables: tables.map((row): CatalogTable => {
      const key = keyOf(row);
      const definition = definitions.get(key) ?? '';
      return {
        schema: textOf(row[0]),
        name: textOf(row[1]),
        kind: relationKind(textOf(row[0]), textOf(row[2]), textOf(row[3])),
        oid: 0,
        columns: columnsByTable.get(key) ?? [],
        // Empty for an account without SHOW VIEW: then nobody knows what is behind the view.
        definition: definition === '' ? null : definition,
        parents: [],
        hasTriggers: triggered.has(key),
      };
    }),
    functions: routines.map(functionOf),
    types: [],
  });
}

function relationKind(schema: string, type: string, engine: string): RelationKind {
  if (systemSchemas.has(schema.toLowerCase())) return 'system';
  if (type === 'VIEW') return 'view';
  if (type === 'SEQUENCE') return 'sequence';
  return foreignEngines.has(engine.toUpperCase()) ? 'foreign' : 'table';
}

/** A temporary table as SHOW FULL COLUMNS tells of it, which is all that does. */
export function temporaryTable(
  schema: string,
  name: string,
  shown: readonly (readonly (string | null)[])[],
): CatalogTable {
  const columns = shown.map((row, index): CatalogColumn => {
    const type = /^[a-z]+/.exec((row[1] ?? '').toLowerCase())?.[0] ?? '';
    return {
      name: row[0] ?? '',
      position: index + 1,
      type,
      typeId: typeIds.get(type) ?? 0xfe,
      notNull: row[3] === 'NO',
      generated: /GENERATED|VIRTUAL|PERSISTENT/i.test(row[6] ?? ''),
    };
  });
  return {
    schema,
    name,
    kind: 'table',
    oid: 0,
    columns,
    definition: null,
    parents: [],
    hasTriggers: false,
    temporary: true,
  };
}

function columnOf(row: Row): CatalogColumn {
  const type = textOf(row[4]).toLowerCase();
  return {
    name: textOf(row[2]),
    position: Number(row[3]),
    type,
    typeId: typeIds.get(type) ?? 0xfe,
    notNull: row[5] === 'NO',
    generated: textOf(row[6]) !== '',
  };
}

function functionOf(row: Row): CatalogFunction {
  return {
    schema: textOf(row[0]),
    name: textOf(row[1]),
    oid: 0,
    kind: row[2] === 'PROCEDURE' ? 'procedure' : 'function',
    volatility: row[3] === 'YES' ? 'immutable' : 'volatile',
    builtin: false,
    returnsSet: false,
  };
}

/** Column types by the server's own names -> the type byte that result columns carry. */
const typeIds: ReadonlyMap<string, number> = new Map([
  ['tinyint', 0x01],
  ['smallint', 0x02],
  ['int', 0x03],
  ['float', 0x04],
  ['double', 0x05],
  ['timestamp', 0x07],
  ['bigint', 0x08],
  ['mediumint', 0x09],
  ['date', 0x0a],
  ['time', 0x0b],
  ['datetime', 0x0c],
  ['year', 0x0d],
  ['bit', 0x10],
  ['vector', 0xf2],
  ['json', 0xf5],
  ['decimal', 0xf6],
  ['varchar', 0xfd],
  ['varbinary', 0xfd],
  ...['tinyblob', 'blob', 'mediumblob', 'longblob', 'tinytext', 'text', 'mediumtext', 'longtext'].map(
    (name): [string, number] => [name, 0xfc],
  ),
  ...[
    ...['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon'],
    ...['geometrycollection', 'geomcollection'],
  ].map((name): [string, number] => [name, 0xff]),
]);

function keyOf(row: Row): string {
  return `${textOf(row[0])}\u0000${textOf(row[1])}`;
}

function textOf(value: string | number | null | undefined): string {
  return value === null || value === undefined ? '' : String(value);
}

/** 101119 for `10.11.19-MariaDB-...`, 90704 for `9.7.4`. */
function versionNumber(text: string): number {
  // Old MariaDB servers put 5.5.5- in front for the sake of replication.
  const [, major, minor, patch] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return Number(major ?? 0) * 10_000 + Number(minor ?? 0) * 100 + Number(patch ?? 0);
}
