/**
 * INSERT, REPLACE, UPDATE and DELETE. Each is taken apart at its own clauses, and its expressions are resolved as a
 * SELECT over the same tables would resolve them; values that go into columns count as 'write'.
 */
import type { ColumnRef } from '../statement.ts';
import { Cursor, made, madeName, splitCommas } from './cursor.ts';
import { Unsupported } from './leaves.ts';
import type { Token } from './lexer.ts';
import type { OutColumn, Scope, Source } from './scope.ts';
import { type Draft, draft, outputsOf, type Work } from './work.ts';

const zero: Token = { kind: 'number', start: 0, end: 0, value: '0', upper: '' };

function commaList(parts: readonly (readonly Token[])[]): Token[] {
  return parts.flatMap((part, at) => (at === 0 ? part : [made(','), ...part]));
}
const tableTokens = (parts: readonly string[]): Token[] =>
  parts.flatMap((part, at) => (at === 0 ? [madeName(part)] : [made('.'), madeName(part)]));

/** The column that a write names, or null when nothing has that name. */
function written(scope: Scope, parts: readonly string[]): readonly ColumnRef[] {
  const column = scope.own(parts);
  if (!column) throw new Unsupported(`Unknown column '${parts.join('.')}'`, null, 'unknown_name');
  return column.sources;
}

/** Marks what stands behind a source as written; read only where one of its columns is used. */
function markWritten(work: Work, source: Source): void {
  const { tables } = work.facts;
  for (let at = source.uses[0]; at < source.uses[1]; at++) {
    const use = tables[at];
    if (use)
      tables[at] = {
        ...use,
        writes: true,
        reads: use.viaView || work.facts.touches(use.schema, use.table),
        span: null,
      };
  }
}

interface Assignment {
  readonly target: readonly string[];
  readonly value: readonly Token[];
}
function assignments(tokens: readonly Token[]): Assignment[] {
  return splitCommas(tokens).map((part) => {
    const cursor = new Cursor(part);
    const target = cursor.name();
    if (!cursor.take('=') && !cursor.take(':=')) cursor.fail('`=` expected');
    if (cursor.done) cursor.fail('a value expected');
    return { target, value: cursor.until(part.length) };
  });
}

/** A value in a SELECT list: never an alias, so it stands in parentheses unless it is a name, a word or in some already. */
function asItem(value: readonly Token[]): Token[] {
  const named = value.every(
    (token) => token.kind === 'word' || token.kind === 'quoted' || token.upper === '.',
  );
  if (named) return [...value];
  if (value[0]?.upper === '(') {
    const cursor = new Cursor(value);
    cursor.group();
    if (cursor.done) return [...value];
  }
  return [made('('), ...value, made(')')];
}

export function analyzeUpdate(work: Work, prefix: readonly Token[], cursor: Cursor): Draft {
  cursor.expect('UPDATE');
  cursor.skip('LOW_PRIORITY', 'IGNORE');
  const refs = cursor.until(cursor.find('SET'));
  cursor.expect('SET');
  const set = assignments(cursor.until(cursor.find('WHERE', 'ORDER', 'LIMIT', 'RETURNING')));
  const withoutWhere = cursor.upper() !== 'WHERE';
  if (cursor.find('RETURNING') < cursor.tokens.length) throw new Unsupported('UPDATE ... RETURNING');
  const rest = cursor.until(cursor.tokens.length);
  const { scope } = work.query(
    [
      ...prefix,
      made('SELECT'),
      ...commaList(set.map(({ value }) => asItem(value))),
      made('FROM'),
      ...refs,
      ...rest,
    ],
    'write',
  );
  if (!scope) throw new Unsupported('UPDATE of this form');
  const targets = new Set<Source>();
  for (const { target } of set) {
    const refsWritten = written(scope, target);
    work.facts.write(refsWritten);
    for (const source of scope.relation.sources) {
      const named =
        target.length > 1
          ? source ===
            scope.source(target.length > 2 ? (target[0] ?? null) : null, target[target.length - 2] ?? '')
          : hasColumn(source, target[0] ?? '');
      if (named) targets.add(source);
    }
  }
  for (const source of targets) {
    if (source.uses[0] === source.uses[1])
      throw new Unsupported(
        `The target table ${source.name} of the UPDATE is not updatable`,
        null,
        'unknown_name',
      );
    markWritten(work, source);
  }
  return draft('update', [], withoutWhere);
}

const hasColumn = (source: Source, name: string): boolean =>
  source.columns.some((column) => column.name.toLowerCase() === name.toLowerCase());

