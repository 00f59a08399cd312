/** What a skeleton's placeholders stand for, and the refusal that everything in this room throws. Types and nothing that reads text. */

/** What one placeholder stands for. `token` is the index of its first token in the source list. */
export type Leaf =
  | {
      readonly kind: 'name';
      readonly parts: readonly string[];
      readonly star: boolean;
      readonly start: number;
      readonly end: number;
      readonly token: number;
      columns: string[] | null;
      /** What stands behind the name keeps it from being replaced by a subquery. */
      fixed?: boolean;
    }
  | {
      readonly kind: 'call';
      readonly schema: string | null;
      readonly name: string;
      readonly spaced: boolean;
      readonly role: CallRole;
      distinct: boolean;
    }
  | { readonly kind: 'literal'; readonly integer: number | null }
  | { readonly kind: 'parameter' }
  | { readonly kind: 'constant'; readonly fn: string | null };
/** `scalar`: a query as a value; the parser takes `select (select` for a call of its own making. */
export type CallRole =
  | 'call'
  | 'row'
  | 'scalar'
  | 'json_table'
  | 'case'
  | 'exists'
  | 'in'
  | 'over'
  | 'against';

export interface Skeleton {
  readonly text: string;
  readonly leaves: readonly Leaf[];
  /** `@v := ...` or `INTO @v` stood in the text. */
  readonly assigns: boolean;
  /** 'INTO OUTFILE' or 'INTO DUMPFILE'. */
  readonly file: string | null;
  readonly userVariables: boolean;
  /** How many rows are looked at can be told from the answer. */
  readonly countsRows: boolean;
  /** A condition could fail on one row and not on another. */
  readonly tells: boolean;
}

/** Thrown inside this room only: what can't be vouched for, in words without a literal. */
export class Unsupported extends Error {
  readonly at: number | null;
  readonly reason: 'unsupported' | 'syntax' | 'unknown_name' | 'too_long';
  constructor(
    message: string,
    at: number | null = null,
    reason: 'unsupported' | 'syntax' | 'unknown_name' | 'too_long' = 'unsupported',
  ) {
    super(message);
    this.at = at;
    this.reason = reason;
  }
}

export const leafBase = 1_000_000;

/** The alias under which a join that is an operand goes to the parser; no name of a text has a NUL. */
export const nestMark = '\u0000nest';
