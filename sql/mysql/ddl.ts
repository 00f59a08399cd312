/** Definitions and maintenance: which tables they name, and what a CREATE ... SELECT reads. Bodies of routines are not read here. */
import type { Clause, TableUse } from '../statement.ts';
import type { Cursor } from './cursor.ts';
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import { type Draft, draft, type Work } from './work.ts';

const identityWords = new Set(['USER', 'ROLE']);
const tableOptions = new Set([
  'TEMPORARY',
  'ONLINE',
  'OFFLINE',
  'IGNORE',
  'UNIQUE',
  'FULLTEXT',
  'SPATIAL',
  'VECTOR',
]);
const write = { reads: false, writes: true } as const;
const both = { reads: true, writes: true } as const;

export const ddlWords: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP', 'RENAME', 'TRUNCATE']);
export const maintenanceWords: ReadonlySet<string> = new Set([
  'ANALYZE',
  'OPTIMIZE',
  'CHECK',
  'REPAIR',
  'CHECKSUM',
]);

export function analyzeDdl(work: Work, cursor: Cursor): Draft {
  const verb = cursor.upper();
  cursor.at++;
  work.facts.literals = 'matter';
  if (verb === 'TRUNCATE') {
    cursor.take('TABLE');
    work.touch(cursor.name(), write, true);
    cursor.skip('WAIT', 'NOWAIT');
    return draft('truncate');
  }
  let temporary = false;
  for (;;) {
    if (cursor.take('OR', 'REPLACE')) continue;
    if (cursor.upper() === 'TEMPORARY') temporary = true;
    if (tableOptions.has(cursor.upper())) cursor.at++;
    else if (['ALGORITHM', 'DEFINER'].includes(cursor.upper()) && cursor.upper(1) === '=') skipOption(cursor);
    else if (cursor.take('SQL', 'SECURITY')) cursor.at++;
    else break;
  }
  const object = cursor.upper();
  if (identityWords.has(object) || cursor.take('DEFAULT', 'ROLE')) {
    work.facts.effect({ kind: 'channel', channel: 'identity', what: `${verb} ${object}` });
    return draft('admin');
  }
  cursor.at++;
  switch (object) {
    case 'TABLE':
    case 'TABLES':
    case 'VIEW':
      ddlTable(work, cursor, verb, object, temporary);
      break;
    case 'INDEX':
      ddlIndex(work, cursor, verb);
      break;
    case 'DATABASE':
    case 'SCHEMA':
      ddlDatabase(work, cursor, verb);
      break;
    case 'PREPARE':
      if (verb !== 'DROP') throw new Unsupported(`${verb} PREPARE`);
      return draft('prepare');
    default:
      throw new Unsupported(`${verb} ${object}`.trim(), cursor.offset);
  }
  // What others see stays as it is when all that changes is the session's own.
  const isOwn = work.facts.effects.some((effect) => effect.kind === 'temporary');
  const namesOthers = work.facts.tables.some(
    (use) => use.writes && !work.catalog.table(use.schema, use.table)?.temporary,
  );
  if (!isOwn || namesOthers) work.facts.effect({ kind: 'ddl' });
  return draft('ddl');
}

/** A temporary table that comes, changes or goes. A name that others see something under can't be hidden by it. */
function noteTemporary(work: Work, parts: readonly string[], hides: boolean): void {
  const { schema, table } = work.tableName(parts, false);
  const known = work.catalog.table(schema, table);
  if (hides && known !== undefined && !known.temporary)
    throw new Unsupported(`a temporary table with the name of ${schema}.${table}, which exists`);
  work.facts.effect({ kind: 'temporary', name: table, schema });
}

/** What others see is meant, and a temporary table of that name would be taken for it. */
function isNoTemporary(work: Work, parts: readonly string[]): void {
  const { schema, table } = work.tableName(parts, false);
  if (work.catalog.table(schema, table)?.temporary)
    throw new Unsupported(`${schema}.${table} beside a temporary table of that name`);
}

function isTemporary(work: Work, use: TableUse): boolean {
  return work.catalog.table(use.schema, use.table)?.temporary === true;
}

function skipOption(cursor: Cursor): void {
  cursor.at += 3;
  // DEFINER = 'user'@'host' or CURRENT_USER()
  if (cursor.kind() === 'user_variable') cursor.at++;
  if (cursor.upper() === '(') cursor.group();
}

function ifExists(cursor: Cursor): void {
  if (cursor.take('IF')) {
    cursor.take('NOT');
    cursor.expect('EXISTS');
  }
}

