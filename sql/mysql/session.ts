/** Statements about the session: SET, USE, transactions, PREPARE, LOCK, HANDLER, CALL, DO, and what only administrators run. */
import { Cursor, made, splitCommas } from './cursor.ts';
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import { type Draft, draft, type Work } from './work.ts';

type Reader = (work: Work, cursor: Cursor) => Draft;

function transaction(
  action: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback_to' | 'prepared',
  work: Work,
): Draft {
  work.facts.effect({ kind: 'transaction', action });
  return draft('transaction');
}

function completion(cursor: Cursor): void {
  cursor.take('WORK');
  if (cursor.take('AND')) {
    cursor.take('NO');
    cursor.expect('CHAIN');
  }
  cursor.take('NO');
  cursor.take('RELEASE');
  cursor.end();
}

const admin =
  (channel: 'server' | 'identity' | 'replication' | 'other_session', what: string): Reader =>
  (work) => {
    work.facts.effect({ kind: 'channel', channel, what });
    work.facts.literals = 'matter';
    return draft('admin');
  };

const readers: Readonly<Record<string, Reader>> = {
  SET: readSet,
  USE(work, cursor) {
    cursor.at++;
    const database = cursor.identifier();
    cursor.end();
    work.facts.effect({ kind: 'use_database', database });
    return draft('set');
  },
  BEGIN(work, cursor) {
    cursor.at++;
    cursor.take('WORK');
    cursor.end();
    return transaction('begin', work);
  },
  START(work, cursor) {
    cursor.at++;
    if (!cursor.take('TRANSACTION')) return admin('replication', `START ${cursor.upper()}`)(work, cursor);
    if (!cursor.done) {
      do
        if (
          !cursor.take('READ', 'ONLY') &&
          !cursor.take('READ', 'WRITE') &&
          !cursor.take('WITH', 'CONSISTENT', 'SNAPSHOT')
        )
          cursor.fail('a transaction characteristic expected');
      while (cursor.take(','));
    }
    cursor.end();
    return transaction('begin', work);
  },
  COMMIT(work, cursor) {
    cursor.at++;
    completion(cursor);
    return transaction('commit', work);
  },
  ROLLBACK(work, cursor) {
    cursor.at++;
    cursor.take('WORK');
    if (cursor.take('TO')) {
      cursor.take('SAVEPOINT');
      cursor.identifier();
      cursor.end();
      return transaction('rollback_to', work);
    }
    completion(cursor);
    return transaction('rollback', work);
  },
  SAVEPOINT(work, cursor) {
    cursor.at++;
    cursor.identifier();
    cursor.end();
    return transaction('savepoint', work);
  },
  RELEASE(work, cursor) {
    cursor.at++;
    cursor.expect('SAVEPOINT');
    cursor.identifier();
    cursor.end();
    return transaction('release', work);
  },
  XA(work, cursor) {
    if (cursor.upper(1) === 'RECOVER')
      work.facts.effect({ kind: 'channel', channel: 'other_session', what: 'XA RECOVER' });
    return transaction('prepared', work);
  },
  LOCK(work, cursor) {
    cursor.at++;
    if (!cursor.take('TABLES') && !cursor.take('TABLE'))
      throw new Unsupported(`LOCK ${cursor.upper()}`, cursor.offset);
    do {
      work.touch(cursor.name(), { reads: false, writes: false }, true);
      if (cursor.take('AS') || !['READ', 'WRITE', 'LOW_PRIORITY'].includes(cursor.upper()))
        cursor.identifier();
      if (cursor.take('READ')) cursor.take('LOCAL');
      else {
        cursor.take('LOW_PRIORITY');
        cursor.expect('WRITE');
      }
    } while (cursor.take(','));
    cursor.end();
    return draft('lock');
  },
  UNLOCK(_work, cursor) {
    cursor.at++;
    if (!cursor.take('TABLES') && !cursor.take('TABLE'))
      throw new Unsupported(`UNLOCK ${cursor.upper()}`, cursor.offset);
    cursor.end();
    return draft('lock');
  },
  PREPARE(work, cursor) {
    cursor.at++;
    const name = cursor.identifier();
    cursor.expect('FROM');
    work.facts.effect({ kind: 'sql_prepare', name });
    work.facts.effect({ kind: 'channel', channel: 'dynamic_sql', what: 'PREPARE' });
    work.facts.literals = 'matter';
    return draft('prepare');
  },
  EXECUTE(work, cursor) {
    cursor.at++;
    work.facts.literals = 'matter';
    if (cursor.take('IMMEDIATE')) {
      work.facts.effect({ kind: 'channel', channel: 'dynamic_sql', what: 'EXECUTE IMMEDIATE' });
      return draft('prepare');
    }
    work.facts.effect({ kind: 'sql_execute', name: cursor.identifier() });
    work.facts.effect({ kind: 'channel', channel: 'dynamic_sql', what: 'EXECUTE' });
    return draft('prepare');
  },
  DEALLOCATE(_work, cursor) {
    cursor.at++;
    cursor.expect('PREPARE');
    cursor.identifier();
    cursor.end();
    return draft('prepare');
  },
  HANDLER(work, cursor) {
    cursor.at++;
    const parts = cursor.name();
    const action = cursor.upper() === 'OPEN' ? 'declare' : cursor.upper() === 'CLOSE' ? 'close' : 'fetch';
    if (action === 'declare') work.touch(parts, { reads: true, writes: false }, true);
    work.facts.effect({ kind: 'cursor', name: parts.join('.'), action });
    work.facts.effect({ kind: 'channel', channel: 'handler', what: 'HANDLER' });
    return draft('cursor');
  },
  LOAD: readLoad,
  DO(work, cursor) {
    cursor.at++;
    work.query([made('SELECT'), ...cursor.until(cursor.tokens.length)], 'expression');
    return draft('do');
  },
  CALL(work, cursor) {
    cursor.at++;
    const parts = cursor.name();
    const name = parts[parts.length - 1] ?? '';
    const args = cursor.upper() === '(' ? cursor.group() : [];
    cursor.end();
    if (args.length > 0) work.query([made('SELECT'), ...args], 'function');
    work.facts.call({
      schema: parts.length > 1 ? (parts[0] ?? '') : (work.names.path[0] ?? ''),
      name,
      trust: 'unknown',
    });
    return draft('call');
  },
  GET(work, cursor) {
    if (!['DIAGNOSTICS', 'CURRENT', 'STACKED'].includes(cursor.upper(1)))
      throw new Unsupported('GET of this form', cursor.offset);
    work.facts.effect({ kind: 'channel', channel: 'diagnostics', what: 'GET DIAGNOSTICS' });
    return draft('show');
  },
  KILL: admin('other_session', 'KILL'),
  GRANT: admin('identity', 'GRANT'),
  REVOKE: admin('identity', 'REVOKE'),
  FLUSH: admin('server', 'FLUSH'),
  RESET: admin('server', 'RESET'),
  SHUTDOWN: admin('server', 'SHUTDOWN'),
  RESTART: admin('server', 'RESTART'),
  INSTALL: admin('server', 'INSTALL'),
  UNINSTALL: admin('server', 'UNINSTALL'),
  CLONE: admin('server', 'CLONE'),
  BINLOG: admin('replication', 'BINLOG'),
  CHANGE: admin('replication', 'CHANGE'),
  STOP: admin('replication', 'STOP'),
  PURGE: admin('replication', 'PURGE'),
};

