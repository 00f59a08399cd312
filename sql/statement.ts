/**
 * SEAM. What one SQL statement means: its kind, tables, columns and how each is used, outputs, functions,
 * effects. Produced by sql/analyze.ts for both engines; read by policy, masking and the gateway.
 */

/** Closed set; the names that a policy's `statements:` may use. */
export const statementKinds = [
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'truncate',
  'copy_out',
  'copy_in',
  'ddl',
  'maintenance',
  'call',
  'do',
  'explain',
  'show',
  'set',
  'transaction',
  'prepare',
  'cursor',
  'lock',
  'listen',
  'notify',
  'large_object',
  'load_local',
  'admin',
] as const;
export type StatementKind = (typeof statementKinds)[number];

/** A column of a real table; names as the catalog spells them. */
export interface ColumnRef {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

/** One reference to a table. A view gives a TableUse with `view: true` and then one for each table behind it. */
export interface TableUse {
  readonly schema: string;
  readonly table: string;
  readonly reads: boolean;
  readonly writes: boolean;
  /** One of the engine's own catalogs (pg_catalog, information_schema): holds no row of a user. */
  readonly system: boolean;
  /** A view or materialized view. A plain view's regions are those of the tables behind it, which follow. */
  readonly view: boolean;
  /** Named only inside a view's definition, not in the text. */
  readonly viaView: boolean;
  /** Where the reference's name stands in the text (UTF-16 offsets), for rewriting; null when it can't be
   *  replaced by a subquery there (a write's object, ONLY, TABLESAMPLE, inside a view). */
  readonly span: TableSpan | null;
  /** `viaView`: the columns of this table that the statement's views name, whatever for. Missing: can't be told. */
  readonly viewReads?: readonly string[];
}
export interface TableSpan {
  readonly start: number;
  readonly end: number;
  /** True when an alias follows; when false the replacement has to add one. */
  readonly aliased: boolean;
  /** What has to close the replacement, so that the engine can't evaluate the statement's own conditions on rows that
   *  the replacement leaves out: an error or a delay would tell of them. Missing: nothing here could tell. */
  readonly fence?: string;
  /** Where the text names a column or row of this reference by its schema as well: the schema's name with its dot. A
   *  subquery has no schema, so these go when it comes. Missing: none. */
  readonly qualifiers?: readonly { readonly start: number; readonly end: number }[];
  /** COPY: what stands for the reference has these columns alone, in this order. */
  readonly columns?: readonly string[];
}

/** A COPY between the client and a table or query: what the stream of CopyData looks like. The delimiter and the
 *  quoting characters are one byte each; they and `nullText` mean nothing in the binary format. */
export interface Copy {
  readonly direction: 'in' | 'out';
  readonly format: 'text' | 'csv' | 'binary';
  readonly delimiter: string;
  readonly nullText: string;
  /** CSV alone. */
  readonly quote: string;
  readonly escape: string;
  /** The first line names the columns. */
  readonly header: boolean;
  /** Columns whose values are quoted in any case. */
  readonly forceQuote: 'all' | readonly string[];
}

/** Where a column is used. `output` alone is a plain copy into the result. */
export type Clause =
  | 'output'
  | 'expression'
  | 'where'
  | 'join'
  | 'group_by'
  | 'having'
  | 'order_by'
  | 'distinct'
  | 'set_operation'
  | 'aggregate'
  | 'window'
  | 'function'
  | 'whole_row'
  | 'subquery'
  | 'limit'
  | 'write'
  | 'conflict'
  | 'key';

export interface ColumnUse extends ColumnRef {
  readonly clause: Clause;
}

/** One column of the statement's result (the last result column list a client gets). */
export interface Output {
  readonly name: string;
  /** Every real column that the value is made of; empty for a constant; 'unknown' when it can't be told. */
  readonly sources: readonly ColumnRef[] | 'unknown';
  /** A plain copy of each source, all the way (an UNION ALL's output may have several). */
  readonly direct: boolean;
  /** Some rows have it from elsewhere than others (another column, a constant): whoever asks may have chosen those. */
  readonly mixed?: boolean;
  /** A message of the server's that may quote any of the sources: where one is masked, nothing of it is shown. */
  readonly quoted?: boolean;
}

export interface FunctionUse {
  /** Resolved schema (pg_catalog for PostgreSQL's own; 'mysql' for MySQL's native functions). */
  readonly schema: string;
  readonly name: string;
  /** safe: no data but its arguments, no effect. reads_data: reads tables or server state of others.
   *  sql_text: runs SQL given as text. side_effect: changes something. unknown: not the engine's own. */
  readonly trust: 'safe' | 'reads_data' | 'sql_text' | 'side_effect' | 'unknown';
  /** Who is granted statements of this kind may call it as well. */
  readonly kind?: StatementKind;
  /** The way by which values travel in it. */
  readonly channel?: Channel;
}

/** What a statement does besides reading and writing rows. */
export type Effect =
  /** SET / RESET. `value` as written (identifiers and literals bare, lists joined by ', '), null for DEFAULT or
   *  RESET; 'ALL' as name for RESET ALL. `computed`: the text does not tell the value, and `value` is empty. */
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly value: string | null;
      readonly local: boolean;
      readonly computed?: true;
    }
  | { readonly kind: 'use_database'; readonly database: string }
  | {
      readonly kind: 'transaction';
      readonly action: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback_to' | 'prepared';
    }
  /** The catalog has to be read again afterwards. */
  | { readonly kind: 'ddl' }
  /** A temporary relation comes into being and may shadow a real name, or all of them cease to be (`*`). */
  | {
      readonly kind: 'temporary';
      readonly name: string;
      /** MySQL: the database that it comes into being in, is altered in, or goes from. */
      readonly schema?: string;
    }
  | { readonly kind: 'sql_prepare'; readonly name: string }
  | { readonly kind: 'sql_execute'; readonly name: string }
  | { readonly kind: 'cursor'; readonly name: string; readonly action: 'declare' | 'fetch' | 'close' }
  /** A way for values to travel besides result rows; refused unless the gateway handles that one. */
  | { readonly kind: 'channel'; readonly channel: Channel; readonly what: string };
