/**
 * Reads the text that MariaDB writes of a query it has resolved (EXPLAIN EXTENDED's note 1003, and the body of a view): which
 * columns of which tables each output is made of. A reading of its own, which shares nothing with sql/mysql.
 */

/** Outputs in order; each a set of `database.table.column`. */
export type Sources = readonly ReadonlySet<string>[];

interface Piece {
  readonly text: string;
  readonly quoted: boolean;
}
/** What a name in front of a column stands for: a table, or the outputs of a query by name. */
type Meaning = { readonly table: string } | { readonly columns: ReadonlyMap<string, ReadonlySet<string>> };
interface Names {
  readonly parent: Names | null;
  readonly known: Map<string, Meaning>;
}
interface Item {
  readonly name: string;
  readonly sources: ReadonlySet<string>;
}

/** Thrown when the text has something that isn't known here. */
export class Unread extends Error {}

/** @throws Unread */
export function readRewritten(text: string): Sources {
  return new Reader(pieces(text)).statement().map(({ sources }) => sources);
}

function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  const pattern =
    /\/\*[\s\S]*?\*\/|`((?:[^`]|``)*)`|'(?:[^'\\]|\\[\s\S]|'')*'|<[a-z_]+[0-9]*>|[A-Za-z_][\w$]*|[0-9][\w.]*|\s+|[\s\S]/g;
  for (const match of text.matchAll(pattern)) {
    if (/^\s|^\/\*/.test(match[0])) continue;
    if (match[1] !== undefined) found.push({ text: match[1].replaceAll('``', '`'), quoted: true });
    else found.push({ text: match[0].startsWith("'") ? "'" : match[0].toLowerCase(), quoted: false });
  }
  return found;
}

const behindItems = new Set([
  'from',
  'where',
  'group',
  'having',
  'order',
  'limit',
  'union',
  'except',
  'intersect',
  'into',
  'window',
  'procedure',
  'for',
  'lock',
]);
const setWords = new Set(['union', 'except', 'intersect']);

class Reader {
  readonly #pieces: readonly Piece[];
  #at = 0;

  constructor(all: readonly Piece[]) {
    this.#pieces = all;
  }

  statement(): readonly Item[] {
    return this.#query({ parent: null, known: new Map() });
  }

