/** Drizzle: migrations, relational queries, upserts, JSON, pagination, locks. Its kit's introspection is among the catalog queries. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connection, isPostgres, load, step } from '../../clients/node/steps.mjs';
import { mysqlOptions, writes } from './session.mjs';

const core = load(isPostgres ? 'drizzle-orm/pg-core' : 'drizzle-orm/mysql-core');
const { eq, sql, count, sum, relations, asc, desc, inArray, like, exists, and, gt } = load('drizzle-orm');
const { drizzle } = load(isPostgres ? 'drizzle-orm/node-postgres' : 'drizzle-orm/mysql2');
const { migrate } = load(isPostgres ? 'drizzle-orm/node-postgres/migrator' : 'drizzle-orm/mysql2/migrator');
const table = isPostgres ? core.pgTable : core.mysqlTable;
const { varchar, integer, int, serial, numeric, decimal, json, jsonb, alias } = core;
const number = isPostgres ? integer : int;
const key = (name) => (isPostgres ? serial(name).primaryKey() : int(name).autoincrement().primaryKey());
const author = table('o_author', {
  id: key('id'),
  name: varchar('name', { length: 60 }).notNull().unique(),
  email: varchar('email', { length: 90 }),
  doc: isPostgres ? jsonb('doc') : json('doc'),
});
const book = table('o_book', {
  id: key('id'),
  authorId: number('author_id').references(() => author.id, { onDelete: 'cascade' }),
  title: varchar('title', { length: 60 }).notNull(),
  price: (isPostgres ? numeric : decimal)('price', { precision: 8, scale: 2 }).default('0'),
});
const schema = {
  author,
  book,
  authorRelations: relations(author, ({ many }) => ({ books: many(book) })),
  bookRelations: relations(book, ({ one }) => ({
    author: one(author, { fields: [book.authorId], references: [author.id] }),
  })),
};
const client = isPostgres
  ? new (load('pg').Pool)(connection)
  : load('mysql2/promise').createPool(await mysqlOptions());
const db = drizzle(
  client,
  isPostgres
    ? { schema }
    : { schema, mode: process.env.CORDON_PRODUCT === 'mysql' ? 'default' : 'planetscale' },
);
const changed = (found) => (isPostgres ? found.rowCount : found[0].affectedRows);

/** A folder as the kit writes it: a journal and one file of SQL a migration. */
function migrations() {
  const folder = mkdtempSync(join(tmpdir(), 'cordon-drizzle-'));
  mkdirSync(join(folder, 'meta'));
  const q = isPostgres ? '"' : '`';
  const auto = isPostgres ? 'serial PRIMARY KEY NOT NULL' : 'int AUTO_INCREMENT PRIMARY KEY NOT NULL';
  const named = (text) => text.replaceAll('`', q);
  writeFileSync(
    join(folder, '0000_first.sql'),
    [
      `CREATE TABLE \`o_author\` (\n\t\`id\` ${auto},\n\t\`name\` varchar(60) NOT NULL,\n\t\`email\` varchar(90),\n\t\`doc\` ${isPostgres ? 'jsonb' : 'json'},\n\tCONSTRAINT \`o_author_name_unique\` UNIQUE(\`name\`)\n);`,
      `CREATE TABLE \`o_book\` (\n\t\`id\` ${auto},\n\t\`author_id\` ${isPostgres ? 'integer' : 'int'},\n\t\`title\` varchar(60) NOT NULL,\n\t\`price\` ${isPostgres ? 'numeric(8, 2)' : 'decimal(8,2)'} DEFAULT '0'\n);`,
      `ALTER TABLE \`o_book\` ADD CONSTRAINT \`o_book_author\` FOREIGN KEY (\`author_id\`) REFERENCES ${isPostgres ? '`public`.' : ''}\`o_author\`(\`id\`) ON DELETE cascade ON UPDATE no action;`,
      `CREATE INDEX \`o_book_title\` ON \`o_book\` (\`title\`);`,
    ]
      .map(named)
      .join('\n--> statement-breakpoint\n'),
  );
  const entries = [{ idx: 0, version: '7', when: 1_700_000_000_000, tag: '0000_first', breakpoints: true }];
  writeFileSync(
    join(folder, 'meta/_journal.json'),
    JSON.stringify({ version: '7', dialect: isPostgres ? 'postgresql' : 'mysql', entries }),
  );
  return folder;
}

