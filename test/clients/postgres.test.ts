/** Every PostgreSQL client through the gateway: the same answers as from the server, masked where that is due. */
import { matrixOf } from './matrix.ts';

const python = (driver: string) => ({ program: '/usr/bin/python3', args: ['python/drivers.py', driver] });
const node = (script: string, ...args: string[]) => ({
  program: process.execPath,
  args: [`node/${script}`, ...args],
});

matrixOf('postgres', [
  { name: 'psql', ...node('command-line.mjs', 'psql') },
  { name: 'pgcli', ...node('command-line.mjs', 'pgcli') },
  { name: 'psycopg2', ...python('psycopg2') },
  { name: 'psycopg 3', ...python('psycopg') },
  { name: 'asyncpg', ...python('asyncpg') },
  { name: 'SQLAlchemy', ...python('sqlalchemy') },
  { name: 'psqlODBC', ...python('pyodbc') },
  { name: 'pgjdbc', program: 'java', args: ['Jdbc'] },
  { name: 'DBD::Pg', program: 'perl', args: ['perl/dbi.pl', 'Pg'] },
  { name: 'ruby-pg', program: 'ruby', args: ['ruby/pg.rb'] },
  { name: 'PHP PDO', program: 'php', args: ['php/pdo.php'] },
  { name: 'node-postgres', ...node('node-postgres.mjs') },
  { name: 'postgres.js', ...node('postgres-js.mjs') },
  ...['knex', 'kysely', 'sequelize', 'typeorm', 'drizzle', 'prisma'].map((name) => ({
    name,
    ...node('orms.mjs', name),
  })),
]);
