/**
 * YAML text and a schema in, a value or errors with file, line and column out; for both of the product's files.
 * What the keys mean must not be known here.
 */
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type Document as YamlDocument,
} from 'yaml';
import type { z } from 'zod';

/** Where a file is wrong, and how. `line` and `column` count from 1. */
export interface SourceError {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A place in a value: map keys and list positions from the root. */
export type SourcePath = readonly PropertyKey[];

/** A value that was read, with the way back from its parts to the text. */
export interface SourceValue<T> {
  readonly ok: true;
  readonly value: T;
  /** Where the value at the path stands; the nearest enclosing value when the path leads to nothing. */
  positionOf(path: SourcePath): { readonly line: number; readonly column: number };
  /** Where the key at the end of the path stands. */
  keyPositionOf(path: SourcePath): { readonly line: number; readonly column: number };
  /** An error that points at the value at the path. */
  errorAt(path: SourcePath, message: string): SourceError;
  /** An error that points at the key at the end of the path. */
  errorAtKey(path: SourcePath, message: string): SourceError;
}
export interface SourceFailure {
  readonly ok: false;
  readonly errors: readonly SourceError[];
}
export type SourceResult<T> = SourceValue<T> | SourceFailure;

const charactersMax = 4 * 1024 * 1024;
const aliasesMax = 100;
const errorsMax = 100;

/** `file:line:column: message`, the form that editors jump to. */
export function formatSourceError(error: SourceError): string {
  return `${error.file}:${error.line}:${error.column}: ${error.message}`;
}

/**
 * Reads one YAML 1.2 document and checks it against the schema. Never throws. Duplicate keys, unknown keys (of strict
 * objects), tags of other types and more than a hundred aliases are errors.
 */
export function readYaml<T>(text: string, file: string, schema: z.ZodType<T>): SourceResult<T> {
  const at = (line: number, column: number, message: string): SourceError => ({
    file,
    line,
    column,
    message,
  });
  if (text.length > charactersMax) {
    return { ok: false, errors: [at(1, 1, `the file is longer than ${charactersMax} characters`)] };
  }
  try {
    return read(text, file, schema, at);
  } catch {
    return { ok: false, errors: [at(1, 1, 'the file is nested too deeply or repeats itself too often')] };
  }
}

function read<T>(
  text: string,
  file: string,
  schema: z.ZodType<T>,
  at: (line: number, column: number, message: string) => SourceError,
): SourceResult<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    version: '1.2',
    merge: false,
  });
  const place = (offset: number): { line: number; column: number } => {
    const found = lines.linePos(offset);
    return { line: Math.max(found.line, 1), column: Math.max(found.col, 1) };
  };
  const problems = [...document.errors, ...document.warnings];
  if (problems.some((problem) => problem.message.startsWith('Maximum call stack'))) throw new RangeError();
  if (problems.length > 0) {
    const errors = problems.slice(0, errorsMax).map((problem) => {
      const { line, column } = place(problem.pos[0]);
      return at(line, column, firstLine(problem.message));
    });
    return { ok: false, errors };
  }
  let aliases = 0;
  const dangling: SourceError[] = [];
  visit(document, {
    Alias: (_key, alias) => {
      aliases += 1;
      if (alias.resolve(document) !== undefined || dangling.length >= errorsMax) return;
      const { line, column } = place(alias.range?.[0] ?? 0);
      dangling.push(at(line, column, `no anchor \`${alias.source}\` comes before this alias`));
    },
  });
  if (dangling.length > 0) return { ok: false, errors: dangling };
  if (aliases > aliasesMax) {
    return { ok: false, errors: [at(1, 1, `more than ${aliasesMax} aliases`)] };
  }
  const positionOf = (path: SourcePath) => place(offsetOf(document, path, 'value'));
  const keyPositionOf = (path: SourcePath) => place(offsetOf(document, path, 'key'));
  const input: unknown = document.toJS({ maxAliasCount: aliasesMax });
  const parsed = schema.safeParse(input);
  if (parsed.success) {
    const errorAt = (path: SourcePath, message: string): SourceError => ({
      file,
      ...positionOf(path),
      message,
    });
    const errorAtKey = (path: SourcePath, message: string): SourceError => ({
      file,
      ...keyPositionOf(path),
      message,
    });
    return { ok: true, value: parsed.data, positionOf, keyPositionOf, errorAt, errorAtKey };
  }
  const errors: SourceError[] = [];
  for (const issue of parsed.error.issues) {
    if (errors.length >= errorsMax) break;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        errors.push({ file, ...keyPositionOf([...issue.path, key]), message: `unknown key \`${key}\`` });
      }
      continue;
    }
    const value = valueAt(input, issue.path);
    const key = issue.path.at(-1);
    if (value === undefined && typeof key === 'string' && issue.code !== 'custom') {
      errors.push({ file, ...positionOf(issue.path), message: `missing key \`${key}\`` });
      continue;
    }
    const where =
      issue.code === 'invalid_key' || issue.code === 'invalid_element'
        ? keyPositionOf(issue.path)
        : positionOf(issue.path);
    errors.push({ file, ...where, message: wording(issue, key) });
  }
  errors.sort((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, errors };
}

function wording(issue: z.core.$ZodIssue, key: PropertyKey | undefined): string {
  const subject = key === undefined ? '' : `\`${String(key)}\`: `;
  if (issue.code === 'custom') return `${subject}${issue.message}`;
  const message = issue.message
    .replace(/^Invalid (input|option|string|discriminator value)[:.] ?/, '')
    .replace("'null' | 'null'", "'null'");
  return `${subject}${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

function firstLine(message: string): string {
  const end = message.indexOf('\n');
  return end < 0 ? message : message.slice(0, end);
}

function valueAt(input: unknown, path: SourcePath): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** The offset of the node that the path leads to, or of the nearest one on the way. */
function offsetOf(document: YamlDocument.Parsed, path: SourcePath, what: 'key' | 'value'): number {
  let node: Node | null = document.contents as Node | null;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined || !isScalar(pair.key)) return offset;
      const keyOffset = pair.key.range?.[0] ?? offset;
      if (index === path.length - 1 && what === 'key') return keyOffset;
      const next: unknown = pair.value;
      node = isNode(next) ? next : null;
      // An empty value has a range of no length behind the colon: the key says more.
      offset = node?.range && !isEmpty(node) ? node.range[0] : keyOffset;
    } else if (isSeq(node)) {
      const next: unknown = typeof key === 'number' ? node.items[key] : undefined;
      if (!isNode(next)) return offset;
      node = next;
      offset = node.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.range !== null && node.range !== undefined && node.range[0] === node.range[1];
}