if (writes) {
  await step('migrate', () => migrate(db, { migrationsFolder: migrations() }).then(() => true));
  await step('migrate_again', () => migrate(db, { migrationsFolder: migrations() }).then(() => true));
  await step('insert', () =>
    db
      .insert(author)
      .values([
        { id: 1, name: 'Ada', email: 'ada@example.org', doc: { likes: ['tea'], deep: { n: 1 } } },
        { id: 2, name: 'Bo', email: 'bo@example.org' },
      ])
      .then(changed),
  );
  await step('insert_books', () =>
    db
      .insert(book)
      .values(
        [1, 2, 3].map((id) => ({ id, authorId: (id % 2) + 1, title: `Book ${id}`, price: String(id * 10) })),
      )
      .then(changed),
  );
  await step('returning', () =>
    isPostgres
      ? db.insert(book).values({ id: 4, title: 'Late' }).returning()
      : db.insert(book).values({ id: 4, title: 'Late' }).$returningId(),
  );
  await step('upsert', () => {
    const values = db.insert(author).values({ id: 2, name: 'Bo', email: 'bo2@example.org' });
    return (
      isPostgres
        ? values.onConflictDoUpdate({ target: author.name, set: { email: sql`excluded.email` } })
        : values.onDuplicateKeyUpdate({ set: { email: sql`values(email)` } })
    ).then(() => true);
  });
  await step('update', () =>
    db
      .update(book)
      .set({ price: sql`${book.price} + 1` })
      .where(gt(book.id, 1))
      .then(changed),
  );
  await step('lock', () =>
    db.transaction(
      async (inner) => {
        const found = await inner.select({ id: book.id }).from(book).where(eq(book.id, 1)).for('update');
        await inner.transaction((nested) => nested.update(book).set({ price: '11' }).where(eq(book.id, 1)));
        return found;
      },
      { isolationLevel: 'repeatable read', accessMode: 'read write' },
    ),
  );
}
await step('relations', () =>
  db.query.author.findMany({ with: { books: { orderBy: asc(book.id) } }, orderBy: asc(author.id) }),
);
await step('relation', () =>
  db.query.book.findMany({
    columns: { title: true },
    with: { author: { columns: { name: true, email: true } } },
    where: inArray(book.id, [1, 2]),
    orderBy: asc(book.id),
  }),
);
await step('first', () =>
  db.query.author.findFirst({
    columns: { id: true },
    orderBy: desc(author.id),
    extras: { twice: sql`${author.id} * 2`.as('twice') },
  }),
);
await step('page', () => db.select().from(book).orderBy(desc(book.id)).limit(2).offset(1));
await step('joined', () =>
  db
    .select({ title: book.title, name: author.name, email: author.email })
    .from(book)
    .leftJoin(author, eq(book.authorId, author.id))
    .orderBy(book.id),
);
await step('aliased', () => {
  const other = alias(book, 'other');
  return db
    .select({ a: book.id, b: other.id })
    .from(book)
    .innerJoin(other, eq(other.authorId, book.authorId))
    .orderBy(book.id, other.id);
});
await step('aggregates', () =>
  db
    .select({ author: book.authorId, n: count(), sum: sum(book.price) })
    .from(book)
    .groupBy(book.authorId)
    .having(({ n }) => gt(n, 0))
    .orderBy(book.authorId),
);
await step('with', () => {
  const dear = db.$with('dear').as(db.select().from(book).where(gt(book.price, '5')));
  return db.with(dear).select({ id: dear.id }).from(dear).orderBy(dear.id);
});
await step('exists', () =>
  db
    .select({ name: author.name })
    .from(author)
    .where(
      and(
        like(author.name, '%'),
        exists(db.select({ one: sql`1` }).from(book).where(eq(book.authorId, author.id))),
      ),
    )
    .orderBy(author.name),
);
await step('union', () =>
  core
    .union(db.select({ id: author.id }).from(author), db.select({ id: book.id }).from(book))
    .orderBy(asc(sql`id`)),
);
await step('json', () =>
  db
    .select({
      id: author.id,
      n: isPostgres ? sql`${author.doc} #>> '{deep,n}'` : sql`json_extract(${author.doc}, '$.deep.n')`,
    })
    .from(author)
    .orderBy(author.id),
);
await step('prepared', async () => {
  const prepared = db
    .select()
    .from(book)
    .where(eq(book.id, sql.placeholder('id')))
    .prepare(...(isPostgres ? ['one_book'] : []));
  return [await prepared.execute({ id: 1 }), await prepared.execute({ id: 2 })];
});
await step('count', () => db.$count(book));
if (writes)
  await step('delete', () =>
    db
      .delete(book)
      .where(inArray(book.id, [3, 4]))
      .then(changed),
  );
if (writes === 'all')
  await step('drop', async () => {
    for (const one of [
      'o_book',
      'o_author',
      ...(isPostgres ? ['drizzle.__drizzle_migrations'] : ['__drizzle_migrations']),
    ])
      await db.execute(sql.raw(`DROP TABLE ${one}`));
    if (isPostgres) await db.execute(sql.raw('DROP SCHEMA drizzle'));
  });
await step('end', async () => true);
await client.end();
