/** What names mean at one place of a query: sources of FROM, their visible columns, common table expressions. */
import type { CatalogTable } from '../catalog.ts';
import type { ColumnRef } from '../statement.ts';
import { Unsupported } from './leaves.ts';
import { isSystemSchema } from './system.ts';

/** A column as a query sees it. `direct`: a plain copy of each of its sources. */
export interface OutColumn {
  readonly name: string;
  readonly sources: readonly ColumnRef[];
  readonly direct: boolean;
  /** As `Output.mixed`. */
  readonly mixed?: boolean;
}

export interface Source {
  /** The alias, or the table's own name. */
  readonly name: string;
  /** The database of a table without an alias; null otherwise. */
  readonly schema: string | null;
  readonly columns: readonly OutColumn[];
  /** A system table whose columns the catalog doesn't list: any name is taken for one of them. */
  readonly open: CatalogTable | { readonly schema: string; readonly name: string } | null;
  /** Its table uses: first index and the one behind the last. */
  readonly uses: readonly [number, number];
}

/** The result of a join: what an unqualified name or a star sees, in order. */
export interface Relation {
  readonly sources: readonly Source[];
  readonly visible: readonly OutColumn[];
}
export const noRelation: Relation = { sources: [], visible: [] };

export interface Ctes {
  readonly parent: Ctes | null;
  readonly name: string;
  /** null for one that stands later in a WITH RECURSIVE, where MariaDB may look forward and MySQL does not. */
  readonly columns: readonly OutColumn[] | null;
}

export class Scope {
  readonly parent: Scope | null;
  relation: Relation = noRelation;
  /** Select items so far, while a subquery may name them: `SELECT a AS x, (SELECT x)`. */
  aliases: readonly OutColumn[] = [];
  /** Scopes of the queries inside, for the expressions of an ORDER BY that a server may resolve there. */
  readonly merged: Scope[] = [];
  private readonly folds: boolean;

  constructor(parent: Scope | null, folds: boolean) {
    this.parent = parent;
    this.folds = folds;
  }

  private sameTable(a: string, b: string): boolean {
    if (isSystemSchema(a) && isSystemSchema(b)) return a.toLowerCase() === b.toLowerCase();
    return a === b || (this.folds && a.toLowerCase() === b.toLowerCase());
  }

  /** The source of that alias (and database) in this scope alone. */
  source(schema: string | null, name: string): Source | null {
    const found = this.relation.sources.filter(
      (source) =>
        this.sameTable(source.name, name) &&
        (schema === null || (source.schema !== null && this.sameTable(source.schema, schema))),
    );
    if (found.length > 1) throw new Unsupported(`Not unique table/alias: '${name}'`, null, 'unknown_name');
    return found[0] ?? null;
  }

  /**
   * The column that the parts name here or, failing that, outside. null when nobody knows it. Where it depends on
   * more than the text who is meant, all who may be meant count. `several`: a name that is ambiguous here is none that
   * the server refuses, since a select item has it too.
   */
  column(parts: readonly string[], several = false): OutColumn | null {
    const found = this.own(parts, several);
    const certain = found !== null && !this.guesses(parts);
    const outside = certain ? null : (this.parent?.fromInside(parts) ?? null);
    return found && outside ? mergeColumns([found, outside]) : (found ?? outside);
  }

  /** The same, asked by a subquery: the select items of this scope may be meant too. */
  private fromInside(parts: readonly string[]): OutColumn | null {
    const found = this.column(parts);
    const name = parts[0]?.toLowerCase();
    const aliased =
      parts.length === 1
        ? this.aliases.filter(
            (column) => column.name.toLowerCase() === name || (column.name === '' && couldBeText(name ?? '')),
          )
        : [];
    return aliased.length === 0 ? found : mergeColumns(found ? [...aliased, found] : aliased);
  }

  /** Only a system table whose columns aren't known could have that name here. */
  private guesses(parts: readonly string[]): boolean {
    const folded = (parts[parts.length - 1] ?? '').toLowerCase();
    return (
      parts.length === 1 &&
      !this.relation.visible.some((candidate) => candidate.name.toLowerCase() === folded)
    );
  }

  /** In this scope alone. */
  own(parts: readonly string[], several = false): OutColumn | null {
    const name = parts[parts.length - 1] ?? '';
    const folded = name.toLowerCase();
    if (parts.length > 1) {
      const source = this.source(parts.length > 2 ? (parts[0] ?? null) : null, parts[parts.length - 2] ?? '');
      if (!source) return null;
      const column = source.columns.find((candidate) => candidate.name.toLowerCase() === folded);
      const unnamed =
        column || !couldBeText(name) ? [] : source.columns.filter((candidate) => candidate.name === '');
      if (unnamed.length > 0) return mergeColumns(unnamed);
      return column ?? (source.open ? openColumn(source.open, name) : null);
    }
    const found = this.relation.visible.filter((candidate) => candidate.name.toLowerCase() === folded);
    if (found.length > 1 && !several)
      throw new Unsupported(`Column '${name}' is ambiguous`, null, 'unknown_name');
    if (found[0]) return mergeColumns(found);
    if (couldBeText(name)) {
      const unnamed = this.relation.visible.filter((candidate) => candidate.name === '');
      if (unnamed.length > 0) return mergeColumns(unnamed);
    }
    const open = this.relation.sources.find((source) => source.open !== null)?.open;
    return open ? openColumn(open, name) : null;
  }
}

