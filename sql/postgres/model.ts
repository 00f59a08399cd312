/**
 * What the walk over a PostgreSQL tree works with: values and what they are made of, relations, scopes, and the
 * record of a statement's uses. No tree is read here.
 */

import type { Node } from 'libpg-query';
import type { Catalog, CatalogTable } from '../catalog.ts';
import type {
  ByName,
  Clause,
  ColumnRef,
  ColumnUse,
  Copy,
  Effect,
  FunctionUse,
  Opaque,
  TableSpan,
} from '../statement.ts';
import type { SourceText } from './source-text.ts';

/** Stops the analysis of one statement; becomes an `Opaque`. `location` is a byte offset into the text. */
export class Unanswerable extends Error {
  readonly reason: Opaque['reason'];
  readonly location: number | null;
  constructor(reason: Opaque['reason'], message: string, location?: number) {
    super(message);
    this.reason = reason;
    this.location = location !== undefined && location >= 0 ? location : null;
  }
}

/** What an expression is made of. `direct`: a plain copy of each source. */
export interface Value {
  readonly sources: readonly ColumnRef[];
  readonly direct: boolean;
  /** As `Output.mixed`. */
  readonly mixed?: boolean;
}
export const constant: Value = { sources: [], direct: true };

/** A column as a query below shows it to the query around it. */
export interface Column extends Value {
  readonly name: string;
  /** Stands for any number of columns whose names can't be told. */
  readonly many?: boolean;
  /** As `Output.quoted`. */
  readonly quoted?: boolean;
}

/** A TableUse in the making: a write's object counts as read once a column of it is used. */
export interface OpenTableUse {
  readonly schema: string;
  readonly table: string;
  reads: boolean;
  writes: boolean;
  readonly system: boolean;
  readonly view: boolean;
  readonly viaView: boolean;
  span: (Omit<TableSpan, 'qualifiers'> & { qualifiers?: { start: number; end: number }[] }) | null;
}

/** A name in FROM and what it stands for. */
export interface Relation {
  readonly name: string;
  /** Set for a table without alias: `schema.table.column` finds it. */
  readonly schema: string | null;
  readonly columns: readonly Column[];
  /** Values of columns whose names or number can't be told (a function's rows); null: `columns` is all. */
  readonly rest: Value | null;
  /** The table itself, for its system columns and to note that it is read; null for derived tables. */
  readonly use: OpenTableUse | null;
  /** A table or a view, with ctid, tableoid and the like. */
  readonly isTable: boolean;
}

/** One column that a bare name can find, with the relation that it is of (null: merged by a join). */
export interface VisibleColumn {
  readonly column: Column;
  readonly relation: Relation | null;
}

/** What names mean at one level of a query. */
export interface Scope {
  readonly columns: readonly VisibleColumn[];
  readonly relations: readonly Relation[];
  readonly parent: Scope | null;
}
export const noScope: Scope = { columns: [], relations: [], parent: null };

/** A WITH query; analyzed when it is first asked for, so that forward references under RECURSIVE work. */
export interface WithQuery {
  readonly name: string;
  columns(location: number | undefined): readonly Column[];
}
export interface WithScope {
  readonly queries: ReadonlyMap<string, WithQuery>;
  readonly parent: WithScope | null;
}

/** Where an expression stands. */
export interface Place {
  readonly scope: Scope;
  readonly with: WithScope | null;
}

export function unionOf(values: readonly Value[]): readonly ColumnRef[] {
  if (values.length === 1) return values[0]!.sources;
  const all = new Set<ColumnRef>();
  for (const value of values) for (const source of value.sources) all.add(source);
  return [...all];
}

/** A value computed from others. */
export function derivedFrom(values: readonly Value[]): Value {
  const sources = unionOf(values);
  return { sources, direct: sources.length === 0 };
}

/** A value that is a plain copy of one of several (UNION ALL, a merged join column). */
export function eitherOf(values: readonly Value[]): Value {
  const sources = unionOf(values);
  return {
    sources,
    direct: values.every((value) => value.direct),
    ...(values.some((value) => value.mixed || value.sources.length !== sources.length)
      ? { mixed: true }
      : {}),
  };
}

export interface FollowedView {
  columns: readonly Column[];
  readonly tables: Set<OpenTableUse>;
}

