/** Sequelize: sync, associations, upserts, JSON, pagination, locks, the query interface. */
import { connection, isPostgres, load, step, target } from '../../clients/node/steps.mjs';
import { mysqlOptions, writes } from './session.mjs';

const { Sequelize, DataTypes, Op, col, fn, literal, Transaction } = load('sequelize');
const { host, port, user, password, database } = connection;
const { ssl, authPlugins } = await mysqlOptions();
const sequelize = new Sequelize(database, user, password, {
  host,
  port,
  dialect: target.dialect,
  logging: false,
  ...(isPostgres ? {} : { dialectOptions: { ssl, authPlugins } }),
});
const plain = { timestamps: false };
const Author = sequelize.define(
  'author',
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    name: { type: DataTypes.STRING(60), allowNull: false, unique: true },
    email: DataTypes.STRING(90),
    doc: isPostgres ? DataTypes.JSONB : DataTypes.JSON,
    kind: { type: DataTypes.ENUM('poet', 'critic'), defaultValue: 'poet' },
  },
  { ...plain, tableName: 'o_author' },
);
const Book = sequelize.define(
  'book',
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    title: { type: DataTypes.STRING(60), allowNull: false },
    price: { type: DataTypes.DECIMAL(8, 2), defaultValue: 0 },
  },
  { ...plain, tableName: 'o_book', indexes: [{ fields: ['title'] }] },
);
const Shelf = sequelize.define('shelf', { name: DataTypes.STRING(20) }, { ...plain, tableName: 'o_shelf' });
Author.hasMany(Book, { foreignKey: 'author_id' });
Book.belongsTo(Author, { foreignKey: 'author_id' });
Book.belongsToMany(Shelf, { through: 'o_book_shelf', timestamps: false });
Shelf.belongsToMany(Book, { through: 'o_book_shelf', timestamps: false });

if (writes) {
  await step('sync', () => sequelize.sync({ force: true }).then(() => true));
  await step('alter', () => sequelize.sync({ alter: true }).then(() => true));
  await step('bulk', async () => {
    const made = await Author.bulkCreate([
      { id: 1, name: 'Ada', email: 'ada@example.org', doc: { likes: ['tea'], deep: { n: 1 } } },
      { id: 2, name: 'Bo', email: 'bo@example.org' },
    ]);
    await Book.bulkCreate(
      [1, 2, 3].map((id) => ({ id, author_id: (id % 2) + 1, title: `Book ${id}`, price: id * 10 })),
    );
    return made.length;
  });
  await step('upsert', () =>
    Author.upsert({ id: 2, name: 'Bo', email: 'bo2@example.org' }).then(([one]) => one.email),
  );
  await step('bulk_upsert', () =>
    Book.bulkCreate([{ id: 3, title: 'Third', price: 7 }], { updateOnDuplicate: ['title', 'price'] }).then(
      (all) => all.length,
    ),
  );
  await step('find_or_create', () =>
    Shelf.findOrCreate({ where: { name: 'top' } }).then(([one, made]) => [one.name, made]),
  );
  await step('find_or_create_raced', async () => {
    // Somebody else was faster between the look-up and the INSERT.
    const faster = async (values) => {
      Author.removeHook('beforeCreate', 'faster');
      await Author.create({ id: 5, name: values.name, email: 'first@example.org' });
    };
    Author.addHook('beforeCreate', 'faster', faster);
    const options = { where: { name: 'Di' }, defaults: { id: 6, email: 'late@example.org' } };
    const [one, made] = await Author.findOrCreate(options);
    return [one.id, one.name, made, await Author.destroy({ where: { id: 5 } })];
  });
  await step('create_with', () =>
    Author.create({ id: 7, name: 'Cy', books: [{ id: 8, title: 'Of Cy' }] }, { include: [Book] }).then(
      (one) => one.books.length,
    ),
  );
  await step('link', async () => {
    const shelf = await Shelf.findOne();
    await shelf.addBooks([1, 2]);
    return shelf.countBooks();
  });
  await step('lock', () =>
    sequelize.transaction(
      { isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ },
      async (transaction) => {
        const book = await Book.findByPk(1, { lock: transaction.LOCK.UPDATE, transaction });
        await Book.findAll({ where: { id: 2 }, lock: transaction.LOCK.SHARE, transaction });
        await book.increment('price', { by: 2, transaction });
        return book.id;
      },
    ),
  );
  await step('nested', () =>
    sequelize.transaction(async (transaction) => {
      await sequelize.transaction({ transaction }, (inner) =>
        Book.update({ price: 3 }, { where: { id: 2 }, transaction: inner }),
      );
      return true;
    }),
  );
}
await step('page', () => Book.findAndCountAll({ order: [['id', 'DESC']], limit: 2, offset: 1, raw: true }));
await step('include', () =>
  Author.findAll({
    include: { model: Book, required: false, where: { price: { [Op.gte]: 1 } } },
    order: ['id', [Book, 'id', 'ASC']],
  }).then((all) => all.map((one) => one.toJSON())),
);
await step('include_page', () =>
  Author.findAll({ include: Book, limit: 1, order: ['id'] }).then((all) =>
    all.map((one) => one.toJSON().books.length),
  ),
);
await step('separate', () =>
  Author.findAll({
    attributes: ['id', 'email'],
    include: { model: Book, separate: true, order: ['id'] },
    order: ['id'],
  }).then((all) => all.map((one) => one.toJSON())),
);
await step('through', () =>
  Shelf.findAll({ include: Book, order: [[Book, 'id', 'ASC']] }).then((all) =>
    all.map((one) => one.toJSON().books.map((book) => book.title)),
  ),
);
await step('aggregates', () =>
  Book.findAll({
    attributes: ['author_id', [fn('COUNT', col('id')), 'n'], [fn('SUM', col('price')), 'sum']],
    group: ['author_id'],
    having: literal('COUNT(id) > 0'),
    order: ['author_id'],
    raw: true,
  }),
);
await step('sum', () =>
  Promise.all([Book.sum('price'), Book.max('title'), Book.count({ distinct: true, col: 'author_id' })]),
);
await step('operators', () =>
  Book.findAll({
    attributes: ['id'],
    where: {
      [Op.or]: [{ title: { [Op.like]: 'B%' } }, { title: { [Op.startsWith]: 'Th' } }],
      id: { [Op.between]: [1, 9], [Op.notIn]: [5] },
      price: { [Op.ne]: null },
    },
    order: ['id'],
    raw: true,
  }),
);
await step('json', () => Author.findAll({ attributes: ['id'], where: { 'doc.deep.n': 1 }, raw: true }));
if (isPostgres)
  await step('contains', () =>
    Author.findAll({
      attributes: ['id'],
      where: { doc: { [Op.contains]: { deep: { n: 1 } } }, name: { [Op.iLike]: 'a%' } },
      raw: true,
    }),
  );