/** The reader of a session statement by its first word, or undefined. */
export function sessionReader(word: string): Reader | undefined {
  return Object.hasOwn(readers, word) ? readers[word] : undefined;
}

function readLoad(work: Work, cursor: Cursor): Draft {
  cursor.at++;
  if (cursor.take('INDEX')) throw new Unsupported('LOAD INDEX');
  if (!cursor.take('DATA') && !cursor.take('XML')) throw new Unsupported('LOAD of this form', cursor.offset);
  cursor.skip('LOW_PRIORITY', 'CONCURRENT');
  const local = cursor.take('LOCAL');
  cursor.expect('INFILE');
  cursor.at = cursor.find('INTO');
  cursor.expect('INTO');
  cursor.expect('TABLE');
  work.touch(cursor.name(), { reads: false, writes: true }, true);
  work.facts.effect({ kind: 'channel', channel: 'file', what: local ? 'LOAD DATA LOCAL' : 'LOAD DATA' });
  work.facts.literals = 'matter';
  return draft(local ? 'load_local' : 'copy_in');
}

function readSet(work: Work, cursor: Cursor): Draft {
  const { facts } = work;
  cursor.at++;
  facts.literals = 'matter';
  if (
    cursor.upper() === 'PASSWORD' ||
    cursor.upper() === 'ROLE' ||
    (cursor.upper() === 'DEFAULT' && cursor.upper(1) === 'ROLE')
  ) {
    facts.effect({ kind: 'channel', channel: 'identity', what: `SET ${cursor.upper()}` });
    return draft('admin');
  }
  if (cursor.upper() === 'RESOURCE') return admin('server', 'SET RESOURCE GROUP')(work, cursor);
  const rest = cursor.tokens.slice(cursor.at);
  const scopeWord = ['SESSION', 'LOCAL', 'GLOBAL'].includes(cursor.upper()) ? 1 : 0;
  if (cursor.upper(scopeWord) === 'TRANSACTION') return setTransaction(work, cursor, scopeWord);
  for (const part of splitCommas(rest)) assign(work, part, false);
  return draft('set');
}