function ddlTable(work: Work, cursor: Cursor, verb: string, object: string, temporary: boolean): void {
  ifExists(cursor);
  const parts = cursor.name();
  if (object === 'VIEW' || (verb === 'CREATE' && !temporary)) isNoTemporary(work, parts);
  if (verb === 'DROP') {
    ifExists(cursor);
    const names = [parts];
    while (cursor.take(',')) names.push(cursor.name());
    if (object === 'VIEW') for (const name of names) isNoTemporary(work, name);
    for (const name of names) {
      // DROP TEMPORARY TABLE leaves alone what others see.
      if (temporary || isTemporary(work, work.touch(name, write, false))) noteTemporary(work, name, false);
    }
    cursor.skip('RESTRICT', 'CASCADE', 'WAIT', 'NOWAIT');
    return;
  }
  if (verb === 'RENAME') {
    for (let from = parts; ; from = cursor.name()) {
      const moved = work.touch(from, both, true);
      noteMoved(work, moved);
      cursor.expect('TO');
      renamed(work, moved, cursor.name());
      if (!cursor.take(',')) break;
    }
    cursor.end();
    return;
  }
  if (verb === 'CREATE' && temporary && object === 'TABLE') {
    noteTemporary(work, parts, true);
    createTemporary(work, cursor, parts);
    return;
  }
  const use = work.touch(parts, verb === 'ALTER' ? both : write, verb === 'ALTER');
  if (verb === 'ALTER' && isTemporary(work, use)) noteTemporary(work, parts, false);
  if (verb === 'CREATE' && cursor.take('LIKE')) {
    work.touch(cursor.name(), { reads: true, writes: false }, true);
    cursor.end();
    return;
  }
  if (object === 'VIEW') {
    viewBody(work, cursor);
    return;
  }
  tableBody(work, cursor, verb, use);
}

/** It has no place in a policy, and no table use: its name may stand for something else until it is there. */
function createTemporary(work: Work, cursor: Cursor, parts: readonly string[]): void {
  if (cursor.take('LIKE')) {
    work.touch(cursor.name(), { reads: true, writes: false }, true);
    cursor.end();
    return;
  }
  const { schema, table } = work.tableName(parts, false);
  tableBody(work, cursor, 'CREATE', {
    schema,
    table,
    reads: false,
    writes: true,
    system: false,
    view: false,
    viaView: false,
    span: null,
  });
}

function renamed(work: Work, table: TableUse, to: readonly string[]): void {
  if (!isTemporary(work, table)) {
    isNoTemporary(work, to);
    work.touch(to, write, false);
    return;
  }
  noteTemporary(work, [table.schema, table.table], false);
  noteTemporary(work, to, true);
}

function viewBody(work: Work, cursor: Cursor): void {
  if (cursor.upper() === '(') cursor.group();
  cursor.expect('AS');
  let end = cursor.tokens.length;
  const check = [...cursor.tokens.slice(-4)].map((token) => token.upper).join(' ');
  if (/WITH (CASCADED|LOCAL) CHECK OPTION$/.test(check)) end -= 4;
  else if (/WITH CHECK OPTION$/.test(check)) end -= 3;
  work.query(cursor.until(end), 'write');
}

const outsideWords: Readonly<Record<string, 'network' | 'file'>> = {
  CONNECTION: 'network',
  DIRECTORY: 'file',
};
const outsideEngines = new Set([
  'FEDERATED',
  'FEDERATEDX',
  'CONNECT',
  'SPIDER',
  'S3',
  'CSV',
  'MERGE',
  'MRG_MYISAM',
  'NDB',
  'SPHINX',
]);

/** Columns, keys and options of CREATE TABLE, or the actions of ALTER TABLE, and then a query if there is one. */
function tableBody(work: Work, cursor: Cursor, verb: string, table: TableUse): void {
  const query = selectStart(cursor);
  const body = cursor.tokens.slice(cursor.at, query);
  if (verb === 'ALTER') noteNamed(work, table, body);
  body.forEach((token, at) => {
    const next = body[at + 1];
    if (token.kind !== 'word' || body[at - 1]?.upper === '.') return;
    const outside = outsideWords[token.upper];
    if (outside && (next?.upper === '=' || next?.kind === 'string'))
      work.facts.effect({ kind: 'channel', channel: outside, what: `${token.upper} of a table` });
    if (
      token.upper === 'ENGINE' &&
      outsideEngines.has((body[next?.upper === '=' ? at + 2 : at + 1]?.value ?? '').toUpperCase())
    ) {
      work.facts.effect({ kind: 'channel', channel: 'network', what: 'a table outside the server' });
    }
    if (token.upper === 'UNION' || token.upper === 'SELECT')
      throw new Unsupported(`${token.upper} in ${verb} TABLE`, token.start);
    if (token.upper === 'REFERENCES') {
      isNoTemporary(work, nameAt(body, at + 1));
      noteNamed(
        work,
        work.touch(nameAt(body, at + 1), { reads: true, writes: false }, false),
        body.slice(at + 1),
      );
    }
    // converting the whole table reads every value
    if (
      verb === 'ALTER' &&
      (token.upper === 'CONVERT' || token.upper === 'FORCE') &&
      next?.upper !== 'PARTITION'
    )
      for (const { name } of work.catalog.table(table.schema, table.table)?.columns ?? [])
        work.facts.use([{ schema: table.schema, table: table.table, column: name }], 'key');
    if (
      verb === 'ALTER' &&
      token.upper === 'RENAME' &&
      !['COLUMN', 'INDEX', 'KEY'].includes(next?.upper ?? '')
    ) {
      const to = next?.upper === 'TO' || next?.upper === 'AS' || next?.upper === '=' ? at + 2 : at + 1;
      renamed(work, table, nameAt(body, to));
      noteMoved(work, table);
    }
    if (verb === 'ALTER' && token.upper === 'TABLE' && body[at - 1]?.upper === 'WITH')
      for (const one of [table, work.touch(nameAt(body, at + 1), both, true)]) noteMoved(work, one);
    if (verb === 'ALTER' && token.upper === 'CONVERT' && next?.upper === 'TABLE')
      noteMoved(work, work.touch(nameAt(body, at + 2), both, false));
    if (verb === 'ALTER' && token.upper === 'CONVERT' && next?.upper === 'PARTITION') noteMoved(work, table);
  });
  if (query < cursor.tokens.length) {
    cursor.at = query;
    work.query(cursor.until(cursor.tokens.length), 'write');
  }
}