export function analyzeDelete(work: Work, prefix: readonly Token[], cursor: Cursor): Draft {
  cursor.expect('DELETE');
  cursor.skip('LOW_PRIORITY', 'QUICK', 'IGNORE');
  let targets: string[][] | null = null;
  let refs: readonly Token[];
  const starList = (tokens: readonly Token[]): string[][] =>
    splitCommas(tokens).map((part) => targetName(part));
  const clauses = ['WHERE', 'ORDER', 'LIMIT', 'RETURNING'] as const;
  if (cursor.take('FROM')) {
    const using = cursor.find('USING', ...clauses);
    if (cursor.tokens[using]?.upper === 'USING') {
      targets = starList(cursor.until(using));
      cursor.expect('USING');
    }
    refs = cursor.until(cursor.find(...clauses));
  } else {
    targets = starList(cursor.until(cursor.find('FROM')));
    cursor.expect('FROM');
    refs = cursor.until(cursor.find(...clauses));
  }
  const withoutWhere = cursor.upper() !== 'WHERE';
  const rest = cursor.until(cursor.find('RETURNING'));
  const { scope } = work.query([...prefix, made('SELECT'), zero, made('FROM'), ...refs, ...rest], 'write');
  if (!scope) throw new Unsupported('DELETE of this form');
  let outputs: readonly OutColumn[] = [];
  if (cursor.take('RETURNING')) {
    if (targets) throw new Unsupported('RETURNING in a DELETE of several tables');
    outputs = returning(work, refs, cursor.until(cursor.tokens.length));
  }
  const { sources } = scope.relation;
  if (!targets && sources.length !== 1) throw new Unsupported('DELETE of this form');
  const chosen = targets ? targets.map((parts) => targetSource(work, scope, parts)) : sources;
  for (const source of chosen) {
    if (source.uses[0] === source.uses[1])
      throw new Unsupported(
        `The target table ${source.name} of the DELETE is not updatable`,
        null,
        'unknown_name',
      );
    markWritten(work, source);
  }
  return draft('delete', outputsOf(outputs), withoutWhere);
}

/** `t`, `db.t` or `t.*` in a DELETE's list. */
function targetName(part: readonly Token[]): string[] {
  const star = part.length > 2 && part[part.length - 1]?.upper === '*';
  const cursor = new Cursor(star ? part.slice(0, -2) : part);
  const name = cursor.name();
  cursor.end();
  return name;
}

function targetSource(work: Work, scope: Scope, parts: readonly string[]): Source {
  const name = parts[parts.length - 1] ?? '';
  const source = scope.source(null, name);
  const schema = parts.length > 1 ? parts[0] : null;
  if (
    !source ||
    (schema && source.schema !== null && source.schema !== schema && !work.catalog.foldsTableNames)
  ) {
    throw new Unsupported(`Unknown table '${parts.join('.')}' in MULTI DELETE`, null, 'unknown_name');
  }
  return source;
}

/** The row alias of INSERT ... AS new: its columns are what the statement brings, so constants here. */
function newRow(names: readonly string[], alias: string): Token[] {
  const items = names.map((name) => [zero, made('AS'), madeName(name)]);
  return [made('('), made('SELECT'), ...commaList(items), made(')'), made('AS'), madeName(alias)];
}

/** Resolves RETURNING without noting the table a second time. */
function returning(work: Work, refs: readonly Token[], items: readonly Token[]): readonly OutColumn[] {
  const before = work.facts.tables.length;
  const { outputs } = work.query([made('SELECT'), ...items, made('FROM'), ...refs], 'output');
  keepOthers(work, before);
  return outputs;
}

/** Drops the uses noted since `from` whose table is noted before it already. */
function keepOthers(work: Work, from: number): void {
  const { tables } = work.facts;
  const known = new Set(tables.slice(0, from).map((use) => `${use.schema}\u0000${use.table}`));
  const added = tables.splice(from).filter((use) => !known.has(`${use.schema}\u0000${use.table}`));
  tables.push(...added);
}

