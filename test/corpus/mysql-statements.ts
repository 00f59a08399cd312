/** Makes random SELECTs over the corpus's tables: mostly valid ones, many of which do something with a masked column. */

interface Known {
  readonly name: string;
  readonly columns: readonly string[];
}

const tables: readonly Known[] = [
  {
    name: 'people',
    columns: ['id', 'name', 'team', 'note', 'email', 'ssn', 'level', 'salary', 'born', 'tag'],
  },
  { name: 'teams', columns: ['id', 'title', 'size'] },
  { name: 'purchases', columns: ['id', 'person', 'amount', 'card', 'status'] },
  { name: 'members', columns: ['id', 'name', 'region', 'email', 'points'] },
  { name: 'spare', columns: ['id', 'label', 'amount'] },
  { name: 'v_people', columns: ['id', 'name', 'email', 'label', 'team'] },
  { name: 'v_chain', columns: ['nr', 'a', 'b'] },
  { name: 'v_teams', columns: ['id', 'title', 'members'] },
];
const aliases = ['x', 'y', 'ssn', 'name', 'id', 'title', 'email', 'label'];

export class StatementMaker {
  #state: number;
  #names = 0;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): string {
    this.#names = 0;
    if (this.#chance(12)) {
      const body = this.#select(1, []);
      const name = this.#pick(['c', 'teams', 'w']);
      return `WITH ${name} (p, q) AS (${this.#twoColumns()}) SELECT ${this.#pick(['p', 'q', '*', `(${body.text} LIMIT 1)`])} FROM ${name}${this.#order(['p', 'q'])}`;
    }
    const query = this.#select(0, []);
    if (this.#chance(10)) {
      const other = this.#twoColumns();
      const all = this.#pick(['UNION ALL', 'UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT']);
      return `${this.#twoColumns()} ${all} ${other}${this.#chance(40) ? ' ORDER BY 1, 2' : ''}`;
    }
    if (this.#chance(5))
      return `(${query.text}) ORDER BY ${this.#pick(['1', '+1', 'LENGTH(ssn)', 'id', 'name'])}`;
    return query.text;
  }