function nameAt(tokens: readonly Token[], at: number): string[] {
  const parts: string[] = [];
  for (let i = at; i < tokens.length; i += 2) {
    const token = tokens[i];
    if (token?.kind !== 'word' && token?.kind !== 'quoted') break;
    parts.push(token.value);
    if (tokens[i + 1]?.upper !== '.') return parts;
  }
  throw new Unsupported('a table name expected', tokens[at]?.start ?? null);
}

/** Where the query of CREATE TABLE ... [AS] SELECT begins; the length if there is none. */
function selectStart(cursor: Cursor): number {
  const bare = cursor.find('SELECT', 'WITH', 'TABLE', 'AS');
  let at = bare;
  while (at < cursor.tokens.length) {
    const upper = cursor.tokens[at]?.upper;
    const next = cursor.tokens[at + 1]?.upper ?? '';
    if (
      upper === 'SELECT' ||
      (upper === 'WITH' &&
        next !== 'SYSTEM' &&
        next !== 'PARSER' &&
        next !== 'TABLE' &&
        next !== 'VALIDATION')
    )
      return at;
    if (upper === 'AS' && ['SELECT', 'WITH', 'TABLE'].includes(next)) return at + 1;
    if (
      upper === 'AS' &&
      next === '(' &&
      ['SELECT', 'WITH', 'TABLE', '('].includes(cursor.tokens[at + 2]?.upper ?? '')
    )
      return at + 1;
    const saved = cursor.at;
    cursor.at = at + 1;
    at = cursor.find('SELECT', 'WITH', 'TABLE', 'AS');
    cursor.at = saved;
  }
  return cursor.tokens.length;
}

function ddlIndex(work: Work, cursor: Cursor, verb: string): void {
  if (verb === 'ALTER') throw new Unsupported('ALTER INDEX');
  cursor.at = cursor.find('ON');
  cursor.expect('ON');
  const use = work.touch(cursor.name(), write, true);
  if (verb === 'CREATE') noteNamed(work, use, cursor.until(cursor.tokens.length));
}

/**
 * Columns that a definition names: a key, a check, a changed type or a generated column reads the values that are there,
 * and fails or shows by them.
 */
function noteNamed(work: Work, table: TableUse, tokens: readonly Token[], clause: Clause = 'key'): void {
  const names = new Set(tokens.map((token) => token.value.toLowerCase()));
  for (const { name } of work.catalog.table(table.schema, table.table)?.columns ?? []) {
    if (names.has(name.toLowerCase()))
      work.facts.use([{ schema: table.schema, table: table.table, column: name }], clause);
  }
}

/** A table under another name takes its values with it, out of what is known of them. */
function noteMoved(work: Work, table: TableUse): void {
  for (const { name } of work.catalog.table(table.schema, table.table)?.columns ?? [])
    work.facts.use([{ schema: table.schema, table: table.table, column: name }], 'write');
}

function ddlDatabase(work: Work, cursor: Cursor, verb: string): void {
  ifExists(cursor);
  if (verb !== 'DROP') return;
  const database = cursor.identifier();
  cursor.end();
  const same = (schema: string): boolean =>
    schema === database || (work.catalog.foldsTableNames && schema.toLowerCase() === database.toLowerCase());
  for (const table of work.catalog.tables())
    if (same(table.schema)) work.touch([table.schema, table.name], write, false);
}

export function analyzeMaintenance(work: Work, cursor: Cursor): Draft {
  const verb = cursor.upper();
  cursor.at++;
  cursor.skip('NO_WRITE_TO_BINLOG', 'LOCAL');
  if (!cursor.take('TABLE') && !cursor.take('TABLES'))
    throw new Unsupported(`${verb} of this`, cursor.offset);
  do work.touch(cursor.name(), { reads: true, writes: false }, true);
  while (cursor.take(','));
  // a checksum answers whether a guessed row is the one that is there
  if (verb === 'CHECKSUM')
    work.facts.effect({ kind: 'channel', channel: 'statistics', what: 'CHECKSUM TABLE' });
  return draft('maintenance');
}
