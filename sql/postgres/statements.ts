/** Each kind of PostgreSQL statement: its kind, its result columns, and its effects besides rows. */
import type {
  CallStmt,
  CopyStmt,
  DeallocateStmt,
  DeclareCursorStmt,
  DoStmt,
  ExecuteStmt,
  ExplainStmt,
  FetchStmt,
  LockStmt,
  Node,
  PrepareStmt,
  SelectStmt,
  TransactionStmt,
  TruncateStmt,
  VacuumStmt,
  VariableSetStmt,
} from 'libpg-query';
import type { Effect, StatementKind } from '../statement.ts';
import { copy } from './copy.ts';
import { createSchema } from './create-schema.ts';
import { createTableAs, createView, definition, definitionKind, selectInto, worksOn } from './definitions.ts';
import { definitionIn } from './do-block.ts';
import { execute } from './execute.ts';
import { expression } from './expressions.ts';
import { type Column, constant, noScope, type Place, type Walk } from './model.ts';
import { preparedText } from './prepared-text.ts';
import { noteTable, tableNamed } from './relations.ts';
import { createRule, policyConditions } from './rules.ts';
import { withNamedSetting } from './set-config.ts';
import { type Body, check, open, unsupported } from './tree.ts';

/** What the top of a statement is. */
export interface Top {
  readonly kind: StatementKind;
  readonly columns: readonly Column[];
}

const nowhere: Place = { scope: noScope, with: null };
const nothing: readonly Column[] = [];
const serverText = (...names: string[]): readonly Column[] => names.map((name) => ({ ...constant, name }));

/** Walks a whole statement, which stands in the text from `start` to `end` (UTF-16 offsets). */
export function statement(walk: Walk, node: Node, start: number, end: number): Top {
  const [name, body] = open(node);
  const { record } = walk;
  switch (name) {
    case 'SelectStmt': {
      const stored = withoutInto(body as SelectStmt);
      if (stored) {
        selectInto(walk, stored.into, { SelectStmt: stored.query });
        return { kind: 'ddl', columns: nothing };
      }
      const setting = withNamedSetting(walk, body as SelectStmt);
      const columns = walk.rows(walk, setting ? { SelectStmt: setting } : node, nowhere);
      return { kind: record.change ?? 'select', columns };
    }
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt': {
      const columns = walk.rows(walk, node, nowhere);
      return { kind: record.change ?? 'update', columns };
    }
    case 'CopyStmt':
      return copy(walk, body as CopyStmt);
    case 'ExplainStmt':
      return explain(walk, body as ExplainStmt, start, end);
    case 'TransactionStmt':
      return transaction(walk, body as TransactionStmt);
    case 'ConstraintsSetStmt':
      return { kind: 'transaction', columns: nothing };
    case 'VariableShowStmt': {
      const setting = String(body.name);
      return {
        kind: 'show',
        columns: setting === 'all' ? serverText('name', 'setting', 'description') : serverText(setting),
      };
    }
    case 'VariableSetStmt':
      return set(walk, body as VariableSetStmt);
    case 'DiscardStmt':
      return discard(walk, String(body.target ?? 'DISCARD_ALL'));
    case 'PrepareStmt':
      return prepare(walk, body as PrepareStmt, start, end);
    case 'ExecuteStmt':
      execute(walk, body as ExecuteStmt);
      return { kind: 'prepare', columns: nothing };
    case 'DeallocateStmt':
      record.byName = { action: 'deallocate', name: (body as DeallocateStmt).name ?? null };
      return { kind: 'prepare', columns: nothing };
    case 'DeclareCursorStmt': {
      const declare = body as DeclareCursorStmt;
      check(name, declare);
      record.has({ kind: 'cursor', name: declare.portalname!, action: 'declare' });
      return { kind: 'cursor', columns: walk.rows(walk, declare.query!, nowhere) };
    }
    case 'FetchStmt': {
      record.has({ kind: 'cursor', name: (body as FetchStmt).portalname!, action: 'fetch' });
      return { kind: 'cursor', columns: nothing };
    }
    case 'ClosePortalStmt':
      record.has({ kind: 'cursor', name: String(body.portalname ?? 'ALL'), action: 'close' });
      return { kind: 'cursor', columns: nothing };
    case 'LockStmt': {
      check(name, body);
      for (const range of (body as LockStmt).relations ?? [])
        touches(walk, range, { reads: true, writes: false });
      return { kind: 'lock', columns: nothing };
    }
    case 'TruncateStmt': {
      check(name, body);
      for (const range of (body as TruncateStmt).relations ?? [])
        touches(walk, range, { reads: false, writes: true });
      return { kind: 'truncate', columns: nothing };
    }
    case 'ListenStmt':
    case 'UnlistenStmt':
      return { kind: 'listen', columns: nothing };
    case 'NotifyStmt':
      record.has({ kind: 'channel', channel: 'notify', what: String(body.conditionname) });
      return { kind: 'notify', columns: nothing };
    case 'DoStmt': {
      record.literalsMatter = true;
      const inside = definitionIn(body as DoStmt);
      // Offsets in the block are none of the client's text.
      if (inside) return statement({ ...walk, text: null }, inside, start, end);
      record.has({ kind: 'channel', channel: 'dynamic_sql', what: 'DO' });
      // It may have changed the catalog, or what names mean.
      record.has({ kind: 'ddl' });
      return { kind: 'do', columns: nothing };
    }
    case 'CallStmt': {
      check(name, body);
      expression(walk, { FuncCall: (body as CallStmt).funccall! }, nowhere, 'function');
      return { kind: 'call', columns: nothing };
    }
    case 'VacuumStmt':
    case 'ClusterStmt':
    case 'ReindexStmt':
    case 'RefreshMatViewStmt':
    case 'CheckPointStmt':
      return maintenance(walk, name, body);
    case 'CreateTableAsStmt':
      createTableAs(walk, body);
      return { kind: 'ddl', columns: nothing };
    case 'ViewStmt':
      createView(walk, body);
      return { kind: 'ddl', columns: nothing };
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt': {
      policyConditions(walk, body);
      const { qual: _, with_check: __, ...rest } = body;
      definition(walk, name, rest);
      return { kind: 'ddl', columns: nothing };
    }
    case 'CreateSchemaStmt':
      return { kind: createSchema(walk, body), columns: nothing };
    case 'RuleStmt':
      createRule(walk, body);
      return { kind: 'ddl', columns: nothing };
    default: {
      const kind = definitionKind(name, body);
      if (!kind) throw unsupported(name);
      definition(walk, name, body);
      return { kind, columns: nothing };
    }
  }
}

