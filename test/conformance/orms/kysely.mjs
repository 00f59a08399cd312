/** Kysely: migrations, queries with relations, upserts, JSON, pagination, locks, introspection. */
import { connection, isPostgres, load, step } from '../../clients/node/steps.mjs';
import { mysqlOptions, writes } from './session.mjs';

const { Kysely, PostgresDialect, MysqlDialect, Migrator, sql } = load('kysely');
const { jsonArrayFrom, jsonObjectFrom } = load(`kysely/helpers/${isPostgres ? 'postgres' : 'mysql'}`);
const db = new Kysely({
  dialect: isPostgres
    ? new PostgresDialect({ pool: new (load('pg').Pool)(connection) })
    : new MysqlDialect({ pool: load('mysql2').createPool(await mysqlOptions()) }),
});
const id = (column) => (isPostgres ? column.primaryKey() : column.primaryKey().autoIncrement());
const migrator = new Migrator({
  db,
  provider: {
    getMigrations: async () => ({
      one: {
        up: async (on) => {
          await on.schema
            .createTable('o_author')
            .addColumn('id', isPostgres ? 'serial' : 'integer', id)
            .addColumn('name', 'varchar(60)', (column) => column.notNull().unique())
            .addColumn('email', 'varchar(90)')
            .addColumn('doc', 'json')
            .execute();
          await on.schema
            .createTable('o_book')
            .addColumn('id', isPostgres ? 'serial' : 'integer', id)
            .addColumn('author_id', 'integer', (column) =>
              column.references('o_author.id').onDelete('cascade'),
            )
            .addColumn('title', 'varchar(60)', (column) => column.notNull())
            .addColumn('price', 'decimal(8, 2)', (column) => column.defaultTo(0))
            .execute();
          await on.schema.createIndex('o_book_title').on('o_book').column('title').execute();
        },
        down: async (on) => {
          await on.schema.dropTable('o_book').execute();
          await on.schema.dropTable('o_author').execute();
        },
      },
      two: {
        up: (on) => on.schema.alterTable('o_book').addColumn('pages', 'integer').execute(),
        down: (on) => on.schema.alterTable('o_book').dropColumn('pages').execute(),
      },
    }),
  },
});
const migrate = async (direction) => {
  const { error, results } = await direction();
  if (error !== undefined) throw error;
  return results.map((one) => [one.migrationName, one.status]);
};
if (writes) {
  await step('migrate', () => migrate(() => migrator.migrateToLatest()));
  await step('insert', () =>
    db
      .insertInto('o_author')
      .values([
        {
          id: 1,
          name: 'Ada',
          email: 'ada@example.org',
          doc: JSON.stringify({ likes: ['tea'], deep: { n: 1 } }),
        },
        { id: 2, name: 'Bo', email: 'bo@example.org', doc: null },
      ])
      .execute()
      .then((found) => found.length),
  );
  await step('insert_books', () =>
    db
      .insertInto('o_book')
      .values([1, 2, 3].map((n) => ({ id: n, author_id: (n % 2) + 1, title: `Book ${n}`, price: n * 10 })))
      .execute()
      .then((found) => found.length),
  );
  await step('returning', () =>
    isPostgres
      ? db.insertInto('o_book').values({ id: 4, title: 'Late' }).returning(['id', 'price']).executeTakeFirst()
      : db
          .insertInto('o_book')
          .values({ id: 4, title: 'Late' })
          .executeTakeFirst()
          .then((one) => one.numInsertedOrUpdatedRows),
  );
  await step('upsert', async () => {
    const values = db.insertInto('o_author').values({ id: 2, name: 'Bo', email: 'bo2@example.org' });
    await (isPostgres
      ? values
          .onConflict((on) => on.column('name').doUpdateSet({ email: (eb) => eb.ref('excluded.email') }))
          .execute()
      : values.onDuplicateKeyUpdate({ email: 'bo2@example.org' }).execute());
  });
  await step('lock', () =>
    db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (inner) => {
        const found = await inner.selectFrom('o_book').select('id').where('id', '=', 1).forUpdate().execute();
        await inner.updateTable('o_book').set({ price: 11 }).where('id', '=', 1).execute();
        return found;
      }),
  );
  await step('update', () =>
    db
      .updateTable('o_book')
      .set((eb) => ({ price: eb('price', '+', 1) }))
      .where('id', '>', 1)
      .execute()
      .then((all) => all[0].numUpdatedRows),
  );
}
await step('page', () => db.selectFrom('o_book').selectAll().orderBy('id').limit(2).offset(1).execute());
await step('joined', () =>
  db
    .selectFrom('o_book as b')
    .innerJoin('o_author as a', 'a.id', 'b.author_id')
    .select(['b.title', 'a.name', 'a.email'])
    .orderBy('b.id')
    .execute(),
);
await step('relations', () =>
  db
    .selectFrom('o_author')
    .select((eb) => [
      'o_author.name',
      jsonArrayFrom(
        eb
          .selectFrom('o_book')
          .select(['o_book.id', 'o_book.title'])
          .whereRef('o_book.author_id', '=', 'o_author.id')
          .orderBy('o_book.id'),
      ).as('books'),
    ])
    .orderBy('o_author.id')
    .execute(),
);
await step('relation', () =>
  db
    .selectFrom('o_book')
    .select((eb) => [
      'title',
      jsonObjectFrom(
        eb.selectFrom('o_author').select(['name']).whereRef('o_author.id', '=', 'o_book.author_id'),
      ).as('author'),
    ])
    .orderBy('id')
    .execute(),
);
await step('aggregates', () =>
  db
    .selectFrom('o_book')
    .select(({ fn }) => [
      'author_id',
      fn.count('id').as('n'),
      fn.sum('price').as('sum'),
      fn.max('title').as('last'),
    ])
    .groupBy('author_id')
    .having(({ fn }) => fn.count('id'), '>', 0)
    .orderBy('author_id')
    .execute(),
);
await step('json', () =>
  db
    .selectFrom('o_author')
    .select((eb) => [
      'id',
      eb
        .ref('doc', isPostgres ? '->' : '->$')
        .key('likes')
        .as('likes'),
    ])
    .orderBy('id')
    .execute(),
);
await step('with', () =>
  db
    .with('dear', (one) => one.selectFrom('o_book').select(['author_id', 'title']).where('price', '>', 5))
    .selectFrom('o_author')
    .innerJoin('dear', 'dear.author_id', 'o_author.id')
    .select(['name', 'title'])
    .orderBy('title')
    .execute(),
);
await step('window', () =>
  db
    .selectFrom('o_book')
    .select(({ fn }) => [
      'id',
      fn
        .agg('row_number')
        .over((over) => over.partitionBy('author_id').orderBy('id'))
        .as('n'),
    ])
    .orderBy('id')
    .execute(),
);
await step('exists', () =>
  db
    .selectFrom('o_author')
    .select('name')
    .where(({ exists, selectFrom }) =>
      exists(selectFrom('o_book').select(sql`1`.as('one')).whereRef('o_book.author_id', '=', 'o_author.id')),
    )
    .orderBy('name')
    .execute(),
);
await step('introspection', async () =>
  (await db.introspection.getTables({ withInternalKyselyTables: true }))
    .filter((one) => /^o_/.test(one.name))
    .map((one) => [
      one.name,
      one.columns.map((column) => [
        column.name,
        column.dataType,
        column.isNullable,
        column.isAutoIncrementing,
      ]),
    ]),
);
await step('schemas', () => db.introspection.getSchemas());
if (writes === 'all') {
  await step('delete', () =>
    db
      .deleteFrom('o_book')
      .where('id', 'in', [3, 4])
      .execute()
      .then((all) => all[0].numDeletedRows),
  );
  await step('down', () => migrate(() => migrator.migrateDown()));
  await step('down_again', () => migrate(() => migrator.migrateDown()));
  await step('dropped', async () => {
    await db.schema.dropTable('kysely_migration').execute();
    await db.schema.dropTable('kysely_migration_lock').execute();
  });
}
await step('end', async () => true);
await db.destroy();
