/**
 * An INSERT inside a function of the session that the same text makes, calls and drops: so Sequelize's `findOrCreate` has a duplicate
 * key come back as a value. Exactly that form is read here; every other function is code, and nobody looks into code.
 */
import { type InsertStmt, type Node, parsePlPgSQLSync, parseSync, type RawStmt } from 'libpg-query';
import { modernNumber, shapeOf } from './fingerprint.ts';
import { type Column, noScope, schemaNamed, Unanswerable, unionOf, type Walk } from './model.ts';
import { tableNamed } from './relations.ts';
import { unsupported } from './tree.ts';
import { hasType } from './types.ts';

/** The parts of such a text that differ from one to the next. */
export interface InsertFunction {
  /** With `RETURNING *`. */
  readonly insert: InsertStmt;
  /** Its text, whose offsets are none of the client's text. */
  readonly query: string;
  /** The type of the row that comes back, with its schema where one is named. */
  readonly rowType: readonly string[];
  /** The columns of the row that the call shows; `*` for all. */
  readonly shown: readonly string[];
}

const functionName = 'testfunc';
const row = 'response';
const caught = 'sequelize_caught_exception';
const beforeQuery = ' BEGIN ';
const afterQuery = ` RETURNING * INTO ${row}; EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS ${caught} = PG_EXCEPTION_DETAIL; END `;

/**
 * Null: the text is anything else. What could be the parts is put into the form and read again, and has to give the same tree, so
 * that nothing stands in the text which this file does not speak of.
 */
export function insertFunction(parsed: readonly RawStmt[]): InsertFunction | null {
  const [make, call] = parsed.map((raw) => raw.stmt);
  if (parsed.length !== 3 || !make || !call) return null;
  if (!('CreateFunctionStmt' in make) || !('SelectStmt' in call)) return null;
  const texts = stringsIn(make.CreateFunctionStmt.parameters?.[0]);
  const body = stringsIn(make.CreateFunctionStmt.options?.[0])[0];
  const shown = (call.SelectStmt.targetList ?? []).slice(0, -1).map((node) => stringsIn(node)[2] ?? '*');
  if (body === undefined || texts.length === 0 || texts.length > 2) return null;
  const form = `${creation(texts.map(quoted).join('.'), body)}; SELECT ${shown
    .map((name) => `(${functionName}.${row}).${name === '*' ? name : quoted(name)}, `)
    .join(
      '',
    )}${functionName}.${caught} FROM pg_temp.${functionName}(); DROP FUNCTION IF EXISTS pg_temp.${functionName}()`;
  if (plainTree(parsed) !== plainTree(statementsOf(form))) return null;
  const query = queryIn(body);
  const insert = query === null ? null : insertOf(query);
  return query === null || insert === null ? null : { insert, query, rowType: texts, shown };
}

/**
 * One of the three statements; all of them count as the INSERT. The call, in the middle, has its facts and its row. No function stays,
 * since the text fails as a whole; but the session has a temporary schema from then on.
 */
export function partOfInsert(walk: Walk, found: InsertFunction, index: number): readonly Column[] {
  const { record } = walk;
  record.literalsMatter = true;
  if (index === 1) return calledInsert(walk, found);
  if (index === 2) record.has({ kind: 'temporary', name: functionName });
  return [];
}

function calledInsert(walk: Walk, { insert, query, rowType, shown }: InsertFunction): readonly Column[] {
  if (walk.catalog.serverVersion < 160_000 && shapeOf(query)?.includes(modernNumber) !== false)
    throw unsupported('this notation of a number');
  if (walk.catalog.functions(schemaNamed(walk, 'pg_temp'), functionName).length > 0)
    throw unsupported(`a second function ${functionName}`);
  try {
    const own = walk.rows({ ...walk, text: null }, { InsertStmt: insert }, { scope: noScope, with: null });
    checkTypes(walk, insert, rowType);
    const columns = shown.flatMap((name): readonly Column[] => {
      if (name === '*') return own;
      const column = own.find((one) => one.name === name);
      if (!column) throw new Unanswerable('unknown_name', `column "${name}" not found in the inserted row`);
      return [column];
    });
    const message: Column = { name: caught, sources: unionOf(own), direct: true, quoted: true };
    return [...columns, message];
  } catch (problem) {
    if (!(problem instanceof Unanswerable)) throw problem;
    throw new Unanswerable(problem.reason, problem.message);
  }
}

