/** The tree keeps its rules: who imports whom, who does I/O, how files are named. Fails first when it can't see the tree. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  importOrder,
  importsOf,
  inputAndOutput,
  leftovers,
  PROTOCOL_CORE,
  packagePlaces,
  purity,
  ROOMS,
  type Rule,
  type SourceFile,
  shape,
  testsRun,
} from './rules.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = [...ROOMS, 'test', 'bench', 'fixtures', 'docs', '.ci'];
const FILES_MIN = 100;

function read(): SourceFile[] {
  const paths = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length).replaceAll('\\', '/')),
  );
  const top = readdirSync(ROOT).filter(
    (name) => /\.(md|json|ya?ml|mjs)$/.test(name) && name !== 'package-lock.json',
  );
  return [...paths, ...top].map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

const files = read();
const sources = files.filter(({ path }) => /\.(ts|mjs)$/.test(path));
const texts = files.filter(({ path }) => /\.(ts|mjs|js|json|ya?ml|md|sql|sh)$|^\.ci\//.test(path));

test('the tree was read', () => {
  assert.ok(sources.length >= FILES_MIN, `only ${sources.length} source files`);
  for (const room of ROOMS) {
    assert.ok(
      sources.some(({ path }) => path.startsWith(`${room}/`)),
      `no file in ${room}/`,
    );
  }
  const edges = sources.reduce((sum, { text }) => sum + importsOf(text).length, 0);
  assert.ok(edges > sources.length, `only ${edges} imports seen`);
});

const keeps = (name: string, rule: Rule, over: readonly SourceFile[]) =>
  test(name, () => assert.deepEqual(over.flatMap(rule), []));

keeps('rooms import downwards, by the seams', importOrder, sources);
keeps('packages are imported where they have their role', packagePlaces, sources);
keeps('sockets and files are opened only where that is the task', inputAndOutput, sources);
keeps('pure files read no clock and draw no randomness', purity, sources);
keeps('files are small, well named, and say what lives in them', shape, sources);
keeps('nothing is left for later, and no path of one machine', leftovers, texts);
keeps('every test runs', testsRun, sources);

test('both protocols have the same core files', () => {
  const missing = ['postgres', 'mysql'].flatMap((protocol) =>
    PROTOCOL_CORE.map((name) => `protocols/${protocol}/${name}.ts`).filter(
      (path) => !existsSync(join(ROOT, path)),
    ),
  );
  assert.deepEqual(missing, []);
});

test('the lock file names no registry and holds the packages of every platform', () => {
  // npm writes only those that it found when it was run, and `npm ci` then refuses the file.
  const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  assert.doesNotMatch(text, /"resolved":/);
  type Locked = { optionalDependencies?: Record<string, string> };
  const { packages } = JSON.parse(text) as { packages: Record<string, Locked> };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {}).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  assert.deepEqual(missing, []);
});

/** Each rule on a file that breaks it and on a near one that doesn't. */
const cases: readonly [name: string, rule: Rule, path: string, broken: string, kept: string][] = [
  [
    'downwards',
    importOrder,
    'sql/a.ts',
    "import { x } from '../policy/decision.ts';",
    "import { x } from './b.ts';",
  ],
  [
    'seam',
    importOrder,
    'policy/a.ts',
    "import { x } from '../sql/lineage.ts';",
    "import { x } from '../sql/statement.ts';",
  ],
  ['ending', importOrder, 'sql/a.ts', "import { x } from './b.js';", "import {\n  x,\n} from './b.ts';"],
  [
    're-export',
    importOrder,
    'audit/a.ts',
    "export { x } from '../sql/catalog.ts';",
    "export { x } from './b.ts';",
  ],
  ['dynamic', importOrder, 'audit/a.ts', "await import('../cli/main.ts')", "await import('./b.ts')"],
  ['strangers', importOrder, 'protocols/mysql/a.ts', "import '../postgres/b.ts';", "import '../bytes.ts';"],
  [
    'no room',
    importOrder,
    'gateway/a.ts',
    "import '../test/b.ts';",
    "import '../protocols/mysql/session.ts';",
  ],
  [
    'package',
    packagePlaces,
    'gateway/a.ts',
    "import { parse } from 'libpg-query';",
    "import { z } from 'zod';",
  ],
  [
    'unknown package',
    packagePlaces,
    'cli/a.ts',
    "import x from '@a/b/c';",
    "import { Command } from 'commander';",
  ],
  [
    'socket',
    inputAndOutput,
    'protocols/mysql/relay.ts',
    "import { connect } from 'node:net';",
    "import type { Socket } from 'node:net';",
  ],
  [
    'file',
    inputAndOutput,
    'policy/load.ts',
    "import { readFileSync } from 'node:fs';",
    "import { createHash } from 'node:crypto';",
  ],
  [
    'clock',
    purity,
    'policy/a.ts',
    'const now = Date.now();',
    '// Date.now() would be a clock\nconst now = context.now;',
  ],
  ['chance', purity, 'protocols/mysql/handshake.ts', 'const s = randomBytes(20);', 'const s = seed;'],
  ['name', shape, 'sql/utils.ts', '/** A. */\n', ''],
  ['opening', shape, 'sql/a.ts', "import './b.ts';\n", '/** A. */\n'],
  ['length', shape, 'sql/a.ts', `/** A. */\n${'\n'.repeat(450)}`, `/** A. */\n${'\n'.repeat(440)}`],
  [
    'barrel',
    shape,
    'sql/a.ts',
    "/** A. */\nexport * from './b.ts';\n",
    "/** A. */\nexport { b } from './b.ts';\n",
  ],
  ['enum', shape, 'sql/a.ts', '/** A. */\nexport enum E { A }\n', '/** A. */\n// an enum of the manual\n'],
  ['later', leftovers, 'docs/a.md', `# ${'TO' + 'DO'}: more`, '# To do is human'],
  ['machine', leftovers, 'docs/a.md', `see /${'wo' + 'rk'}/main`, 'see ./work/main and network/work/'],
  ['not run', testsRun, 'test/a.test.ts', `test${'.skip'}('a', f)`, "test('skip: nothing', f)"],
  [
    'not run by option',
    testsRun,
    'test/a.test.ts',
    `test('a', { ${'todo'}: true }, f)`,
    "test('a', { timeout: 1 }, f)",
  ],
];

for (const [name, rule, path, broken, kept] of cases) {
  test(`the rule sees it broken, and only then: ${name}`, () => {
    assert.notDeepEqual(rule({ path, text: broken }), []);
    const fine = name === 'name' ? { path: 'sql/units.ts', text: broken } : { path, text: kept };
    assert.deepEqual(rule(fine), []);
  });
}
