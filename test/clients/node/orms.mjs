/** Knex, Kysely, Sequelize, TypeORM, Drizzle and Prisma (the first argument), each in its own words, on either dialect. */
import { connection, isPostgres, load, step, target, text, tls } from './steps.mjs';

const ssl = isPostgres ? false : await tls();
const clear = Buffer.from(`${target.password}\0`);
const mysqlOptions = {
  ...connection,
  ssl,
  timezone: 'Z',
  authPlugins: { mysql_clear_password: () => () => clear },
};
const people = isPostgres ? 'customers' : 'contacts';
const table = isPostgres ? 'orders' : 'contacts';
const fresh = isPostgres
  ? {
      customer_id: 1,
      product_id: 1,
      card_number: '4000000000000002',
      amount: '777.25',
      placed_at: new Date(1.77e12),
    }
  : { name: 'Transient', email: 't@example.org', created_at: new Date(1.77e12) };
const personColumns = isPostgres ? ['id', 'email', 'phone', 'ssn', 'born'] : ['id', 'email', 'notes'];
const rollback = new Error('rolled back on purpose');

/** Runs `work` and rolls back what it did, however the ORM spells a transaction. */
async function undone(transaction, work) {
  let value;
  try {
    await transaction(async (inner) => {
      value = await work(inner);
      throw rollback;
    });
  } catch (error) {
    if (error !== rollback && error?.cause !== rollback) throw error;
  }
  return value;
}

