/** Random scalar expressions, aggregates and windows over given columns, as both MySQL and MariaDB take them. */
import type { Draw } from './mysql-draw.ts';

type Template = (a: string, b: string, n: number) => string;

const text: readonly Template[] = [
  (a) => `UPPER(${a})`,
  (a, b) => `CONCAT(${a}, ${b})`,
  (a, b) => `CONCAT_WS('-', ${a}, ${b})`,
  (a) => `CAST(${a} AS CHAR)`,
  (a) => `CONVERT(${a} USING utf8mb4)`,
  (a, _b, n) => `SUBSTR(${a}, ${n}, 2)`,
  (a) => `SUBSTRING(${a} FROM 2 FOR 3)`,
  (a, _b, n) => `LEFT(${a}, ${n})`,
  (a) => `REVERSE(${a})`,
  (a) => `HEX(${a})`,
  (a) => `TO_BASE64(${a})`,
  (a) => `MD5(${a})`,
  (a) => `SHA2(${a}, 256)`,
  (a) => `REPLACE(${a}, 'Q', 'x')`,
  (a) => `LPAD(${a}, 12, '*')`,
  (a) => `TRIM(BOTH '3' FROM ${a})`,
  (a) => `REGEXP_REPLACE(${a}, '^..', '')`,
  (a) => `QUOTE(${a})`,
  (a) => `SUBSTRING_INDEX(${a}, '@', 1)`,
  (a) => `MAKE_SET(3, ${a}, 'x')`,
  (a, b, n) => `ELT(${(n % 2) + 1}, ${a}, ${b})`,
  (a, b) => `GREATEST(${a}, ${b})`,
  (a, b) => `COALESCE(${a}, ${b})`,
  (a) => `NULLIF(${a}, 'x')`,
  (a, b) => `IFNULL(${a}, ${b})`,
  (a, b) => `IF(${a} > ${b}, ${a}, ${b})`,
  (a) => `(${a})`,
  (a) => `${a} COLLATE utf8mb4_bin`,
  (a) => `INSERT(${a}, 1, 2, 'zz')`,
  (a) => `FORMAT(${a}, 1)`,
  (a) => `CONV(${a}, 10, 16)`,
];
const number: readonly Template[] = [
  (a) => `${a} + 1`,
  (a) => `-${a}`,
  (a) => `LENGTH(${a})`,
  (a) => `ASCII(${a})`,
  (a) => `CRC32(${a})`,
  (a) => `ORD(${a})`,
  (a) => `INSTR(${a}, 'Q')`,
  (a, b) => `STRCMP(${a}, ${b})`,
  (a, b) => `FIELD(${a}, ${b}, 'x')`,
  (a, b) => `(${a} = ${b})`,
  (a, b) => `(${a} <=> ${b})`,
  (a) => `(${a} IS NULL)`,
  (a) => `${a} % 7`,
  (a) => `${a} DIV 2`,
  (a) => `(${a} & 255)`,
  (a, _b, n) => `ROUND(${a}, ${n})`,
  (a) => `CAST(${a} AS SIGNED)`,
  (a) => `CAST(${a} AS DECIMAL(20, 2))`,
  (a) => `(${a} REGEXP '[QX]')`,
  (a) => `(${a} BETWEEN 1 AND 5)`,
];
const time: readonly Template[] = [
  (a) => `YEAR(${a})`,
  (a) => `DATE_FORMAT(${a}, '%m-%d')`,
  (a) => `DATEDIFF(${a}, '1900-01-01')`,
  (a) => `TIMESTAMPDIFF(MONTH, ${a}, '1900-01-01')`,
  (a) => `DATE_ADD(${a}, INTERVAL 1 DAY)`,
  (a) => `EXTRACT(DAY FROM ${a})`,
  (a) => `TO_DAYS(${a})`,
  (a) => `LAST_DAY(${a})`,
  (a) => `CAST(${a} AS DATE)`,
  (a) => `${a} + INTERVAL 2 HOUR`,
];
const json: readonly Template[] = [
  (a) => `JSON_OBJECT('k', ${a})`,
  (a, b) => `JSON_ARRAY(${a}, ${b})`,
  (a) => `JSON_EXTRACT(${a}, '$.k')`,
  (a) => `JSON_UNQUOTE(JSON_EXTRACT(${a}, '$.k'))`,
  (a) => `JSON_VALUE(${a}, '$.k')`,
  (a) => `JSON_KEYS(${a})`,
  (a) => `JSON_LENGTH(${a})`,
  (a) => `JSON_TYPE(${a})`,
  (a) => `JSON_VALID(${a})`,
  (a) => `JSON_SET(${a}, '$.x', 1)`,
  (a) => `JSON_SEARCH(${a}, 'one', 'Q%')`,
  (a) => `JSON_QUOTE(${a})`,
  (a, b) => `JSON_MERGE_PATCH(JSON_OBJECT('a', ${a}), JSON_OBJECT('b', ${b}))`,
  (a) => `JSON_CONTAINS(JSON_ARRAY(${a}), '1')`,
];
const scalars = [text, text, number, number, time, json];

