/** Real MariaDB servers, from the system's own packages. `install.ts` puts those there. */
import { spawnSync } from 'node:child_process';
import { type MySqlOptions, type MySqlServer, startMySqlProduct } from './mysql-family.ts';

/** Starts a MariaDB on a free port. Accounts may use `ed25519` and `mysql_native_password`. */
export function startMariaDb(options: MySqlOptions = {}): Promise<MySqlServer> {
  if (!mariaDbIsHere())
    throw new Error('mariadbd is not here: Debian and Ubuntu have it in the package mariadb-server');
  // Without --user the server refuses to run as root.
  const account = process.getuid?.() === 0 ? ['--user=root'] : [];
  return startMySqlProduct(
    {
      name: 'mariadb',
      server: ['mariadbd', '--no-defaults', ...account],
      install: (data) => [
        ...['mariadb-install-db', '--no-defaults', ...account, `--datadir=${data}`],
        ...['--auth-root-authentication-method=normal', '--skip-test-db'],
      ],
      accounts: (user, password) => [
        // An anonymous 'localhost' account would win over '%' accounts.
        "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root';",
        'FLUSH PRIVILEGES;',
        `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}';`,
        `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION;`,
        "INSTALL SONAME 'auth_ed25519';",
      ],
      settings: { 'collation-server': 'utf8mb4_general_ci' },
    },
    options,
  );
}

/** Whether this machine can start one. */
export function mariaDbIsHere(): boolean {
  return (
    spawnSync('mariadbd', ['--version']).status === 0 &&
    spawnSync('mariadb-install-db', ['--help']).error === undefined
  );
}
