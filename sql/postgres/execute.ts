/** EXECUTE (manual: SQL commands, EXECUTE): its arguments. What it runs stands in another text, the session's PREPARE. */
import type { ExecuteStmt } from 'libpg-query';
import { expressions } from './expressions.ts';
import { noScope, type Walk } from './model.ts';
import { check } from './tree.ts';

/** Notes one EXECUTE; CREATE TABLE AS and EXPLAIN have it inside. */
export function execute(walk: Walk, stmt: ExecuteStmt): void {
  check('ExecuteStmt', stmt);
  const name = stmt.name!;
  const values = stmt.params ?? [];
  walk.record.has({ kind: 'sql_execute', name });
  walk.record.has({ kind: 'channel', channel: 'dynamic_sql', what: 'EXECUTE' });
  walk.record.byName = { action: 'execute', name, arguments: values.length };
  expressions(walk, values, { scope: noScope, with: null }, 'expression');
}
