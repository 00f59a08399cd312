/**
 * Plays MariaDB's own test files against a bare server, one new database a file, under the session settings that the gateway
 * pins. Keeps the catalog at hand. Judges nothing: what an answer means is for whoever asked.
 */
import mysql from 'mysql2/promise';
import { settingAllowed } from '../../policy/settings.ts';
import type { Catalog, NameScope } from '../../sql/catalog.ts';
import { mysqlAnalyzer } from '../../sql/mysql/analyze.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import type { MySqlServer } from '../servers/mysql-family.ts';
import type { TestCatalog } from './mariadb-catalog.ts';

/** What a server made of one statement. */
export interface Outcome {
  /** Of each result set: names of columns, and rows as text; or the count of changed rows. */
  readonly results: readonly (
    | { readonly columns: readonly string[]; readonly rows: readonly (readonly (string | null)[])[] }
    | { readonly affected: number }
  )[];
  readonly error: { readonly errno: number; readonly message: string } | null;
}

export interface Field {
  readonly name: string;
  readonly orgTable?: string;
  readonly orgName?: string;
  readonly schema?: string;
}

/** Whether a statement is about rows: what is counted. */
export const isDml = (sql: string): boolean =>
  /^(?:\s|\(|\/\*(?!M?!)(?:(?!\*\/)[\s\S])*\*\/)*(select|insert|update|delete|replace|with|values|table)\b/i.test(
    sql,
  );

/** What can't be played: it ends or stops servers, sets all sessions' state, touches the server's own tables, or never ends. */
const leftOut =
  /^\s*(kill|shutdown|restart|change|start\s+(slave|replica|all)|stop|reset|install|uninstall|flush|purge|set\s+(@@)?global|set\s+password|lock\s+tables?\s+mysql|backup|xa|grant|revoke|(create|drop|alter|rename)\s+(or\s+replace\s+)?(user|role)|set\s+(default\s+)?role|drop\s+(database|schema)\s+(if\s+exists\s+)?(mysql|sys)\b|create\s+(or\s+replace\s+)?server|drop\s+server|load\s+index|cache\s+index)/i;
const touchesOwnTables =
  /^\s*(insert|update|delete|replace|truncate|drop|alter|create|rename|lock)\b[^;]*\b(mysql|performance_schema|sys)\s*\./i;
const globalInside = /(^|[\s,])(@@)?global[\s.]/i;

/** A session straight to a server, in the sense of mysqltest's `default` connection. */
export class Session {
  readonly connection: mysql.Connection;
  private constructor(connection: mysql.Connection) {
    this.connection = connection;
  }

  static async open(options: mysql.ConnectionOptions): Promise<Session> {
    const connection = await mysql.createConnection({
      multipleStatements: false,
      rowsAsArray: true,
      typeCast: (field) => field.buffer(),
      charset: 'utf8mb4',
      ...options,
    });
    connection.on('error', () => {});
    return new Session(connection);
  }

  /** Runs one text. `fields` of the last result go to `see`. */
  async run(sql: string, see?: (fields: readonly Field[]) => void): Promise<Outcome> {
    try {
      const [rows, fields] = (await this.connection.query(sql)) as unknown as [unknown, unknown];
      const several = Array.isArray(fields) && (fields.some(Array.isArray) || fields.includes(undefined));
      const sets = several
        ? (rows as unknown[]).map((set, at) => ({ set, columns: (fields as unknown[])[at] }))
        : [{ set: rows, columns: fields }];
      const results = sets.map(({ set, columns }) => {
        if (!Array.isArray(set)) return { affected: (set as { affectedRows: number }).affectedRows };
        if (see !== undefined) see(columns as readonly Field[]);
        return {
          columns: ((columns ?? []) as readonly Field[]).map(({ name }) => name),
          rows: (set as (Buffer | null)[][]).map((row) =>
            row.map((value) => value?.toString('latin1') ?? null),
          ),
        };
      });
      return { results, error: null };
    } catch (cause) {
      const { errno = 0, message } = cause as { errno?: number; message: string };
      return { results: [], error: { errno, message } };
    }
  }

  end(): void {
    this.connection.destroy();
  }
}

/** Server options under which the test files were written, as far as the gateway's own pinning allows. */
export function startTestServer(): Promise<MySqlServer> {
  return startMariaDb({
    settings: {
      'character-set-server': 'latin1',
      'collation-server': 'latin1_swedish_ci',
      'log-bin-trust-function-creators': '1',
      'key-buffer-size': '1M',
      'sort-buffer-size': '256K',
      'max-heap-table-size': '1M',
      'general-log': '0',
      'event-scheduler': 'OFF',
      'default-storage-engine': 'MyISAM',
      'max-statement-time': '10',
      'lock-wait-timeout': '2',
      'innodb-lock-wait-timeout': '2',
      'innodb-buffer-pool-size': '64M',
    },
  });
}

/** One test file under way. */
export class Play {
  readonly session: Session;
  /** The current database, as names are resolved. */
  names: NameScope = { path: ['test'] };
  readonly temporary = new Set<string>();
  #catalog: Catalog | null = null;
  readonly #analyzer = mysqlAnalyzer();

  readonly #reader: TestCatalog;

  private constructor(reader: TestCatalog, session: Session) {
    this.#reader = reader;
    this.session = session;
  }

  /** Makes the server as good as new, but for accounts. */
  static async begin(server: MySqlServer, reader: TestCatalog): Promise<Play> {
    const { host, port, user, password } = server;
    const admin = await Session.open({ host, port, user, password });
    const { results } = await admin.run('SHOW DATABASES');
    for (const result of results)
      for (const [name] of 'rows' in result ? result.rows : [])
        if (!['mysql', 'sys', 'information_schema', 'performance_schema'].includes(name ?? ''))
          await admin.run(`DROP DATABASE \`${name}\``);
    await admin.run('CREATE DATABASE test');
    await admin.run('CREATE DATABASE mtr');
    await admin.run('CREATE PROCEDURE mtr.add_suppression(p TEXT) BEGIN END');
    admin.end();
    const session = await Session.open({ host, port, user, password, database: 'test' });
    return new Play(reader, session);
  }

  /** The reason why this statement isn't played; null when it is. */
  unplayable(sql: string): string | null {
    if (leftOut.test(sql)) return 'of the whole server';
    if (touchesOwnTables.test(sql)) return "writes the server's own tables";
    if (/^\s*set\b/i.test(sql)) {
      if (globalInside.test(sql)) return 'of the whole server';
      if (/debug|gtid|sql_log_bin|pseudo|max_statement_time|lock_wait_timeout/i.test(sql))
        return 'settings of tests';
      const [read] = this.#analyzer.analyze(sql, emptyCatalog(this.#catalog), this.names).statements;
      if (read?.kind !== 'analyzed') return null;
      for (const effect of read.effects)
        if (
          effect.kind === 'set' &&
          /sql_mode|character|^names$|collation|charset/i.test(effect.name) &&
          !settingAllowed('mysql', effect.name, effect.value)
        )
          return 'settings that the gateway pins';
    }
    return null;
  }

  /** Notes what a statement that went through did to names. */
  async after(sql: string): Promise<void> {
    if (isDml(sql) || /^\s*(set|show|explain|describe|desc)\b/i.test(sql)) return;
    const temporary =
      /^\s*create\s+(?:or\s+replace\s+)?temporary\s+(?:table|sequence)\s+(?:if\s+not\s+exists\s+)?(?:[`\w]+\s*\.\s*)?`?(\w+)/i.exec(
        sql,
      );
    if (temporary) this.temporary.add(temporary[1]!.toLowerCase());
    if (
      /^\s*(commit|rollback|begin|start|savepoint|release|lock|unlock|check|optimize|analyze|do|handler)\b/i.test(
        sql,
      )
    )
      return;
    this.#catalog = null;
    if (/^\s*(use|drop|call|execute)\b/i.test(sql)) {
      const { results } = await this.session.run('SELECT DATABASE()');
      const name = results[0] && 'rows' in results[0] ? results[0].rows[0]?.[0] : null;
      this.names = { path: name ? [name] : [] };
    }
  }

  /** What exists now. Temporary tables are not in it. */
  async catalog(): Promise<Catalog> {
    this.#catalog ??= await this.#reader.read();
    return this.#catalog;
  }

  end(): void {
    this.session.end();
  }
}

let nothing: Catalog | null = null;
function emptyCatalog(known: Catalog | null): Catalog {
  if (known !== null) return known;
  nothing ??= {
    engine: 'mysql',
    version: 0,
    serverVersion: 101100,
    isMariaDb: true,
    foldsTableNames: false,
    hasSchema: () => false,
    table: () => undefined,
    tableByOid: () => undefined,
    functions: () => [],
    hasType: () => false,
    tables: () => [],
  };
  return nothing;
}
