/** What a PostgreSQL client says, as bytes to be broken: start-up packets and messages (manual, 54.7). */
import type { Chance } from './chance.ts';

function message(type: string, ...parts: readonly (Buffer | string | number)[]): Buffer {
  const body = join(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** Strings are NUL-terminated, numbers are Int16. */
function join(parts: readonly (Buffer | string | number)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      if (typeof part !== 'number') return part;
      const bytes = Buffer.alloc(2);
      bytes.writeInt16BE(part);
      return bytes;
    }),
  );
}

function int32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeInt32BE(value, 4 * index);
  return bytes;
}

function untyped(...parts: readonly (Buffer | string)[]): Buffer {
  const body = join(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}

/** Protocol 3.0 to database `shop`. */
export const startup: Buffer = untyped(
  int32(196_608),
  'user',
  'ana',
  'database',
  'shop',
  'client_encoding',
  'UTF8',
  '',
);

/** Other things to open with: SSLRequest, GSSENCRequest, CancelRequest, 3.2 with an option, protocol 2, 4.0. */
export const openings: readonly Buffer[] = [
  startup,
  untyped(int32(80_877_103)),
  untyped(int32(80_877_104)),
  untyped(int32(80_877_102, 4711, 815)),
  untyped(
    int32(196_610),
    'user',
    'ana',
    'database',
    'shop',
    '_pq_.x',
    'y',
    'options',
    '-c search_path=pg_catalog',
    '',
  ),
  untyped(int32(131_072), 'user', 'ana', ''),
  untyped(int32(262_144), 'user', 'ana', ''),
  untyped(int32(196_608), 'user', 'ana', 'database', 'shop', 'replication', 'database', ''),
];

export function password(token: string): Buffer {
  return message('p', token);
}

/** What a well-behaved client sends one after the other. */
export const session: readonly Buffer[] = [
  message('Q', 'select id, email, ssn, born from customers'),
  Buffer.concat([
    ...[
      message('P', 's', 'select id, email, born from customers where id > $1', 0),
      message('D', Buffer.from('S'), 's'),
    ],
    ...[
      message('B', '', 's', 0, 1, int32(1), Buffer.from('0'), 1, 1),
      message('E', '', int32(0)),
      message('S'),
    ],
  ]),
  message('Q', 'select name, price from products'),
  message('Q', 'begin; select 1; commit'),
];

const STATEMENTS = [
  'select id, email, ssn, born from customers',
  'select * from us_orders',
  "select 'a' || $1::text",
  'begin',
  'commit',
  'select name from products where id = $1',
  'copy orders to stdout',
  'select 1; select 2; select email from customers',
  "update orders set status = 'x' where id = 1",
  `select ${'('.repeat(200)}1${')'.repeat(200)}`,
  "select /* /* nested */ */ $tag$ text $tag$, E'\\'' , U&\"d\\0061t\"",
  '',
];

/** One message that a client may send after its sign-in, whole and well-formed. */
export function clientMessage(chance: Chance): Buffer {
  const name = chance.pick(['', 's1', 's2']);
  const portal = chance.pick(['', 'p1']);
  const value = Buffer.from(chance.pick(['1', '42', 'text', '']));
  switch (chance.below(14)) {
    case 0:
    case 1:
      return message('Q', chance.pick(STATEMENTS));
    case 2:
      return message('P', name, chance.pick(STATEMENTS), 0);
    case 3:
      return message('P', name, chance.pick(STATEMENTS), 1, int32(chance.pick([23, 25, 0, 999_999])));
    case 4:
      return message('B', portal, name, 0, 1, int32(value.length), value, 1, chance.below(2));
    case 5:
      return message('B', portal, name, 0, 0, 0);
    case 6:
      return message('D', Buffer.from(chance.pick(['S', 'P'])), name);
    case 7:
      return message('E', portal, int32(chance.pick([0, 1, 2])));
    case 8:
      return message('C', Buffer.from(chance.pick(['S', 'P'])), name);
    case 9:
      return message('H');
    case 10:
      return message('S');
    case 11:
      return message('d', chance.bytes(chance.below(64)));
    case 12:
      return message('F', int32(1299), 0, 0, 0);
    default:
      return message(chance.pick(['c', 'X', 'p', 'f', '!', '\0', 'Z']), chance.bytes(chance.below(16)));
  }
}
