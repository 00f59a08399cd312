/** Patterns over table names (`schema.table`, `schema.prefix*`, `schema.*`, `*`) and tags (`pii.email`, `pii.*`, `*`): the longest match wins. */

/** What a lookup found and how narrow its pattern is. */
export interface NameMatch<T> {
  readonly value: T;
  readonly exact: boolean;
  /** Of the pattern's table name; longer is narrower. Comparable between names. */
  readonly length: number;
}

/** Table patterns of one list, compiled. */
export interface NamePatterns<T> {
  /** `folds`: the engine compares names without case. */
  find(schema: string, table: string, folds: boolean): NameMatch<T> | null;
}

/** Tag patterns of one list, compiled. */
export interface TagPatterns<T> {
  find(tag: string): T | null;
}

/** A table pattern taken apart. `prefix`: the names in one schema that begin with `table`; all of them when it is ''. */
export type TablePattern =
  | { readonly kind: 'table' | 'prefix'; readonly schema: string; readonly table: string }
  | { readonly kind: 'everything' };

/** Null for a text that is no pattern. Names may be quoted with `"` where they hold a dot or a star. */
export function parseTablePattern(text: string): TablePattern | null {
  if (text === '*') return { kind: 'everything' };
  const found = /^(?:"((?:[^"]|"")+)"|([^".*\s]+))\.(?:"((?:[^"]|"")+)"|([^".*\s]+))?(\*)?$/.exec(text);
  if (found === null) return null;
  const unquote = (quoted: string | undefined, plain: string | undefined): string =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"');
  const schema = unquote(found[1], found[2]);
  const table = unquote(found[3], found[4]);
  if (found[5] !== undefined) return { kind: 'prefix', schema, table };
  return table === '' ? null : { kind: 'table', schema, table };
}

/** Indexes table patterns: an exact name, then the longest prefix in its schema, then `*`. Every pattern has been
 *  accepted by `parseTablePattern`. */
export function namePatterns<T>(entries: Iterable<readonly [pattern: string, value: T]>): NamePatterns<T> {
  const exact = new Map<string, T>();
  const exactFolded = new Map<string, T>();
  const prefixes = new Map<string, { prefix: string; value: T }[]>();
  let everything: { value: T } | null = null;
  for (const [pattern, value] of entries) {
    const parsed = parseTablePattern(pattern);
    if (parsed === null) continue;
    if (parsed.kind === 'everything') {
      everything = { value };
      continue;
    }
    const { schema, table } = parsed;
    if (parsed.kind === 'table') {
      const key = `${schema}\u0000${table}`;
      exact.set(key, value);
      exactFolded.set(key.toLowerCase(), value);
    } else {
      const folded = schema.toLowerCase();
      prefixes.set(folded, [...(prefixes.get(folded) ?? []), { prefix: `${schema}\u0000${table}`, value }]);
    }
  }
  for (const list of prefixes.values()) list.sort((a, b) => b.prefix.length - a.prefix.length);
  return {
    find(schema, table, folds) {
      const key = `${schema}\u0000${table}`;
      const folded = key.toLowerCase();
      const named = exact.get(key) ?? (folds ? exactFolded.get(folded) : undefined);
      if (named !== undefined) return { value: named, exact: true, length: table.length + 2 };
      for (const { prefix, value } of prefixes.get(schema.toLowerCase()) ?? []) {
        if (!key.startsWith(prefix) && !(folds && folded.startsWith(prefix.toLowerCase()))) continue;
        return { value, exact: false, length: prefix.length - schema.length + 1 };
      }
      return everything === null ? null : { value: everything.value, exact: false, length: 1 };
    },
  };
}

/** Indexes tag patterns: an exact tag, then the longest `prefix.*`, then `*`. */
export function tagPatterns<T>(entries: Iterable<readonly [pattern: string, value: T]>): TagPatterns<T> {
  const exact = new Map<string, T>();
  const prefixes = new Map<string, T>();
  let everything: T | null = null;
  for (const [pattern, value] of entries) {
    if (pattern === '*') everything = value;
    else if (pattern.endsWith('.*')) prefixes.set(pattern.slice(0, -2), value);
    else exact.set(pattern, value);
  }
  return {
    find(tag) {
      const named = exact.get(tag);
      if (named !== undefined) return named;
      for (let dot = tag.lastIndexOf('.'); dot > 0; dot = tag.lastIndexOf('.', dot - 1)) {
        const under = prefixes.get(tag.slice(0, dot));
        if (under !== undefined) return under;
      }
      return everything;
    },
  };
}
