/**
 * `npm test`: installs what is missing, builds, and runs every test file. With arguments it runs the files
 * whose paths contain one of them, without the build.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ensureDependencies, fail, ROOT, run } from '../fixtures/dependencies.mjs';

/** Fewer files than this and the search is broken, not the project small. */
const FILES_MIN = 35;
const RUN_MINUTES_MAX = 24;

/** What a test file, or a file of test/ that it imports, says when it needs that part of the machine. */
const PARTS = {
  postgres: /\/postgres\.ts'|\/world\.ts'/,
  psql: /\/(workload-)?psql(-terminal)?\.ts'/,
  mariadb: /\/(mariadb|mysql-client)\.ts'|mysql: 'mariadb'/,
  clients: /\/(matrix|installed)\.ts'/,
  mysql: /servers\/mysql\.ts'|'\.\/mysql\.ts'|mysql: 'mysql'/,
};

const patterns = process.argv.slice(2);
const leftOut = (process.env.CORDON_TEST_WITHOUT ?? '').split(',').filter((part) => part !== '');
for (const part of leftOut) {
  if (!Object.hasOwn(PARTS, part)) fail(`CORDON_TEST_WITHOUT names no part: ${part}`);
}

ensureDependencies();
run(process.execPath, '--import', 'tsx', 'test/servers/install.ts');

const found = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => `test/${path.replaceAll('\\', '/')}`)
  .sort();
if (found.length < FILES_MIN) fail(`only ${found.length} test files found under test/: the search is broken`);

const files = [];
for (const file of found) {
  if (patterns.length > 0 && !patterns.some((pattern) => file.includes(pattern))) continue;
  const without = leftOut.find((part) => PARTS[part].test(textWithImports(file)));
  if (without === undefined) files.push(file);
  else console.log(`left out, as CORDON_TEST_WITHOUT names ${without}: ${file}`);
}
if (files.length === 0) fail('no test file fits');
if (patterns.length === 0) {
  // Not through npm, which would print a banner of its own.
  run(process.execPath, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
  run(process.execPath, 'fixtures/finish-build.mjs');
}

const runner = spawn(
  process.execPath,
  [
    ...['--import', 'tsx', '--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=300000'],
    ...files,
  ],
  { cwd: ROOT, stdio: ['inherit', 'pipe', 'inherit'] },
);
const watchdog = setTimeout(() => {
  console.error(`cordon: the tests took more than ${RUN_MINUTES_MAX} minutes`);
  runner.kill('SIGTERM');
}, RUN_MINUTES_MAX * 60_000);
let end = '';
runner.stdout.on('data', (bytes) => {
  process.stdout.write(bytes);
  end = (end + bytes.toString('latin1')).slice(-200_000);
});
runner.on('close', (status) => {
  clearTimeout(watchdog);
  if (status !== 0) process.exit(status ?? 1);
  const ran = total('tests');
  if (ran < files.length) fail(`${files.length} files, but only ${ran} tests ran`);
  for (const word of ['skipped', 'todo', 'cancelled']) {
    if (total(word) !== 0) fail(`${total(word)} tests ${word}: a test either runs or is deleted`);
  }
});

/** A number of the runner's closing lines; -1 when it isn't there. */
function total(word) {
  const matches = [...end.matchAll(new RegExp(`^\\W*${word} (\\d+)\\s*$`, 'gm'))];
  return Number(matches.at(-1)?.[1] ?? -1);
}

/** A file's text and that of the files of test/ that it imports, the servers' own excepted. */
function textWithImports(file, seen = new Set()) {
  seen.add(file);
  const text = readFileSync(join(ROOT, file), 'utf8');
  const imported = [...text.matchAll(/from '(\.[^']+\.ts)'/g)]
    .map((match) => posix.join(posix.dirname(file), match[1]))
    .filter((path) => path.startsWith('test/') && !path.startsWith('test/servers/') && !seen.has(path))
    .filter((path) => existsSync(join(ROOT, path)));
  return [text, ...imported.map((path) => textWithImports(path, seen))].join('\n');
}
