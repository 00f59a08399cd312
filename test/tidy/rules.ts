/**
 * The rules that the tree keeps, as pure functions of a file's path and text. Which files there are, and
 * that there are any, is for `tidy.test.ts`.
 */
import { posix } from 'node:path';

/** One file: its path from the project's folder, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A rule answers with complaints, each one line; none when the file keeps it. */
export type Rule = (file: SourceFile) => string[];

/** The rooms that make the product, lowest first. */
export const ROOMS = [
  'sql',
  'masking',
  'policy',
  'identity',
  'audit',
  'protocols',
  'gateway',
  'cli',
] as const;
type Room = (typeof ROOMS)[number];

const ANY = 'any file';
/** Room -> the other rooms that it may import, and the files by which it may enter them. */
const IMPORTS: Readonly<Record<Room, Readonly<Partial<Record<Room, readonly string[] | typeof ANY>>>>> = {
  sql: {},
  masking: { sql: ['statement', 'catalog'] },
  policy: { sql: ['statement', 'catalog', 'analyzer'], masking: ['masker'] },
  identity: { policy: ['decision'] },
  audit: { policy: ['decision'] },
  protocols: { sql: ['statement', 'catalog'], masking: ['masker'], policy: ['decision'] },
  gateway: { sql: ANY, masking: ANY, policy: ANY, identity: ANY, audit: ANY, protocols: ANY },
  cli: { sql: ANY, masking: ANY, policy: ANY, identity: ANY, audit: ANY, protocols: ANY, gateway: ANY },
};

