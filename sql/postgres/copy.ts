/** COPY (manual: SQL commands, COPY): what it reads or writes, and what the stream to or from the client looks like. */
import type { CopyStmt, Node } from 'libpg-query';
import type { CatalogTable } from '../catalog.ts';
import type { Copy, StatementKind } from '../statement.ts';
import { expression } from './expressions.ts';
import { namesOf, scopeOf } from './from.ts';
import { skipBlank, skipIdentifier, skipQuotedIdentifier, startsIdentifier } from './lexer.ts';
import { type Column, noScope, type Place, Unanswerable, type Walk } from './model.ts';
import { columnOf } from './names.ts';
import { tableNamed, tableRelation } from './relations.ts';
import { check, open, stringOf, stringsOf, unsupported } from './tree.ts';

const nowhere: Place = { scope: noScope, with: null };

/** Walks a COPY; its columns are those of the stream. */
export function copy(
  walk: Walk,
  stmt: CopyStmt,
): { readonly kind: StatementKind; readonly columns: readonly Column[] } {
  check('CopyStmt', stmt);
  const { record } = walk;
  record.literalsMatter = true;
  const way = stmt.is_from ? 'COPY FROM' : 'COPY TO';
  if (stmt.filename !== undefined || stmt.is_program)
    record.has({ kind: 'channel', channel: stmt.is_program ? 'program' : 'file', what: way });
  else {
    record.has({ kind: 'channel', channel: 'copy', what: way });
    record.copy = layoutOf(stmt);
  }
  if (stmt.query) {
    const columns = walk.rows(walk, stmt.query, nowhere);
    // COPY (DELETE ... RETURNING) changes rows: that is what it is.
    return { kind: record.change ?? 'copy_out', columns };
  }
  const range = stmt.relation!;
  const known = tableNamed(walk, range);
  const access = { reads: !stmt.is_from, writes: stmt.is_from === true, replaceable: false };
  const table = tableRelation(walk, range, access);
  const generated = new Set(known.columns.filter((column) => column.generated).map((column) => column.name));
  const names = stmt.attlist
    ? stringsOf(stmt.attlist)
    : table.columns.map((column) => column.name).filter((name) => !generated.has(name));
  const columns = names.map((name) => {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (!column)
      throw new Unanswerable('unknown_name', `column "${name}" of relation "${table.name}" does not exist`);
    return column;
  });
  if (!stmt.is_from) {
    for (const name of names) columnOf(walk, table, name, 'output');
    if (table.use && !table.use.view) table.use.span = tableSpan(walk, stmt, known, names);
    return { kind: 'copy_out', columns };
  }
  for (const column of columns) for (const source of column.sources.slice(0, 1)) record.written.add(source);
  if (stmt.whereClause)
    expression(walk, stmt.whereClause, { scope: scopeOf(namesOf(table), null), with: null }, 'where');
  return { kind: 'copy_in', columns: [] };
}

/** COPY reads the table itself and not its children, and takes a query with fewer spellings of the options. */
function tableSpan(walk: Walk, stmt: CopyStmt, table: CatalogTable, names: readonly string[]) {
  const range = stmt.relation!;
  if (!walk.text || range.location === undefined) return null;
  const { text } = walk.text;
  for (const node of stmt.options ?? []) {
    const at = Number(open(node)[1].location ?? 0);
    if (at < range.location) return null;
    if (/^(?:using|delimiters)\b/i.test(text.slice(walk.text.offset(at)))) return null;
  }
  if (table.kind !== 'partitioned') {
    const name = `${table.schema}.${table.name}`;
    for (const other of walk.catalog.tables()) if (other.parents.includes(name)) return null;
  }
  const span = walk.text.nameSpan(range.location);
  const end = span && stmt.attlist ? listEnd(text, span.end) : span?.end;
  return span && end ? { start: span.start, end, aliased: true, columns: names } : null;
}

/** The offset behind a list of plain names in parentheses. */
function listEnd(text: string, from: number): number | null {
  let at = skipBlank(text, from);
  if (text[at] !== '(') return null;
  for (;;) {
    at = skipBlank(text, at + 1);
    if (text[at] === '"') at = skipQuotedIdentifier(text, at);
    else if (startsIdentifier(text.charCodeAt(at))) at = skipIdentifier(text, at);
    else return null;
    if (at < 0) return null;
    at = skipBlank(text, at);
    if (text[at] === ')') return at + 1;
    if (text[at] !== ',') return null;
  }
}

function layoutOf(stmt: CopyStmt): Copy {
  const direction = stmt.is_from ? 'in' : 'out';
  const options = new Map<string, Node | undefined>();
  for (const node of stmt.options ?? []) {
    const [kind, body] = open(node);
    const name = String(body.defname);
    if (kind !== 'DefElem' || !knownOptions.has(name)) throw unsupported(`COPY option ${name}`);
    if (options.has(name)) throw unsupported(`COPY option ${name} given twice`);
    options.set(name, body.arg as Node | undefined);
  }
  const word = (name: string): string | null => {
    if (!options.has(name)) return null;
    const text = stringOf(options.get(name));
    if (text === null) throw unsupported(`this value of COPY option ${name}`);
    return text;
  };
  const byte = (name: string): string | null => {
    const text = word(name);
    if (text !== null && !/^[^\n\r\u0080-\uffff]$/.test(text)) throw unsupported(`this COPY option ${name}`);
    return text;
  };
  const format = word('format') ?? 'text';
  if (format !== 'text' && format !== 'csv' && format !== 'binary')
    throw unsupported('this COPY option format');
  const encoding = word('encoding');
  if (direction === 'out' && encoding !== null && !/^(?:utf-?8|unicode)$/i.test(encoding))
    throw unsupported('COPY in another encoding than UTF8');
  const csv = format === 'csv';
  const quote = byte('quote') ?? '"';
  return {
    direction,
    format,
    delimiter: byte('delimiter') ?? (csv ? ',' : '\t'),
    nullText: word('null') ?? (csv ? '' : '\\N'),
    quote,
    escape: byte('escape') ?? quote,
    header: options.has('header') && isOn(options.get('header')),
    forceQuote: quotedColumns(options.get('force_quote')),
  };
}

const knownOptions: ReadonlySet<string> = new Set(
  `format freeze delimiter null default header quote escape force_quote force_not_null force_null encoding
  on_error log_verbosity reject_limit`.split(/\s+/),
);

function isOn(arg: Node | undefined): boolean {
  if (!arg) return true;
  const [kind, body] = open(arg);
  const value = String(
    body.boolval ?? body.sval ?? body.ival ?? (kind === 'Integer' ? 0 : false),
  ).toLowerCase();
  if (['true', 'on', '1', 'match'].includes(value)) return true;
  if (['false', 'off', '0'].includes(value)) return false;
  throw unsupported('this COPY option header');
}

function quotedColumns(arg: Node | undefined): Copy['forceQuote'] {
  if (!arg) return [];
  const [kind, body] = open(arg);
  if (kind === 'A_Star') return 'all';
  if (kind !== 'List') throw unsupported('this COPY option force_quote');
  return stringsOf(body.items as readonly Node[]);
}
