/** What drivers, object mappers and browsers of databases ask the catalogs: each runs on a server, and is understood. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { readPostgresCatalog } from '../../protocols/postgres/catalog.ts';
import type { Catalog } from '../../sql/catalog.ts';
import type { Statement } from '../../sql/statement.ts';
import { schema } from '../conformance/lineage-statements.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { runPsql } from '../servers/psql.ts';
import { analyzer } from './postgres-reading.ts';

const queries: Readonly<Record<string, readonly string[]>> = {
  'a JDBC driver': [
    `SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,
       CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN CASE
         WHEN n.nspname = 'pg_catalog' OR n.nspname = 'information_schema' THEN CASE c.relkind
           WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW' ELSE NULL END ELSE NULL END
       WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' ELSE NULL END ELSE NULL END
       AS TABLE_TYPE, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
       LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass)
     WHERE c.relnamespace = n.oid AND n.nspname LIKE 'public' ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME`,
    `SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)
       AS attnotnull, a.atttypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum,
       nullif(a.attidentity, '') AS attidentity, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, t.typbasetype
     FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
     JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
     LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum)
     WHERE c.relkind in ('r','p','v','f','m') AND a.attnum > 0 AND NOT a.attisdropped) c WHERE true ORDER BY nspname, attnum`,
    `SELECT result.TABLE_NAME, result.COLUMN_NAME, result.KEY_SEQ FROM (SELECT ct.relname AS TABLE_NAME, a.attname AS
       COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
       information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM FROM pg_catalog.pg_class ct
       JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
       JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE i.indisprimary) result
     WHERE result.A_ATTNUM = (result.KEYS).x ORDER BY result.TABLE_NAME, result.KEY_SEQ`,
    `SELECT typinput = 'pg_catalog.array_in'::regproc AS is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type
     LEFT JOIN (SELECT ns.oid AS nspoid, ns.nspname, r.r FROM pg_namespace AS ns JOIN (SELECT s.r, (current_schemas(false))[s.r]
       AS nspname FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r)) AS r USING (nspname)) AS sp
     ON sp.nspoid = typnamespace WHERE typname = 'mood' ORDER BY sp.r, pg_type.oid DESC LIMIT 1`,
    `SELECT current_schema(), session_user, current_setting('server_version_num')::int`,
  ],
  'a .NET driver': [
    `SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (
       SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS
       elemtypoid, CASE WHEN elemproc.proname = 'array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype FROM (
         SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
           CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
           CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype
             WHEN typ.typtype = 'd' THEN typ.typbasetype END AS elemtypoid
         FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
         LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ
       LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
     ) AS t JOIN pg_namespace AS ns ON (ns.oid = typnamespace) WHERE typtype IN ('b', 'r', 'm', 'e', 'd') ORDER BY 1, 3`,
    'SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY oid, enumsortorder',
  ],
  'object mappers': [
    `SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid,
       a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attidentity AS identity, attgenerated
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
     WHERE a.attrelid = '"people"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    `SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r','p')`,
    `SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index
       WHERE indrelid = '"people"'::regclass AND indisprimary) i
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx`,
    `SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END,
       obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n
       ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
       AND pg_catalog.pg_table_is_visible(c.oid)`,
    `SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx)
         JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype,
       (SELECT fkc.relname || '.' || fka.attname FROM pg_attribute AS fka JOIN pg_class AS fkc ON fka.attrelid = fkc.oid
         WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]), cl.reloptions
     FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = 'orders'`,
    `SELECT indexname, array_agg(attname ORDER BY arridx), indisunique, indisprimary, array_agg(ordering ORDER BY arridx),
       amname, exprdef, s2.attoptions FROM (SELECT c2.relname as indexname, idx.*, attr.attname, am.amname,
         CASE WHEN idx.indexprs IS NOT NULL THEN pg_get_indexdef(idx.indexrelid) END AS exprdef,
         CASE am.amname WHEN 'btree' THEN CASE (option & 1) WHEN 1 THEN 'DESC' ELSE 'ASC' END END as ordering,
         c2.reloptions as attoptions FROM (SELECT * FROM pg_index i, unnest(i.indkey, i.indoption)
           WITH ORDINALITY koi(key, option, arridx)) idx LEFT JOIN pg_class c ON idx.indrelid = c.oid
         LEFT JOIN pg_class c2 ON idx.indexrelid = c2.oid LEFT JOIN pg_am am ON c2.relam = am.oid
         LEFT JOIN pg_attribute attr ON attr.attrelid = c.oid AND attr.attnum = idx.key WHERE c.relname = 'people') s2
     GROUP BY indexname, indisunique, indisprimary, amname, exprdef, attoptions`,
    `SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace
       ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname = $1::VARCHAR
       AND pg_catalog.pg_class.relkind = ANY (ARRAY[$2::VARCHAR, $3::VARCHAR]) AND pg_catalog.pg_namespace.nspname != $4`,
    `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY ordinal_position`,
    `SELECT tc.constraint_name, kcu.column_name, ccu.table_name AS foreign_table_name FROM information_schema.table_constraints
       AS tc JOIN information_schema.key_column_usage AS kcu USING (constraint_name, table_schema)
       JOIN information_schema.constraint_column_usage AS ccu ON ccu.constraint_name = tc.constraint_name
     WHERE tc.constraint_type = 'FOREIGN KEY'`,
    `SELECT t.typname AS name, pg_catalog.pg_type_is_visible(t.oid) AS visible, n.nspname AS schema, lbl_agg.labels AS labels
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT OUTER JOIN (SELECT e.enumtypid,
       array_agg(CAST(e.enumlabel AS TEXT) ORDER BY e.enumsortorder) AS labels FROM pg_catalog.pg_enum e GROUP BY e.enumtypid)
       AS lbl_agg ON t.oid = lbl_agg.enumtypid WHERE t.typtype = 'e' ORDER BY n.nspname, t.typname`,
    'SHOW standard_conforming_strings',
    "SELECT t.oid, typarray FROM pg_type t WHERE t.oid = to_regtype('hstore')",
  ],
  'browsers of databases': [
    `SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE NOT datistemplate AND datallowconn ORDER BY db.datname`,
    `SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d
       ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname`,
    `SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
       pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d
       ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relkind not in ('i','I','c')`,
    `SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid
     FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
     LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
     LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
     LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum
       and dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.oid = 1259 ORDER BY a.attnum`,
    `SELECT c.oid, c.*, t.relname as tabrelname, rt.relnamespace as refnamespace, d.description,
       null as consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
     LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d
       ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass WHERE c.conrelid = 1259`,
    `SELECT i.*, i.indkey as keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname as tabrelname,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,
       pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) as scans
     FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid WHERE i.indrelid = 1259`,
    `SELECT nsp.oid, nsp.nspname as name, has_schema_privilege(nsp.oid, 'CREATE') as can_create,
       has_schema_privilege(nsp.oid, 'USAGE') as has_usage, des.description FROM pg_catalog.pg_namespace nsp
     LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = nsp.oid AND des.classoid = 'pg_namespace'::regclass)
     WHERE nspname NOT LIKE E'pg\\\\_%' AND NOT ((nsp.nspname = 'pg_catalog' AND EXISTS (SELECT 1 FROM pg_catalog.pg_class
       WHERE relname = 'pg_class' AND relnamespace = nsp.oid LIMIT 1))) ORDER BY nspname`,
    `SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = rel.oid AND
       tgisinternal = FALSE) AS triggercount, (CASE WHEN rel.relkind = 'p' THEN true ELSE false END) AS is_partitioned,
       (SELECT count(1) FROM pg_catalog.pg_inherits WHERE inhrelid = rel.oid LIMIT 1) as is_inherits, array_to_string(array_agg(a.grantee), ',')
     FROM pg_catalog.pg_class rel LEFT JOIN LATERAL aclexplode(rel.relacl) a ON true WHERE rel.relkind IN ('r','s','t','p')
       AND NOT rel.relispartition GROUP BY rel.oid, rel.relname, rel.relkind ORDER BY rel.relname`,
    `SELECT roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser, CASE WHEN roles.rolsuper THEN true
       ELSE roles.rolcreaterole END as can_create_role, CASE WHEN 'pg_signal_backend' = ANY (ARRAY(WITH RECURSIVE cte AS (
         SELECT pg_roles.oid, pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = roles.oid UNION ALL
         SELECT m.roleid, pgr.rolname FROM cte cte_1 JOIN pg_auth_members m ON m.member = cte_1.oid
         JOIN pg_roles pgr ON pgr.oid = m.roleid) SELECT rolname FROM cte)) THEN true ELSE false END as can_signal_backend
     FROM pg_catalog.pg_roles as roles WHERE rolname = current_user`,
    `SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid), format_type(p.prorettype, NULL), l.lanname
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE p.prokind IN ('f', 'w') AND p.pronamespace = 'public'::regnamespace::oid ORDER BY p.proname`,
    `SELECT name, setting, unit, category, short_desc FROM pg_catalog.pg_settings WHERE name IN ('work_mem', 'TimeZone')`,
    `SELECT x.extname, e.default_version, e.comment FROM pg_available_extensions() e (name, default_version, comment)
     LEFT JOIN pg_extension x ON e.name = x.extname`,
    `SELECT pg_catalog.pg_table_size('people'::regclass), pg_size_pretty(pg_total_relation_size('public.people'))`,
    `SELECT version(), current_database(), current_user, inet_server_port(), pg_is_in_recovery(), pg_backend_pid()`,
    `SELECT schemaname, relname, n_live_tup, seq_scan FROM pg_stat_user_tables ORDER BY n_live_tup DESC`,
  ],
};

describe('catalog queries', () => {
  let server: PostgresServer;
  let client: pg.Client;
  let catalog: Catalog;
  before(async () => {
    server = await startPostgres();
    const { host, port, user, password } = server;
    client = new pg.Client({ host, port, user, password, database: 'postgres' });
    await client.connect();
    await client.query(schema);
    const tls = { mode: 'disable', ca: null, cert: null, key: null } as const;
    const target = { name: 'it', host, port, database: 'postgres', user, password, tls };
    ({ catalog } = await readPostgresCatalog(target, 1));
  });
  after(async () => {
    await client?.end();
    await server?.stop();
  });

  const read = (text: string): readonly Statement[] =>
    analyzer.analyze(text, catalog, { path: ['pg_catalog', 'public'] }).statements;

  for (const [who, texts] of Object.entries(queries))
    it(`of ${who} are understood`, async () => {
      for (const text of texts) {
        // Describes it without a value for its parameters.
        await client.query(`prepare described as ${/^show/i.test(text) ? 'select 1' : text}`);
        await client.query('deallocate described');
        const [found] = read(text);
        assert.equal(found?.kind, 'analyzed', `${text}: ${found?.kind === 'opaque' ? found.message : ''}`);
        if (found?.kind !== 'analyzed') continue;
        assert.deepEqual(
          found.effects.filter((effect) => effect.kind === 'channel'),
          [],
          text,
        );
        assert.ok(
          found.tables.every((use) => use.system),
          text,
        );
        assert.deepEqual(
          found.functions.filter((fn) => !['safe', 'reads_data'].includes(fn.trust)),
          [],
          text,
        );
      }
    });

  it('of psql are understood wherever the server runs them', async () => {
    const from = server.logText().length;
    const commands =
      `d d+ l dt+ di+ dv+ dm+ ds+ dE df df+ da dn+ du+ dp dT+ dD+ dx+ dy+ des+ dew+ det+ dL+ dO dA+ dAc dAf dAo dAp
      dC+ db+ dc+ dd ddp dF+ dFd+ dFp+ dFt+ dP+ drds dRp+ dX do dl dS+ dtS z`.split(/\s+/);
    const objects = [
      'people',
      'orders',
      'events',
      'events_a',
      'contacts',
      'prices',
      'long_notes',
      'pg_class',
    ];
    const input = [...commands.map((command) => `\\${command}`), ...objects.map((name) => `\\d+ ${name}`)];
    const to = { port: server.port, user: server.user, password: server.password, database: 'postgres' };
    await runPsql(to, [], `${input.join('\n')}\n\\sf two\n\\sv contacts\n\\dt other.*\n`);
    const logged = server.logText().slice(from);
    const texts = [...logged.matchAll(/LOG: {2}statement: ([\s\S]*?)\n(?=\d{4}-|$)/g)].map((match) =>
      match[1]!.replaceAll('\n\t', '\n'),
    );
    assert.ok(texts.length > 80);
    for (const text of texts) {
      const opaque = read(text).find((statement) => statement.kind === 'opaque');
      if (opaque) await assert.rejects(client.query(text), `${opaque.message}: ${text}`);
    }
  });
});