export function analyzeInsert(work: Work, cursor: Cursor): Draft {
  if (!cursor.take('INSERT')) cursor.expect('REPLACE');
  cursor.skip('LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY');
  cursor.skip('IGNORE');
  cursor.skip('INTO');
  const parts = cursor.name();
  if (cursor.take('PARTITION')) cursor.group();
  const table = tableTokens(parts);
  // the target's own scope: what VALUES(...), ON DUPLICATE KEY and RETURNING see
  const { scope } = work.query([made('SELECT'), zero, made('FROM'), ...table], 'write');
  const target = scope?.relation.sources[0];
  if (!scope || !target || target.uses[0] === target.uses[1]) throw new Unsupported('INSERT into this');
  const bare = (): Token[] => table;
  let columns: (readonly string[])[] | null = null;
  if (cursor.upper() === '(' && !['SELECT', 'WITH', '(', 'TABLE', 'VALUES'].includes(cursor.upper(1))) {
    const list = cursor.group();
    columns = list.length === 0 ? [] : splitCommas(list).map((part) => new Cursor(part).name());
  }
  let alias: string | null = null;
  let aliasColumns: readonly string[] | null = null;
  let conflictFrom: readonly Token[] = table;
  if (cursor.take('VALUES') || cursor.take('VALUE')) {
    insertRows(work, cursor, bare());
    if (cursor.take('AS')) {
      alias = cursor.identifier();
      if (cursor.upper() === '(')
        aliasColumns = splitCommas(cursor.group()).map((part) => new Cursor(part).identifier());
    }
  } else if (cursor.take('SET')) {
    const set = assignments(cursor.until(cursor.find('AS', 'ON', 'RETURNING')));
    columns = set.map(({ target: name }) => name);
    values(
      work,
      set.map(({ value }) => value),
      bare(),
    );
    if (cursor.take('AS')) alias = cursor.identifier();
  } else conflictFrom = [...table, ...insertQuery(work, cursor, columns?.length ?? target.columns.length)];
  const all = columns === null || columns.length === 0;
  for (const parts of all ? target.columns.map((column) => [column.name]) : (columns ?? []))
    work.facts.write(written(scope, parts));
  if (cursor.take('ON', 'DUPLICATE', 'KEY', 'UPDATE')) {
    const set = assignments(cursor.until(cursor.find('RETURNING')));
    const from = alias
      ? [...table, made(','), ...newRow(aliasColumns ?? target.columns.map(({ name }) => name), alias)]
      : conflictFrom;
    const before = work.facts.tables.length;
    // what reads nothing needs no names: INSERT INTO t SELECT ... FROM t would have the same one twice
    const items = set.filter(({ value }) => !isSimple(value)).map(({ value }) => asItem(value));
    if (items.length > 0) {
      const { outputs } = work.query([made('SELECT'), ...commaList(items), made('FROM'), ...from], 'write');
      for (const output of outputs) work.facts.use(output.sources, 'conflict');
    }
    keepOthers(work, before);
    for (const { target: name } of set) {
      const refs = written(scope, name);
      work.facts.write(refs);
    }
  }
  let outputs: readonly OutColumn[] = [];
  if (cursor.take('RETURNING')) outputs = returning(work, table, cursor.until(cursor.tokens.length));
  cursor.end();
  markWritten(work, target);
  return draft('insert', outputsOf(outputs));
}

const simpleKinds = new Set(['string', 'number', 'bits', 'param']);
const isSimple = (part: readonly Token[]): boolean =>
  part.every(
    (token) =>
      simpleKinds.has(token.kind) || ['-', '+', 'NULL', 'DEFAULT', 'TRUE', 'FALSE'].includes(token.upper),
  );

const valueShape = (value: readonly Token[]): string =>
  value
    .map((token) => (simpleKinds.has(token.kind) ? '?' : `${token.kind[0]}${token.upper || token.value}`))
    .join('\u0000');

function insertRows(work: Work, cursor: Cursor, table: readonly Token[]): void {
  // a value that differs from an earlier one in literals alone says nothing new
  const items = new Map<string, Token[]>();
  do {
    cursor.take('ROW');
    const row = cursor.group();
    if (row.length > 0)
      for (const value of splitCommas(row)) if (!isSimple(value)) items.set(valueShape(value), value);
  } while (cursor.take(','));
  values(work, [...items.values()], table);
}

/** Values that may name columns of the row so far. */
function values(work: Work, items: readonly (readonly Token[])[], table: readonly Token[]): void {
  const used = items.filter((item) => !isSimple(item));
  if (used.length === 0) return;
  const before = work.facts.tables.length;
  work.query([made('SELECT'), ...commaList(used.map(asItem)), made('FROM'), ...table], 'write');
  keepOthers(work, before);
}

/** INSERT ... SELECT; answers the FROM tokens that its ON DUPLICATE KEY UPDATE may name besides the target. */
function insertQuery(work: Work, cursor: Cursor, width: number): readonly Token[] {
  let end = cursor.find('RETURNING');
  for (let at = cursor.at; at < end; at++) {
    if (cursor.tokens[at]?.upper === 'ON' && cursor.tokens[at + 1]?.upper === 'DUPLICATE') end = at;
  }
  const tokens = cursor.until(end);
  if (tokens.length === 0) cursor.fail('VALUES, SET or SELECT expected');
  const { outputs } = work.query(tokens, 'write');
  for (const output of outputs) work.facts.use(output.sources, 'write');
  if (outputs.length !== width)
    throw new Unsupported("Column count doesn't match value count", null, 'unknown_name');
  const inner = new Cursor(tokens);
  if (inner.upper() !== 'SELECT') return [];
  inner.at = inner.find('FROM', 'UNION', 'EXCEPT', 'INTERSECT');
  if (!inner.take('FROM')) return [];
  return [
    made(','),
    ...inner.until(
      inner.find('WHERE', 'GROUP', 'HAVING', 'ORDER', 'LIMIT', 'UNION', 'EXCEPT', 'INTERSECT', 'FOR', 'LOCK'),
    ),
  ];
}