const schema = sequelize.getQueryInterface();
await step('tables', async () =>
  (await schema.showAllTables())
    .map((one) => one.tableName ?? one)
    .filter((name) => /^o_/.test(name))
    .sort(),
);
await step('describe', () => schema.describeTable('o_author'));
await step('indexes', async () =>
  (await schema.showIndex('o_book')).map((one) => [
    one.name,
    one.unique,
    one.fields.map((field) => field.attribute),
  ]),
);
await step('foreign', async () =>
  (await schema.getForeignKeyReferencesForTable('o_book')).map((one) => [
    one.columnName,
    one.referencedTableName,
  ]),
);
await step('constraints', async () =>
  (await schema.showConstraint('o_book')).map((one) => [one.constraintName, one.constraintType]).sort(),
);
await step('exists', () => schema.tableExists('o_author'));
await step('version', async () => (await sequelize.databaseVersion()).length > 2);
if (writes) {
  await step('add_column', () =>
    schema.addColumn('o_book', 'pages', { type: DataTypes.INTEGER, defaultValue: 1 }).then(() => true),
  );
  await step('change_column', () =>
    schema.changeColumn('o_book', 'pages', { type: DataTypes.BIGINT, allowNull: true }).then(() => true),
  );
  await step('rename_column', () => schema.renameColumn('o_book', 'pages', 'leaves').then(() => true));
  await step('add_index', () =>
    schema.addIndex('o_book', ['leaves'], { name: 'o_book_leaves' }).then(() => true),
  );
  await step('remove_index', () => schema.removeIndex('o_book', 'o_book_leaves').then(() => true));
  await step('remove_column', () => schema.removeColumn('o_book', 'leaves').then(() => true));
  await step('destroy', () => Author.destroy({ where: { id: 7 } }));
  await step('truncate', () =>
    Shelf.destroy({ where: {}, ...(isPostgres ? { truncate: true, cascade: true } : {}) }).then(() => true),
  );
}
if (writes === 'all')
  await step('drop', async () => {
    for (const name of ['o_book_shelf', 'o_shelf', 'o_book', 'o_author'])
      await schema.dropTable(name, { cascade: isPostgres });
    if (isPostgres) await schema.dropAllEnums();
  });
await step('end', async () => true);
await sequelize.close();
