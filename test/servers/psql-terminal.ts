/** One psql that stays open while a test talks to it, as a person's terminal does. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { PsqlConnection } from './psql.ts';

export class PsqlTerminal {
  readonly #child: ChildProcessWithoutNullStreams;
  #output = '';
  #asked = 0;
  #wake: () => void = () => {};

  constructor(to: PsqlConnection) {
    this.#child = spawn('psql', ['-X', '-At'], {
      env: {
        PATH: process.env.PATH ?? '',
        LC_ALL: 'C.UTF-8',
        PGHOST: '127.0.0.1',
        PGPORT: String(to.port),
        PGUSER: to.user,
        PGPASSWORD: to.password,
        PGDATABASE: to.database,
        PGSSLMODE: to.sslmode ?? 'disable',
        ...to.env,
      },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        this.#output += part;
        this.#wake();
      });
    }
    this.#child.once('exit', () => {
      this.#output += '\npsql has ended\n';
      this.#wake();
    });
  }

  /** Sends a line and resolves with everything psql printed for it, standard error included. */
  async ask(sql: string): Promise<string> {
    const mark = `mark-${++this.#asked}`;
    // \warn is written after the statement's own errors, \echo after its rows: both streams have to pass the mark.
    this.#child.stdin.write(`${sql}\n\\echo ${mark}\n\\warn ${mark}\n`);
    for (;;) {
      const seen = this.#output.split(mark).length - 1;
      if (seen >= 2 || this.#output.includes('psql has ended')) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const text = this.#output.replaceAll(mark, '').trim();
    this.#output = '';
    return text;
  }

  async end(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stdin.end('\\q\n');
    await ended;
  }
}
