/**
 * The allow-list over the parser's tree: which fields each node may have, and what stands in them. A node or a field
 * that isn't here makes the statement opaque. Knows no names and no scopes.
 */
import type { Node } from 'libpg-query';
import { Unanswerable } from './model.ts';

/** A node's body. Nested structures that the parser doesn't wrap (TypeName, Alias) look the same. */
export type Body = Readonly<Record<string, unknown>>;

/** What a field of an operand holds: nothing to visit, operands, a type, an operator's name, or a bare structure. */
export type Field = 'plain' | 'operands' | 'type' | 'operator' | { readonly bare: string };

const fields = (text: string, field: Field): Record<string, Field> =>
  Object.fromEntries(text.split(' ').map((name) => [name, field]));
const plain = (text: string): Record<string, Field> => fields(text, 'plain');
const operands = (text: string): Record<string, Field> => fields(text, 'operands');

/** Nodes whose value is derived from their operands and nothing else. */
export const derivedNodes: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  A_Const: plain('ival fval boolval sval bsval isnull location'),
  ParamRef: plain('number location'),
  SetToDefault: plain('location'),
  CurrentOfExpr: plain('cursor_name cursor_param'),
  MergeSupportFunc: plain('msftype msfcollid location'),
  SQLValueFunction: plain('op type typmod location'),
  A_Expr: {
    ...plain('kind rexpr_list_start rexpr_list_end location'),
    name: 'operator',
    ...operands('lexpr rexpr'),
  },
  List: operands('items'),
  BoolExpr: { ...plain('boolop location'), ...operands('args') },
  NullTest: { ...plain('nulltesttype argisrow location'), ...operands('arg') },
  BooleanTest: { ...plain('booltesttype location'), ...operands('arg') },
  CaseExpr: { ...plain('location'), ...operands('arg args defresult') },
  CaseWhen: { ...plain('location'), ...operands('expr result') },
  CoalesceExpr: { ...plain('location'), ...operands('args') },
  MinMaxExpr: { ...plain('op location'), ...operands('args') },
  GroupingFunc: { ...plain('location'), ...operands('args') },
  A_ArrayExpr: { ...plain('list_start list_end location'), ...operands('elements') },
  RowExpr: { ...plain('row_format location'), ...operands('args') },
  CollateClause: { ...plain('collname location'), ...operands('arg') },
  NamedArgExpr: { ...plain('name argnumber location'), ...operands('arg') },
  MultiAssignRef: { ...plain('colno ncolumns'), ...operands('source') },
  A_Indices: { ...plain('is_slice'), ...operands('lidx uidx') },
  // Inside XMLFOREST and XMLATTRIBUTES.
  ResTarget: { ...plain('name location'), ...operands('val') },
  XmlExpr: { ...plain('op name xmloption indent location'), ...operands('named_args args') },
  XmlSerialize: { ...plain('xmloption indent location'), ...operands('expr'), typeName: 'type' },
  JsonFormat: plain('format_type encoding location'),
  JsonReturning: { format: { bare: 'JsonFormat' } },
  JsonOutput: { typeName: 'type', returning: { bare: 'JsonReturning' } },
  JsonValueExpr: { ...operands('raw_expr'), format: { bare: 'JsonFormat' } },
  JsonArgument: { ...plain('name'), val: { bare: 'JsonValueExpr' } },
  JsonBehavior: { ...plain('btype location'), ...operands('expr') },
  JsonKeyValue: { ...operands('key'), value: { bare: 'JsonValueExpr' } },
  JsonIsPredicate: {
    ...plain('item_type unique_keys location'),
    ...operands('expr'),
    format: { bare: 'JsonFormat' },
  },
  JsonParseExpr: {
    ...plain('unique_keys location'),
    expr: { bare: 'JsonValueExpr' },
    output: { bare: 'JsonOutput' },
  },
  JsonScalarExpr: { ...plain('location'), ...operands('expr'), output: { bare: 'JsonOutput' } },
  JsonSerializeExpr: {
    ...plain('location'),
    expr: { bare: 'JsonValueExpr' },
    output: { bare: 'JsonOutput' },
  },
  JsonObjectConstructor: {
    ...plain('absent_on_null unique location'),
    ...operands('exprs'),
    output: { bare: 'JsonOutput' },
  },
  JsonArrayConstructor: {
    ...plain('absent_on_null location'),
    ...operands('exprs'),
    output: { bare: 'JsonOutput' },
  },
  JsonFuncExpr: {
    ...plain('op column_name wrapper quotes location'),
    context_item: { bare: 'JsonValueExpr' },
    ...operands('pathspec passing'),
    output: { bare: 'JsonOutput' },
    on_empty: { bare: 'JsonBehavior' },
    on_error: { bare: 'JsonBehavior' },
  },
  JsonTablePathSpec: { ...plain('name name_location location'), ...operands('string') },
  JsonTableColumn: {
    ...plain('coltype name wrapper quotes location'),
    typeName: 'type',
    pathspec: { bare: 'JsonTablePathSpec' },
    format: { bare: 'JsonFormat' },
    ...operands('columns'),
    on_empty: { bare: 'JsonBehavior' },
    on_error: { bare: 'JsonBehavior' },
  },
  RangeTableFuncCol: {
    ...plain('colname for_ordinality is_not_null location'),
    typeName: 'type',
    ...operands('colexpr coldefexpr'),
  },
};