/** A row of another type would have the same values under other names; a type of a user's can have a CHECK. */
function checkTypes(walk: Walk, insert: InsertStmt, rowType: readonly string[]): void {
  const table = tableNamed(walk, insert.relation!);
  const schemas = rowType.length > 1 ? [schemaNamed(walk, rowType[0]!)] : walk.path;
  const name = rowType.at(-1)!;
  const schema = schemas.find((one) => walk.catalog.table(one, name) || hasType(walk, one, name));
  if (schema === undefined || walk.catalog.table(schema, name) !== table)
    throw unsupported('a row of another type than that of the table');
  const ofText = walk.path.find((one) => walk.catalog.table(one, 'text') || hasType(walk, one, 'text'));
  if (ofText !== 'pg_catalog') throw unsupported('a type of the name text');
}

/** The one SQL statement of a body. PL/pgSQL's own reader has to find what stands between head and tail, and nothing else. */
function queryIn(body: string): string | null {
  if (!body.startsWith(beforeQuery) || !body.endsWith(afterQuery)) return null;
  const inside = body.slice(beforeQuery.length, -afterQuery.length);
  if (insertOf(`${inside} RETURNING *`) === null) return null;
  try {
    const { code, queries } = readCode(body);
    const form = readCode(`${beforeQuery}INSERT INTO x VALUES (1)${afterQuery}`);
    const query = code === form.code && queries.length === 1 ? queries[0]!.trim() : null;
    return query === `${inside} RETURNING *`.trim() ? query : null;
  } catch {
    return null;
  }
}

function readCode(body: string): { readonly code: string; readonly queries: readonly string[] } {
  const queries: string[] = [];
  const code = JSON.stringify(parsePlPgSQLSync(creation('x', body)), (key, value: unknown) => {
    if (key === 'lineno') return undefined;
    if (key !== 'query') return value;
    queries.push(String(value));
    return '';
  });
  return { code, queries };
}

/** One row, given by its values and nothing else; parameters would be the function's own. */
function insertOf(query: string): InsertStmt | null {
  const stmts = statementsOf(query);
  const node = stmts.length === 1 ? stmts[0]!.stmt : undefined;
  if (!node || !('InsertStmt' in node)) return null;
  const { relation, cols, selectStmt, returningClause, ...rest } = node.InsertStmt;
  const values = selectStmt && 'SelectStmt' in selectStmt ? selectStmt.SelectStmt.valuesLists : undefined;
  const plain =
    relation !== undefined &&
    cols !== undefined &&
    values?.length === 1 &&
    plainTree(returningClause) === allColumns &&
    Object.keys(rest).every((field) => field === 'override') &&
    !plainTree(node).includes('"ParamRef":');
  return plain ? node.InsertStmt : null;
}

/** None where the text can't be read. */
function statementsOf(text: string): readonly RawStmt[] {
  try {
    return parseSync(text).stmts ?? [];
  } catch {
    return [];
  }
}

const allColumns = '{"exprs":[{"ResTarget":{"val":{"ColumnRef":{"fields":[{"A_Star":{}}]}}}}]}';

function creation(rowType: string, body: string): string {
  return `CREATE OR REPLACE FUNCTION pg_temp.${functionName}(OUT ${row} ${rowType}, OUT ${caught} text) RETURNS RECORD AS '${body.replaceAll("'", "''")}' LANGUAGE plpgsql`;
}

/** A tree without the places of its nodes. */
function plainTree(tree: unknown): string {
  return JSON.stringify(tree, (key, value: unknown) => (places.has(key) ? undefined : value));
}

const places: ReadonlySet<string> = new Set(['location', 'stmt_location', 'stmt_len']);

/** Every text that stands in a String node, in order. */
function stringsIn(node: Node | undefined): string[] {
  const texts: string[] = [];
  JSON.stringify(node ?? null, (key, value: unknown) => {
    if (key === 'sval' && typeof value === 'string') texts.push(value);
    return value;
  });
  return texts;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