const kinds = {
  async knex() {
    const knex = load('knex')(
      isPostgres ? { client: 'pg', connection } : { client: 'mysql2', connection: mysqlOptions },
    );
    const rowsOf = (found) => (isPostgres ? found.rows : found[0]);
    for (const name of ['types', 'rows', 'error', 'derived'])
      await step(name, async () => rowsOf(await knex.raw(text[name])));
    await step('masked', () => {
      const query = knex(people).select(personColumns).orderBy('id').limit(2);
      return isPostgres ? query.where('region', 'eu') : query;
    });
    await step('where', () => knex(people).where('id', '>', 1).whereIn('id', [1, 2]).count('* as n'));
    await step('insert', () =>
      undone(
        (work) => knex.transaction(work),
        async (inner) => {
          await inner(table).insert(fresh);
          return rowsOf(await inner.raw(text.count));
        },
      ),
    );
    await step('rolled_back', async () => rowsOf(await knex.raw(text.count)));
    await step('metadata_table', () => knex.schema.hasTable(people));
    await step('metadata_column', () => knex.schema.hasColumn(people, 'email'));
    await step('metadata_columns', () => knex(people).columnInfo());
    await step('end', async () => rowsOf(await knex.raw(text.after)));
    await knex.destroy();
  },
  async kysely() {
    const { Kysely, PostgresDialect, MysqlDialect, sql } = load('kysely');
    const dialect = isPostgres
      ? new PostgresDialect({ pool: new (load('pg').Pool)(connection) })
      : new MysqlDialect({ pool: load('mysql2').createPool(mysqlOptions) });
    const db = new Kysely({ dialect });
    const raw = async (one, on = db) => (await sql.raw(one).execute(on)).rows;
    for (const name of ['types', 'rows', 'error', 'derived']) await step(name, () => raw(text[name]));
    await step('masked', () => {
      const query = db.selectFrom(people).select(personColumns).orderBy('id').limit(2);
      return (isPostgres ? query.where('region', '=', 'eu') : query).execute();
    });
    await step('joined', () =>
      isPostgres
        ? db
            .selectFrom('orders as o')
            .innerJoin('products as p', 'p.id', 'o.product_id')
            .select(['o.id', 'p.name', 'o.amount'])
            .orderBy('o.id')
            .execute()
        : db
            .selectFrom('contacts')
            .select(({ fn }) => fn.countAll().as('n'))
            .execute(),
    );
    await step('insert', () =>
      undone(
        (work) => db.transaction().execute(work),
        async (inner) => {
          await inner.insertInto(table).values(fresh).execute();
          return raw(text.count, inner);
        },
      ),
    );
    await step('rolled_back', () => raw(text.count));
    await step('metadata_tables', async () =>
      (await db.introspection.getTables()).filter((one) => !['newsletter'].includes(one.name)),
    );
    await step('metadata_schemas', () => db.introspection.getSchemas());
    await step('end', () => raw(text.after));
    await db.destroy();
  },
  async sequelize() {
    const { Sequelize, DataTypes } = load('sequelize');
    const { database, user, password, host, port } = connection;
    const sequelize = new Sequelize(database, user, password, {
      host,
      port,
      dialect: target.dialect,
      logging: false,
      ...(isPostgres ? {} : { dialectOptions: { ssl, authPlugins: mysqlOptions.authPlugins } }),
    });
    const rowsOf = async (one, options = {}) => (await sequelize.query(one, options))[0];
    await step('authenticate', () => sequelize.authenticate().then(() => 'in'));
    for (const name of ['types', 'rows', 'error', 'derived']) await step(name, () => rowsOf(text[name]));
    const columns = isPostgres
      ? {
          email: DataTypes.TEXT,
          phone: DataTypes.TEXT,
          ssn: DataTypes.TEXT,
          born: DataTypes.DATEONLY,
          region: DataTypes.TEXT,
        }
      : {
          name: DataTypes.STRING,
          email: DataTypes.STRING,
          notes: DataTypes.TEXT,
          created_at: DataTypes.DATE,
        };
    const Person = sequelize.define('person', columns, { tableName: people, timestamps: false });
    const orderColumns = isPostgres
      ? {
          customer_id: DataTypes.INTEGER,
          product_id: DataTypes.INTEGER,
          card_number: DataTypes.TEXT,
          amount: DataTypes.DECIMAL,
          placed_at: DataTypes.DATE,
        }
      : columns;
    const Order = sequelize.define('order', orderColumns, { tableName: table, timestamps: false });
    await step('masked', async () => {
      const found = await Person.findAll({
        attributes: personColumns,
        where: isPostgres ? { region: 'eu' } : {},
        order: ['id'],
        limit: 2,
      });
      return found.map((one) => one.get());
    });
    await step('counted', () => Person.count({ where: { id: [1, 2] } }));
    await step('insert', () =>
      undone(
        (work) => sequelize.transaction(work),
        async (transaction) => {
          await Order.create(fresh, { transaction });
          return rowsOf(text.count, { transaction });
        },
      ),
    );
    const creations = isPostgres ? { find_or_insert: {}, duplicate_insert: { id: 1 } } : {};
    for (const [name, more] of Object.entries(creations))
      await step(name, () =>
        undone(
          (work) => sequelize.transaction(work),
          async (transaction) => {
            const options = { where: { amount: '1234.5' }, defaults: { ...fresh, ...more }, transaction };
            const [one, made] = await Order.findOrCreate(options);
            const again = await Order.findOrCreate(options);
            return [one.amount, made, again[1], await rowsOf(text.count, { transaction })];
          },
        ),
      );
    await step('rolled_back', () => rowsOf(text.count));
    const schema = sequelize.getQueryInterface();
    await step('metadata_tables', async () =>
      (await schema.showAllTables()).map((one) => one.tableName ?? one).sort(),
    );
    await step('metadata_describe', () => schema.describeTable(people));
    await step('metadata_indexes', async () =>
      (await schema.showIndex(people)).map((one) => one.name).sort(),
    );
    await step('metadata_foreign', async () => (await schema.getForeignKeyReferencesForTable(table)).length);
    await step('metadata_version', async () => (await sequelize.databaseVersion()).length > 2);
    await step('end', () => rowsOf(text.after));
    await sequelize.close();
  },
  async typeorm() {
    load('reflect-metadata');
    const { DataSource, EntitySchema } = load('typeorm');
    const Person = new EntitySchema({
      name: 'Person',
      tableName: people,
      columns: {
        id: { type: Number, primary: true, generated: true },
        email: { type: isPostgres ? 'text' : 'varchar' },
        ...(isPostgres
          ? {
              phone: { type: 'text', nullable: true },
              ssn: { type: 'text', nullable: true },
              born: { type: 'date', nullable: true },
              region: { type: 'text', select: false },
            }
          : { notes: { type: 'text', nullable: true } }),
      },
    });
    const Order = new EntitySchema({
      name: 'Order',
      tableName: table,
      columns: {
        id: { type: Number, primary: true, generated: true },
        ...(isPostgres
          ? {
              customer_id: { type: 'int' },
              product_id: { type: 'int' },
              card_number: { type: 'text' },
              amount: { type: 'numeric' },
              placed_at: { type: 'timestamptz' },
            }
          : { name: { type: 'varchar' }, email: { type: 'varchar' }, created_at: { type: 'datetime' } }),
      },
    });
    const { user, ...rest } = connection;
    const source = new DataSource({
      type: isPostgres ? 'postgres' : 'mariadb',
      ...rest,
      username: user,
      entities: [Person, Order],
      logging: false,
      ...(isPostgres
        ? {}
        : {
            connectorPackage: 'mysql2',
            ssl,
            timezone: 'Z',
            extra: { authPlugins: mysqlOptions.authPlugins },
          }),
    });
    await source.initialize();
    for (const name of ['types', 'rows', 'error', 'derived'])
      await step(name, () => source.query(text[name]));
    await step('masked', () =>
      source
        .getRepository(Person)
        .find({ where: isPostgres ? { region: 'eu' } : {}, order: { id: 'ASC' }, take: 2 }),
    );
    await step('built', () =>
      source
        .getRepository(Order)
        .createQueryBuilder('o')
        .select('COUNT(*)', 'n')
        .where('o.id IN (:...ids)', { ids: [1, 2] })
        .getRawMany(),
    );
    await step('insert', () =>
      undone(
        (work) => source.transaction(work),
        async (manager) => {
          await manager.getRepository(Order).save({ ...fresh });
          return manager.query(text.count);
        },
      ),
    );
    await step('rolled_back', () => source.query(text.count));
    const runner = source.createQueryRunner();
    await step('metadata_tables', async () => {
      const found = await runner.getTable(people);
      return found.columns.map((column) => [column.name, column.type, column.isNullable, column.isPrimary]);
    });
    await step('metadata_foreign', async () => (await runner.getTable(table)).foreignKeys.length);
    await step('metadata_has', () => runner.hasTable(people));
    await step('metadata_database', () => runner.getCurrentDatabase());
    await runner.release();
    await step('end', () => source.query(text.after));
    await source.destroy();
  },
  async drizzle() {
    const core = load(isPostgres ? 'drizzle-orm/pg-core' : 'drizzle-orm/mysql-core');
    const { eq, sql, count } = load('drizzle-orm');
    const client = isPostgres
      ? new (load('pg').Pool)(connection)
      : load('mysql2/promise').createPool(mysqlOptions);
    const { drizzle } = load(isPostgres ? 'drizzle-orm/node-postgres' : 'drizzle-orm/mysql2');
    const db = drizzle(client);
    const { text: textType, varchar, datetime, date, integer, int, serial, numeric, timestamp } = core;
    const person = isPostgres
      ? core.pgTable('customers', {
          id: integer('id').primaryKey(),
          email: textType('email'),
          phone: textType('phone'),
          ssn: textType('ssn'),
          born: date('born'),
          region: textType('region'),
        })
      : core.mysqlTable('contacts', {
          id: int('id').primaryKey().autoincrement(),
          email: varchar('email', { length: 190 }),
          notes: textType('notes'),
          name: varchar('name', { length: 120 }),
          created_at: datetime('created_at'),
        });
    const order = isPostgres
      ? core.pgTable('orders', {
          id: serial('id').primaryKey(),
          customer_id: integer('customer_id'),
          product_id: integer('product_id'),
          card_number: textType('card_number'),
          amount: numeric('amount'),
          placed_at: timestamp('placed_at', { withTimezone: true }),
        })
      : person;
    const raw = async (one, on = db) => {
      const found = await on.execute(sql.raw(one));
      return isPostgres ? found.rows : found[0];
    };
    for (const name of ['types', 'rows', 'error', 'derived']) await step(name, () => raw(text[name]));
    const shown = Object.fromEntries(personColumns.map((name) => [name, person[name]]));
    const masked = () => {
      const query = db.select(shown).from(person);
      return (isPostgres ? query.where(eq(person.region, 'eu')) : query).orderBy(person.id).limit(2);
    };
    await step('masked', masked);
    await step('counted', () => db.select({ n: count() }).from(order).where(eq(order.id, 1)));
    await step('insert', () =>
      undone(
        (work) => db.transaction(work),
        async (inner) => {
          await inner.insert(order).values(fresh);
          return raw(text.count, inner);
        },
      ),
    );
    await step('rolled_back', () => raw(text.count));
    await step('end', () => raw(text.after));
    await client.end();
  },
  async prisma() {
    const { PrismaClient } = load(`./prisma-${target.dialect}/index.js`);
    const { PrismaPg } = load('@prisma/adapter-pg');
    const { PrismaMariaDb } = load('@prisma/adapter-mariadb');
    const adapter = isPostgres ? new PrismaPg(connection) : new PrismaMariaDb({ ...connection, ssl });
    const prisma = new PrismaClient({ adapter });
    const order = isPostgres ? prisma.order : prisma.person;
    for (const name of ['rows', 'error', 'derived'])
      await step(name, () => prisma.$queryRawUnsafe(text[name]));
    await step('masked', () =>
      prisma.person.findMany({
        where: isPostgres ? { region: 'eu' } : {},
        select: Object.fromEntries(personColumns.map((name) => [name, true])),
        orderBy: { id: 'asc' },
        take: 2,
      }),
    );
    await step('found', () => order.count({ where: { id: { in: [1, 2] } } }));
    await step('grouped', () =>
      order.aggregate({ _min: { id: true }, _count: true, where: { id: { lt: 4 } } }),
    );
    await step('insert', () =>
      undone(
        (work) => prisma.$transaction(work),
        async (inner) => {
          await (isPostgres ? inner.order : inner.person).create({ data: fresh });
          return inner.$queryRawUnsafe(text.count);
        },
      ),
    );
    await step('rolled_back', () => prisma.$queryRawUnsafe(text.count));
    await step('raw', () => prisma.$queryRaw`SELECT ${1} + 1 AS n`);
    await step('end', () => prisma.$queryRawUnsafe(text.after));
    await prisma.$disconnect();
  },
};

await kinds[process.argv[2]]();
