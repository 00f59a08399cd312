/** Says whether a type that a text names exists for the server: its own, or one that the catalog lists. */

import type { Node } from 'libpg-query';
import { schemaNamed, Unanswerable, type Walk } from './model.ts';
import { type Body, check, stringsOf } from './tree.ts';

const shipped = new Set(
  `aclitem bit bool box bpchar bytea char cid cidr circle cstring date datemultirange daterange float4 float8 inet int2
  int2vector int4 int4multirange int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr
  macaddr8 money name numeric nummultirange numrange oid oidvector path pg_lsn pg_node_tree pg_snapshot point polygon
  record refcursor text tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange
  tsvector txid_snapshot unknown uuid varbit varchar void xid xid8 xml regclass regcollation regconfig regdictionary
  regnamespace regoper regoperator regproc regprocedure regrole regtype`.split(/\s+/),
);

/** True for the types whose text form is looked up in the catalog. */
export function isObjectName(type: string): boolean {
  return /^_?reg[a-z]+$/.test(type) && shipped.has(type.replace(/^_/, ''));
}

/** True when a schema has a type of the name. */
export function hasType(walk: Walk, schema: string, name: string): boolean {
  return (schema === 'pg_catalog' && shipped.has(name)) || walk.catalog.hasType(schema, name);
}

/** The type's own name; throws when the server has none of that name. */
export function typeName(walk: Walk, type: Body): string {
  check('TypeName', type);
  const names = stringsOf(type.names as readonly Node[]);
  const location = type.location as number | undefined;
  const name = names.at(-1)!;
  const base = name.replace(/^_/, '');
  if (names.length > 2 || type.pct_type)
    throw new Unanswerable('unsupported', 'a type named by a column', location);
  const schemas = names.length === 2 ? [schemaNamed(walk, names[0]!)] : walk.path;
  for (const schema of schemas) {
    if (schema === 'pg_catalog' && shipped.has(base)) return name;
    const own = [name, base].find((one) => walk.catalog.hasType(schema, one));
    if (own === undefined && !walk.catalog.table(schema, name)) continue;
    // A cast or a CHECK of a user's: code that runs on every value that becomes one of the type.
    for (const fn of walk.catalog.functions(schema, `${own ?? name}:cast`))
      walk.record.calls({ schema: fn.schema, name: fn.name, trust: 'unknown' });
    return name;
  }
  throw new Unanswerable('unknown_name', `type "${names.join('.')}" does not exist`, location);
}
