/** SHOW, DESCRIBE, EXPLAIN and HELP: what they tell about definitions is free, what they tell about values or others is a channel. */
import type { Channel, StatementKind } from '../statement.ts';
import type { Cursor } from './cursor.ts';
import { nativeFunction } from './functions.ts';
import { Unsupported } from './leaves.ts';
import { type Draft, draft, type Work } from './work.ts';

/** Objects that SHOW may name, by first words; a channel where they carry more than definitions. */
const objects: readonly (readonly [string, Channel | null])[] = [
  ['VARIABLES', null],
  ['STATUS', null],
  ['WARNINGS', 'diagnostics'],
  ['ERRORS', 'diagnostics'],
  ['COUNT', 'diagnostics'],
  ['TABLES', null],
  ['TABLE STATUS', null],
  ['OPEN TABLES', null],
  ['COLUMNS', null],
  ['FIELDS', null],
  ['INDEX', null],
  ['INDEXES', null],
  ['KEYS', null],
  ['DATABASES', null],
  ['SCHEMAS', null],
  ['ENGINES', null],
  ['STORAGE ENGINES', null],
  ['COLLATION', null],
  ['CHARACTER SET', null],
  ['CHARSET', null],
  ['PLUGINS', null],
  ['PRIVILEGES', null],
  ['TRIGGERS', null],
  ['EVENTS', null],
  ['PROCEDURE STATUS', null],
  ['FUNCTION STATUS', null],
  ['PACKAGE STATUS', null],
  ['PACKAGE BODY STATUS', null],
  ['CREATE TABLE', null],
  ['CREATE VIEW', null],
  ['CREATE DATABASE', null],
  ['CREATE SCHEMA', null],
  ['CREATE PROCEDURE', null],
  ['CREATE FUNCTION', null],
  ['CREATE TRIGGER', null],
  ['CREATE EVENT', null],
  ['CREATE PACKAGE', null],
  ['CREATE LIBRARY', null],
  ['LIBRARY STATUS', null],
  ['CREATE SEQUENCE', null],
  ['CREATE USER', 'identity'],
  ['PROCESSLIST', 'other_session'],
  ['EXPLAIN', 'other_session'],
  ['ANALYZE', 'other_session'],
  ['ENGINE', 'other_session'],
  ['PROFILE', 'statistics'],
  ['PROFILES', 'statistics'],
  ['BINARY', 'replication'],
  ['BINLOG', 'replication'],
  ['MASTER', 'replication'],
  ['SLAVE', 'replication'],
  ['REPLICA', 'replication'],
  ['REPLICAS', 'replication'],
  ['RELAYLOG', 'replication'],
  ['ALL', 'replication'],
];
const scopes = ['FULL', 'EXTENDED', 'GLOBAL', 'SESSION', 'LOCAL'] as const;
/** Not calls, though a parenthesis may follow. */
const notCalls = new Set([
  'IN',
  'AND',
  'OR',
  'NOT',
  'XOR',
  'WHERE',
  'LIKE',
  'BETWEEN',
  'COUNT',
  'RLIKE',
  'REGEXP',
]);

export function analyzeShow(work: Work, cursor: Cursor): Draft {
  cursor.expect('SHOW');
  cursor.skip(...scopes);
  work.facts.literals = 'matter';
  if (cursor.upper() === 'GRANTS') {
    const own =
      cursor.upper(1) === '' ||
      (cursor.upper(1) === 'FOR' &&
        (cursor.upper(2) === 'CURRENT_USER' || cursor.upper(2) === 'CURRENT_ROLE'));
    // MariaDB shows the password's hash of the account that the gateway uses
    if (!own || work.catalog.isMariaDb)
      work.facts.effect({ kind: 'channel', channel: 'identity', what: 'SHOW GRANTS' });
    return draft('show');
  }
  const found = objects.find(([name]) => name.split(' ').every((word, at) => cursor.upper(at) === word));
  if (!found)
    throw new Unsupported(`SHOW ${cursor.kind() === 'word' ? cursor.upper() : ''}`.trim(), cursor.offset);
  if (found[1]) work.facts.effect({ kind: 'channel', channel: found[1], what: `SHOW ${found[0]}` });
  // SHOW ... WHERE takes any expression: a query in it could ask about rows
  for (let at = 0; cursor.at + at < cursor.tokens.length; at++) {
    const word = cursor.upper(at);
    if (['SELECT', 'TABLE', 'WITH', 'VALUES'].includes(word) && cursor.upper(at - 1) === '(')
      throw new Unsupported('a query inside SHOW', cursor.offset);
    if (cursor.kind(at) === 'user_variable' && cursor.upper(at + 1) === ':=')
      throw new Unsupported('an assignment inside SHOW', cursor.offset);
    if (
      (cursor.kind(at) === 'word' || cursor.kind(at) === 'quoted') &&
      cursor.upper(at + 1) === '(' &&
      !notCalls.has(word)
    ) {
      const name = cursor.tokens[cursor.at + at]?.value ?? '';
      const native = cursor.kind(at) === 'word' && cursor.upper(at - 1) !== '.' ? nativeFunction(name) : null;
      work.facts.call({
        schema: native ? 'mysql' : (work.names.path[0] ?? ''),
        name: native ? name.toLowerCase() : name,
        trust: native?.trust ?? 'unknown',
      });
    }
  }
  return draft('show');
}

const explained = new Set(['SELECT', 'WITH', 'TABLE', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE', '(']);

/** EXPLAIN, DESCRIBE, DESC, and MariaDB's ANALYZE in front of a statement. `inner` reads that statement. */
export function analyzeExplain(work: Work, cursor: Cursor, inner: (cursor: Cursor) => Draft): Draft {
  let runs = cursor.upper() === 'ANALYZE';
  /** The answer has the statement in it as the optimizer left it: with values in place of columns of a single row. */
  let rewritten = false;
  const describes = !runs;
  cursor.at++;
  if (describes && cursor.take('ANALYZE')) runs = true;
  for (;;) {
    if (cursor.take('EXTENDED') || cursor.take('PARTITIONS')) continue;
    if (cursor.upper() !== 'FORMAT' || cursor.upper(1) !== '=') break;
    if (!['TRADITIONAL', 'TREE'].includes((cursor.tokens[cursor.at + 2]?.value ?? '').toUpperCase()))
      rewritten = true;
    cursor.at += 3;
  }
  if (cursor.upper() === 'FOR') {
    work.facts.effect({ kind: 'channel', channel: 'other_session', what: 'EXPLAIN FOR CONNECTION' });
    return draft('explain');
  }
  if (!explained.has(cursor.upper())) {
    if (runs) throw new Unsupported('EXPLAIN ANALYZE of this', cursor.offset);
    return describe(cursor);
  }
  const { statementKind: _kind, withoutWhere } = inner(cursor);
  if (rewritten && !work.catalog.isMariaDb)
    for (const use of work.facts.columns) if (use.clause === 'output') work.facts.use([use], 'expression');
  if (runs) work.facts.effect({ kind: 'channel', channel: 'explain_analyze', what: 'EXPLAIN ANALYZE' });
  return draft('explain' satisfies StatementKind, [], withoutWhere);
}

/** DESCRIBE table [column | 'pattern']: the same as SHOW COLUMNS. */
function describe(cursor: Cursor): Draft {
  cursor.name();
  if (!cursor.done) cursor.at++;
  cursor.end();
  return draft('show');
}
