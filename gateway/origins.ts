/** Whether the tables that a server names as the origins of a result can be those of the statement. Names tables, never values. */
import type { ResultColumn } from '../masking/masker.ts';
import type { ColumnMask, Principal } from '../policy/decision.ts';
import type { Policy } from '../policy/model.ts';
import { masksOfTable } from '../policy/table-masks.ts';
import type { Catalog, CatalogTable } from '../sql/catalog.ts';
import type { Statement } from '../sql/statement.ts';

export interface Origins {
  readonly policy: Policy;
  readonly principal: Principal;
  /** By the name that clients connect to. */
  readonly database: string;
  readonly catalog: Catalog;
  readonly statements: readonly Statement[];
  /** Columns that the text which runs gives as NULL. */
  readonly blanked: readonly ColumnMask[];
  /** The client's text. */
  readonly text: string;
}

/** What may not come from a table: null nothing, 'any' its whole, else these attribute numbers. */
type Forbidden = null | 'any' | ReadonlySet<number>;

/** One decided text's origins. What was found of a table is kept: a result costs a look-up for each column. */
export class KnownOrigins {
  readonly #facts: Origins;
  readonly #tables = new Map<number | string, Forbidden>();

  constructor(facts: Origins) {
    this.#facts = facts;
  }

  /** Why the statement can't have given these columns, or null. */
  contradiction(columns: readonly ResultColumn[]): string | null {
    for (const [index, column] of columns.entries()) {
      const key = keyOf(column);
      if (key === null) continue;
      let forbidden = this.#tables.get(key);
      if (forbidden === undefined) {
        forbidden = this.#judge(column);
        this.#tables.set(key, forbidden);
      }
      if (forbidden === null || (forbidden !== 'any' && !forbidden.has(column.attribute))) continue;
      const table = this.#tableOf(column);
      return `output column ${index + 1} comes from ${table?.schema}.${table?.name}, ${
        forbidden === 'any' ? 'which the statement does not read' : 'where nothing of it should be readable'
      }`;
    }
    return null;
  }

  #tableOf(column: ResultColumn): CatalogTable | undefined {
    const { catalog } = this.#facts;
    return column.engine === 'postgres'
      ? catalog.tableByOid(column.tableOid)
      : catalog.table(column.schema, column.table);
  }

  #judge(column: ResultColumn): Forbidden {
    const { policy, principal, database, catalog, statements, blanked, text } = this.#facts;
    const table = this.#tableOf(column);
    if (table === undefined || statements.some(namesNoTables)) return null;
    const named = statements.some(
      (statement) =>
        statement.kind === 'analyzed' &&
        statement.tables.some((use) => catalog.table(use.schema, use.table) === table),
    );
    if (named) {
      const own = blanked.filter((mask) => catalog.table(mask.schema, mask.table) === table);
      // MySQL names columns of a derived table as if they were the table's own.
      if (own.length === 0 || column.engine === 'mysql') return null;
      const names = new Set(own.map((mask) => mask.column));
      return new Set(table.columns.filter((one) => names.has(one.name)).map((one) => one.position));
    }
    // MariaDB gives an alias of the statement for a table's name.
    if (catalog.isMariaDb && text.toLowerCase().includes(table.name.toLowerCase())) return null;
    const masks = masksOfTable(policy, principal, database, catalog, table.schema, table.name);
    return masks.length > 0 ? 'any' : null;
  }
}

function keyOf(column: ResultColumn): number | string | null {
  if (column.engine === 'postgres') return column.tableOid === 0 ? null : column.tableOid;
  return column.table === '' || column.schema === '' ? null : `${column.schema}\u0000${column.table}`;
}

/** FETCH gives the rows of a statement that was decided when its cursor was declared. */
function namesNoTables(statement: Statement): boolean {
  return statement.kind === 'analyzed' && statement.statementKind === 'cursor';
}
