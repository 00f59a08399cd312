/** What a name in FROM stands for: a common table expression, a table, a system table, or a view with what is behind it. */
import type { Catalog, CatalogTable, NameScope } from '../catalog.ts';
import type { Clause } from '../statement.ts';
import type { Facts } from './facts.ts';
import { Unsupported } from './leaves.ts';
import { lex, splitStatements } from './lexer.ts';
import type { Ctes, OutColumn, Scope, Source } from './scope.ts';
import { buildSkeleton } from './skeleton.ts';
import { isSystemSchema, systemChannel, systemTable } from './system.ts';
import { type NameLeaf, parseSkeleton, type Query } from './tree.ts';

const viewDepthMax = 16;

export interface Resolved {
  readonly outputs: readonly OutColumn[];
  /** The scope of a single SELECT, for the names of a write's targets; null for a set operation. */
  readonly scope: Scope | null;
}

export abstract class SourceReader {
  protected readonly catalog: Catalog;
  protected readonly names: NameScope;
  protected readonly facts: Facts;
  /** How many views deep this is. */
  protected readonly viewDepth: number;

  constructor(catalog: Catalog, names: NameScope, facts: Facts, viewDepth = 0) {
    this.catalog = catalog;
    this.names = names;
    this.facts = facts;
    this.viewDepth = viewDepth;
  }

  abstract query(query: Query, outer: Scope | null, ctes: Ctes | null, clause: Clause): Resolved;
  /** A resolver for a view's definition. */
  protected abstract within(schema: string): SourceReader;

  protected tableSource(leaf: NameLeaf, alias: NameLeaf | null, ctes: Ctes | null): Source {
    const name = leaf.parts[leaf.parts.length - 1] ?? '';
    const folds = this.catalog.foldsTableNames;
    if (leaf.parts.length > 2) throw new Unsupported('a table name of more than two parts', leaf.start);
    if (leaf.parts.length === 1) {
      for (let at = ctes; at; at = at.parent) {
        // MariaDB compares these without case whatever its setting for tables, MySQL does not
        if (at.name !== name && !folds && at.name.toLowerCase() === name.toLowerCase())
          throw new Unsupported(`the name ${name} beside ${at.name} in WITH`, leaf.start);
        if (at.name === name || (folds && at.name.toLowerCase() === name.toLowerCase())) {
          if (at.columns === null)
            throw new Unsupported(`the forward reference to ${name} in WITH`, leaf.start);
          return {
            name: alias?.parts[0] ?? name,
            schema: null,
            columns: at.columns,
            open: null,
            uses: [0, 0],
          };
        }
      }
    }
    const schema = leaf.parts.length === 2 ? (leaf.parts[0] ?? '') : this.names.path[0];
    if (this.catalog.isMariaDb && sequenceTable.test(name) && !this.catalog.table(schema ?? '', name))
      return {
        name: alias?.parts[0] ?? name,
        schema: alias ? null : (schema ?? null),
        columns: sequence,
        open: null,
        uses: [0, 0],
      };
    if (schema === undefined) throw new Unsupported('No database selected', leaf.start, 'unknown_name');
    const from = this.facts.tables.length;
    const { columns, table } = this.table(schema, name, leaf, alias !== null);
    return {
      name: alias?.parts[0] ?? name,
      schema: alias ? null : schema,
      columns,
      open: table.open ? { schema: table.schema, name: table.name } : null,
      uses: [from, this.facts.tables.length],
    };
  }

  /** The columns of a table or view, noting its use as a read. */
  private table(
    schema: string,
    name: string,
    leaf: NameLeaf,
    aliased: boolean,
  ): { columns: readonly OutColumn[]; table: { schema: string; name: string; open: boolean } } {
    const viaView = this.viewDepth > 0;
    if (isSystemSchema(schema)) {
      const known = systemTable(this.catalog, schema, name);
      const channel = systemChannel(schema, name);
      const table = {
        schema: schema.toLowerCase(),
        name: known?.name ?? name,
        open: known === undefined || known.columns.length === 0,
      };
      if (channel) this.facts.effect({ kind: 'channel', channel, what: `${table.schema}.${table.name}` });
      this.facts.table({
        schema: table.schema,
        table: table.name,
        reads: true,
        writes: false,
        system: true,
        view: false,
        viaView,
        span: null,
      });
      return { columns: known ? ownColumns(table.schema, known) : [], table };
    }
    const table = this.catalog.table(schema, name);
    if (!table)
      throw new Unsupported(
        `Table '${schema}.${name}' doesn't exist`,
        viaView ? null : leaf.start,
        'unknown_name',
      );
    const view = table.kind === 'view';
    const span =
      viaView || leaf.token < 0 || leaf.fixed ? null : { start: leaf.start, end: leaf.end, aliased };
    this.facts.table({
      schema: table.schema,
      table: table.name,
      reads: true,
      writes: false,
      system: false,
      view,
      viaView,
      span,
    });
    const found = { schema: table.schema, name: table.name, open: false };
    if (!view) return { columns: ownColumns(table.schema, table), table: found };
    return { columns: this.view(table), table: found };
  }

  private view(view: CatalogTable): readonly OutColumn[] {
    const title = `${view.schema}.${view.name}`;
    if (!view.definition) throw new Unsupported(`the definition of view ${title} can't be read`);
    if (this.viewDepth >= viewDepthMax) throw new Unsupported(`views nested too deeply at ${title}`);
    try {
      const { tokens, error } = lex(view.definition);
      const statements = splitStatements(tokens);
      if (error || statements.length !== 1 || !statements[0]) throw new Unsupported('its text');
      const skeleton = buildSkeleton(statements[0]);
      if (skeleton.assigns || skeleton.file) throw new Unsupported('its text');
      const { outputs } = this.within(view.schema).query(parseSkeleton(skeleton), null, null, 'output');
      if (outputs.length !== view.columns.length) throw new Unsupported('its columns');
      return outputs.map((output, at) => ({ ...output, name: view.columns[at]?.name ?? output.name }));
    } catch (cause) {
      if (!(cause instanceof Unsupported)) throw cause;
      throw new Unsupported(`view ${title} can't be followed: ${cause.message}`, null, cause.reason);
    }
  }
}

/** Tables that MariaDB makes up by their names, so that nobody can have made one: rows of numbers. */
const sequenceTable = /^seq_[0-9]+_to_[0-9]+(_step_[0-9]+)?$/;
const sequence: readonly OutColumn[] = [{ name: 'seq', sources: [], direct: true }];

function ownColumns(schema: string, table: CatalogTable): readonly OutColumn[] {
  return table.columns.map((column) => ({
    name: column.name,
    sources: [{ schema, table: table.name, column: column.name }],
    direct: true,
  }));
}
