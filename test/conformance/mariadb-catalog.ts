/**
 * The catalog of a test server, read again and again: the server's own tables once, those of users each time. The product's
 * reader (protocols/mysql/catalog.ts) asks for both, which is too slow for a hundred thousand definitions.
 */
import { readMysqlCatalog } from '../../protocols/mysql/catalog.ts';
import { buildCatalog, type Catalog, type CatalogColumn, type CatalogTable } from '../../sql/catalog.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import { Session } from './mariadb-bare.ts';

const ownSchemas = new Set(['mysql', 'sys', 'information_schema', 'performance_schema']);

export class TestCatalog {
  readonly #session: Session;
  readonly #base: Catalog;

  private constructor(session: Session, base: Catalog) {
    this.#session = session;
    this.#base = base;
  }

  static async open({ host, port, user, password }: MySqlServer): Promise<TestCatalog> {
    const tls = { mode: 'disable', ca: null, cert: null, key: null } as const;
    const { catalog } = await readMysqlCatalog(
      { name: 'bare', host, port, user, password, tls, database: 'mysql' },
      1,
    );
    return new TestCatalog(await Session.open({ host, port, user, password }), catalog);
  }

  async #rows(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    const { results, error } = await this.#session.run(sql);
    if (error !== null) throw new Error(error.message);
    return results.flatMap((result) => ('rows' in result ? result.rows : []));
  }

  async read(): Promise<Catalog> {
    const schemas = (await this.#rows('SHOW DATABASES')).map(([name]) =>
      Buffer.from(name ?? '', 'latin1').toString('utf8'),
    );
    const tables: CatalogTable[] = [];
    const functions = [];
    for (const schema of schemas) {
      if (ownSchemas.has(schema.toLowerCase())) continue;
      const is = `_utf8mb4'${schema.replaceAll("'", "''")}'`;
      const text = (value: string | null | undefined): string =>
        Buffer.from(value ?? '', 'latin1').toString('utf8');
      const columns = new Map<string, CatalogColumn[]>();
      for (const [table, name, position, type, nullable, generated] of await this.#rows(
        `SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, IS_NULLABLE, GENERATION_EXPRESSION
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${is} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
      )) {
        const list = columns.get(text(table)) ?? [];
        columns.set(text(table), list);
        list.push({
          name: text(name),
          position: Number(position),
          type: text(type),
          typeId: 0xfe,
          notNull: nullable === 'NO',
          generated: text(generated) !== '',
        });
      }
      const definitions = new Map(
        (
          await this.#rows(
            `SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${is}`,
          )
        ).map(([name, definition]) => [text(name), text(definition)]),
      );
      for (const [name, type] of await this.#rows(
        `SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${is}`,
      )) {
        tables.push({
          schema,
          name: text(name),
          kind: type === 'VIEW' ? 'view' : type === 'SEQUENCE' ? 'sequence' : 'table',
          oid: 0,
          columns: columns.get(text(name)) ?? [],
          definition: definitions.get(text(name)) || null,
          parents: [],
          hasTriggers: false,
        });
      }
      for (const [name, type] of await this.#rows(
        `SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${is}`,
      ))
        functions.push({
          schema,
          name: text(name),
          oid: 0,
          kind: type === 'PROCEDURE' ? ('procedure' as const) : ('function' as const),
          volatility: 'volatile' as const,
          builtin: false,
          returnsSet: false,
        });
    }
    const { serverVersion, isMariaDb, foldsTableNames } = this.#base;
    return buildCatalog({
      engine: 'mysql',
      version: 1,
      serverVersion,
      isMariaDb,
      foldsTableNames,
      schemas,
      tables: [
        ...[...this.#base.tables()].filter((table) => ownSchemas.has(table.schema.toLowerCase())),
        ...tables,
      ],
      functions,
      types: [],
    });
  }

  end(): void {
    this.#session.end();
  }
}
