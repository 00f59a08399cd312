/** Every MySQL client through the gateway to a MariaDB: the same answers as from the server, masked where that is due. */
import { matrixOf } from './matrix.ts';

const python = (driver: string) => ({ program: '/usr/bin/python3', args: ['python/drivers.py', driver] });
const node = (script: string, ...args: string[]) => ({
  program: process.execPath,
  args: [`node/${script}`, ...args],
});

matrixOf('mysql', [
  { name: 'mysql client', ...node('command-line.mjs', 'mysql') },
  { name: 'mariadb client', ...node('command-line.mjs', 'mariadb') },
  { name: 'mycli', ...node('command-line.mjs', 'mycli') },
  { name: 'PyMySQL', ...python('pymysql') },
  { name: 'mysqlclient', ...python('mysqldb') },
  { name: 'SQLAlchemy', ...python('sqlalchemy') },
  // ODBC has SQLSTATEs and no numbers.
  { name: 'MariaDB ODBC', ...python('pyodbc'), refusal: '42000' },
  { name: 'MariaDB Connector/J', program: 'java', args: ['Jdbc'] },
  { name: 'DBD::mysql', program: 'perl', args: ['perl/dbi.pl', 'mysql'] },
  { name: 'DBD::MariaDB', program: 'perl', args: ['perl/dbi.pl', 'MariaDB'] },
  { name: 'ruby-mysql2', program: 'ruby', args: ['ruby/mysql2.rb'] },
  { name: 'PHP PDO', program: 'php', args: ['php/pdo.php'] },
  { name: 'mysql2 (npm)', ...node('mysql-drivers.mjs', 'mysql2') },
  { name: 'mysql (npm)', ...node('mysql-drivers.mjs', 'mysql') },
  { name: 'mariadb (npm)', ...node('mysql-drivers.mjs', 'mariadb') },
  ...['knex', 'kysely', 'sequelize', 'typeorm', 'drizzle', 'prisma'].map((name) => ({
    name,
    ...node('orms.mjs', name),
  })),
]);
