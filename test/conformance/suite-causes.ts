/**
 * Reads what a suite printed on both ways, and says where the outputs part and for which reason, so that many differing files come
 * down to few causes. Texts in, texts out; nothing is run here.
 */

/** A place where two outputs of one test part. */
export interface Parting {
  /** Line of the output that was had directly. */
  readonly line: number;
  /** What came through the gateway instead, in one line, without names and numbers; the same for the same cause. */
  readonly cause: string;
  /** The lines of both, as `diff` marks them. */
  readonly hunk: string;
}

/** The places in order. @param diff as `diff -U0` writes it */
export function partings(diff: string): Parting[] {
  return diff
    .split(/^(?=@@ )/m)
    .filter((hunk) => hunk.startsWith('@@ '))
    .map((hunk) => {
      const lines = hunk.split('\n').slice(1);
      const came = lines.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
      const gone = lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1));
      return {
        line: Number(/^@@ -(\d+)/.exec(hunk)?.[1] ?? 0),
        cause: causeOf(came, gone),
        hunk,
      };
    });
}

function causeOf(came: readonly string[], gone: readonly string[]): string {
  const spoken = came.find((line) => /\b(ERROR|FATAL|WARNING|NOTICE):|server closed|connection/.test(line));
  const words = spoken ?? (came[0] === undefined ? `(missing) ${gone[0] ?? ''}` : `(other) ${came[0]}`);
  return words
    .replace(/^psql:[^:]*:\d+: /, '')
    .replace(/"[^"]*"|'[^']*'/g, '_')
    .replace(/\b[a-z_]\w*\.\w+\b/g, '_')
    .replace(/\d+/g, 'N')
    .slice(0, 120);
}

/** Tests by outcome, from what pg_regress and pg_isolation_regress print. */
export function testOutcomes(printed: string): Map<string, 'ok' | 'failed'> {
  const found = new Map<string, 'ok' | 'failed'>();
  for (const [, name, outcome] of printed.matchAll(/^(?:test| {4}) +(\S+) +\.\.\. (ok|FAILED|failed)/gm))
    found.set(name!, outcome === 'ok' ? 'ok' : 'failed');
  return found;
}