/** The INTO of a SELECT stands in its first arm. */
function withoutInto(
  select: SelectStmt,
): { into: NonNullable<SelectStmt['intoClause']>; query: SelectStmt } | null {
  if (select.intoClause) {
    const { intoClause, ...query } = select;
    return { into: intoClause, query };
  }
  const inner = select.larg ? withoutInto(select.larg) : null;
  return inner && { into: inner.into, query: { ...select, larg: inner.query } };
}

function touches(walk: Walk, node: Node, access: { reads: boolean; writes: boolean }): void {
  if (!('RangeVar' in node)) throw unsupported(open(node)[0]);
  const table = tableNamed(walk, node.RangeVar);
  noteTable(walk, node.RangeVar, table, { ...access, replaceable: false });
}

function explain(walk: Walk, stmt: ExplainStmt, start: number, end: number): Top {
  check('ExplainStmt', stmt);
  for (const node of stmt.options ?? []) {
    const option = open(node)[1];
    // The last ANALYZE counts for the server; one that isn't plainly off counts for us.
    if (option.defname === 'analyze' && !isOff(option.arg as Node | undefined))
      walk.record.has({ kind: 'channel', channel: 'explain_analyze', what: 'EXPLAIN ANALYZE' });
    if (option.arg) walk.record.literalsMatter = true;
  }
  statement(walk, stmt.query!, start, end);
  return { kind: 'explain', columns: serverText('QUERY PLAN') };
}

function prepare(walk: Walk, stmt: PrepareStmt, start: number, end: number): Top {
  check('PrepareStmt', stmt);
  const { record } = walk;
  const name = stmt.name!;
  record.has({ kind: 'sql_prepare', name });
  // The text goes with the facts: another literal is another text.
  record.literalsMatter = true;
  const text = walk.text && preparedText(walk.text.text.slice(start, end));
  const { columns, kind } = statement(walk, stmt.query!, start, end);
  record.byName = { action: 'prepare', name, text, runs: kind };
  return { kind: 'prepare', columns };
}

