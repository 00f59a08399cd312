/**
 * Which tables the names in a text mean that a server keeps prepared. PostgreSQL reads such a text anew when the search path is
 * another one, and not when a new table comes to stand before the one that a name meant. No I/O.
 */
import type { DecidedText } from './decide-text.ts';
import { namedTables } from './statement-templates.ts';

const pathsMax = 16;

export class Resolutions {
  /** By search path: what the names meant each time that the text was admitted. */
  readonly #tables = new Map<string, string>();

  constructor(first: DecidedText) {
    this.holds(first);
  }

  /** True when the server means the same tables as the decision does; from then on it has to stay so. */
  holds(decided: DecidedText): boolean {
    const tables = decided.statements.map(namedTables).join();
    const known = this.#tables.get(decided.names);
    if (known !== undefined) return known === tables;
    if (this.#tables.size >= pathsMax) return false;
    this.#tables.set(decided.names, tables);
    return true;
  }
}
