/** SELECT statements whose lineage a real server can confirm: a schema, statements by hand, and a generator with a seed. */

/** Run once in an empty database. */
export const schema = `
create type mood as enum ('sad', 'glad');
create table people (id int primary key, name text, email text, born date, boss int, feeling mood, tags text[], doc jsonb);
create table orders (id int primary key, person int references people, amount numeric, note text, placed timestamptz);
create table items (id int primary key, order_id int, product int, quantity int, note text);
create table products (id int primary key, name text, price numeric, size point);
create table events (id int, at date, email text) partition by range (at);
create table events_a partition of events for values from (minvalue) to ('2026-01-01');
create table notes (id int, note text, owner text);
create table long_notes (more text) inherits (notes);
create view contacts as select p.id, p.email as mail, lower(p.name) as short from people p where p.born is not null;
create view buyers (buyer, spent) as select c.mail, sum(o.amount) from contacts c join orders o on o.person = c.id group by c.mail;
create materialized view prices as select name, price from products where price > 0;
create schema other;
create table other.people (id int, nick text, name text);
create function two(a int, out x int, out y int) language sql as 'select 1, 2';`;

/** Written by hand: each for a rule of name resolution of its own. */
export const byHand: readonly string[] = `
select * from people
select people.* from people, orders
select p.*, o.amount from people p join orders o on o.person = p.id
select * from people p join orders o using (id)
select * from people natural join products
select * from people natural left join orders
select id, p.name from people p full join products using (id, name)
select x.id from (people join orders using (id)) as x
select p.id, j.a from (people p join orders o using (id) as u) cross join lateral (select u.id as a) j
select u.id from people join orders using (id) as u
select * from (people p join orders o on p.id = o.person) as x (a, b, c)
select q.b from people as q (a, b)
select name from people where id in (select person from orders where amount > 3)
select name, (select max(amount) from orders where person = people.id) from people
select exists (select * from orders o where o.person = p.id) from people p
select array(select note from items where order_id = o.id order by quantity) from orders o
select (select email from people order by born limit 1)
select (p).email, (p).name from people p
select (p.*).email from people p
select p from people p
select count(p) from people p
select row_to_json(p) from people p
select p.name is distinct from q.name from people p, people q
select (select p.name) from people p
select l.x from people p, lateral (select p.email as x) l
select l.x from people p left join lateral (select o.note as x from orders o where o.person = p.id) l on true
with a as (select id, email from people) select email from a
with a (x, y) as (select id, email from people) select y from a
with a as (select * from people), b as (select * from a) select name, tags from b
with unused as (select note from items) select 1 from people
with people as (select id as name from orders) select name from people
with recursive r as (select id, boss, 1 as depth from people union all select p.id, p.boss, depth + 1 from people p join r on r.boss = p.id) select * from r
with recursive r (a, b) as (select id, boss from people union select p.id, r.b from people p, r where r.a = p.boss) select a from r
with recursive r as (select id, boss from people union all select p.id, p.boss from people p join r on r.boss = p.id) search depth first by id set o select id, o::text from r
with recursive r as (select id, boss from people union all select p.id, p.boss from people p join r on r.boss = p.id) cycle id set c using p select id, c, p::text from r
with a as materialized (select email from people) select * from a where email like 'a%'
select name from people union all select note from items
select name from people union select name from products order by name
select id, name from people except select id, note from orders
(select email from people order by born limit 1)
(select email from people) union all (select note from items order by quantity) order by 1
select * from (select email from people intersect select note from orders) x
values (1, 'a'), (2, 'b')
select column2 from (values (1, 'a'), (2, 'b')) v
select v.b from (values (1, 'a')) v (a, b)
select * from (values ((select email from people limit 1))) v
table people
select * from only notes
select * from notes
select n.more, n.note from long_notes n
select email from events_a
select * from events where at > '2026-01-01'
select mail, short from contacts
select * from buyers
select buyer from buyers where spent > 3
select name from prices
select * from other.people
select other.people.nick, people.name from other.people
select p.name, q.name from people p, other.people q
select distinct email from people
select distinct on (born) name, email from people order by born, id
select email as name, name as e from people order by name
select name as n, count(*) from people group by n
select email as name from people group by name, email
select p.name, sum(o.amount) from people p join orders o on o.person = p.id group by p.id
select boss, count(*) filter (where born is null) from people group by boss having max(id) > 3
select boss, born, count(*) from people group by grouping sets ((boss), (born), ())
select boss, grouping(boss, born) from people group by rollup (boss, born)
select name, row_number() over (partition by boss order by born) from people
select name, lag(email) over w from people window w as (partition by boss order by id)
select sum(id) over (order by born rows between 1 preceding and current row) from people
select string_agg(name, ',' order by email) from people
select percentile_cont(0.5) within group (order by price) from products
select coalesce(name, email), nullif(name, email), greatest(name, email), case boss when 1 then name else email end from people
select case when born is null then name end from people
select name collate "C", name || email, -id, not (boss > 1) from people
select id::text, cast(boss as bigint), name::varchar(3) from people
select tags[1], tags[1:2], doc -> 'a', doc ->> 'b', doc['a'] from people
select extract(year from born), substring(name from 2), position('a' in name), trim(name), overlay(name placing 'x' from 1) from people
select current_date, current_user, localtimestamp(3), current_catalog from people
select array[id, boss], row(name, email)::text, (name, email)::text from people
select name like 'a%', name ilike email, name similar to 'b', name between 'a' and email, boss in (1, 2) from people
select born at time zone 'utc', (born, born) overlaps (born, born) from people
select feeling, feeling = 'sad', 'sad'::mood from people
select u from people, unnest(tags) u
select u.x, o from people, unnest(tags) with ordinality u (x, o)
select * from generate_series(1, 3) g
select g from generate_series(1, 3) g
select * from people p, two(p.id) t
select k, v from people, jsonb_each(doc) e (k, v)
select * from people, jsonb_each_text(doc)
select r.a from people, jsonb_to_record(doc) r (a int, b text)
select * from rows from (generate_series(1, 2), generate_series(1, 3)) x (a, b)
select t.c from people, json_table(doc, '$' columns (c text path '$.a', n for ordinality)) t
select json_object('a': name, 'b': email), json_array(name, email), json_arrayagg(name) from people group by name, email
select json_value(doc, '$.a'), json_query(doc, '$.b'), json_exists(doc, '$.c') from people
select xmlelement(name x, xmlattributes(name as n), email), xmlforest(name, email) from people
select size[0], size <-> point '(1,2)' from products
select ctid, tableoid, name from people
select p.ctid from people p
select name from people for update
select email from people tablesample system (10)
select n.note from (select * from (select note, id from orders) a) n where n.id = 1
select a.id from (select id from people) a join (select person from orders) b on a.id = b.person
select 1 from people p where (id, name) = (select order_id, note from items limit 1)
select 1 from people p where (id, name) in (select order_id, note from items)
select 1 from people p where id = any (select order_id from items) and boss > all (select product from items)
select name from people where exists (select from orders where person = people.id)
select people.name from people left join orders on true right join items i on i.order_id = orders.id
select name from people order by (select max(amount) from orders o where o.person = people.id)
select name from people limit (select count(*) from items)
select p.name from people p group by p.name order by count(distinct p.email)
select merged.x from (select coalesce(a.id, b.id) as x from people a full join orders b using (id)) merged
select "left"(name, 2), "substring"(email, 1), upper(left(name, 1)) from people
select max(id) as max, name as "Name X", 1 as "?column?" from people group by name
select interval '1' day, date '2026-01-01', bit '1', true, null, 'x' from people
select (select 1 as one), exists (select 1), array[1], row(1)::text, not true, 1 = 1
select pg_catalog.lower(name), pg_typeof(email) from people
select email is null, email is not null, (boss > 1) is unknown from people
select p.name from people p, orders o, items i where p.id = o.person and o.id = i.order_id and i.note = o.note
select x.name from (select name, email from people offset 0) x
select cardinality(tags), array_length(tags, 1), 'a' = any (tags) from people`
  .trim()
  .split('\n');

