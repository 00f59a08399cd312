/** The name that the server gives a result column without AS (FigureColname of the server's parser). */
import type { Node } from 'libpg-query';
import { type Body, open, stringOf } from './tree.ts';

const fixed: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping',
  MergeSupportFunc: 'merge_action',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
};
const byOperation: Readonly<Record<string, string>> = {
  IS_GREATEST: 'greatest',
  IS_LEAST: 'least',
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
};

const lastString = (nodes: unknown): string | null => {
  const names = (Array.isArray(nodes) ? nodes : []).map((node: Node) => stringOf(node));
  return names.filter((name) => name !== null).at(-1) ?? null;
};

/** `subquery` gives the name of a scalar subquery's one column. */
export function outputName(node: Node | undefined, subquery: (select: Node) => string | null): string {
  return figure(node, subquery)?.name ?? '?column?';
}

/** `weak` names (of a type, of CASE) give way to a better one inside. */
function figure(
  node: Node | undefined,
  subquery: (select: Node) => string | null,
): { readonly name: string; readonly weak: boolean } | null {
  if (!node) return null;
  const strong = (name: string | null | undefined) => (name ? { name, weak: false } : null);
  const [kind, body]: readonly [string, Body] = open(node);
  switch (kind) {
    case 'ColumnRef':
      return strong(lastString(body.fields));
    case 'A_Indirection':
      return strong(lastString(body.indirection)) ?? figure(body.arg as Node, subquery);
    case 'FuncCall':
      return strong(lastString(body.funcname));
    case 'A_Expr':
      return body.kind === 'AEXPR_NULLIF' ? strong('nullif') : null;
    case 'TypeCast': {
      const inner = figure(body.arg as Node, subquery);
      if (inner && !inner.weak) return inner;
      const type = lastString((body.typeName as Body | undefined)?.names);
      return type ? { name: type, weak: true } : inner;
    }
    case 'CollateClause':
      return figure(body.arg as Node, subquery);
    case 'SubLink':
      if (body.subLinkType === 'EXISTS_SUBLINK') return strong('exists');
      if (body.subLinkType === 'ARRAY_SUBLINK') return strong('array');
      return body.subLinkType === 'EXPR_SUBLINK' ? strong(subquery(body.subselect as Node)) : null;
    case 'CaseExpr': {
      const otherwise = figure(body.defresult as Node | undefined, subquery);
      return otherwise && !otherwise.weak ? otherwise : { name: 'case', weak: true };
    }
    case 'SQLValueFunction':
      return strong(
        String(body.op)
          .replace(/^SVFOP_/, '')
          .replace(/_N$/, '')
          .toLowerCase(),
      );
    case 'MinMaxExpr':
    case 'XmlExpr':
    case 'JsonFuncExpr':
      return strong(byOperation[String(body.op)]);
    default:
      return strong(fixed[kind]);
  }
}
