/**
 * Prisma: relations, nested writes, upserts, JSON filters, pagination, groups, transactions. Tables are made by the SQL that its
 * migrations would hold, since the engine of its migrations is a download of its own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connection, isPostgres, load, step, target, tls } from '../../clients/node/steps.mjs';
import { writes } from './session.mjs';

const folder = dirname(process.env.CORDON_NODE_CLIENTS);
const output = join(folder, `prisma-workload-${target.dialect}-1`);
if (!existsSync(output)) {
  const fresh = mkdtempSync(join(folder, 'fresh-'));
  const schema = join(fresh, 'schema.prisma');
  writeFileSync(
    schema,
    `generator client {\n  provider = "prisma-client-js"\n  output = "./client"\n}
datasource db {\n  provider = "${isPostgres ? 'postgresql' : 'mysql'}"\n}
model Author {\n  id Int @id @default(autoincrement())\n  name String @unique @db.VarChar(60)\n  email String? @db.VarChar(90)\n  doc Json?\n  books Book[]\n  @@map("o_author")\n}
model Book {\n  id Int @id @default(autoincrement())\n  title String @db.VarChar(60)\n  price Decimal @default(0) @db.Decimal(8, 2)\n  author_id Int?\n  author Author? @relation(fields: [author_id], references: [id], onDelete: Cascade)\n  @@map("o_book")\n}\n`,
  );
  const made = spawnSync(
    process.execPath,
    [join(folder, 'node_modules/prisma/build/index.js'), 'generate', '--schema', schema],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, CHECKPOINT_DISABLE: '1', PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
    },
  );
  if (made.status !== 0) throw new Error(made.stderr);
  renameSync(join(fresh, 'client'), output);
}
const { PrismaClient } = load(join(output, 'index.js'));
const adapter = isPostgres
  ? new (load('@prisma/adapter-pg').PrismaPg)(connection)
  : new (load('@prisma/adapter-mariadb').PrismaMariaDb)({
      ...connection,
      ssl: await tls(),
      // MySQL's own accounts sign in by an RSA key of the server's where there is no TLS.
      allowPublicKeyRetrieval: true,
    });
const prisma = new PrismaClient({ adapter });
const { author, book } = prisma;
const key = isPostgres ? 'SERIAL PRIMARY KEY' : 'INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY';
const json = isPostgres ? 'JSONB' : 'JSON';
if (writes) {
  await step('tables', async () => {
    await prisma.$executeRawUnsafe(
      `CREATE TABLE o_author (id ${key}, name VARCHAR(60) NOT NULL UNIQUE, email VARCHAR(90), doc ${json})`,
    );
    await prisma.$executeRawUnsafe(
      `CREATE TABLE o_book (id ${key}, title VARCHAR(60) NOT NULL, price DECIMAL(8,2) NOT NULL DEFAULT 0, author_id INTEGER, FOREIGN KEY (author_id) REFERENCES o_author (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
    );
  });
  await step('nested_create', () =>
    author.create({
      data: {
        name: 'Ada',
        email: 'ada@example.org',
        doc: { likes: ['tea'], deep: { n: 1 } },
        books: {
          create: [
            { title: 'Book 1', price: 10 },
            { title: 'Book 2', price: 20 },
          ],
        },
      },
      include: { books: true },
    }),
  );
  await step('create_many', () =>
    author.createMany({ data: [{ name: 'Bo', email: 'bo@example.org' }, { name: 'Cy' }] }),
  );
  await step('skip_duplicates', () => author.createMany({ data: [{ name: 'Bo' }], skipDuplicates: true }));
  if (isPostgres)
    await step('create_many_and_return', () =>
      book.createManyAndReturn({ data: [{ title: 'Book 3', author_id: 2 }] }),
    );
  else await step('create_one', () => book.create({ data: { title: 'Book 3', author_id: 2 } }));
  await step('upsert', () =>
    author.upsert({ where: { name: 'Bo' }, update: { email: 'bo2@example.org' }, create: { name: 'Bo' } }),
  );
  await step('upsert_new', () =>
    author.upsert({ where: { name: 'Dee' }, update: { email: null }, create: { name: 'Dee' } }),
  );
  await step('connect', () =>
    book.update({
      where: { id: 3 },
      data: { author: { connect: { name: 'Cy' } }, price: { increment: 2 } },
      select: { id: true, price: true, author: { select: { name: true } } },
    }),
  );
  await step('update_many', () =>
    book.updateMany({ where: { price: { gt: 5 } }, data: { price: { multiply: 2 } } }),
  );
  await step('batch', () =>
    prisma.$transaction([book.count(), author.count(), book.findFirst({ orderBy: { id: 'desc' } })]),
  );
  await step('interactive', () =>
    prisma.$transaction(
      async (inner) => {
        const found = await inner.book.findUniqueOrThrow({ where: { id: 1 } });
        await inner.book.update({ where: { id: 1 }, data: { title: 'Book One' } });
        return found.title;
      },
      { isolationLevel: 'Serializable' },
    ),
  );
}
await step('relations', () =>
  author.findMany({
    include: { books: { orderBy: { id: 'asc' } }, _count: { select: { books: true } } },
    orderBy: { id: 'asc' },
  }),
);
await step('relation_filters', () =>
  author.findMany({
    select: { name: true },
    where: {
      OR: [{ books: { some: { price: { gte: 1 } } } }, { books: { none: {} } }],
      NOT: { name: 'nobody' },
    },
    orderBy: { id: 'asc' },
  }),
);
await step('page', () =>
  book.findMany({ skip: 1, take: 2, orderBy: [{ author: { name: 'asc' } }, { id: 'asc' }] }),
);
await step('cursor', () => book.findMany({ cursor: { id: 2 }, take: 2, orderBy: { id: 'asc' } }));
await step('distinct', () =>
  book.findMany({ distinct: ['author_id'], select: { author_id: true }, orderBy: { author_id: 'asc' } }),
);
await step('strings', () =>
  book.findMany({
    select: { id: true },
    where: { title: { contains: 'oo', startsWith: 'B', ...(isPostgres ? { mode: 'insensitive' } : {}) } },
    orderBy: { id: 'asc' },
  }),
);
await step('json', () =>
  author.findMany({
    select: { id: true },
    where: { doc: { path: isPostgres ? ['deep', 'n'] : '$.deep.n', equals: 1 } },
  }),
);
await step('groups', () =>
  book.groupBy({
    by: ['author_id'],
    _sum: { price: true },
    _count: { _all: true },
    having: { price: { _sum: { gt: 1 } } },
    orderBy: { author_id: 'asc' },
  }),
);
await step('aggregates', () =>
  book.aggregate({ _avg: { price: true }, _max: { title: true }, _count: true }),
);
await step('raw', () => prisma.$queryRaw`SELECT count(*) AS n FROM o_book WHERE id > ${0}`);
if (writes) {
  await step('delete_many', () => book.deleteMany({ where: { author: { name: 'Cy' } } }));
  await step('delete', () => author.delete({ where: { name: 'Dee' } }));
}
if (writes === 'all')
  await step('drop', async () => {
    await prisma.$executeRawUnsafe('DROP TABLE o_book');
    await prisma.$executeRawUnsafe('DROP TABLE o_author');
  });
await step('end', async () => true);
await prisma.$disconnect();