/** Numbers from 0 to below `n`, the same for each seed. */
function numbers(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const tables: Readonly<Record<string, readonly string[]>> = {
  people: ['id', 'name', 'email', 'boss'],
  orders: ['id', 'person', 'amount', 'note'],
  items: ['id', 'order_id', 'product', 'quantity', 'note'],
  products: ['id', 'name', 'price'],
  contacts: ['id', 'mail', 'short'],
  'other.people': ['id', 'nick', 'name'],
};

interface Source {
  readonly alias: string;
  readonly columns: readonly string[];
}

/** Statements made up at random: joins, subqueries, WITH, set operations, grouping, windows. */
export function generated(seed: number, count: number): readonly string[] {
  const below = numbers(seed);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  let names = 0;
  const fresh = (prefix: string): string => `${prefix}${++names}`;

  const column = (sources: readonly Source[]): string => {
    const source = pick(sources);
    return `${source.alias}.${pick(source.columns)}`;
  };
  const expression = (sources: readonly Source[], depth: number): string => {
    const inner = (): string => expression(sources, depth - 1);
    if (depth <= 0) return column(sources);
    switch (below(11)) {
      case 0:
        return `${inner()}::text || ${inner()}`;
      case 1:
        return `coalesce(${inner()}::text, ${inner()}::text)`;
      case 2:
        return `case when ${inner()} is null then ${inner()}::text else 'x' end`;
      case 3:
        return `upper(${inner()}::text)`;
      case 4: {
        const table = pick(Object.keys(tables));
        const own = { alias: fresh('s'), columns: tables[table]! };
        return `(select max(${column([own])}::text) from ${table} ${own.alias} where ${condition([own, ...sources], 0)})`;
      }
      case 5:
        return `array[${inner()}::text, ${inner()}::text]::text`;
      default:
        return column(sources);
    }
  };
  const condition = (sources: readonly Source[], depth: number): string => {
    switch (below(6)) {
      case 0:
        return `${expression(sources, depth)} is not null`;
      case 1: {
        const table = pick(Object.keys(tables));
        const own = { alias: fresh('e'), columns: tables[table]! };
        return `exists (select 1 from ${table} ${own.alias} where ${column([own])}::text = ${column(sources)}::text)`;
      }
      case 2: {
        const table = pick(Object.keys(tables));
        return `${column(sources)}::text in (select ${pick(tables[table]!)}::text from ${table})`;
      }
      default:
        return `${expression(sources, depth)}::text = ${expression(sources, depth)}::text`;
    }
  };
  const from = (depth: number, known: readonly Source[]): { text: string; sources: Source[] } => {
    const item = (): { text: string; source: Source } => {
      const alias = fresh('t');
      const kind = below(depth > 0 ? 5 : 2);
      if (kind === 2) {
        const query = select(depth - 1, known);
        return { text: `(${query.text}) ${alias}`, source: { alias, columns: query.columns } };
      }
      if (kind === 3) {
        const query = select(depth - 1, known);
        const columns = query.columns.map(() => fresh('r'));
        return { text: `(${query.text}) ${alias} (${columns.join(', ')})`, source: { alias, columns } };
      }
      if (known.length > 0 && below(2) === 0) {
        const query = pick(known);
        return { text: `${query.alias} ${alias}`, source: { alias, columns: query.columns } };
      }
      const table = pick(Object.keys(tables));
      return { text: `${table} ${alias}`, source: { alias, columns: tables[table]! } };
    };
    const first = item();
    const sources = [first.source];
    let { text } = first;
    for (let more = below(3); more > 0; more--) {
      const next = item();
      const left = column(sources);
      sources.push(next.source);
      const kind = pick(['join', 'left join', 'right join', 'full join']);
      if (below(4) === 0) text = `${text} cross join ${next.text}`;
      else text = `${text} ${kind} ${next.text} on ${left}::text = ${column([next.source])}::text`;
    }
    return { text, sources };
  };
  const select = (depth: number, known: readonly Source[]): { text: string; columns: string[] } => {
    const { text, sources } = from(depth, known);
    const width = 1 + below(3);
    const columns: string[] = [];
    const values: string[] = [];
    for (let i = 0; i < width; i++) {
      const name = fresh('c');
      columns.push(name);
      values.push(expression(sources, depth));
    }
    const list = values.map((value, i) => `${value} as ${columns[i]}`).join(', ');
    const where = below(2) === 0 ? ` where ${condition(sources, depth)}` : '';
    switch (below(7)) {
      case 0:
        return {
          text: `select ${list}, count(*) as n from ${text}${where} group by ${values.map((_, i) => i + 1).join(', ')} having count(${column(sources)}) > 0`,
          columns: [...columns, 'n'],
        };
      case 1:
        return { text: `select distinct ${list} from ${text}${where}`, columns };
      case 2:
        return {
          text: `select ${list}, rank() over (partition by ${column(sources)} order by ${column(sources)}) as w from ${text}${where}`,
          columns: [...columns, 'w'],
        };
      case 3: {
        const other = from(0, known);
        const second = columns.map(() => `${column(other.sources)}::text`).join(', ');
        const cast = values.map((value, i) => `(${value})::text as ${columns[i]}`).join(', ');
        const operation = pick(['union', 'union all', 'except', 'intersect']);
        return {
          text: `select ${cast} from ${text}${where} ${operation} select ${second} from ${other.text}`,
          columns,
        };
      }
      default:
        return { text: `select ${list} from ${text}${where} order by ${column(sources)}`, columns };
    }
  };
  return Array.from({ length: count }, () => {
    names = 0;
    if (below(3) > 0) return select(2, []).text;
    const query = select(1, []);
    const alias = fresh('w');
    return `with ${alias} as (${query.text}) ${select(1, [{ alias, columns: query.columns }]).text}`;
  });
}