/** MariaDB's SET STATEMENT a = 1, b = 2 FOR statement; `inner` reads that statement, which is about rows. */
export function analyzeSetStatement(work: Work, cursor: Cursor, inner: (cursor: Cursor) => Draft): Draft {
  if (!work.catalog.isMariaDb) throw new Unsupported('SET STATEMENT', cursor.offset);
  cursor.expect('SET');
  cursor.expect('STATEMENT');
  work.facts.literals = 'matter';
  const settings = cursor.until(cursor.find('FOR'));
  cursor.expect('FOR');
  if (!rowWords.has(cursor.upper())) throw new Unsupported('SET STATEMENT in front of this', cursor.offset);
  for (const part of splitCommas(settings)) {
    if (part[0]?.kind === 'user_variable') throw new Unsupported('a user variable here', part[0].start);
    assign(work, part, true);
  }
  return inner(new Cursor(cursor.tokens.slice(cursor.at)));
}
const rowWords: ReadonlySet<string> = new Set(['SELECT', 'WITH', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE']);

function setTransaction(work: Work, cursor: Cursor, scopeWord: number): Draft {
  const global = scopeWord > 0 && cursor.upper() === 'GLOBAL';
  cursor.at += scopeWord + 1;
  const local = scopeWord === 0;
  do {
    if (cursor.take('READ', 'ONLY'))
      work.facts.effect({ kind: 'set', name: 'transaction_read_only', value: 'ON', local });
    else if (cursor.take('READ', 'WRITE'))
      work.facts.effect({ kind: 'set', name: 'transaction_read_only', value: 'OFF', local });
    else {
      if (!cursor.take('ISOLATION', 'LEVEL')) cursor.fail('a transaction characteristic expected');
      const words: string[] = [];
      while (!cursor.done && cursor.upper() !== ',') words.push(cursor.identifier().toUpperCase());
      const level = words.join('-');
      if (!['READ-UNCOMMITTED', 'READ-COMMITTED', 'REPEATABLE-READ', 'SERIALIZABLE'].includes(level))
        cursor.fail('an isolation level expected');
      work.facts.effect({ kind: 'set', name: 'transaction_isolation', value: level, local });
    }
  } while (cursor.take(','));
  cursor.end();
  if (global) work.facts.effect({ kind: 'channel', channel: 'server', what: 'SET GLOBAL' });
  return draft('set');
}

function assign(work: Work, part: readonly Token[], local: boolean): void {
  const cursor = new Cursor(part);
  const { facts } = work;
  if (cursor.take('NAMES') || cursor.take('CHARACTER', 'SET') || cursor.take('CHARSET')) {
    const name = part[0]?.upper === 'NAMES' ? 'names' : 'character set';
    cursor.take('=');
    const value = cursor.take('DEFAULT') ? null : word(cursor);
    const collation = name === 'names' && cursor.take('COLLATE') ? word(cursor) : null;
    cursor.end();
    facts.effect({ kind: 'set', name, value, local });
    if (collation !== null)
      facts.effect({ kind: 'set', name: 'collation_connection', value: collation, local });
    return;
  }
  let scope = '';
  let name: string;
  const first = part[0];
  if (first?.kind === 'user_variable') {
    name = `@${first.value}`;
    cursor.at++;
  } else if (first?.kind === 'system_variable') {
    const match = /^(?:(global|session|local|persist|persist_only)\.)?(.+)$/i.exec(first.value);
    scope = (match?.[1] ?? '').toUpperCase();
    name = (match?.[2] ?? '').toLowerCase();
    cursor.at++;
  } else {
    if (
      ['GLOBAL', 'SESSION', 'LOCAL', 'PERSIST', 'PERSIST_ONLY'].includes(cursor.upper()) &&
      cursor.upper(1) !== '=' &&
      cursor.upper(1) !== ':='
    ) {
      scope = cursor.upper();
      cursor.at++;
    }
    name = cursor.name().join('.').toLowerCase();
  }
  if (!cursor.take('=') && !cursor.take(':=')) cursor.fail('`=` expected');
  if (cursor.done) cursor.fail('a value expected');
  if (scope === 'GLOBAL' || scope.startsWith('PERSIST'))
    facts.effect({ kind: 'channel', channel: 'server', what: `SET ${scope} ${name}` });
  facts.effect({ kind: 'set', name, value: settingValue(work, cursor.until(part.length)), local });
}

function word(cursor: Cursor): string {
  const token = cursor.tokens[cursor.at];
  if (!token || !['word', 'quoted', 'string'].includes(token.kind)) cursor.fail('a name expected');
  cursor.at++;
  return token.value;
}

/** A literal or word bare; an expression as written, once it is known to read no table. */
function settingValue(work: Work, tokens: readonly Token[]): string | null {
  const only = tokens.length === 1 ? tokens[0] : undefined;
  if (only?.upper === 'DEFAULT') return null;
  if (only && ['word', 'quoted', 'string', 'number', 'bits'].includes(only.kind)) return only.value;
  if (tokens.length === 2 && tokens[0]?.upper === '-' && tokens[1]?.kind === 'number')
    return `-${tokens[1].value}`;
  const before = work.facts.tables.length;
  work.query([made('SELECT'), made('('), ...tokens, made(')')], 'expression');
  if (work.facts.tables.length > before)
    work.facts.effect({ kind: 'channel', channel: 'user_variable', what: 'SET from a query' });
  const last = tokens[tokens.length - 1];
  return work.text.slice(tokens[0]?.start ?? 0, last?.end ?? 0);
}
