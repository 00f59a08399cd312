/** What is found out about one statement while its names are resolved, each fact once. No grammar here. */
import type { Analyzed, Clause, ColumnRef, ColumnUse, Effect, FunctionUse, TableUse } from '../statement.ts';
import { isSystemSchema } from './system.ts';

export class Facts {
  readonly tables: TableUse[] = [];
  readonly effects: Effect[] = [];
  readonly written: ColumnRef[] = [];
  literals: Analyzed['literals'] = 'free';
  /** A column was named with its database, which a rewritten table reference would break. */
  namesDatabase = false;
  /** The answer tells how many rows were looked at: none may be left out by a rewritten table reference. */
  countsRows = false;
  /** A condition could fail on one row and not on another, and the servers test it on rows that a subquery leaves out. */
  conditionsTell = false;
  /** SLEEP of a literal or a parameter: it tells nothing as long as no row of a user's decides whether it comes to it. */
  sleeps = false;
  private readonly uses = new Map<string, ColumnUse>();
  private readonly calls = new Map<string, FunctionUse>();
  private readonly writtenKeys = new Set<string>();

  /** A reference that is resolved a second time (a recursive query's) stays one reference. */
  table(use: TableUse): void {
    const { span } = use;
    if (span && this.tables.some((known) => known.span?.start === span.start)) return;
    this.tables.push(use);
  }
  use(sources: readonly ColumnRef[], clause: Clause): void {
    for (const { schema, table, column } of sources) {
      const key = `${schema}\u0000${table}\u0000${column}\u0000${clause}`;
      if (!this.uses.has(key)) this.uses.set(key, { schema, table, column, clause });
    }
  }
  call(use: FunctionUse): void {
    this.calls.set(`${use.schema}.${use.name}`, use);
  }
  effect(effect: Effect): void {
    if (!this.effects.some((known) => JSON.stringify(known) === JSON.stringify(effect)))
      this.effects.push(effect);
  }
  write(sources: readonly ColumnRef[]): void {
    for (const ref of sources) {
      const key = `${ref.schema}\u0000${ref.table}\u0000${ref.column}`;
      if (!this.writtenKeys.has(key)) this.written.push(ref);
      this.writtenKeys.add(key);
    }
  }
  get columns(): ColumnUse[] {
    return [...this.uses.values()];
  }
  get functions(): FunctionUse[] {
    const calls = [...this.calls.values()];
    if (!this.sleeps || this.calls.has('mysql.sleep')) return calls;
    const idle = this.tables.every((table) => table.system);
    return [...calls, { schema: 'mysql', name: 'sleep', trust: idle ? 'safe' : 'side_effect' }];
  }
  /** Some column of that table is used. */
  touches(schema: string, table: string): boolean {
    for (const use of this.uses.values()) if (use.schema === schema && use.table === table) return true;
    return false;
  }
  /** Some column of any table is used that isn't the server's own. */
  get touchesUsers(): boolean {
    for (const { schema } of this.uses.values()) if (!isSystemSchema(schema)) return true;
    return false;
  }
}
