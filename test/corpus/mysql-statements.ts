/**
 * Makes random statements over the corpus's tables: valid ones mostly, of every shape that a query can take. Half of them do
 * something with a masked column, the others at most show it. Same seed, same statements.
 */
import type { Product } from '../../fixtures/corpus/mysql/entry.ts';
import { changeOf } from './mysql-changes.ts';
import { Draw, tables } from './mysql-draw.ts';
import { aggregateOf, scalarOf, windowOf } from './mysql-expressions.ts';

const aliases = ['x', 'y', 'ssn', 'name', 'id', 'title', 'email', 'label'];

export interface Made {
  readonly sql: string;
  /** Changes rows: to be rolled back. */
  readonly changes: boolean;
  /** What the parameters in the text stand for; null: none, to be sent as text. */
  readonly values: readonly (string | number)[] | null;
}

interface From {
  readonly text: string;
  /** To be used in any way. */
  readonly columns: readonly string[];
  /** To be shown as they are. */
  readonly shown: readonly string[];
}
interface Source extends From {
  /** Names that a join by name can use. */
  readonly bare: readonly string[];
}

export class StatementMaker {
  readonly #draw: Draw;
  readonly #product: Product;
  #names = 0;
  /** Masked columns are used at most as plain outputs. */
  #plain = false;

  constructor(seed: number, product: Product) {
    this.#draw = new Draw(seed);
    this.#product = product;
  }

  next(): Made {
    const draw = this.#draw;
    this.#names = 0;
    this.#plain = draw.chance(50);
    if (draw.chance(12)) return { ...this.#bound(changeOf(draw, this.#plain)), changes: true };
    const text = this.#statement();
    const whole = draw.chance(5)
      ? `SELECT COUNT(*) FROM (${text}) AS counted`
      : draw.chance(3)
        ? `EXPLAIN ${text}`
        : text;
    return { ...this.#bound(whole), changes: false };
  }

  /** Now and then, numbers and strings become parameters; never those of LIMIT, ORDER BY, GROUP BY or an interval. */
  #bound(sql: string): Omit<Made, 'changes'> {
    if (!this.#draw.chance(33)) return { sql, values: null };
    if (!this.#draw.chance(60)) return { sql, values: [] };
    const values: (string | number)[] = [];
    const text = sql.replace(/([<>=] |LIKE )('[^'\\]*'|\d+)/g, (_whole, before: string, literal: string) => {
      values.push(literal.startsWith("'") ? literal.slice(1, -1) : Number(literal));
      return `${before}?`;
    });
    return { sql: text, values };
  }

  #statement(): string {
    const draw = this.#draw;
    if (draw.chance(14)) return this.#common();
    if (draw.chance(12)) return this.#compound();
    const query = this.#select(0, []);
    // MariaDB 10.11 ends by a segmentation fault on a function of a column that isn't there, in this place.
    const order = ['1', '+1', 'id', 'name', this.#product === 'mysql' ? 'LENGTH(ssn)' : 'ssn'];
    if (draw.chance(4)) return `(${query}) ORDER BY ${draw.pick(order)}`;
    return query;
  }

  #common(): string {
    const draw = this.#draw;
    const name = draw.pick(['c', 'teams', 'w']);
    if (draw.chance(20))
      return `WITH RECURSIVE ${name} (p, q) AS (SELECT ${draw.pick(['id, name', this.#plain ? 'id, note' : 'id, ssn'])} FROM people WHERE id = 1 UNION ALL SELECT p + 1, ${draw.pick(['q', "'x'"])} FROM ${name} WHERE p < 4) SELECT ${draw.pick(['p', 'q', '*'])} FROM ${name}${draw.chance(30) ? ' ORDER BY p' : ''}`;
    const body = this.#select(1, []);
    const items = draw.pick([
      'p',
      'q',
      '*',
      'p, q',
      ...(this.#plain ? [] : [`(${body} LIMIT 1)`, 'UPPER(q)']),
    ]);
    return `WITH ${name} (p, q) AS (${this.#twoColumns()}) SELECT ${items} FROM ${name}${this.#plain ? '' : this.#order(['p', 'q'])}`;
  }

  #compound(): string {
    const draw = this.#draw;
    const operation = this.#plain
      ? 'UNION ALL'
      : draw.pick(['UNION ALL', 'UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT']);
    const arms = Array.from({ length: 2 + draw.below(2) }, () => this.#twoColumns());
    const text = arms.join(` ${operation} `);
    if (draw.chance(20)) return `SELECT ${draw.pick(['*', 'd.*', 'COUNT(*)'])} FROM (${text}) AS d`;
    return `${text}${!this.#plain && draw.chance(40) ? ' ORDER BY 1, 2' : ''}`;
  }

  #twoColumns(): string {
    const draw = this.#draw;
    const table = draw.pick(tables);
    const second = !this.#plain && draw.chance(25) ? scalarOf(draw, table.columns) : draw.pick(table.columns);
    return `SELECT ${draw.pick(table.columns)}, ${second}${draw.chance(20) ? ` AS ${draw.pick(aliases)}` : ''} FROM ${table.name}`;
  }

  /** `outer`: names of columns around, for correlated subqueries. */
  #select(depth: number, outer: readonly string[]): string {
    const draw = this.#draw;
    const { text: from, columns, shown } = this.#from(depth, outer);
    const visible = [...columns, ...(draw.chance(20) ? outer : [])];
    const grouped = draw.chance(15);
    const key = draw.pick(columns);
    const items: string[] = [];
    const named: string[] = [];
    if (grouped) items.push(key, aggregateOf(draw, columns));
    else if (draw.chance(8) && depth < 2) items.push('*');
    else {
      for (let i = 1 + draw.below(3); i > 0; i--) {
        const expression = draw.chance(65) ? draw.pick(shown) : this.#expression(depth, visible);
        const alias = draw.chance(30) ? draw.pick(aliases) : null;
        if (alias !== null) named.push(alias);
        items.push(alias === null ? expression : `${expression} AS ${alias}`);
      }
    }
    const distinct = !this.#plain && !grouped && draw.chance(6) ? 'DISTINCT ' : '';
    let text = `SELECT ${distinct}${items.join(', ')} FROM ${from}`;
    if (draw.chance(35)) text += ` WHERE ${this.#condition(depth, visible)}`;
    if (grouped) {
      text += ` GROUP BY ${draw.pick([key, key, '1', '+1'])}`;
      if (draw.chance(10)) text += ' WITH ROLLUP';
      if (draw.chance(20))
        text += ` HAVING ${draw.pick(['COUNT(*) > 0', `${aggregateOf(draw, columns)} > '5'`])}`;
      return text + this.#order([key]);
    }
    if (draw.chance(4)) text += ` HAVING ${draw.pick([...(this.#plain ? [] : named), key])} IS NOT NULL`;
    return text + this.#order([...columns, ...(this.#plain ? [] : named)]);
  }