/** Collects what one statement does. Columns are interned: the same column is the same object. */
export class StatementRecord {
  readonly tables: OpenTableUse[] = [];
  readonly functions: FunctionUse[] = [];
  readonly effects: Effect[] = [];
  readonly written = new Set<ColumnRef>();
  withoutWhere = false;
  literalsMatter = false;
  copy: Copy | null = null;
  byName: ByName | null = null;
  /** A condition could fail, or take its time, on one row and not on another. */
  conditionsTell = false;
  /** What is being walked is evaluated after every condition of the statement: the outermost SELECT's output. */
  pastConditions = false;
  /** How many SELECTs deep. */
  selectDepth = 0;
  /** Columns, calls and parameters so far: whether an expression holds any. */
  variables = 0;
  /** The strongest data change below the statement's top, `with x as (delete ...) select ...`. */
  change: 'insert' | 'update' | 'delete' | 'merge' | null = null;
  readonly #refs = new Map<string, ColumnRef>();
  readonly #uses = new Map<ColumnRef, Set<Clause>>();
  readonly #seen = new Set<string>();
  /** Where a schema's name was noted as a qualifier: a reference may be walked more than once. */
  readonly qualifiersAt = new Set<number>();
  /** Table uses by tree node: a recursive query's arm is walked more than once. */
  readonly byNode = new Map<object, OpenTableUse>();
  /** Views that were followed: their columns, and the uses of the tables behind them. */
  readonly views = new Map<CatalogTable, FollowedView>();
  /** The views that are being followed, outermost first. */
  readonly following: FollowedView[] = [];
  /** Columns that views name. */
  readonly viewReads = new Set<ColumnRef>();
  #stepsLeft = 500_000;
  /** The column name of each scalar subquery that was walked. */
  readonly scalarNames = new Map<object, string>();

  /** Bounds the work for one statement: a short text can ask for a lot of it (views on views, recursion in recursion). */
  step(count = 1): void {
    this.#stepsLeft -= count;
    if (this.#stepsLeft < 0)
      throw new Unanswerable('unsupported', 'the statement is too complex for the gateway');
  }

  /** Notes an operation that could fail or linger, `variablesBefore` its operands were walked. */
  operation(variablesBefore: number): void {
    if (!this.pastConditions && this.variables > variablesBefore) this.conditionsTell = true;
  }

  column(schema: string, table: string, column: string): ColumnRef {
    const key = `${schema}\u0000${table}\u0000${column}`;
    let ref = this.#refs.get(key);
    if (!ref) {
      ref = { schema, table, column };
      this.#refs.set(key, ref);
    }
    return ref;
  }

  use(value: Value, clause: Clause): void {
    this.step(value.sources.length);
    for (const source of value.sources) {
      if (this.following.length > 0) this.viewReads.add(source);
      const clauses = this.#uses.get(source);
      if (clauses) clauses.add(clause);
      else this.#uses.set(source, new Set([clause]));
    }
  }

  get uses(): readonly ColumnUse[] {
    return [...this.#uses].flatMap(([source, clauses]) =>
      [...clauses].map((clause) => ({ ...source, clause })),
    );
  }

  calls(fn: FunctionUse): void {
    const key = `f\u0000${fn.schema}\u0000${fn.name}\u0000${fn.trust}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.functions.push(fn);
  }

  has(effect: Effect): void {
    const key = `e\u0000${JSON.stringify(effect)}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.effects.push(effect);
  }

  changes(kind: 'insert' | 'update' | 'delete' | 'merge'): void {
    const order = ['insert', 'merge', 'update', 'delete'];
    if (this.change === null || order.indexOf(kind) > order.indexOf(this.change)) this.change = kind;
  }
}

/** A schema as the catalog spells it: pg_temp is the session's own, by another name. */
export function schemaNamed(walk: Walk, name: string): string {
  if (name !== 'pg_temp') return name;
  return walk.path.find((entry) => entry.startsWith('pg_temp_')) ?? name;
}

/** What every step of the walk is handed. A view's definition has a walk of its own over the same record. */
export interface Walk {
  readonly record: StatementRecord;
  readonly catalog: Catalog;
  /** Schemas in order, pg_catalog included. */
  readonly path: readonly string[];
  /** The client's text; null inside a view, where no offset means anything to the client. */
  readonly text: SourceText | null;
  /** How many views deep. */
  readonly viewDepth: number;
  /** The columns of SELECT, VALUES, or INSERT / UPDATE / DELETE / MERGE with RETURNING. */
  rows(walk: Walk, node: Node, place: Place): readonly Column[];
  /** Parses a view's definition; throws Unanswerable. */
  parseView(table: CatalogTable): Node;
  /** Parses a text that is one SELECT; null for anything else. */
  parseQuery(text: string): Node | null;
}
