/** SEAM. The one entry to a dialect: text in, statements out. Never throws; answers `opaque` when it can't vouch. */
import type { Catalog, NameScope } from './catalog.ts';
import type { Statement } from './statement.ts';

/** The statements of one text in order; an empty text gives none. `shape` is the whole text's, and the key under
 *  which the result may be cached when every statement's literals are free. */
export interface Analysis {
  readonly shape: string;
  readonly statements: readonly Statement[];
}

/** One per engine: `postgresAnalyzer()` in sql/postgres/analyze.ts (asynchronous once, to load the parser), `mysqlAnalyzer()` in sql/mysql/analyze.ts. Its methods are pure and synchronous. */
export interface Analyzer {
  /** Literal-free shape of a text, cheap (no parse); null when the lexer can't get through it. */
  shapeOf(text: string): string | null;
  analyze(text: string, catalog: Catalog, names: NameScope): Analysis;
  /** The statements of a text as texts of their own, each with blanks in front so that positions stay those of the whole; null
   *  where that can't be done. */
  apart?(text: string): readonly string[] | null;
}
