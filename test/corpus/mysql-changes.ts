/** Random statements that change rows of the corpus's tables: to be run in a transaction that is rolled back. */
import { type Draw, tables } from './mysql-draw.ts';
import { scalarOf } from './mysql-expressions.ts';

/** `plain`: masked columns are only written, never read. */
export function changeOf(draw: Draw, plain: boolean): string {
  const from = draw.pick(tables);
  const readable = plain ? from.columns.filter((column) => !from.masked.includes(column)) : from.columns;
  const value = (): string => (draw.chance(60) ? draw.pick(readable) : scalarOf(draw, readable));
  const where = (prefix = ''): string => {
    const column = prefix + draw.pick(readable);
    return draw.pick([
      `${column} IS NOT NULL`,
      `${column} > '5'`,
      `${prefix}${readable[0]!} < 4`,
      `LENGTH(${column}) > 5`,
      `${column} LIKE 'Q%'`,
    ]);
  };
  const key = from.columns[0]!;
  switch (draw.below(12)) {
    case 0:
      return `INSERT INTO spare (id, label) SELECT ${key} + 100, ${value()} FROM ${from.name} WHERE ${where()}`;
    case 1:
      return `INSERT INTO spare (id, label, amount) SELECT ${key} + 200, ${value()}, ${key} FROM ${from.name} ON DUPLICATE KEY UPDATE label = 'again'`;
    case 2:
      return `REPLACE INTO spare (id, label) SELECT ${key}, ${value()} FROM ${from.name}`;
    case 3:
      return `UPDATE spare s JOIN ${from.name} p ON s.id = p.${key} SET s.label = p.${draw.pick(readable)}`;
    case 4:
      return `UPDATE spare SET label = (SELECT ${value()} FROM ${from.name} ORDER BY ${key} LIMIT 1) WHERE id = 1`;
    case 5:
      return `UPDATE people SET note = ${scalarOf(draw, plain ? ['id', 'name', 'team', 'note'] : ['id', 'ssn', 'level', 'email'])} WHERE id < 4`;
    case 6:
      return `UPDATE people SET name = 'x' WHERE ${draw.pick(plain ? ['id < 4', 'team = 1', "name LIKE 'A%'"] : ["ssn > 'Q'", 'level > 700000000', "LEFT(phone, 2) = '+3'"])}`;
    case 7:
      return `DELETE FROM spare WHERE ${draw.pick(['EXISTS', 'NOT EXISTS'])} (SELECT 1 FROM ${from.name} p WHERE ${where('p.')})`;
    case 8:
      return `DELETE s FROM spare s JOIN ${from.name} p ON s.id = p.${key} WHERE ${where('p.')}`;
    case 9:
      return `INSERT INTO purchases (person, amount, card) VALUES (${1 + draw.below(8)}, ${draw.below(5)}, '${draw.below(99)}')`;
    case 10:
      return `INSERT INTO people (id, name, joined, email, ssn) VALUES (${draw.below(20)}, 'New', '2026-01-01', 'n@mail.example', 'n')${draw.chance(50) ? ` ON DUPLICATE KEY UPDATE ${draw.pick(["name = 'old'", 'note = ssn', 'note = name', 'level = level + 1', 'ssn = VALUES(ssn)'])}` : ''}`;
    default:
      return `UPDATE people SET ${draw.pick(['level', 'salary', 'born', 'email'])} = ${draw.pick(['NULL', '7', "'1900-01-01'", 'level', 'level + 1', 'salary / level'])} ORDER BY ${draw.pick(['id', 'ssn'])} LIMIT 2`;
  }
}
