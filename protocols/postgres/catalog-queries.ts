/**
 * The questions whose answers make up a catalog, over whatever connection they are asked, and how the answers are read.
 * No I/O; the search_path that they need is said by whoever asks.
 */
import type {
  CatalogColumn,
  CatalogFunction,
  CatalogTable,
  OwnContents,
  RelationKind,
  Volatility,
} from '../../sql/catalog.ts';
import { ProtocolError } from '../bytes.ts';

/** Of the temporary schemas only the asking session's own: another's can't be read. */
const ours = "(n.nspname !~ '^pg_(toast_)?temp_' OR n.oid = pg_my_temp_schema())";

const schemas = 'SELECT oid, nspname FROM pg_namespace';

/** Composite types of tables are types too; arrays are named through their elements. */
const types = `SELECT n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${ours}`;

const relations = `SELECT c.oid, n.nspname, c.relname, c.relkind,
  CASE WHEN c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') THEN pg_get_viewdef(c.oid) END,
  (c.relhastriggers AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal))
    OR (c.relkind NOT IN ('v', 'm') AND c.relhasrules)
    OR (c.relkind = 'v' AND EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1')),
  c.relpersistence = 't'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'pg_toast' AND ${ours}`;

/** A domain's column goes by its own type id on the wire: the base type's. */
const columns = `SELECT a.attrelid, a.attname, a.attnum, coalesce(b.typname, t.typname), coalesce(b.oid, t.oid), a.attnotnull, a.attgenerated <> ''
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN base ON base.domain = t.oid LEFT JOIN pg_type b ON b.oid = base.type
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`;
const baseTypes = `WITH RECURSIVE step (domain, type) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL SELECT step.domain, t.typbasetype FROM step JOIN pg_type t ON t.oid = step.type WHERE t.typtype = 'd'
  ), base AS (SELECT step.domain, step.type FROM step JOIN pg_type t ON t.oid = step.type WHERE t.typtype <> 'd')`;

const parents = 'SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno';

/** Objects with an OID below 16384 (FirstNormalObjectId) came with the server. */
const functions = `SELECT n.nspname, p.proname, p.oid, p.prokind, p.provolatile, p.oid < 16384, p.proretset
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${ours}`;

/** Code of users that runs without a call: operators (by their symbol, which no call can spell), and casts and the CHECKs of
 *  domains, wherever in a type they are (as `type:cast`). What an extension brought was vouched for when it was installed. */
const hiddenCalls = `WITH RECURSIVE own AS (
    SELECT p.oid FROM pg_proc p WHERE p.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  ), checked (oid) AS (
    SELECT k.contypid FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
      JOIN own ON d.refclassid = 'pg_proc'::regclass AND own.oid = d.refobjid WHERE k.contypid <> 0
    UNION SELECT c.casttarget FROM pg_cast c JOIN own ON own.oid = c.castfunc WHERE c.casttarget >= 16384
    UNION SELECT u.oid FROM checked, LATERAL (
      SELECT t.oid FROM pg_type t WHERE checked.oid IN (t.typbasetype, t.typelem)
      UNION ALL SELECT r.reltype FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
        WHERE a.atttypid = checked.oid AND r.reltype <> 0
    ) u
  )
  SELECT n.nspname, o.oprname, o.oid, 'f', 'v', false, false
    FROM pg_operator o JOIN own ON own.oid = o.oprcode JOIN pg_namespace n ON n.oid = o.oprnamespace
  UNION ALL SELECT n.nspname, t.typname || ':cast', t.oid, 'f', 'v', false, false
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (SELECT oid FROM checked)`;

const kinds: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materialized_view',
  f: 'foreign',
  S: 'sequence',
};
const volatilities: Readonly<Record<string, Volatility>> = { i: 'immutable', s: 'stable', v: 'volatile' };
const functionKinds: Readonly<Record<string, CatalogFunction['kind']>> = {
  f: 'function',
  a: 'aggregate',
  w: 'window',
  p: 'procedure',
};
const systemSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

/** How many answers `readContents` wants. */
export const catalogTextsCount = 7;

/** The questions in order. `users`: nothing that came with the server. They name no schema but rely on pg_catalog's coming first. */
export function catalogTexts(scope: 'everything' | 'users'): readonly string[] {
  const since = (oid: string): string => (scope === 'users' ? ` AND ${oid} >= 16384` : '');
  return [
    schemas,
    types + since('t.oid'),
    relations + since('c.oid'),
    `${baseTypes} ${columns}${since('c.oid')} ORDER BY a.attrelid, a.attnum`,
    parents,
    functions + since('p.oid'),
    hiddenCalls,
  ];
}

/**
 * Reads the answers, one list of rows for each question.
 * @throws ProtocolError when they are not what was asked for.
 */
export function readContents(answers: readonly (readonly (readonly (string | null)[])[])[]): {
  -readonly [K in keyof OwnContents]: OwnContents[K];
} {
  if (answers.length !== catalogTextsCount) throw new ProtocolError('a catalog with parts missing');
  const [schemaRows, typeRows, relationRows, columnRows, parentRows] = answers as (string | null)[][][];
  const functionRows = [...answers[5]!, ...answers[6]!];

  const columnsOf = new Map<string, CatalogColumn[]>();
  for (const row of columnRows!) {
    const [relation, name, position, type, typeId, notNull, generated] = row as string[];
    const column: CatalogColumn = {
      name: name!,
      position: Number(position),
      type: type!,
      typeId: Number(typeId),
      notNull: notNull === 't',
      generated: generated === 't',
    };
    const list = columnsOf.get(relation!);
    if (list) list.push(column);
    else columnsOf.set(relation!, [column]);
  }
  const names = new Map(relationRows!.map((row) => [row[0], `${row[1]}.${row[2]}`]));
  const parentsOf = new Map<string, string[]>();
  for (const [child, parent] of parentRows as string[][]) {
    const name = names.get(parent!);
    if (name === undefined) continue;
    parentsOf.set(child!, [...(parentsOf.get(child!) ?? []), name]);
  }
  const tables = relationRows!.map((row): CatalogTable => {
    const [oid, schema, name, kind, definition, hasTriggers, temporary] = row as [
      string,
      string,
      string,
      string,
      string | null,
      string,
      string,
    ];
    const known = systemSchemas.has(schema) ? 'system' : kinds[kind];
    if (known === undefined) throw new ProtocolError(`relation kind ${kind}`);
    return {
      schema,
      name,
      kind: known,
      oid: Number(oid),
      columns: columnsOf.get(oid) ?? [],
      definition: definition === null ? null : definition.trim().replace(/;$/, ''),
      parents: parentsOf.get(oid) ?? [],
      hasTriggers: hasTriggers === 't',
      ...(temporary === 't' ? { temporary: true } : {}),
    };
  });
  return {
    schemas: schemaRows!.map((row) => row[1]!),
    tables,
    types: typeRows!.map((row) => ({ schema: row[0]!, name: row[1]! })),
    functions: functionRows.map((row) => {
      const [schema, name, oid, kind, volatility, builtin, returnsSet] = row as string[];
      return {
        schema: schema!,
        name: name!,
        oid: Number(oid),
        kind: functionKinds[kind!] ?? 'procedure',
        volatility: volatilities[volatility!] ?? 'volatile',
        builtin: builtin === 't',
        returnsSet: returnsSet === 't',
      };
    }),
  };
}