const aggregates: readonly Template[] = [
  () => 'COUNT(*)',
  (a) => `COUNT(${a})`,
  (a) => `COUNT(DISTINCT ${a})`,
  (a) => `MAX(${a})`,
  (a) => `MIN(${a})`,
  (a) => `SUM(${a})`,
  (a) => `AVG(${a})`,
  (a) => `BIT_XOR(${a})`,
  (a) => `STDDEV_POP(${a})`,
  (a) => `GROUP_CONCAT(${a} ORDER BY 1)`,
  (a, b) => `GROUP_CONCAT(DISTINCT ${a} ORDER BY ${b} SEPARATOR '|')`,
  (a) => `JSON_ARRAYAGG(${a})`,
  (a, b) => `JSON_OBJECTAGG(${a}, ${b})`,
];
const windows: readonly Template[] = [
  (a, b) => `ROW_NUMBER() OVER (PARTITION BY ${a} ORDER BY ${b})`,
  (a) => `RANK() OVER (ORDER BY ${a})`,
  (_a, b) => `DENSE_RANK() OVER (ORDER BY ${b} DESC)`,
  (a, b) => `LAG(${a}) OVER (ORDER BY ${b})`,
  (a, b) => `LEAD(${a}, 2) OVER (ORDER BY ${b})`,
  (a, b) => `FIRST_VALUE(${a}) OVER (ORDER BY ${b})`,
  (a, b) => `LAST_VALUE(${a}) OVER (PARTITION BY ${b})`,
  (a, b) => `NTH_VALUE(${a}, 2) OVER (ORDER BY ${b})`,
  (a, b) => `SUM(${a}) OVER (ORDER BY ${b} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)`,
  (a) => `COUNT(${a}) OVER ()`,
  (_a, b) => `NTILE(3) OVER (ORDER BY ${b})`,
  (_a, b) => `CUME_DIST() OVER (ORDER BY ${b})`,
];

const filled = (draw: Draw, list: readonly Template[], columns: readonly string[]): string =>
  draw.pick(list)(draw.pick(columns), draw.pick(columns), 1 + draw.below(3));

export const scalarOf = (draw: Draw, columns: readonly string[]): string =>
  filled(draw, draw.pick(scalars), columns);
export const aggregateOf = (draw: Draw, columns: readonly string[]): string =>
  filled(draw, aggregates, columns);

/** Rows that tie in a window come in an order of the server's own, so that keys go into its order. */
export function windowOf(draw: Draw, columns: readonly string[]): string {
  const keys = columns.filter((column) => /\b(id|nr)$/.test(column));
  return filled(draw, windows, columns).replace(
    /(ORDER BY [^ )]+)( DESC)?/,
    (_whole, order: string, descending = '') => [`${order}${descending}`, ...keys].join(', '),
  );
}
