/** Random SELECTs over the corpus's schema: valid ones mostly, of every shape that a query can take. Same seed, same statements. */

/** A source of chance that can be repeated (xorshift32). */
export class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % limit;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

type Kind = 'number' | 'text' | 'date' | 'json' | 'bool';
interface Column {
  readonly name: string;
  readonly kind: Kind;
}
interface Source {
  readonly alias: string;
  readonly columns: readonly Column[];
}

const columns = (text: string): readonly Column[] =>
  text.split(' ').map((item) => {
    const [name, kind] = item.split(':');
    return { name: name!, kind: kind as Kind };
  });
const tables: Readonly<Record<string, readonly Column[]>> = {
  people: columns(
    'id:number name:text team:number note:text email:text phone:text ssn:text born:date salary:number level:number card:text doc:json',
  ),
  teams: columns('id:number title:text size:number'),
  purchases: columns('id:number person:number amount:number card:text status:text'),
  members: columns('id:number name:text region:text email:text points:number'),
  sites: columns('id:number name:text'),
  events: columns('id:number day:date who:text what:text'),
  v_people: columns('id:number name:text email:text label:text team:number'),
  v_chain: columns('nr:number a:text b:text'),
  v_teams: columns('id:number title:text people:number'),
  m_people: columns('id:number name:text code:text'),
};
/** Without columns that are masked: half of the statements have to be let through. */
const plain: Readonly<Record<string, readonly Column[]>> = {
  ...tables,
  people: columns('id:number name:text team:number note:text'),
  purchases: columns('id:number person:number amount:number status:text'),
  members: columns('id:number name:text region:text points:number'),
  events: columns('id:number day:date what:text'),
  v_people: columns('id:number name:text team:number'),
  v_chain: columns('nr:number b:text'),
  m_people: columns('id:number name:text'),
};

export class StatementMaker {
  readonly #chance: Chance;
  #next = 0;
  /** Masked columns may be used anywhere, not only as output. */
  #bold = false;

  constructor(seed: number) {
    this.#chance = new Chance(seed);
  }

  /** The next statement. */
  next(): string {
    this.#next = 0;
    this.#bold = this.#chance.once(3);
    const text = this.#query(2, []);
    const { below } = { below: this.#chance.below(12) };
    if (below === 0) return `EXPLAIN (COSTS OFF) ${text}`;
    if (below === 1) return `SELECT count(*) FROM (${text}) q`;
    return text;
  }

  #alias(prefix: string): string {
    return `${prefix}${++this.#next}`;
  }

