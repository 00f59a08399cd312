/** TypeORM: synchronisation, migrations, relations, upserts, JSON, pagination, locks, its query runner. */
import { connection, isPostgres, load, step } from '../../clients/node/steps.mjs';
import { mysqlOptions, writes } from './session.mjs';

load('reflect-metadata');
const { DataSource, EntitySchema, In, LessThan, Like, Not, IsNull, TableColumn, TableIndex, Brackets } =
  load('typeorm');
const Author = new EntitySchema({
  name: 'Author',
  tableName: 'o_author',
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: 'varchar', length: 60, unique: true },
    email: { type: 'varchar', length: 90, nullable: true },
    doc: { type: isPostgres ? 'jsonb' : 'json', nullable: true },
    kind: { type: 'enum', enum: ['poet', 'critic'], default: 'poet' },
    made: { type: isPostgres ? 'timestamptz' : 'datetime', createDate: true, select: false },
    version: { type: Number, version: true },
  },
  relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author' } },
});
const Book = new EntitySchema({
  name: 'Book',
  tableName: 'o_book',
  columns: {
    id: { type: Number, primary: true, generated: true },
    title: { type: 'varchar', length: 60 },
    price: { type: 'decimal', precision: 8, scale: 2, default: 0 },
    gone: { type: isPostgres ? 'timestamp' : 'datetime', deleteDate: true, nullable: true },
  },
  indices: [{ columns: ['title'] }],
  relations: {
    author: {
      type: 'many-to-one',
      target: 'Author',
      inverseSide: 'books',
      joinColumn: { name: 'author_id' },
      onDelete: 'CASCADE',
      nullable: true,
    },
    shelves: { type: 'many-to-many', target: 'Shelf', joinTable: { name: 'o_book_shelf' } },
  },
});
const Shelf = new EntitySchema({
  name: 'Shelf',
  tableName: 'o_shelf',
  columns: { id: { type: Number, primary: true, generated: true }, name: { type: 'varchar', length: 20 } },
});
class First1700000000000 {
  name = 'First1700000000000';
  up(runner) {
    return runner.query('CREATE TABLE o_extra (id integer PRIMARY KEY, note varchar(20))');
  }
  down(runner) {
    return runner.query('DROP TABLE o_extra');
  }
}
const { user, ...rest } = connection;
const { ssl, authPlugins } = await mysqlOptions();
const source = new DataSource({
  type: isPostgres ? 'postgres' : (process.env.CORDON_PRODUCT ?? 'mariadb'),
  ...rest,
  username: user,
  entities: [Author, Book, Shelf],
  migrations: [First1700000000000],
  migrationsTableName: 'o_migrations',
  installExtensions: false,
  logging: false,
  ...(isPostgres ? {} : { connectorPackage: 'mysql2', ssl, timezone: 'Z', extra: { authPlugins } }),
});
await step('initialize', () => source.initialize().then(() => true));
const authors = source.getRepository(Author);
const books = source.getRepository(Book);
const shelves = source.getRepository(Shelf);
if (writes) {
  await step('synchronize', () => source.synchronize(true).then(() => true));
  await step('synchronize_again', () =>
    source.driver
      .createSchemaBuilder()
      .log()
      .then((log) => log.upQueries.length),
  );
  await step('migrate', () => source.runMigrations().then((all) => all.map((one) => one.name)));
  await step('save', () =>
    authors
      .save([
        { name: 'Ada', email: 'ada@example.org', doc: { likes: ['tea'], deep: { n: 1 } } },
        { name: 'Bo', email: 'bo@example.org' },
      ])
      .then((all) => all.map((one) => [one.id, one.version])),
  );
  await step('save_related', async () => {
    const shelf = await shelves.save({ name: 'top' });
    const made = await books.save(
      [1, 2, 3].map((n) => ({
        title: `Book ${n}`,
        price: n * 10,
        author: { id: (n % 2) + 1 },
        shelves: n < 3 ? [shelf] : [],
      })),
    );
    return made.map((one) => one.id);
  });
  await step('upsert', () =>
    authors.upsert([{ name: 'Bo', email: 'bo2@example.org' }], ['name']).then(() => true),
  );
  await step('or_update', () =>
    source
      .createQueryBuilder()
      .insert()
      .into(Author)
      .values({ name: 'Ada', kind: 'critic' })
      .orUpdate(['kind'], ['name'])
      .execute()
      .then(() => true),
  );
  await step('or_ignore', () =>
    source
      .createQueryBuilder()
      .insert()
      .into(Author)
      .values({ name: 'Ada' })
      .orIgnore()
      // MySQL gives no id for what it ignored, and TypeORM would look for the row by it.
      .updateEntity(false)
      .execute()
      .then(() => true),
  );
  await step('update', () => books.update({ title: 'Book 2' }, { price: 21 }).then((one) => one.affected));
  await step('increment', () => books.increment({ id: 1 }, 'price', 2).then(() => true));
  await step('soft_delete', () => books.softDelete({ title: 'Book 3' }).then((one) => one.affected));
  await step('restore', () => books.restore({ title: 'Book 3' }).then((one) => one.affected));
  await step('lock', () =>
    source.transaction('SERIALIZABLE', async (manager) => {
      const one = await manager
        .getRepository(Book)
        .findOne({ where: { id: 1 }, lock: { mode: 'pessimistic_write' } });
      await manager.getRepository(Book).findOne({ where: { id: 2 }, lock: { mode: 'pessimistic_read' } });
      return one.title;
    }),
  );
  await step('nested', () =>
    source.transaction((manager) =>
      manager.transaction((inner) =>
        inner
          .getRepository(Shelf)
          .save({ name: 'low' })
          .then((one) => one.name),
      ),
    ),
  );
}
await step('relations', () =>
  authors.find({ relations: { books: { shelves: true } }, order: { id: 'ASC', books: { id: 'ASC' } } }),
);
await step('page', () => books.findAndCount({ order: { id: 'DESC' }, skip: 1, take: 2 }));
await step('joined_page', () =>
  authors
    .find({ relations: { books: true }, order: { id: 'ASC' }, take: 1 })
    .then((all) => all.map((one) => one.books.length)),
);
await step('where', () =>
  books.find({
    select: { id: true },
    where: [
      { title: Like('B%'), id: In([1, 2]) },
      { price: LessThan(5), author: Not(IsNull()) },
    ],
    order: { id: 'ASC' },
  }),
);
await step('relation_query', () =>
  books
    .find({ relationLoadStrategy: 'query', relations: { author: true }, order: { id: 'ASC' } })
    .then((all) => all.map((one) => one.author?.name)),
);
await step('built', () =>
  source
    .createQueryBuilder(Author, 'a')
    .leftJoinAndSelect('a.books', 'b', 'b.price > :least', { least: 5 })
    .where(new Brackets((q) => q.where('a.id = :id', { id: 1 }).orWhere('a.name <> :name', { name: 'x' })))
    .orderBy('a.id')
    .addOrderBy('b.id')
    .getMany(),
);
await step('grouped', () =>
  source
    .createQueryBuilder(Book, 'b')
    .select('b.author_id', 'author')
    .addSelect('COUNT(*)', 'n')
    .addSelect('SUM(b.price)', 'sum')
    .groupBy('b.author_id')
    .having('COUNT(*) > 0')
    .orderBy('b.author_id')
    .getRawMany(),
);
await step('counts', () =>
  Promise.all([
    books.sum('price'),
    books.maximum('price'),
    books.average('price'),
    books.countBy({ title: Like('B%') }),
    books.existsBy({ id: 1 }),
  ]),
);
await step('subquery', () =>
  source
    .createQueryBuilder(Author, 'a')
    .select('a.name')
    .where(
      (q) => `a.id IN ${q.subQuery().select('b.author_id').from(Book, 'b').where('b.price > 5').getQuery()}`,
    )
    .orderBy('a.id')
    .getMany(),
);
await step('stream', async () => {
  let n = 0;
  for await (const _row of await source
    .createQueryBuilder(Book, 'b')
    .stream()
    .catch(() => []))
    n++;
  return n >= 0;
});
const runner = source.createQueryRunner();
await step('table', () =>
  runner
    .getTable('o_book')
    .then((table) => [
      table.columns.map((column) => [column.name, column.type, column.isNullable, column.default ?? null]),
      table.foreignKeys.map((key) => key.name),
      table.indices.map((index) => index.name),
      table.uniques.length,
    ]),
);
await step('tables', () =>
  runner.getTables(['o_author', 'o_shelf']).then((all) => all.map((one) => one.name.replace(/.*\./, ''))),
);
await step('views', () => runner.getViews([]).then((all) => all.length));
await step('has', () =>
  Promise.all([
    runner.hasTable('o_author'),
    runner.hasColumn('o_author', 'email'),
    runner.hasDatabase(connection.database),
    runner.getCurrentDatabase(),
  ]),
);
if (isPostgres)
  await step('schema', () =>
    Promise.all([runner.getCurrentSchema(), runner.hasSchema('public'), runner.getSchemas()]),
  );
if (writes) {
  await step('add_column', () =>
    runner
      .addColumn('o_shelf', new TableColumn({ name: 'width', type: 'int', isNullable: true }))
      .then(() => true),
  );
  await step('index', () =>
    runner
      .createIndex('o_shelf', new TableIndex({ name: 'o_shelf_width', columnNames: ['width'] }))
      .then(() => true),
  );
  await step('drop_index', () => runner.dropIndex('o_shelf', 'o_shelf_width').then(() => true));
  await step('rename_column', () => runner.renameColumn('o_shelf', 'width', 'breadth').then(() => true));
  await step('drop_column', () => runner.dropColumn('o_shelf', 'breadth').then(() => true));
  await step('delete', () => books.delete({ title: 'Book 3' }).then((one) => one.affected));
  await step('remove', async () => shelves.remove(await shelves.find()).then((all) => all.length));
  await step('clear', () =>
    shelves
      .createQueryBuilder()
      .delete()
      .execute()
      .then(() => true),
  );
  await step('revert', () => source.undoLastMigration().then(() => true));
}
await runner.release();
if (writes === 'all') await step('drop', () => source.dropDatabase().then(() => true));
await step('end', async () => true);
await source.destroy();
