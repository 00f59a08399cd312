/** The entry for MySQL and MariaDB: text in, statements out, each either understood in full or opaque. Never throws. */
import type { Analysis, Analyzer } from '../analyzer.ts';
import type { Catalog, NameScope } from '../catalog.ts';
import type { Opaque, Statement, TableUse } from '../statement.ts';
import { runs, withCommentsRead } from './comments.ts';
import { Cursor } from './cursor.ts';
import { analyzeDdl, analyzeMaintenance, ddlWords, maintenanceWords } from './ddl.ts';
import { analyzeDelete, analyzeInsert, analyzeUpdate } from './dml.ts';
import { shapeOf } from './fingerprint.ts';
import { Unsupported } from './leaves.ts';
import { executableContent, lex, splitStatements, type Token, unclosed } from './lexer.ts';
import { analyzeSetStatement, sessionReader } from './session.ts';
import { analyzeExplain, analyzeShow } from './show.ts';
import { mayBegin } from './verbs.ts';
import { type Draft, draft, outputsOf, Work } from './work.ts';

/** Longest text that is looked at, and longest that is parsed once uniform rows of VALUES are folded; UTF-16 units. */
const textLengthMax = 16 * 1024 * 1024;
const parsedLengthMax = 1024 * 1024;
const tokensMax = 200_000;

/** The analyzer for both engines; which one is the catalog's business. */
export function mysqlAnalyzer(): Analyzer {
  return { shapeOf: (text) => (text.length > textLengthMax ? null : shapeOf(text)), analyze };
}

/** A subquery with a LIMIT is neither merged into the statement nor given its conditions. */
const fence = ' LIMIT 18446744073709551615';

function opaque(shape: string, reason: Opaque['reason'], message: string, at: number | null): Opaque {
  return { kind: 'opaque', shape, reason, message, position: at === null ? null : at + 1 };
}

function analyze(text: string, catalog: Catalog, names: NameScope): Analysis {
  if (text.length > textLengthMax)
    return { shape: '?', statements: [opaque('?', 'too_long', 'the text is too long', null)] };
  try {
    return analyzeText(text, catalog, names, true);
  } catch {
    // a defect here must not decide anything
    return {
      shape: '?',
      statements: [opaque('?', 'unsupported', 'the statement could not be analyzed', null)],
    };
  }
}

function analyzeText(text: string, catalog: Catalog, names: NameScope, outermost: boolean): Analysis {
  const { tokens: lexed, error } = lex(text);
  if (error) {
    const reason = unclosed.has(error.problem) ? 'syntax' : 'unsupported';
    return { shape: '?', statements: [opaque('?', reason, error.problem, error.at)] };
  }
  const parsed = lexed.reduce((sum, token) => sum + (token.upper === ')' ? 1 : token.end - token.start), 0);
  if (parsed > parsedLengthMax || lexed.length > tokensMax)
    return { shape: '?', statements: [opaque('?', 'too_long', 'the text is too long', null)] };
  const comments = lexed.filter((token) => token.kind === 'executable_comment');
  const tokens = outermost ? withCommentsRead(text, lexed, catalog) : lexed;
  for (const candidates of outermost ? [lexed, tokens] : []) {
    const [only, ...rest] = candidates;
    if (only?.kind === 'executable_comment' && rest.every((token) => token.upper === ';')) {
      return unwrap(text, only, catalog, names);
    }
  }
  const shape = shapeOf(text) ?? '?';
  let path = names;
  const statements = splitStatements(tokens).map((statement) => {
    const analyzed = analyzeStatement(text, statement, catalog, path, outermost ? comments : null);
    if (analyzed.kind === 'analyzed') {
      for (const effect of analyzed.effects)
        if (effect.kind === 'use_database') path = { path: [effect.database] };
    }
    return analyzed;
  });
  return { shape, statements };
}

/** A text that is one executable comment means its content, or nothing, by the server's version. */
function unwrap(text: string, token: Token, catalog: Catalog, names: NameScope): Analysis {
  const { version, mariaOnly, body } = executableContent(text.slice(token.start + 2, token.end - 2));
  return runs(catalog, version, mariaOnly)
    ? analyzeText(body, catalog, names, false)
    : { shape: '', statements: [] };
}