/** A column without an alias is called by its own text, which is not kept here: a name that is no word may be that. */
export function couldBeText(name: string): boolean {
  return !/^[A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*$/.test(name);
}

function openColumn(table: { readonly schema: string; readonly name: string }, name: string): OutColumn {
  return { name, sources: [{ schema: table.schema, table: table.name, column: name }], direct: true };
}

/** Left and right side by side, as a comma or JOIN ... ON puts them. */
export function besides(left: Relation, right: Relation): Relation {
  return { sources: [...left.sources, ...right.sources], visible: [...left.visible, ...right.visible] };
}

/** Every column of both that has the name; more than one is ambiguous. */
function the(relation: Relation, name: string): OutColumn {
  const found = relation.visible.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  if (found.length > 1)
    throw new Unsupported(`Column '${name}' in from clause is ambiguous`, null, 'unknown_name');
  if (!found[0]) throw new Unsupported(`Unknown column '${name}' in 'from clause'`, null, 'unknown_name');
  return found[0];
}

/**
 * JOIN ... USING (names), or NATURAL JOIN when names is null: common columns first and once, then the rest of each
 * side. A common column copies from both sides. `joined` has both columns of each pair.
 */
export function joinUsing(
  left: Relation,
  right: Relation,
  names: readonly string[] | null,
): { relation: Relation; joined: OutColumn[] } {
  if (left.sources.concat(right.sources).some((source) => source.open))
    throw new Unsupported('USING with a table whose columns are not known');
  const has = (relation: Relation, name: string): boolean =>
    relation.visible.some((column) => column.name.toLowerCase() === name.toLowerCase());
  const unnamed = (relation: Relation): boolean => relation.visible.some((column) => column.name === '');
  if (names === null && unnamed(left) && unnamed(right))
    throw new Unsupported('NATURAL JOIN of columns without a name');
  const wanted = names ?? left.visible.map((column) => column.name).filter((name) => has(right, name));
  const folded = new Set(wanted.map((name) => name.toLowerCase()));
  const joined: OutColumn[] = [];
  const merged: OutColumn[] = [];
  const order = left.visible
    .filter((column) => folded.has(column.name.toLowerCase()))
    .map((column) => column.name);
  for (const name of names ?? order) {
    const a = the(left, name);
    const b = the(right, name);
    joined.push(a, b);
  }
  for (const name of order) {
    const a = the(left, name);
    const b = the(right, name);
    merged.push({ name: a.name, sources: [...a.sources, ...b.sources], direct: a.direct && b.direct });
  }
  const rest = (relation: Relation): OutColumn[] =>
    relation.visible.filter((column) => !folded.has(column.name.toLowerCase()));
  return {
    relation: {
      sources: [...left.sources, ...right.sources],
      visible: [...merged, ...rest(left), ...rest(right)],
    },
    joined,
  };
}

/** One column that may be any of these, or is made of all of them. */
export function mergeColumns(columns: readonly OutColumn[]): OutColumn {
  const first = columns[0];
  if (!first) throw new Unsupported('a column without a source');
  const sources = new Map<string, ColumnRef>();
  for (const column of columns) {
    for (const ref of column.sources) sources.set(`${ref.schema}\u0000${ref.table}\u0000${ref.column}`, ref);
  }
  return {
    name: first.name,
    sources: [...sources.values()],
    direct: columns.every((column) => column.direct),
    ...(columns.some((column) => column.mixed || column.sources.length !== sources.size)
      ? { mixed: true }
      : {}),
  };
}

/** Arms of a set operation, column by column; names are the first arm's. */
export function combine(arms: readonly (readonly OutColumn[])[]): OutColumn[] {
  const first = arms[0] ?? [];
  if (arms.some((arm) => arm.length !== first.length))
    throw new Unsupported(
      'The used SELECT statements have a different number of columns',
      null,
      'unknown_name',
    );
  return first.map((column, at) => mergeColumns([column, ...arms.slice(1).map((arm) => arm[at] ?? column)]));
}

/** The columns under the names of a column list; an empty one leaves them as they are. */
export function rename(columns: readonly OutColumn[], names: readonly string[]): readonly OutColumn[] {
  if (names.length === 0) return columns;
  if (names.length !== columns.length)
    throw new Unsupported('a column list of another length than its query', null, 'unknown_name');
  return columns.map((column, at) => ({ ...column, name: names[at] ?? column.name }));
}