  #query(depth: number, outer: readonly Source[]): string {
    const chance = this.#chance;
    if (depth > 0 && chance.once(6)) {
      const operation = chance.pick(['UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT']);
      const kinds: Kind[] = [chance.pick(['number', 'text'] as const), 'text'];
      return `${this.#select(depth - 1, outer, kinds)} ${operation} ${this.#select(depth - 1, outer, kinds)}`;
    }
    if (depth > 0 && chance.once(6)) {
      const name = chance.once(2) ? chance.pick(Object.keys(tables)) : this.#alias('w');
      const kinds: Kind[] = ['number', 'text'];
      const inner = this.#select(depth - 1, [], kinds);
      const source: Source = { alias: name, columns: columns('x:number y:text') };
      return `WITH ${name} (x, y) AS (${inner}) SELECT ${this.#outputs([source], depth - 1, null)} FROM ${name}${this.#tail([source], depth)}`;
    }
    return this.#select(depth, outer, null);
  }

  /** One SELECT; `kinds` fixes the number and types of its columns. */
  #select(depth: number, outer: readonly Source[], kinds: readonly Kind[] | null): string {
    const chance = this.#chance;
    const [from, sources] = this.#from(depth, outer);
    const visible = [...sources, ...outer];
    if (kinds === null && chance.once(8)) {
      const group = this.#expression(chance.pick(['number', 'text'] as const), sources, 0);
      const aggregate = chance.pick([
        'count(*)',
        `max(${this.#expression('number', sources, 0)})`,
        `string_agg(${this.#expression('text', sources, 0)}, ',' ORDER BY ${this.#expression('number', sources, 0)})`,
      ]);
      return `SELECT ${group} AS g, ${aggregate} FROM ${from}${this.#where(visible, depth)} GROUP BY 1${chance.once(3) ? ` HAVING count(*) > ${chance.below(3)}` : ''} ORDER BY 1`;
    }
    if (kinds === null && chance.once(10)) {
      const order = this.#expression(chance.pick(['number', 'text'] as const), sources, 0);
      return `SELECT ${this.#outputs(sources, 0, null)}, ${chance.pick(['rank()', 'row_number()', 'count(*)'])} OVER (ORDER BY ${order}) FROM ${from} ORDER BY ${order}`;
    }
    const distinct = kinds === null && chance.once(8) ? 'DISTINCT ' : '';
    return `SELECT ${distinct}${this.#outputs(sources, depth, kinds)} FROM ${from}${this.#where(visible, depth)}${kinds === null && distinct === '' ? this.#tail(sources, depth) : ''}`;
  }

  #from(depth: number, outer: readonly Source[]): [string, Source[]] {
    const chance = this.#chance;
    const [first, source] = this.#item(depth, outer);
    let text = first;
    const sources = [source];
    while (sources.length < 3 && chance.once(3)) {
      const lateral = chance.once(3);
      const [item, next] = this.#item(depth, lateral ? sources : outer, lateral);
      const condition = this.#condition([...sources, next], 0);
      const join = chance.pick(['JOIN', 'LEFT JOIN', 'CROSS JOIN']);
      text += join === 'CROSS JOIN' ? ` CROSS JOIN ${item}` : ` ${join} ${item} ON ${condition}`;
      sources.push(next);
    }
    return [text, sources];
  }

  #item(depth: number, outer: readonly Source[], lateral = false): [string, Source] {
    const chance = this.#chance;
    if (depth > 0 && (lateral || chance.once(4))) {
      const alias = this.#alias('d');
      const inner = this.#select(depth - 1, lateral ? outer : [], ['number', 'text']);
      return [
        `${lateral ? 'LATERAL ' : ''}(${inner}) ${alias} (p, q)`,
        { alias, columns: columns('p:number q:text') },
      ];
    }
    if (chance.once(12)) {
      const alias = this.#alias('g');
      return [
        `generate_series(1, ${1 + chance.below(4)}) ${alias} (n)`,
        { alias, columns: columns('n:number') },
      ];
    }
    const table = chance.pick(Object.keys(tables));
    const alias = this.#alias('t');
    return [`${table} ${alias}`, { alias, columns: (this.#bold ? tables : plain)[table]! }];
  }

  #outputs(sources: readonly Source[], depth: number, kinds: readonly Kind[] | null): string {
    const chance = this.#chance;
    if (kinds) return kinds.map((kind) => this.#expression(kind, sources, depth)).join(', ');
    if (chance.once(6)) return chance.pick(['*', `${sources[0]!.alias}.*`]);
    const count = 1 + chance.below(4);
    return Array.from({ length: count }, () => {
      if (chance.once(14)) return `${sources[0]!.alias} AS whole`;
      // A plain column, masked or not.
      if (!chance.once(3)) return this.#column(null, sources) ?? '1';
      return this.#expression(chance.pick(['number', 'text'] as const), sources, depth);
    }).join(', ');
  }

  #column(kind: Kind | null, sources: readonly Source[]): string | null {
    const found = sources.flatMap((source) =>
      source.columns
        .filter((column) => kind === null || column.kind === kind)
        .map((column) => `${source.alias}.${column.name}`),
    );
    return found.length > 0 ? this.#chance.pick(found) : null;
  }

  #expression(kind: Kind, sources: readonly Source[], depth: number): string {
    const chance = this.#chance;
    const column = this.#column(kind, sources);
    const choice = chance.below(8);
    if (choice < 4 && column) return column;
    if (kind === 'number') {
      if (choice === 4 && column) return `(${column} + ${chance.below(5)})`;
      if (choice === 5) return `length(${this.#expression('text', sources, 0)})`;
      if (choice === 6 && depth > 0)
        return `(SELECT count(*) FROM ${chance.pick(Object.keys(tables))} s WHERE ${this.#condition(sources, 0)})`;
      return String(chance.below(10));
    }
    if (kind === 'text') {
      if (choice === 4 && column) return `upper(${column})`;
      if (choice === 5 && column) return `(${column} || 'x')`;
      if (choice === 6) return `CASE WHEN ${this.#condition(sources, 0)} THEN 'yes' ELSE 'no' END`;
      if (choice === 7 && column) return `substr(${column}, 1, ${1 + chance.below(3)})`;
      return `'${chance.pick(['a', 'J', 'Q', 'T', 'Ada'])}'`;
    }
    return column ?? 'NULL';
  }

  #where(sources: readonly Source[], depth: number): string {
    return this.#chance.once(2) ? ` WHERE ${this.#condition(sources, depth)}` : '';
  }

  #condition(sources: readonly Source[], depth: number): string {
    const chance = this.#chance;
    const number = this.#expression('number', sources, 0);
    switch (chance.below(depth > 0 ? 9 : 6)) {
      case 0:
        return `${number} ${chance.pick(['<', '=', '>', '<>'])} ${this.#expression('number', sources, 0)}`;
      case 1:
        return `${this.#expression('text', sources, 0)} ${chance.pick(['<', '=', '>', 'LIKE'])} ${this.#expression('text', sources, 0)}`;
      case 2:
        return `${number} IN (1, 2, ${chance.below(9)})`;
      case 3:
        return `${this.#expression('text', sources, 0)} IS NOT NULL`;
      case 4:
        return `(${number} > 2 OR ${this.#expression('text', sources, 0)} < 'R')`;
      case 5:
        return `10 / nullif(${number}, ${chance.below(3)}) > 1`;
      case 6:
        return `EXISTS (${this.#select(0, sources, ['number'])})`;
      case 7:
        return `${number} IN (${this.#select(0, [], ['number'])})`;
      default:
        return `NOT (${this.#condition(sources, 0)})`;
    }
  }

  #tail(sources: readonly Source[], depth: number): string {
    const chance = this.#chance;
    if (depth < 2 || !chance.once(2)) return '';
    const order = ` ORDER BY ${this.#expression(chance.pick(['number', 'text'] as const), sources, 0)}`;
    return chance.once(2) ? order : `${order} LIMIT ${1 + chance.below(5)}`;
  }
}
