/** What the readers of this room's statements share: the catalog at hand, the facts so far, and queries run through the resolver. */
import type { Catalog, NameScope } from '../catalog.ts';
import type { Clause, Output, StatementKind, TableUse } from '../statement.ts';
import { Facts } from './facts.ts';
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import { Resolver } from './resolve.ts';
import type { OutColumn } from './scope.ts';
import { buildSkeleton } from './skeleton.ts';
import type { Resolved } from './sources.ts';
import { isSystemSchema, systemChannel } from './system.ts';
import { parseSkeleton } from './tree.ts';

/** Longest skeleton that is given to the parser, in UTF-16 units. */
const skeletonLengthMax = 256 * 1024;

/** What a reader makes of one statement. */
export interface Draft {
  readonly statementKind: StatementKind;
  readonly outputs: readonly Output[];
  readonly withoutWhere: boolean;
}
export const draft = (
  statementKind: StatementKind,
  outputs: readonly Output[] = [],
  withoutWhere = false,
): Draft => ({
  statementKind,
  outputs,
  withoutWhere,
});

export class Work {
  readonly text: string;
  readonly catalog: Catalog;
  readonly names: NameScope;
  readonly facts = new Facts();
  readonly resolver: Resolver;

  constructor(text: string, catalog: Catalog, names: NameScope) {
    this.text = text;
    this.catalog = catalog;
    this.names = names;
    this.resolver = new Resolver(catalog, names, this.facts);
  }

  /** Resolves the query that the tokens spell. */
  query(tokens: readonly Token[], clause: Clause): Resolved {
    const skeleton = buildSkeleton(tokens);
    if (skeleton.text.length > skeletonLengthMax)
      throw new Unsupported('a statement too long to be parsed', null, 'too_long');
    const resolved = this.resolver.query(parseSkeleton(skeleton), null, null, clause);
    if (skeleton.countsRows) this.facts.countsRows = true;
    if (skeleton.tells) this.facts.conditionsTell = true;
    if (skeleton.file) this.facts.effect({ kind: 'channel', channel: 'file', what: skeleton.file });
    if (skeleton.assigns) {
      if (this.facts.touchesUsers)
        this.facts.effect({
          kind: 'channel',
          channel: 'user_variable',
          what: 'assignment to a user variable',
        });
      else this.facts.effect({ kind: 'set', name: '@', value: null, local: false });
    }
    return resolved;
  }

  /** A table by name parts: the catalog's spelling where it exists, as written where it does not. */
  tableName(parts: readonly string[], mustExist: boolean): { schema: string; table: string; view: boolean } {
    if (parts.length > 2) throw new Unsupported('a table name of more than two parts');
    const schema = parts.length === 2 ? parts[0] : this.names.path[0];
    const name = parts[parts.length - 1] ?? '';
    if (schema === undefined) throw new Unsupported('No database selected', null, 'unknown_name');
    const known = this.catalog.table(schema, name);
    if (!known && mustExist && !isSystemSchema(schema))
      throw new Unsupported(`Table '${schema}.${name}' doesn't exist`, null, 'unknown_name');
    return { schema: known?.schema ?? schema, table: known?.name ?? name, view: known?.kind === 'view' };
  }

  /** Notes a table that a statement names outside a query. */
  touch(parts: readonly string[], how: { reads: boolean; writes: boolean }, mustExist: boolean): TableUse {
    const { schema, table, view } = this.tableName(parts, mustExist);
    const system = isSystemSchema(schema);
    const channel = system ? systemChannel(schema, table) : null;
    if (channel) this.facts.effect({ kind: 'channel', channel, what: `${schema}.${table}` });
    const use: TableUse = { schema, table, ...how, system, view, viaView: false, span: null };
    this.facts.table(use);
    return use;
  }
}

export function outputsOf(columns: readonly OutColumn[]): readonly Output[] {
  return columns.map(({ name, sources, direct, mixed }) => ({
    name,
    sources,
    direct: direct && sources.length > 0,
    ...(mixed ? { mixed } : {}),
  }));
}