/** Package -> the folders or files of the product that may import it. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'libpg-query': ['sql/postgres/'],
  'node-sql-parser': ['sql/mysql/'],
  // Also the printer of the policy file's own predicates, which are ours and not a client's.
  'pgsql-ast-parser': ['sql/postgres/', 'policy/predicate.ts'],
  'pg-protocol': ['protocols/postgres/'],
  mysql2: ['protocols/mysql/'],
  '@noble/curves': ['protocols/mysql/'],
  jose: ['identity/'],
  'better-sqlite3': ['audit/', 'identity/'],
  commander: ['cli/'],
  yaml: ['policy/', 'gateway/', 'cli/'],
  zod: ['policy/', 'gateway/', 'identity/'],
};

const SOCKETS = ['net', 'tls', 'http', 'https', 'http2', 'dgram', 'dns', 'dns/promises'];
const FILES = ['fs', 'fs/promises', 'child_process', 'worker_threads', 'readline', 'readline/promises', 'os'];
/** Node module -> the folders or files of the product that may do that kind of input and output. */
const NODE_IO: readonly { modules: readonly string[]; places: readonly RegExp[] }[] = [
  {
    modules: SOCKETS,
    // The sign-in takes a client's socket over into TLS, the catalog asks an upstream; a relay has no socket.
    places: [
      /^protocols\/(?:\w+\/)?(?:session|upstream|greeting|sign-in|catalog)\.ts$/,
      /^(gateway|cli|identity)\//,
    ],
  },
  { modules: FILES, places: [/^(audit|identity|gateway|cli)\//] },
];

/** Rooms and files that do no I/O, read no clock and draw no randomness. */
const PURE = [
  /^(sql|masking|policy)\//,
  /^protocols\/\w+\/(framing|handshake|client-messages|server-messages|relay)\.ts$/,
];
const IMPURE =
  /\b(Date\.now\(|new Date\(\)|Math\.random\(|randomBytes\(|randomUUID\(|randomInt\(|getRandomValues\(|hrtime\b|performance\.now\(|setTimeout\(|setInterval\(|process\.env\b)/;

/** What both protocols have, under the same names. */
export const PROTOCOL_CORE = [
  ...['framing', 'handshake', 'client-messages', 'server-messages', 'statements', 'relay', 'values'],
  ...['errors', 'catalog', 'upstream', 'session'],
] as const;

const LINES_MAX = 450;
/** A test file is a list; its parts are read alone. */
const TEST_LINES_MAX = 700;

const roomOf = (path: string): Room | undefined => ROOMS.find((room) => path.startsWith(`${room}/`));

/** Everything that a file imports or re-exports: specifiers as written. */
export function importsOf(text: string): string[] {
  return [
    ...text.matchAll(/^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm),
    ...text.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm),
    ...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g),
  ].map((match) => match[1]!);
}

/** The import order of the rooms, and the seams by which they are entered. */
export const importOrder: Rule = ({ path, text }) => {
  const room = roomOf(path);
  if (room === undefined) return [];
  const complaints: string[] = [];
  for (const specifier of importsOf(text)) {
    if (!specifier.startsWith('.')) continue;
    if (!/\.(ts|json)$/.test(specifier)) complaints.push(`${path}: '${specifier}' doesn't end in .ts`);
    const target = posix.join(posix.dirname(path), specifier);
    const targetRoom = roomOf(target);
    if (targetRoom === undefined) {
      complaints.push(`${path}: imports ${target}, which is no room of the product`);
      continue;
    }
    const protocol = /^protocols\/(postgres|mysql)\//.exec(target)?.[1];
    const own = /^protocols\/(postgres|mysql)\//.exec(path)?.[1];
    if (room === 'protocols' && protocol !== undefined && protocol !== own) {
      complaints.push(`${path}: imports ${target}, a stranger`);
    }
    if (room === targetRoom) continue;
    const allowed = IMPORTS[room][targetRoom];
    const name = target.slice(targetRoom.length + 1).replace(/\.ts$/, '');
    if (allowed === undefined) complaints.push(`${path}: ${room} may not import ${targetRoom} (${target})`);
    else if (allowed !== ANY && !allowed.includes(name)) {
      complaints.push(`${path}: enters ${targetRoom} by ${target}, which is no seam`);
    }
  }
  return complaints;
};

/** Which package may be imported where. */
export const packagePlaces: Rule = ({ path, text }) => {
  if (roomOf(path) === undefined) return [];
  const complaints: string[] = [];
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    const places = PACKAGES[name];
    if (places === undefined) complaints.push(`${path}: no room is named for the package ${name}`);
    else if (!places.some((place) => path.startsWith(place)))
      complaints.push(`${path}: may not import ${name}`);
  }
  return complaints;
};

/** Who may open sockets and files. */
export const inputAndOutput: Rule = ({ path, text }) => {
  if (roomOf(path) === undefined) return [];
  const complaints: string[] = [];
  for (const specifier of importsOf(text)) {
    const module = specifier.replace(/^node:/, '');
    const rule = NODE_IO.find(({ modules }) => modules.includes(module));
    if (rule === undefined || rule.places.some((place) => place.test(path))) continue;
    // A type has no effect: a session may be told what a socket is without having one.
    if (new RegExp(`import type [^'"]*['"]${specifier}['"]`).test(text)) continue;
    complaints.push(`${path}: may not import ${specifier}`);
  }
  return complaints;
};

/** No clock, no randomness, no environment where answers have to be the same every time. */
export const purity: Rule = ({ path, text }) => {
  if (!PURE.some((place) => place.test(path))) return [];
  return withoutComments(text)
    .split('\n')
    .flatMap((line, index) => {
      const found = IMPURE.exec(line);
      return found === null ? [] : [`${path}:${index + 1}: ${found[1]} in a pure file`];
    });
};

/** Names, length, how it opens, what the language offers and this project does without. */
export const shape: Rule = ({ path, text }) => {
  const complaints: string[] = [];
  const base = posix.basename(path);
  if (/^(utils?|helpers?|common|index|misc|shared)\b/.test(base))
    complaints.push(`${path}: a name that says nothing`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.bench)?\.(ts|mjs)$/.test(base))
    complaints.push(`${path}: not kebab-case`);
  const lines = text.split('\n').length - 1;
  const isTest = base.endsWith('.test.ts');
  if (lines >= (isTest ? TEST_LINES_MAX : LINES_MAX)) complaints.push(`${path}: ${lines} lines`);
  if (!isTest && !/^(#!.*\n)?\/\*\*/.test(text))
    complaints.push(`${path}: doesn't open by saying what lives there`);
  if (/^\s*export \* /m.test(text)) complaints.push(`${path}: re-exports everything of another file`);
  if (/^\s*(export )?(declare )?(const )?(enum|namespace) \w+/m.test(text))
    complaints.push(`${path}: enum or namespace`);
  return complaints;
};

/** Nothing left for later, nothing of the machine that it was written on. */
export const leftovers: Rule = ({ path, text }) => {
  const words = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].map((word) => `\\b${word}\\b`).join('|'));
  const places = new RegExp(`(^|[^\\w.])/(${['wo' + 'rk', 'fa' + 'rm'].join('|')})/`);
  return text.split('\n').flatMap((line, index) => {
    const found: string[] = [];
    if (words.test(line)) found.push(`${path}:${index + 1}: left for later`);
    if (places.test(line)) found.push(`${path}:${index + 1}: a path of one machine`);
    return found;
  });
};

/** Every test runs. */
export const testsRun: Rule = ({ path, text }) => {
  if (!path.endsWith('.test.ts')) return [];
  return text.split('\n').flatMap((line, index) => {
    const call = /\b(test|it|describe|suite|t)\.(skip|only|todo)\(/.test(line);
    const option = /\{[^}]*\b(skip|only|todo):/.test(line) && /\b(test|it|describe|suite)\(/.test(line);
    return call || option ? [`${path}:${index + 1}: a test that doesn't run`] : [];
  });
};

function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/^\s*\/\/.*$/gm, '');
}