  #word(ahead = 0): string {
    const piece = this.#pieces[this.#at + ahead];
    return piece === undefined || piece.quoted ? '' : piece.text;
  }
  #expect(word: string): void {
    if (this.#word() !== word) throw new Unread(`${word} expected, ${this.#pieces[this.#at]?.text} found`);
    this.#at++;
  }
  #name(): string {
    const piece = this.#pieces[this.#at++];
    if (piece === undefined) throw new Unread('a name expected');
    return piece.text;
  }

  /** [WITH ...] arm [UNION arm ...] [ORDER BY ...]: ends at a closing parenthesis or the end. */
  #query(outer: Names): readonly Item[] {
    const names: Names = { parent: outer, known: new Map() };
    if (this.#word() === 'with') this.#common(names);
    let items = this.#arm(names);
    while (setWords.has(this.#word())) {
      this.#at++;
      if (this.#word() === 'all' || this.#word() === 'distinct') this.#at++;
      items = union(items, this.#arm(names));
    }
    this.#skipTo(new Set());
    return items;
  }

  #common(names: Names): void {
    this.#at++;
    const recursive = this.#word() === 'recursive';
    if (recursive) this.#at++;
    for (;;) {
      const name = this.#name();
      let columns: string[] | null = null;
      if (this.#word() === '(') {
        columns = [];
        do {
          this.#at++;
          columns.push(this.#name());
        } while (this.#word() === ',');
        this.#expect(')');
      }
      this.#expect('as');
      this.#expect('(');
      const start = this.#at;
      const named = (items: readonly Item[]): Meaning => ({
        columns: new Map(items.map((item, at) => [(columns?.[at] ?? item.name).toLowerCase(), item.sources])),
      });
      if (recursive) {
        // What it is made of grows until nothing is new.
        names.known.set(name.toLowerCase(), { columns: new Map() });
        for (let round = 0; round < 6; round++) {
          this.#at = start;
          names.known.set(name.toLowerCase(), named(this.#query({ parent: names, known: new Map() })));
        }
      } else names.known.set(name.toLowerCase(), named(this.#query({ parent: names, known: new Map() })));
      this.#expect(')');
      if (this.#word() === 'cycle') while (this.#word() !== 'restrict') this.#at++;
      if (this.#word() === 'restrict') this.#at++;
      if (this.#word() !== ',') return;
      this.#at++;
    }
  }

  #arm(outer: Names): readonly Item[] {
    if (this.#word() === '(') {
      this.#at++;
      const items = this.#query(outer);
      this.#expect(')');
      return items;
    }
    if (this.#word() === 'values') return this.#values(outer);
    this.#expect('select');
    const names: Names = { parent: outer, known: new Map() };
    // FROM comes behind the items that need it.
    const start = this.#at;
    this.#skipTo(behindItems);
    if (this.#word() === 'from') this.#from(names);
    const behind = this.#at;
    this.#at = start;
    const items: Item[] = [];
    while (
      [
        'distinct',
        'straight_join',
        'sql_no_cache',
        'sql_cache',
        'sql_calc_found_rows',
        'sql_buffer_result',
        'sql_big_result',
        'sql_small_result',
        'high_priority',
        'all',
      ].includes(this.#word())
    )
      this.#at++;
    for (;;) {
      items.push(this.#item(names));
      if (this.#word() !== ',') break;
      this.#at++;
    }
    this.#at = behind;
    this.#skipTo(setWords);
    return items;
  }

  #values(names: Names): readonly Item[] {
    this.#at++;
    let all: readonly Item[] | null = null;
    for (;;) {
      this.#expect('(');
      const row: Item[] = [];
      for (;;) {
        const sources = new Set<string>();
        this.#expression(names, sources, new Set([',', ')']));
        row.push({ name: '', sources });
        if (this.#word() !== ',') break;
        this.#at++;
      }
      this.#expect(')');
      all = all === null ? row : union(all, row);
      if (this.#word() !== ',') return all;
      this.#at++;
    }
  }

  #item(names: Names): Item {
    const sources = new Set<string>();
    const from = this.#at;
    this.#expression(names, sources, new Set([',', 'as', ...behindItems, ')']));
    let name = '';
    if (this.#word() === 'as') {
      this.#at++;
      name = this.#name();
    } else if (this.#at - from >= 1) name = this.#pieces[this.#at - 1]?.text ?? '';
    return { name, sources };
  }

  /** Collects the columns that a value is made of, up to one of the words outside of parentheses. */
  #expression(names: Names, sources: Set<string>, ends: ReadonlySet<string>): void {
    let cases = 0;
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at]!;
      if (!piece.quoted && cases === 0 && ends.has(piece.text)) return;
      if (!piece.quoted && piece.text === 'case') cases++;
      if (!piece.quoted && piece.text === 'end') cases--;
      if (piece.quoted && this.#word(-1) !== '@') {
        this.#reference(names, sources);
        continue;
      }
      if (piece.text === '<expr_cache>' && !piece.quoted) {
        // the columns that a subquery's answer is kept by
        this.#at++;
        if (this.#word() !== '<') throw new Unread('a cache of another form');
        while (this.#word() !== '>') this.#at++;
        this.#at++;
        continue;
      }
      if (piece.text === '(' && !piece.quoted) {
        this.#at++;
        if (this.#opensQuery()) {
          for (const item of this.#query(names)) for (const one of item.sources) sources.add(one);
        } else this.#inParentheses(names, sources);
        this.#expect(')');
        continue;
      }
      // a cast's and a conversion's type
      if (piece.text === 'collate' || (piece.text === 'charset' && this.#word(1) !== '(')) {
        this.#at++;
        this.#at++;
        continue;
      }
      this.#at++;
    }
  }

  #inParentheses(names: Names, sources: Set<string>): void {
    while (this.#at < this.#pieces.length && this.#word() !== ')') {
      const before = this.#at;
      this.#expression(names, sources, new Set([')']));
      if (this.#at === before) throw new Unread('an endless expression');
    }
  }

  #opensQuery(ahead = 0): boolean {
    if (this.#word(ahead) !== '(') return ['select', 'with', 'values'].includes(this.#word(ahead));
    if (!this.#opensQuery(ahead + 1)) return false;
    let depth = 0;
    let behind = ahead;
    do {
      if (this.#word(behind) === '(') depth++;
      else if (this.#word(behind) === ')') depth--;
      behind++;
    } while (depth > 0 && this.#at + behind < this.#pieces.length);
    return [')', 'order', 'limit', ...setWords].includes(this.#word(behind));
  }

  #reference(names: Names, sources: Set<string>): void {
    const parts = [this.#name()];
    while (this.#word() === '.') {
      this.#at++;
      parts.push(this.#name());
    }
    if (this.#word() === '(') return; // a stored function
    if (parts.length === 1) throw new Unread(`the bare name ${parts[0]}`);
    const column = parts.at(-1)!.toLowerCase();
    const of = parts.at(-2)!.toLowerCase();
    for (let at: Names | null = names; at !== null; at = at.parent) {
      const meaning = at.known.get(of);
      if (meaning === undefined) continue;
      if ('table' in meaning) sources.add(`${meaning.table}.${column}`.toLowerCase());
      else {
        // the columns of VALUES have no names
        const inside = meaning.columns.get(column) ?? meaning.columns.get('');
        if (inside === undefined && meaning.columns.size > 0) throw new Unread(`no ${column} in ${of}`);
        for (const one of inside ?? []) sources.add(one);
      }
      return;
    }
    // A table that the optimizer took out is named still.
    if (parts.length === 3) sources.add(`?${parts.join('.')}`.toLowerCase());
    else throw new Unread(`nobody is called ${of}`);
  }

  /** FROM up to the next clause. */
  #from(names: Names): void {
    this.#expect('from');
    const ends = new Set([...behindItems].filter((word) => word !== 'from'));
    let depth = 0;
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at]!;
      if (!piece.quoted && depth === 0 && (ends.has(piece.text) || piece.text === ')')) return;
      if (!piece.quoted && piece.text === 'on') {
        this.#at++;
        if (this.#word() === '(') {
          this.#skipGroup();
          continue;
        }
        this.#skipExpression();
        continue;
      }
      if (!piece.quoted && piece.text === 'json_table') {
        this.#at++;
        const from = this.#at;
        this.#skipGroup();
        const behind = this.#at;
        this.#at = from + 1;
        const sources = new Set<string>();
        this.#expression(names, sources, new Set([',']));
        const columns = new Map<string, ReadonlySet<string>>();
        for (let at = this.#at; at < behind; at++)
          if (this.#pieces[at]!.quoted) columns.set(this.#pieces[at]!.text.toLowerCase(), sources);
        this.#at = behind;
        names.known.set(this.#name().toLowerCase(), { columns });
        continue;
      }
      if (!piece.quoted && piece.text === '(') {
        this.#at++;
        if (!this.#opensQuery()) {
          depth++;
          continue;
        }
        const items = this.#query(names.parent ?? names);
        this.#expect(')');
        const alias = this.#name().toLowerCase();
        let columns: string[] | null = null;
        if (this.#word() === '(') {
          columns = [];
          do {
            this.#at++;
            columns.push(this.#name());
          } while (this.#word() === ',');
          this.#expect(')');
        }
        names.known.set(alias, {
          columns: new Map(
            items.map((item, at) => [(columns?.[at] ?? item.name).toLowerCase(), item.sources]),
          ),
        });
        continue;
      }
      if (!piece.quoted && piece.text === ')') {
        depth--;
        this.#at++;
        continue;
      }
      if (piece.quoted) {
        const parts = [this.#name()];
        while (this.#word() === '.') {
          this.#at++;
          parts.push(this.#name());
        }
        if (this.#word() === 'partition') {
          this.#at++;
          this.#skipGroup();
        }
        if (this.#word() === 'for' && this.#word(1) === 'system_time') {
          while (!this.#pieces[this.#at]?.quoted && !['join', 'where', ')', ''].includes(this.#word()))
            this.#at++;
        }
        const alias = this.#pieces[this.#at]?.quoted ? this.#name() : parts.at(-1)!;
        const common = parts.length === 1 ? this.#commonTable(names, parts[0]!.toLowerCase()) : undefined;
        if (parts.length === 1 && common === undefined) throw new Unread(`the table ${parts[0]}`);
        names.known.set(alias.toLowerCase(), common ?? { table: parts.join('.') });
        continue;
      }
      this.#at++;
    }
  }

  #commonTable(names: Names, name: string): Meaning | undefined {
    for (let at: Names | null = names.parent; at !== null; at = at.parent) {
      const found = at.known.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #skipGroup(): void {
    let depth = 0;
    do {
      if (this.#word() === '(') depth++;
      else if (this.#word() === ')') depth--;
      this.#at++;
    } while (depth > 0 && this.#at < this.#pieces.length);
  }

  #skipExpression(): void {
    const stop = new Set([
      'join',
      'left',
      'right',
      'straight_join',
      'semi',
      'where',
      'group',
      'having',
      'order',
      'limit',
      'union',
      ')',
      ',',
    ]);
    while (this.#at < this.#pieces.length) {
      if (this.#word() === '(') this.#skipGroup();
      else if (stop.has(this.#word())) return;
      else this.#at++;
    }
  }

  #skipTo(words: ReadonlySet<string>): void {
    let cases = 0;
    while (this.#at < this.#pieces.length) {
      const word = this.#word();
      if (word === '(') {
        this.#skipGroup();
        continue;
      }
      if (word === ')') return;
      if (word === 'case') cases++;
      if (word === 'end') cases--;
      if (cases === 0 && words.has(word)) return;
      this.#at++;
    }
  }
}

function union(left: readonly Item[], right: readonly Item[]): readonly Item[] {
  if (left.length !== right.length) throw new Unread('arms of other lengths');
  return left.map((item, at) => ({
    name: item.name,
    sources: new Set([...item.sources, ...right[at]!.sources]),
  }));
}
