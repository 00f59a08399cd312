/**
 * DO blocks that do nothing but make one definition unless it is there, as generators of migrations write them where SQL has no
 * IF NOT EXISTS. Every other block is code, and nobody looks into code.
 */
import { type DoStmt, type Node, parseSync } from 'libpg-query';

const head = /^\s*BEGIN\s/i;
const tail = /;\s*EXCEPTION\s+WHEN\s+duplicate_object\s+THEN\s+NULL\s*;\s*END\s*;?\s*$/i;

/**
 * The one definition inside: CREATE TYPE ... AS ENUM, or ALTER TABLE that adds keys. PL/pgSQL hands these to the server as they stand
 * (no parameters in utility statements), and ends them at the same semicolon as SQL does. Null: the block is anything else.
 */
export function definitionIn(block: DoStmt): Node | null {
  const code = codeOf(block);
  if (code === null || !head.test(code) || !tail.test(code)) return null;
  const inside = code.replace(head, '').replace(tail, '');
  // A comment could hide from one reader what the other one sees.
  if (/--|\/\*/.test(inside)) return null;
  let stmts: ReturnType<typeof parseSync>['stmts'];
  try {
    stmts = parseSync(inside).stmts;
  } catch {
    return null;
  }
  const node = stmts?.length === 1 ? stmts[0]!.stmt : undefined;
  return node && isDefinition(node) ? node : null;
}

function isDefinition(node: Node): boolean {
  if ('CreateEnumStmt' in node) return true;
  if (!('AlterTableStmt' in node)) return false;
  const { cmds } = node.AlterTableStmt;
  return (
    cmds?.every((one) => {
      if (!('AlterTableCmd' in one) || one.AlterTableCmd.subtype !== 'AT_AddConstraint') return false;
      const { def } = one.AlterTableCmd;
      return (
        def !== undefined &&
        'Constraint' in def &&
        ['CONSTR_FOREIGN', 'CONSTR_UNIQUE', 'CONSTR_PRIMARY'].includes(def.Constraint.contype ?? '')
      );
    }) === true
  );
}

/** The text of a block in PL/pgSQL, which is the language when none is named. */
function codeOf({ args }: DoStmt): string | null {
  let code: string | null = null;
  for (const item of args ?? []) {
    if (!('DefElem' in item)) return null;
    const { defname, arg } = item.DefElem;
    const value = arg && 'String' in arg ? arg.String.sval : undefined;
    if (defname === 'as' && code === null && value !== undefined) code = value;
    else if (defname !== 'language' || value !== 'plpgsql') return null;
  }
  return code;
}