function isOff(arg: Node | undefined): boolean {
  if (!arg) return false;
  const [, body] = open(arg);
  const value = body.sval ?? body.boolval ?? body.ival ?? ('Integer' in arg ? 0 : undefined);
  return value === 0 || value === false || /^(off|false)$/i.test(String(value));
}

const transactionActions: Readonly<Record<string, Extract<Effect, { kind: 'transaction' }>['action']>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release',
  TRANS_STMT_ROLLBACK_TO: 'rollback_to',
  TRANS_STMT_PREPARE: 'prepared',
  TRANS_STMT_COMMIT_PREPARED: 'prepared',
  TRANS_STMT_ROLLBACK_PREPARED: 'prepared',
};

function transaction(walk: Walk, stmt: TransactionStmt): Top {
  const action = transactionActions[String(stmt.kind)];
  if (!action) throw unsupported(String(stmt.kind));
  walk.record.has({ kind: 'transaction', action });
  return { kind: 'transaction', columns: nothing };
}

/** A setting's value as it is written, without quotes. */
function settingValue(node: Node): string {
  const [kind, body] = open(node);
  if (kind === 'TypeCast') return settingValue(body.arg as Node);
  if (kind !== 'A_Const') throw unsupported(`${kind} as a setting`);
  const constants = body as { ival?: Body; fval?: Body; sval?: Body; boolval?: Body };
  if (constants.sval) return String(constants.sval.sval ?? '');
  if (constants.fval) return String(constants.fval.fval);
  if (constants.boolval) return String(constants.boolval.boolval ?? false);
  if (constants.ival) return String(constants.ival.ival ?? 0);
  throw unsupported('this value of a setting');
}

function set(walk: Walk, stmt: VariableSetStmt): Top {
  const { record } = walk;
  record.literalsMatter = true;
  const local = stmt.is_local === true;
  const args = stmt.args ?? [];
  const name = stmt.name ?? '';
  switch (stmt.kind) {
    case 'VAR_SET_VALUE':
      record.has({ kind: 'set', name, value: args.map(settingValue).join(', '), local });
      break;
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      record.has({ kind: 'set', name, value: null, local });
      break;
    case 'VAR_RESET_ALL':
      record.has({ kind: 'set', name: 'ALL', value: null, local: false });
      break;
    case 'VAR_SET_MULTI':
      for (const node of args) {
        const [kind, item] = open(node);
        if (kind === 'DefElem')
          record.has({
            kind: 'set',
            name: String(item.defname),
            value: settingValue(item.arg as Node),
            local: name === 'TRANSACTION',
          });
        else
          record.has({ kind: 'set', name: 'transaction_snapshot', value: settingValue(node), local: true });
      }
      break;
    default:
      throw unsupported(String(stmt.kind));
  }
  if (name === 'role' || name === 'session_authorization')
    record.has({ kind: 'channel', channel: 'identity', what: name });
  return { kind: 'set', columns: nothing };
}

function discard(walk: Walk, target: string): Top {
  const { record } = walk;
  if (target === 'DISCARD_ALL' || target === 'DISCARD_TEMP') record.has({ kind: 'temporary', name: '*' });
  if (target === 'DISCARD_ALL') {
    record.has({ kind: 'set', name: 'ALL', value: null, local: false });
    record.has({ kind: 'cursor', name: 'ALL', action: 'close' });
    record.byName = { action: 'deallocate', name: null };
  }
  return { kind: 'set', columns: nothing };
}

function maintenance(walk: Walk, name: string, body: Body): Top {
  walk.record.literalsMatter = true;
  if (name === 'VacuumStmt') {
    check(name, body);
    for (const node of (body as VacuumStmt).rels ?? [])
      worksOn(walk, (open(node)[1] as { relation?: never }).relation);
  } else if (name !== 'ReindexStmt' || body.kind === 'REINDEX_OBJECT_TABLE')
    worksOn(walk, body.relation as undefined);
  return { kind: 'maintenance', columns: nothing };
}
