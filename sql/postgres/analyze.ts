/** PostgreSQL's `Analyzer`: the server's own grammar, resolved against the catalog. Never throws; answers `opaque`. */
import { hasSqlDetails, loadModule, type Node, parseSync, type RawStmt } from 'libpg-query';
import type { Analysis, Analyzer } from '../analyzer.ts';
import type { Catalog, CatalogTable, NameScope } from '../catalog.ts';
import type { Opaque, Output, Statement, TableUse } from '../statement.ts';
import { insert, merge, remove, update } from './changes.ts';
import { type Fingerprint, fingerprint, modernNumber, shapeOf } from './fingerprint.ts';
import { channelsByColumn } from './guarded-relations.ts';
import { insertFunction, partOfInsert } from './insert-function.ts';
import { type Column, type Place, StatementRecord, Unanswerable, type Walk } from './model.ts';
import { select } from './queries.ts';
import { SourceText } from './source-text.ts';
import { statement, type Top } from './statements.ts';
import { open, unsupported } from './tree.ts';

/** Longer texts are refused: the parser runs on the event loop. UTF-8 bytes. */
const textBytesMax = 1_000_000;
/** Texts may be this long (UTF-16 units) when what is left of them without repeated rows and items is short. */
const repeatingLengthMax = 16_777_216;
const unrepeatedBytesMax = 262_144;
/** From this length on the fingerprint of the text seen last is kept: each admission asks for it more than once. */
const keptLengthMin = 4096;

/** Loads the parser once; everything after that is synchronous. */
export async function postgresAnalyzer(): Promise<Analyzer> {
  await loadModule();
  let last: { readonly text: string; readonly found: Fingerprint | null } | null = null;
  const read = (text: string): Fingerprint | null => {
    if (text.length < keptLengthMin) return fingerprint(text);
    if (text.length > repeatingLengthMax) return null;
    if (last?.text !== text) last = { text, found: fingerprint(text) };
    return last.found;
  };
  return {
    shapeOf: (text) => read(text)?.shape ?? null,
    analyze: (text, catalog, names) => analyze(text, read(text), catalog, names),
    apart,
  };
}

/** Texts with blanks in front grow with the square of their number. */
const apartLengthMax = 4_194_304;

function apart(text: string): readonly string[] | null {
  try {
    const source = new SourceText(text, []);
    const texts = (parseSync(text).stmts ?? []).map(({ stmt_location: start = 0, stmt_len: length }) => {
      const end = length ? source.offset(start + length) : text.length;
      return ' '.repeat(source.position(start) - 1) + text.slice(source.offset(start), end);
    });
    return texts.reduce((sum, one) => sum + one.length, 0) > apartLengthMax ? null : texts;
  } catch {
    return null;
  }
}

function analyze(text: string, found: Fingerprint | null, catalog: Catalog, names: NameScope): Analysis {
  const shape = found?.shape ?? null;
  const refuse = (reason: Opaque['reason'], message: string, position: number | null): Analysis => ({
    shape: shape ?? '?',
    statements: [{ kind: 'opaque', shape: shape ?? '?', reason, message, position }],
  });
  try {
    const source = new SourceText(text, found?.cuts ?? []);
    if (isTooLong(source))
      return { ...refuse('too_long', 'the statement is longer than the gateway reads', null) };
    if (text.includes('\0')) return refuse('syntax', 'a statement may not contain a NUL character', null);
    // The parser answers nothing at all for an empty text.
    if (shape === '') return { shape, statements: [] };
    let parsed: readonly RawStmt[];
    try {
      parsed = parseSync(source.parsed).stmts ?? [];
    } catch (problem) {
      if (!hasSqlDetails(problem)) return refuse('unsupported', "the parser can't read the statement", null);
      const at = problem.sqlDetails?.cursorPosition ?? -1;
      return refuse('syntax', withoutValues(problem.message), at >= 0 ? source.positionOf(at) : null);
    }
    if (shape === null) return refuse('unsupported', "the statement's literals can't be told apart", null);
    if (shape.includes(modernNumber) && catalog.serverVersion < 160_000)
      return refuse('unsupported', 'this notation of a number means something else to the server', null);
    const only = parsed.length === 1 ? shape.replace(/^[; ]+|[; ]+$/g, '') : null;
    const made = insertFunction(parsed);
    const statements = parsed.map((raw, index) => {
      const top = (walk: Walk, start: number, end: number): Top =>
        made
          ? { kind: 'insert', columns: partOfInsert(walk, made, index) }
          : statement(walk, raw.stmt!, start, end);
      return analyzeOne(source, raw, only, catalog, names, top);
    });
    return { shape, statements };
  } catch {
    return refuse('unsupported', "the gateway can't analyze the statement", null);
  }
}

function isTooLong({ text, parsed }: SourceText): boolean {
  if (text.length > repeatingLengthMax) return true;
  const bytesMax = text.length > textBytesMax ? unrepeatedBytesMax : textBytesMax;
  return parsed.length > bytesMax || Buffer.byteLength(parsed) > bytesMax;
}