export type Channel =
  | 'file'
  | 'program'
  | 'network'
  | 'copy'
  | 'large_object'
  | 'notify'
  | 'statistics'
  | 'other_session'
  | 'identity'
  | 'dynamic_sql'
  | 'explain_analyze'
  | 'user_variable'
  | 'replication'
  | 'handler'
  | 'diagnostics'
  | 'server';

/** PostgreSQL: a statement that a session keeps under a name (manual: SQL commands, PREPARE, EXECUTE, DEALLOCATE). */
export type ByName =
  /** `text` is the statement that each EXECUTE runs, as it stands in the client's text; null when it can't be told. The
   *  facts beside this one are that statement's own. */
  | {
      readonly action: 'prepare';
      readonly name: string;
      readonly text: string | null;
      /** The kind of the statement that each EXECUTE runs. */
      readonly runs: StatementKind;
    }
  /** The facts beside this one are those of the arguments alone. */
  | { readonly action: 'execute'; readonly name: string; readonly arguments: number }
  /** A null name: all of them. */
  | { readonly action: 'deallocate'; readonly name: string | null };

export interface Analyzed {
  readonly kind: 'analyzed';
  /** The statement with literals replaced by `?` (strings, numbers) and white space folded; safe to log. */
  readonly shape: string;
  readonly statementKind: StatementKind;
  readonly tables: readonly TableUse[];
  /** Every use of every column, plain outputs too; whole rows expanded to their columns. */
  readonly columns: readonly ColumnUse[];
  /** Columns that get a new value (INSERT, UPDATE, MERGE, COPY IN, LOAD DATA). */
  readonly written: readonly ColumnRef[];
  /** Empty for a statement that returns no rows. */
  readonly outputs: readonly Output[];
  readonly functions: readonly FunctionUse[];
  readonly effects: readonly Effect[];
  /** UPDATE / DELETE without WHERE. */
  readonly withoutWhere: boolean;
  /** Set when rows come or go as CopyData, whatever the kind (COPY (DELETE ... RETURNING) is a delete). */
  readonly copy?: Copy;
  /** Set when the statement makes, runs or drops one that the session keeps under a name; EXPLAIN EXECUTE and CREATE TABLE
   *  AS EXECUTE too. */
  readonly byName?: ByName;
  /** 'matter' when another literal in the same shape could change anything above (ORDER BY 1, SET x = 'v',
   *  'name'::regclass): such a result may be cached by whole text only. */
  readonly literals: 'free' | 'matter';
}

export interface Opaque {
  readonly kind: 'opaque';
  /** Literal-free where the lexer got through; '?' where it did not. */
  readonly shape: string;
  readonly reason: 'syntax' | 'unsupported' | 'dynamic' | 'too_long' | 'unknown_name';
  /** For the client: names the node, table or column; never a literal's value. */
  readonly message: string;
  /** 1-based character position in the text, when known. */
  readonly position: number | null;
}

export type Statement = Analyzed | Opaque;