  #order(columns: readonly string[]): string {
    const draw = this.#draw;
    if (draw.chance(65)) return '';
    const item = draw.pick([
      ...[...columns, ...columns],
      ...(this.#plain ? [] : ['1', '+1', '01', 'TRUE']),
      ...['NULL', `LENGTH(${draw.pick(columns)})`],
    ]);
    return ` ORDER BY ${item}${draw.chance(20) ? ' DESC' : ''}`;
  }

  #from(depth: number, outer: readonly string[]): From {
    const draw = this.#draw;
    const first = this.#source(depth);
    if (draw.chance(62)) return first;
    if (this.#product === 'mysql' && depth < 2 && draw.chance(8)) {
      const inner = this.#select(2, first.columns);
      return {
        text: `${first.text}, LATERAL (${inner}) AS side`,
        columns: first.columns,
        shown: [...first.shown, 'side.id'],
      };
    }
    const second = this.#source(depth);
    const columns = [...first.columns, ...second.columns];
    const shown = [...first.shown, ...second.shown];
    const common = first.bare.filter((column) => second.bare.includes(column));
    if (common.length > 0 && draw.chance(25)) {
      const by = draw.pick(common);
      return {
        text: `${first.text} ${draw.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN'])} ${second.text} USING (${by})`,
        columns: [by, ...columns],
        shown: [by, ...shown],
      };
    }
    if (common.length > 0 && draw.chance(10))
      return { text: `${first.text} NATURAL JOIN ${second.text}`, columns, shown };
    if (draw.chance(20)) return { text: `${first.text}, ${second.text}`, columns, shown };
    const on = `${draw.pick(first.columns)} = ${draw.pick([...second.columns, ...outer])}`;
    return {
      text: `${first.text} ${draw.pick(['JOIN', 'LEFT JOIN', 'INNER JOIN', 'STRAIGHT_JOIN'])} ${second.text} ON ${on}`,
      columns,
      shown,
    };
  }

  #source(depth: number): Source {
    const draw = this.#draw;
    const alias = `t${this.#names++}`;
    const table = draw.pick(tables);
    const usable = (column: string): boolean => !this.#plain || !table.masked.includes(column);
    if (depth < 2 && draw.chance(22)) {
      const picked = [draw.pick(table.columns), draw.pick(table.columns)];
      const names = draw.chance(60) ? ['ssn', 'v'] : ['title', 'name'];
      const arm = table.columns.slice(0, 2);
      const extra = draw.chance(15) ? ` UNION ALL SELECT ${arm.join(', ')} FROM ${table.name}` : '';
      const tail = draw.chance(15) ? ` LIMIT ${1 + draw.below(3)}` : '';
      const open = names.filter((_name, at) => usable(picked[at]!));
      return {
        text: `(SELECT ${picked[0]} AS ${names[0]}, ${picked[1]} AS ${names[1]} FROM ${table.name}${extra}${tail}) ${alias}`,
        columns: open.length > 0 ? open.map((name) => `${alias}.${name}`) : ['1'],
        shown: names.map((name) => `${alias}.${name}`),
        bare: open,
      };
    }
    const spelled = (column: string): string => (draw.chance(12) ? column : `${alias}.${column}`);
    return {
      text: `${table.name} ${alias}`,
      columns: table.columns.filter(usable).map(spelled),
      shown: table.columns.map(spelled),
      bare: table.columns.filter(usable),
    };
  }

  #expression(depth: number, columns: readonly string[]): string {
    const draw = this.#draw;
    switch (draw.below(10)) {
      case 0:
        return `CASE WHEN ${this.#condition(depth, columns)} THEN ${draw.pick(columns)} ELSE ${draw.pick(columns)} END`;
      case 1:
        return windowOf(draw, columns);
      case 2:
      case 3:
        return depth >= 2 ? "'constant'" : this.#scalar(depth, columns);
      default:
        return scalarOf(draw, columns);
    }
  }

  #scalar(depth: number, outer: readonly string[]): string {
    const draw = this.#draw;
    const { text: from, columns, shown } = this.#from(depth + 1, outer);
    const item = draw.chance(20)
      ? draw.pick(outer)
      : draw.chance(20)
        ? aggregateOf(draw, columns)
        : draw.pick(shown);
    return `(SELECT ${item} FROM ${from} WHERE ${draw.pick(columns)} = ${draw.pick([...outer, '1'])} LIMIT 1)`;
  }

  #condition(depth: number, columns: readonly string[]): string {
    const draw = this.#draw;
    const a = draw.pick(columns);
    const table = draw.pick(tables);
    const inner = draw.pick(
      this.#plain ? table.columns.filter((column) => !table.masked.includes(column)) : table.columns,
    );
    switch (draw.below(13)) {
      case 0:
        return `${a} LIKE 'Q%'`;
      case 1:
        return `${a} > '5'`;
      case 2:
        return `${a} IS NOT NULL AND ${draw.pick(columns)} < 100`;
      case 3:
        return `LENGTH(${a}) > 5`;
      case 4:
        if (depth >= 2) return '1';
        return `EXISTS (SELECT 1 FROM ${table.name} WHERE ${draw.pick(columns)} IS NOT NULL)`;
      case 5:
        if (depth >= 2) return 'TRUE';
        return `${a} IN (SELECT ${inner} FROM ${table.name})`;
      case 6:
        if (depth >= 2) return 'TRUE';
        return `${a} ${draw.pick(['> ALL', '= ANY', '< SOME'])} (SELECT ${inner} FROM ${table.name} z WHERE z.${inner} IS NOT NULL)`;
      case 7:
        return `(${a}, ${draw.pick(columns)}) = (1, 'Ada')`;
      case 8:
        return `${scalarOf(draw, columns)} > ${draw.below(9)}`;
      case 9:
        return `NOT (${a} <=> ${draw.pick(columns)})`;
      default:
        return `${draw.pick(columns.filter((column) => /\b(id|nr|team)$/.test(column)).concat('1'))} < 4`;
    }
  }
}
