/** Patterns over table names (`schema.table`, `schema.*`, `*`) and tags (`pii.email`, `pii.*`, `*`): the longest match wins. */

/** What a lookup found and how narrow its pattern is. */
export interface NameMatch<T> {
  readonly value: T;
  readonly exact: boolean;
  /** Longer is narrower; comparable between names. */
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

/** A table pattern taken apart; null for a text that is none. Names may be quoted with `"` where they hold a dot. */
export function parseTablePattern(text: string): { schema: string; table: string } | null {
  if (text === '*') return { schema: '*', table: '*' };
  const found = /^(?:"((?:[^"]|"")+)"|([^".*\s]+))\.(?:"((?:[^"]|"")+)"|([^".*\s]+)|(\*))$/.exec(text);
  if (found === null) return null;
  const unquote = (quoted: string | undefined, plain: string | undefined): string =>
    quoted === undefined ? (plain ?? '*') : quoted.replaceAll('""', '"');
  return { schema: unquote(found[1], found[2]), table: unquote(found[3], found[4]) };
}

/** Indexes table patterns. Every pattern has been accepted by `parseTablePattern`. */
export function namePatterns<T>(entries: Iterable<readonly [pattern: string, value: T]>): NamePatterns<T> {
  const exact = new Map<string, T>();
  const exactFolded = new Map<string, T>();
  const schemas = new Map<string, T>();
  const schemasFolded = new Map<string, T>();
  let everything: { value: T } | null = null;
  for (const [pattern, value] of entries) {
    const parsed = parseTablePattern(pattern);
    if (parsed === null) continue;
    const { schema, table } = parsed;
    if (schema === '*') {
      everything = { value };
    } else if (table === '*') {
      schemas.set(schema, value);
      schemasFolded.set(schema.toLowerCase(), value);
    } else {
      const key = `${schema}\u0000${table}`;
      exact.set(key, value);
      exactFolded.set(key.toLowerCase(), value);
    }
  }
  const match = (value: T, isExact: boolean, length: number): NameMatch<T> => ({
    value,
    exact: isExact,
    length,
  });
  return {
    find(schema, table, folds) {
      const key = `${schema}\u0000${table}`;
      const named = exact.get(key) ?? (folds ? exactFolded.get(key.toLowerCase()) : undefined);
      if (named !== undefined) return match(named, true, key.length + 2);
      const inSchema = schemas.get(schema) ?? (folds ? schemasFolded.get(schema.toLowerCase()) : undefined);
      if (inSchema !== undefined) return match(inSchema, false, 2);
      return everything === null ? null : match(everything.value, false, 1);
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