/** The parser quotes the token that it stumbled over, which may be a literal. */
function withoutValues(message: string): string {
  return message.replace(/at or near "((?:[^"]|"(?!$))*)"$/s, (all, token: string) =>
    /^[a-z_]+$|^\W$/i.test(token) ? all : 'at or near a literal or name',
  );
}

function analyzeOne(
  source: SourceText,
  raw: RawStmt,
  knownShape: string | null,
  catalog: Catalog,
  names: NameScope,
  topOf: (walk: Walk, start: number, end: number) => Top,
): Statement {
  const start = raw.stmt_location ?? 0;
  const end = raw.stmt_len ? source.offset(start + raw.stmt_len) : source.text.length;
  const shape = knownShape ?? shapeOf(source.text.slice(source.offset(start), end)) ?? '?';
  try {
    const record = new StatementRecord();
    const path = names.path.includes('pg_catalog') ? names.path : ['pg_catalog', ...names.path];
    const walk: Walk = { record, catalog, path, text: source, viewDepth: 0, rows, parseView, parseQuery };
    const top = topOf(walk, source.offset(start), end);
    const readInFull = top.kind === 'select' && !record.copy && !top.columns.some((column) => column.many);
    for (const effect of channelsByColumn(record.tables, readInFull ? record.uses : null)) record.has(effect);
    return {
      kind: 'analyzed',
      shape,
      statementKind: top.kind,
      tables: tablesOf(record),
      columns: record.uses,
      written: [...record.written],
      outputs: outputsOf(top.columns),
      functions: record.functions,
      effects: record.effects,
      withoutWhere: record.withoutWhere,
      ...(record.copy ? { copy: record.copy } : {}),
      ...(record.byName ? { byName: record.byName } : {}),
      literals: record.literalsMatter ? 'matter' : 'free',
    };
  } catch (problem) {
    // Anything else is a defect of ours or a stack that is too deep: refused as well.
    if (!(problem instanceof Unanswerable))
      return {
        kind: 'opaque',
        shape,
        reason: 'unsupported',
        message: "the gateway can't analyze the statement",
        position: null,
      };
    const { reason, message, location } = problem;
    return {
      kind: 'opaque',
      shape,
      reason,
      message,
      position: location === null ? null : source.position(location),
    };
  }
}

function tablesOf(record: StatementRecord): readonly TableUse[] {
  const tables = record.conditionsTell ? record.tables.map(fenced) : record.tables;
  if (record.viewReads.size === 0) return tables;
  const readsOf = ({ schema, table }: TableUse): string[] =>
    [...record.viewReads]
      .filter((ref) => ref.schema === schema && ref.table === table)
      .map((ref) => ref.column);
  return tables.map((use) => (use.viaView ? { ...use, viewReads: readsOf(use) } : use));
}

/** PostgreSQL moves conditions into a subquery and sorts them by cost, but never past an OFFSET. */
function fenced(use: TableUse): TableUse {
  return use.span ? { ...use, span: { ...use.span, fence: ' OFFSET 0' } } : use;
}

/** One column of unknown width and no position can be told any more. */
function outputsOf(columns: readonly Column[]): readonly Output[] {
  const positions = !columns.some((column) => column.many);
  return columns.map(({ name, sources, direct, mixed, quoted }) =>
    positions
      ? { name, sources, direct, ...(mixed ? { mixed } : {}), ...(quoted ? { quoted } : {}) }
      : { name, sources: 'unknown', direct: false },
  );
}

function rows(walk: Walk, node: Node, place: Place): readonly Column[] {
  walk.record.step();
  const [kind, body] = open(node);
  switch (kind) {
    case 'SelectStmt':
      return select(walk, body, place);
    case 'InsertStmt':
      return insert(walk, body, place);
    case 'UpdateStmt':
      return update(walk, body, place);
    case 'DeleteStmt':
      return remove(walk, body, place);
    case 'MergeStmt':
      return merge(walk, body, place);
    default:
      throw unsupported(kind);
  }
}

function parseQuery(text: string): Node | null {
  if (text.length > queryLengthMax || text.includes('\0')) return null;
  let stmts: readonly RawStmt[];
  try {
    stmts = parseSync(text).stmts ?? [];
  } catch {
    return null;
  }
  const stmt = stmts.length === 1 ? stmts[0]!.stmt : undefined;
  return stmt && 'SelectStmt' in stmt ? stmt : null;
}

/** Of a query that is an argument. UTF-16 units. */
const queryLengthMax = 100_000;

const definitions = new WeakMap<CatalogTable, Node>();

function parseView(table: CatalogTable): Node {
  const known = definitions.get(table);
  if (known) return known;
  let stmts: readonly RawStmt[];
  try {
    stmts = parseSync(table.definition ?? '').stmts ?? [];
  } catch {
    throw unsupported(`the definition of view ${table.schema}.${table.name}`);
  }
  const stmt = stmts[0]?.stmt;
  if (stmts.length !== 1 || !stmt || !('SelectStmt' in stmt))
    throw unsupported(`the definition of view ${table.schema}.${table.name}`);
  definitions.set(table, stmt);
  return stmt;
}
