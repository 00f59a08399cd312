/** How the command line speaks: one line on standard error for what went wrong, plain tables or JSON for the rest. */
import type { Config } from '../gateway/config.ts';
import { loadConfig } from '../gateway/config.ts';
import { type PolicyText, readPolicy } from '../gateway/read-policy.ts';
import { formatSourceError, type SourceError } from '../policy/source.ts';

/** Ends the command: 1 for work that failed, 2 for wrong usage. `lines` go to standard error. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly exitCode: 1 | 2;
  readonly lines: readonly string[];
  constructor(lines: readonly string[], exitCode: 1 | 2 = 1) {
    super(lines.join('\n'));
    this.lines = lines;
    this.exitCode = exitCode;
  }
}

/** `cordon: what, where, what to do` */
export function failure(what: string, where: string, todo: string): CommandFailed {
  return new CommandFailed([`cordon: ${what}, ${where}, ${todo}`]);
}

export function sourceFailure(errors: readonly SourceError[]): CommandFailed {
  return new CommandFailed(errors.map(formatSourceError));
}

export function requireConfig(file: string, secrets: 'read' | 'skip'): Config {
  const loaded = loadConfig(file, secrets);
  if (!loaded.ok) throw sourceFailure(loaded.errors);
  return loaded.config;
}

export function requirePolicy(config: Config): PolicyText {
  const read = readPolicy(config);
  if (!read.ok) throw sourceFailure(read.errors);
  return read;
}

/** Rows as aligned columns under their keys; `empty` when there are none. */
export function printTable(rows: readonly Readonly<Record<string, unknown>>[], empty: string): void {
  const first = rows[0];
  if (!first) {
    process.stdout.write(`${empty}\n`);
    return;
  }
  const keys = Object.keys(first);
  const cells = [keys, ...rows.map((row) => keys.map((key) => String(row[key] ?? '')))];
  const widths = keys.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  for (const row of cells) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