/** Fields of the nodes that have code of their own. */
const specialNodes: Readonly<Record<string, string>> = {
  ColumnRef: 'fields location',
  TypeCast: 'arg typeName location',
  TypeName: 'names typmods typemod arrayBounds location setof pct_type',
  SubLink: 'subLinkType testexpr operName subselect location',
  FuncCall:
    'funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat location',
  A_Indirection: 'arg indirection',
  JsonArrayQueryConstructor: 'query output format absent_on_null location',
  JsonObjectAgg: 'constructor arg absent_on_null unique',
  JsonArrayAgg: 'constructor arg absent_on_null',
  JsonAggConstructor: 'output agg_filter agg_order over location',
  SortBy: 'node sortby_dir sortby_nulls useOp location',
  WindowDef: 'name refname partitionClause orderClause frameOptions startOffset endOffset location',
  GroupingSet: 'kind content location',
  ResTarget: 'name indirection val location',
  Alias: 'aliasname colnames',
  RangeVar: 'catalogname schemaname relname inh relpersistence alias location',
  JoinExpr: 'jointype isNatural larg rarg usingClause join_using_alias quals alias',
  RangeSubselect: 'lateral subquery alias',
  RangeFunction: 'lateral ordinality is_rowsfrom functions alias coldeflist',
  RangeTableSample: 'relation method args repeatable location',
  RangeTableFunc: 'lateral docexpr rowexpr namespaces columns alias location',
  JsonTable: 'context_item pathspec passing columns on_error alias lateral location',
  ColumnDef: 'colname typeName is_local collClause location',
  SelectStmt: `distinctClause intoClause targetList fromClause whereClause groupClause groupDistinct havingClause
    windowClause valuesLists sortClause limitOffset limitCount limitOption lockingClause withClause op all larg rarg`,
  LockingClause: 'lockedRels strength waitPolicy',
  WithClause: 'ctes recursive location',
  CommonTableExpr: 'ctename aliascolnames ctematerialized ctequery search_clause cycle_clause location',
  CTESearchClause: 'search_col_list search_breadth_first search_seq_column location',
  CTECycleClause: `cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column location`,
  IntoClause: 'rel colNames accessMethod options onCommit tableSpaceName skipData',
  InsertStmt: 'relation cols selectStmt onConflictClause returningClause withClause override',
  OnConflictClause: 'action infer targetList whereClause location',
  InferClause: 'indexElems whereClause conname location',
  IndexElem: 'name expr collation opclass opclassopts ordering nulls_ordering',
  UpdateStmt: 'relation targetList whereClause fromClause returningClause withClause',
  DeleteStmt: 'relation usingClause whereClause returningClause withClause',
  MergeStmt: 'relation sourceRelation joinCondition mergeWhenClauses returningClause withClause',
  MergeWhenClause: 'matchKind commandType override condition targetList values',
  ReturningClause: 'options exprs',
  ReturningOption: 'option value location',
  CopyStmt: 'relation query attlist is_from is_program filename options whereClause',
  ExplainStmt: 'query options',
  DeclareCursorStmt: 'portalname options query',
  PrepareStmt: 'name argtypes query',
  ExecuteStmt: 'name params',
  CallStmt: 'funccall',
  CreateTableAsStmt: 'query into objtype is_select_into if_not_exists',
  ViewStmt: 'view aliases query replace options withCheckOption',
  RuleStmt: 'relation rulename whereClause event instead actions replace',
  LockStmt: 'relations mode nowait',
  TruncateStmt: 'relations restart_seqs behavior',
  VacuumStmt: 'options rels is_vacuumcmd',
};
const known = new Map(Object.entries(specialNodes).map(([name, list]) => [name, new Set(list.split(/\s+/))]));

export function unsupported(what: string, location?: number): Unanswerable {
  return new Unanswerable('unsupported', `${what} is not supported by the gateway`, location);
}

/** A node's name and body. */
export function open(node: Node): readonly [string, Body] {
  for (const name in node) return [name, (node as unknown as Record<string, Body>)[name]!];
  throw unsupported('an empty node');
}

/** Throws when a node with code of its own has a field that the code doesn't know. */
export function check(name: string, body: object): void {
  const allowed = known.get(name);
  if (!allowed) throw unsupported(name);
  for (const field in body) if (!allowed.has(field)) throw unsupported(`${name}.${field}`);
}

/** The text of a String node; null for anything else (a `*`, a subscript). */
export function stringOf(node: Node | undefined): string | null {
  return node !== undefined && 'String' in node ? (node.String.sval ?? '') : null;
}

/** The texts of a list of String nodes. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map((node) => {
    const text = stringOf(node);
    if (text === null) throw unsupported(open(node)[0]);
    return text;
  });
}
