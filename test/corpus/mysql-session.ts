/** One MySQL session whose every byte from the server is kept beside the driver that reads it. No gateway code in it. */
import { connect, type Socket } from 'node:net';
import mysql from 'mysql2/promise';

/** What one session of statements brought. */
export interface Answer {
  /** Every byte after sign-in, ids of decisions taken out: they are random and could look like anything. */
  readonly bytes: Buffer;
  /** The first error. */
  readonly error: { readonly errno: number; readonly message: string } | null;
  /** Columns of the last result. */
  readonly fields: readonly {
    readonly name: string;
    readonly orgTable?: string;
    readonly orgName?: string;
  }[];
  /** The gateway's reason, when the error is a refusal, or the last word to a session that has drifted. */
  readonly reason: string | null;
}

export interface Account {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export class RecordedSession {
  readonly #connection: mysql.Connection;
  readonly #received: Buffer[];
  closed = false;

  private constructor(connection: mysql.Connection, socket: Socket, received: Buffer[]) {
    this.#connection = connection;
    this.#received = received;
    socket.on('close', () => {
      this.closed = true;
    });
    connection.on('error', () => {});
  }

  static async open({ port, user, password, database }: Account): Promise<RecordedSession> {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const received: Buffer[] = [];
    socket.on('data', (bytes) => received.push(Buffer.from(bytes)));
    const connection = await mysql.createConnection({
      stream: socket,
      user,
      password,
      database,
      multipleStatements: true,
      authPlugins: { mysql_clear_password: () => () => Buffer.from(`${password}\0`) },
    });
    return new RecordedSession(connection, socket, received);
  }

  /** Runs statements until one fails; `values`: as prepared statements with these parameters. */
  async ask(
    statements: string | readonly string[],
    values?: readonly (string | number | null)[],
  ): Promise<Answer> {
    this.#received.length = 0;
    let error: Answer['error'] = null;
    let fields: Answer['fields'] = [];
    try {
      for (const sql of typeof statements === 'string' ? [statements] : statements) {
        if (values === undefined) fields = ((await this.#connection.query(sql))[1] ?? []) as Answer['fields'];
        else await this.#execute(sql, values);
      }
    } catch (cause) {
      const { errno = 0, message } = cause as { errno?: number; message: string };
      error = { errno, message };
    }
    const text = Buffer.concat(this.#received).toString('latin1');
    return {
      bytes: Buffer.from(text.replace(/decision: [\w-]+/g, 'decision'), 'latin1'),
      error,
      fields,
      reason: /reason: (\w+)(?:; decision: |\))/.exec(error?.message ?? '')?.[1] ?? null,
    };
  }

  // A statement prepared once is run twice: what one run is refused, the other is too.
  async #execute(sql: string, values: readonly (string | number | null)[]): Promise<void> {
    const statement = await this.#connection.prepare(sql);
    try {
      await statement.execute([...values]);
      await statement.execute([...values]);
    } finally {
      await statement.close();
    }
  }

  end(): void {
    this.#connection.destroy();
  }
}