/** `comments`: the executable ones of the text; null when the text is the content of one. */
function analyzeStatement(
  text: string,
  tokens: readonly Token[],
  catalog: Catalog,
  names: NameScope,
  comments: readonly Token[] | null,
): Statement {
  const first = tokens[0];
  const last = tokens[tokens.length - 1];
  const shape = shapeOf(text.slice(first?.start ?? 0, last?.end ?? 0)) ?? '?';
  const work = new Work(text, catalog, names);
  try {
    const { statementKind, outputs, withoutWhere } = dispatch(work, new Cursor(tokens));
    const { facts } = work;
    // offsets inside an unwrapped comment are not offsets in the client's text
    const spanned = ({ span }: TableUse): boolean =>
      span !== null &&
      comments !== null &&
      !facts.namesDatabase &&
      !facts.countsRows &&
      !comments.some(({ start, end }) => start < span.end && span.start < end);
    // strict modes make failures of warnings where rows are written
    const fences = facts.conditionsTell || (statementKind !== 'select' && statementKind !== 'explain');
    const tables = facts.tables.map((use) => {
      if (!spanned(use) || use.span === null) return { ...use, span: null };
      return fences ? { ...use, span: { ...use.span, fence } } : use;
    });
    return {
      kind: 'analyzed',
      shape,
      statementKind,
      tables,
      columns: facts.columns,
      written: facts.written,
      outputs,
      functions: facts.functions,
      effects: facts.effects,
      withoutWhere,
      literals: facts.literals,
    };
  } catch (cause) {
    if (cause instanceof Unsupported) return opaque(shape, cause.reason, cause.message, cause.at);
    return opaque(shape, 'unsupported', 'the statement could not be analyzed', null);
  }
}

function dispatch(work: Work, cursor: Cursor): Draft {
  const inside = cursor.tokens.find((token) => token.kind === 'executable_comment');
  if (inside) throw new Unsupported('an executable comment inside a statement', inside.start);
  const word = cursor.upper();
  switch (word) {
    case 'SELECT':
    case 'WITH':
    case 'TABLE':
    case 'VALUES':
    case 'INSERT':
    case 'REPLACE':
    case 'UPDATE':
    case 'DELETE':
    case '(':
      return rows(work, cursor);
    case 'SHOW':
      return analyzeShow(work, cursor);
    case 'EXPLAIN':
    case 'DESCRIBE':
    case 'DESC':
      return analyzeExplain(work, cursor, (inner) => rows(work, inner));
    case 'ANALYZE':
      if (!['TABLE', 'TABLES', 'LOCAL', 'NO_WRITE_TO_BINLOG'].includes(cursor.upper(1)))
        return analyzeExplain(work, cursor, (inner) => rows(work, inner));
      return analyzeMaintenance(work, cursor);
    case 'SET':
      if (cursor.upper(1) !== 'STATEMENT') break;
      return analyzeSetStatement(work, cursor, (inner) => rows(work, inner));
    case 'HELP':
      return draft('show');
  }
  if (ddlWords.has(word)) return analyzeDdl(work, cursor);
  if (maintenanceWords.has(word)) return analyzeMaintenance(work, cursor);
  const reader = sessionReader(word);
  if (!reader)
    throw new Unsupported(
      cursor.kind() === 'word'
        ? `a statement that begins with ${word.slice(0, 40)}`
        : 'a statement of this form',
      cursor.offset,
      mayBegin(cursor.tokens[0]) ? 'unsupported' : 'syntax',
    );
  return reader(work, cursor);
}

/** Statements about rows. */
function rows(work: Work, cursor: Cursor): Draft {
  let prefix: readonly Token[] = [];
  if (cursor.upper() === 'WITH') {
    const verb = cursor.find('SELECT', 'UPDATE', 'DELETE', 'INSERT', 'REPLACE');
    const found = cursor.tokens[verb]?.upper;
    if (found === 'UPDATE' || found === 'DELETE') prefix = cursor.until(verb);
  }
  switch (cursor.upper()) {
    case 'INSERT':
    case 'REPLACE':
      return analyzeInsert(work, cursor);
    case 'UPDATE':
      return analyzeUpdate(work, prefix, cursor);
    case 'DELETE':
      return analyzeDelete(work, prefix, cursor);
    default: {
      const tokens = cursor.until(cursor.tokens.length);
      const { outputs } = work.query(tokens, 'output');
      return draft('select', outputsOf(outputs));
    }
  }
}
