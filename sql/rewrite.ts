/** Splices subqueries of permitted rows and columns into a text in place of table references. Knows no dialect: quoting is given. */

/** Replaces each span by `(SELECT * FROM <schema>.<table> WHERE <predicate>)`, with ` AS <table>` when no alias
 *  follows in the text. Where `columns` are given they stand in place of the `*`, blank ones as a NULL of their own
 *  type. A `fence` closes the subquery. Each of the `qualifiers` becomes a space. Offsets are UTF-16; spans must not
 *  overlap (throws RangeError: a caller's defect). */
export function applyRewrites(
  text: string,
  rewrites: readonly {
    readonly start: number;
    readonly end: number;
    readonly aliased: boolean;
    readonly fence?: string;
    readonly qualifiers?: readonly { readonly start: number; readonly end: number }[];
    readonly schema: string;
    readonly table: string;
    readonly predicate: string;
    readonly columns?: readonly { readonly name: string; readonly blank: boolean }[];
  }[],
  quote: (identifier: string) => string,
): string {
  const ordered: { start: number; end: number; by?: (typeof rewrites)[number] }[] = rewrites.flatMap((by) => [
    { start: by.start, end: by.end, by },
    ...(by.qualifiers ?? []),
  ]);
  ordered.sort((a, b) => a.start - b.start);
  let out = '';
  let at = 0;
  for (const { start, end, by } of ordered) {
    if (start < at || end <= start || end > text.length)
      throw new RangeError('rewrites overlap or leave the text');
    if (by === undefined) {
      // What stands before may end in a letter of its own.
      out += `${text.slice(at, start)} `;
      at = end;
      continue;
    }
    const { aliased, schema, table, predicate, columns, fence = '' } = by;
    // `FROMt` and `fromcustomers` can't come out of this: a parenthesis needs no space before it, a name behind it does.
    const alias = aliased ? '' : ` AS ${quote(table)}`;
    const gap = /^[\s,;)]|^$/.test(text.slice(end, end + 1)) ? '' : ' ';
    const list = columns === undefined ? '*' : selected(columns, quote);
    out += `${text.slice(at, start)}(SELECT ${list} FROM ${quote(schema)}.${quote(table)} WHERE ${predicate}${fence})${alias}${gap}`;
    at = end;
  }
  return out + text.slice(at);
}

function selected(
  columns: readonly { readonly name: string; readonly blank: boolean }[],
  quote: (identifier: string) => string,
): string {
  return columns
    .map(({ name, blank }) => {
      const column = quote(name);
      // Never evaluated: it names the type, which may be a user's own or a length's, without having to spell it.
      return blank ? `CASE WHEN FALSE THEN ${column} END AS ${column}` : column;
    })
    .join(', ');
}