  #random(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }
  #chance(percent: number): boolean {
    return this.#random(100) < percent;
  }
  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)]!;
  }

  #twoColumns(): string {
    const table = this.#pick(tables);
    return `SELECT ${this.#pick(table.columns)}, ${this.#pick(table.columns)}${this.#chance(20) ? ` AS ${this.#pick(aliases)}` : ''} FROM ${table.name}`;
  }

  /** `outer`: names of columns around, for correlated subqueries. */
  #select(depth: number, outer: readonly string[]): { text: string; columns: readonly string[] } {
    const { text: from, columns } = this.#from(depth);
    const visible = [...columns, ...(this.#chance(20) ? outer : [])];
    const items: string[] = [];
    const named: string[] = [];
    const grouped = this.#chance(15);
    const key = this.#pick(columns);
    if (grouped)
      items.push(key, this.#pick(['COUNT(*)', `MAX(${this.#pick(columns)})`, `SUM(${this.#pick(columns)})`]));
    else if (this.#chance(8) && depth < 2) items.push('*');
    else {
      for (let i = 1 + this.#random(3); i > 0; i--) {
        const expression = this.#chance(70) ? this.#pick(visible) : this.#expression(depth, visible);
        const alias = this.#chance(30) ? this.#pick(aliases) : null;
        if (alias !== null) named.push(alias);
        items.push(alias === null ? expression : `${expression} AS ${alias}`);
      }
    }
    let text = `SELECT ${!grouped && this.#chance(6) ? 'DISTINCT ' : ''}${items.join(', ')} FROM ${from}`;
    if (this.#chance(35)) text += ` WHERE ${this.#condition(depth, visible)}`;
    if (grouped)
      text += ` GROUP BY ${this.#pick([key, key, '1', '+1'])}${this.#chance(20) ? ' HAVING COUNT(*) > 0' : ''}`;
    else if (this.#chance(4)) text += ` HAVING ${this.#pick([...named, key])} IS NOT NULL`;
    text += grouped ? this.#order([key]) : this.#order([...columns, ...named]);
    return { text, columns };
  }

  #order(columns: readonly string[]): string {
    if (this.#chance(65)) return '';
    const item = this.#pick([
      ...columns,
      ...columns,
      '1',
      '+1',
      '01',
      'TRUE',
      'NULL',
      `LENGTH(${this.#pick(columns)})`,
    ]);
    return ` ORDER BY ${item}${this.#chance(20) ? ' DESC' : ''}`;
  }

  #from(depth: number): { text: string; columns: readonly string[] } {
    const first = this.#source(depth);
    if (this.#chance(65)) return first;
    const second = this.#source(depth);
    const all = [...first.columns, ...second.columns];
    const common = first.bare.filter((column) => second.bare.includes(column));
    if (common.length > 0 && this.#chance(25)) {
      const by = this.#pick(common);
      return {
        text: `${first.text} ${this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN'])} ${second.text} USING (${by})`,
        columns: [by, ...all],
      };
    }
    if (common.length > 0 && this.#chance(10))
      return { text: `${first.text} NATURAL JOIN ${second.text}`, columns: all };
    if (this.#chance(20)) return { text: `${first.text}, ${second.text}`, columns: all };
    return {
      text: `${first.text} ${this.#pick(['JOIN', 'LEFT JOIN', 'INNER JOIN'])} ${second.text} ON ${this.#pick(first.columns)} = ${this.#pick(second.columns)}`,
      columns: all,
    };
  }

  #source(depth: number): { text: string; columns: readonly string[]; bare: readonly string[] } {
    const alias = `t${this.#names++}`;
    if (depth < 2 && this.#chance(22)) {
      const inner = this.#pick(tables);
      const picked = [this.#pick(inner.columns), this.#pick(inner.columns)];
      const names = this.#chance(60) ? ['ssn', 'v'] : ['title', 'name'];
      const extra = this.#chance(15)
        ? ` UNION ALL SELECT ${inner.columns[0]}, ${inner.columns[1]} FROM ${inner.name}`
        : '';
      return {
        text: `(SELECT ${picked[0]} AS ${names[0]}, ${picked[1]} AS ${names[1]} FROM ${inner.name}${extra}) ${alias}`,
        columns: names.map((name) => `${alias}.${name}`),
        bare: names,
      };
    }
    const table = this.#pick(tables);
    return {
      text: `${table.name} ${alias}`,
      columns: table.columns.map((column) => (this.#chance(12) ? column : `${alias}.${column}`)),
      bare: table.columns,
    };
  }

  #expression(depth: number, columns: readonly string[]): string {
    const a = this.#pick(columns);
    const b = this.#pick(columns);
    switch (this.#random(14)) {
      case 0:
        return `UPPER(${a})`;
      case 1:
        return `CONCAT(${a}, ${b})`;
      case 2:
        return `CASE WHEN ${this.#condition(depth, columns)} THEN ${a} ELSE ${b} END`;
      case 3:
        return `(${a})`;
      case 4:
        return `COALESCE(${a}, ${b})`;
      case 5:
        return `${a} + 1`;
      case 6:
        return `ROW_NUMBER() OVER (PARTITION BY ${a} ORDER BY ${b})`;
      case 7:
        return `JSON_OBJECT('k', ${a})`;
      case 8:
        return `IF(${a} IS NULL, 0, 1)`;
      case 9:
        return `(${a} = ${b})`;
      case 10:
        return `CAST(${a} AS CHAR)`;
      default:
        if (depth >= 2) return "'constant'";
        return this.#scalar(depth, columns);
    }
  }

  #scalar(depth: number, outer: readonly string[]): string {
    const { text: from, columns } = this.#from(depth + 1);
    const item = this.#chance(20) ? this.#pick(outer) : this.#pick(columns);
    return `(SELECT ${item} FROM ${from} WHERE ${this.#pick(columns)} = ${this.#pick([...outer, '1'])} LIMIT 1)`;
  }

  #condition(depth: number, columns: readonly string[]): string {
    const a = this.#pick(columns);
    switch (this.#random(9)) {
      case 0:
        return `${a} LIKE 'Q%'`;
      case 1:
        return `${a} > '5'`;
      case 2:
        return `${a} IS NOT NULL AND ${this.#pick(columns)} < 100`;
      case 3:
        return `LENGTH(${a}) > 5`;
      case 4:
        if (depth >= 2) return '1';
        return `EXISTS (SELECT 1 FROM ${this.#pick(tables).name} WHERE ${this.#pick(columns)} IS NOT NULL)`;
      case 5:
        if (depth >= 2) return 'TRUE';
        return `${a} IN (SELECT ${this.#pick(['id', 'name'])} FROM ${this.#pick(['people', 'members'])})`;
      default:
        return `${this.#pick(columns.filter((column) => /\b(id|nr|team)$/.test(column)).concat('1'))} < 4`;
    }
  }
}
