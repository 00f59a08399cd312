/**
 * Executable comments that stand inside a statement, as mysqldump and DBD::mysql write them. Whether the server runs one
 * depends on its version; what it runs is read here as if there were no comment around it. No grammar here.
 */
import type { Catalog } from '../catalog.ts';
import { executableContent, lex, type Token } from './lexer.ts';

/** A version has a space behind it, since servers differ in how many digits they take. */
const head = /^[mM]?!(?:\d{5,6}(?=[ \t\r\n])|(?!\d))/;
/** Words, plain names, numbers and parentheses. */
const wordsOnly = /^(?:[\w \t\r\n(),=]|`\w+`)*$/;
/** What the comment's end or another comment could hide in: escapes, the marks of comments, and another statement. A slash
 *  at the end makes a mark of the end itself. */
const hiding = /[\\#;?"\0]|--|\/\*|\/$/;

const contentOf = (text: string, token: Token): string => text.slice(token.start + 2, token.end - 2);

/** Whether the server runs what stands in an executable comment. */
export function runs(catalog: Catalog, version: number, mariaOnly: boolean): boolean {
  if (version > catalog.serverVersion) return false;
  if (!catalog.isMariaDb) return !mariaOnly;
  // MariaDB has no use for what is meant for a MySQL that came after they parted.
  return mariaOnly || version < 50_700 || version > 99_999;
}

/**
 * The tokens with each executable comment replaced by those in it when the server runs it, and left out when it does
 * not. One that can't be read so stays a token of its own. Offsets are those of the whole text.
 */
export function withCommentsRead(text: string, tokens: readonly Token[], catalog: Catalog): readonly Token[] {
  if (!tokens.some(({ kind }) => kind === 'executable_comment')) return tokens;
  return tokens.flatMap((token) => {
    if (token.kind !== 'executable_comment') return [token];
    const content = contentOf(text, token);
    const length = head.exec(content)?.[0].length;
    if (length === undefined || hiding.test(content)) return [token];
    const { version, mariaOnly } = executableContent(content);
    // Six digits are five and a number to older servers of MySQL.
    if (version > 99_999 && !catalog.isMariaDb && !mariaOnly) return [token];
    if (!runs(catalog, version, mariaOnly)) return [];
    const inside = lex(content.slice(length));
    if (inside.error !== null || !isBalanced(inside.tokens)) return [token];
    const from = token.start + 2 + length;
    return inside.tokens.map((one) => ({ ...one, start: one.start + from, end: one.end + from }));
  });
}

function isBalanced(tokens: readonly Token[]): boolean {
  let depth = 0;
  for (const { upper } of tokens) {
    if (upper === '(') depth++;
    else if (upper === ')' && --depth < 0) return false;
  }
  return depth === 0;
}

/** An executable comment as a part of a shape: itself, when words and names are all that it has; otherwise null. */
export function shapeOfComment(comment: string): string | null {
  const content = comment.slice(2, -2);
  const length = head.exec(content)?.[0].length;
  if (length === undefined) return null;
  const inside = content.slice(length);
  return wordsOnly.test(inside) && !/(?<![\w`])\d/.test(inside) ? comment : null;
}
