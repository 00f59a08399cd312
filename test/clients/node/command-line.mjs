/**
 * The clients that people type into (psql, pgcli, mysql, mariadb, mycli: the first argument): statements on standard input, a
 * marker in front of each, and one JSON line for what was printed between two markers.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const target = JSON.parse(process.env.CORDON_CLIENT);
const { steps: text } = target;
const isPostgres = target.dialect === 'postgres';
const home = mkdtempSync(join(tmpdir(), 'cordon-command-line-'));
const port = String(target.port);
const mysqlArgs = [
  ...['--no-defaults', '--protocol=TCP', `--host=${target.host}`, `--port=${port}`, `--user=${target.user}`],
  ...[
    '--batch',
    '--force',
    '--unbuffered',
    '--skip-column-names',
    '--default-character-set=utf8mb4',
    `--database=${target.database}`,
  ],
  ...(target.ca === null ? [] : [`--ssl-ca=${target.ca}`, '--ssl-verify-server-cert']),
];
const programs = {
  psql: ['psql', '-X', '-At', '-v', 'VERBOSITY=verbose'],
  pgcli: ['pgcli', '-h', target.host, '-p', port, '-u', target.user, '-d', target.database, '--less-chatty'],
  mysql: ['mysql', ...mysqlArgs],
  mariadb: ['mariadb', ...mysqlArgs],
  mycli: [
    ...[
      'mycli',
      '-h',
      target.host,
      '-P',
      port,
      '-u',
      target.user,
      '-D',
      target.database,
      '--no-warn',
      '--table',
    ],
    ...(target.ca === null ? [] : [`--ssl-ca=${target.ca}`]),
  ],
};
const kind = process.argv[2];
const isMarked = kind === 'pgcli' || kind === 'mycli';
const metadata = {
  psql: ['\\dt', '\\d products', '\\d+ orders', '\\di', '\\dn', '\\dv', '\\df'],
  pgcli: ['\\dt', '\\d products', '\\dn', '\\dv'],
  mysql: [
    'SHOW TABLES',
    'DESCRIBE contacts',
    'SHOW CREATE TABLE contacts',
    'SHOW INDEX FROM contacts',
    'SHOW FULL COLUMNS FROM contacts',
  ],
  mycli: ['SHOW TABLES', 'DESCRIBE contacts', 'SHOW DATABASES'],
};
const script = [
  ...['rows', 'masked', 'error', 'after', 'derived'].map((name) => [name, `${text[name]};`]),
  ...(isMarked ? [] : [['syntax', `${text.syntax};`]]),
  // In one: a failed transaction would refuse the next marker.
  ['insert', `${isPostgres ? 'BEGIN' : 'START TRANSACTION'};\n${text.insert};\nROLLBACK;`],
  ['rolled_back', `${text.count};`],
  ...(metadata[kind] ?? metadata.mysql).map((one, index) => [
    `metadata_${index}`,
    one.startsWith('\\') ? one : `${one};`,
  ]),
  ['end', `${text.after};`],
];
/** What ends a batch of this client stands in a batch of its own. */
const alone = new Set(kind === 'mycli' ? ['error', 'derived', 'insert'] : []);
const [program, ...args] = programs[kind];
const env = {
  PATH: process.env.PATH,
  HOME: home,
  LC_ALL: 'C.UTF-8',
  TERM: 'dumb',
  PAGER: '',
  PGHOST: target.host,
  PGPORT: port,
  PGUSER: target.user,
  PGPASSWORD: target.password,
  PGDATABASE: target.database,
  PGSSLMODE: 'prefer',
  MYSQL_PWD: target.password,
};

/** Runs the program; `interruptMs`: Ctrl-C after that time. */
function run(input, more = [], interruptMs = 0) {
  return new Promise((resolve, reject) => {
    // One pipe for both, or errors would stand anywhere among the rows.
    const child = spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', program, ...args, ...more], { env, cwd: home });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
      output += part;
    });
    child.once('error', reject);
    child.once('close', () => resolve(output));
    child.stdin.end(input);
    if (interruptMs > 0) setTimeout(() => child.kill('SIGINT'), interruptMs);
  });
}

const marked = ([name, one]) => `SELECT 'step=${name}=' AS m;\n${one}\n`;
const batches = [
  script.filter(([name]) => !alone.has(name)),
  ...script.filter(([name]) => alone.has(name)).map((one) => [one]),
];
let output = '';
for (const batch of batches)
  output += await run(`${batch.map(marked).join('')}${kind === 'pgcli' ? '\\q\n' : ''}`);
output = output.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, '');
for (const [name] of script) {
  // The last time: a prompt may have echoed what was typed.
  const mark = isMarked ? `| step=${name}=` : `step=${name}=\n`;
  const from = output.indexOf(mark);
  const ends = output.slice(from + 1).search(isMarked ? /\| step=\w+=/ : /step=\w+=\n/);
  const part = from === -1 ? '' : output.slice(from + mark.length, ends === -1 ? undefined : from + 1 + ends);
  report(
    name,
    part
      .split('\n')
      .filter((line) => !isMarked || /^\||reason: |division by zero|more than 1 row|error 1242/.test(line)),
  );
}
if (kind === 'psql' || kind === 'mysql' || kind === 'mariadb') {
  const stopped = await run('', [kind === 'psql' ? '-c' : '-e', text.sleep], 900);
  const killed = /57014|canceling statement|query killed|interrupted/i.test(stopped);
  process.stdout.write(`${JSON.stringify({ step: 'sleep', value: killed ? 'stopped' : stopped })}\n`);
}
rmSync(home, { recursive: true, force: true });

function report(step, lines) {
  const all = lines.join('\n').replace(/AUTO_INCREMENT=\d+/g, 'AUTO_INCREMENT=N');
  const code = isPostgres ? /^(?:psql:.*)?ERROR: +(\w{5}):/m.exec(all) : /^ERROR (\d+) /m.exec(all);
  const refused = /reason: \w+;/.test(all) ? (isPostgres ? '42501' : '1142') : undefined;
  const plain = isMarked && /division by zero|more than 1 row|error 1242/.test(all) ? 'error' : undefined;
  const error = code?.[1] ?? refused ?? plain;
  if (error !== undefined)
    process.stdout.write(`${JSON.stringify({ step, error, message: all.slice(0, 1500) })}\n`);
  else process.stdout.write(`${JSON.stringify({ step, value: all.split('\n') })}\n`);
}
