/**
 * Which start-up parameters a client may give, and what becomes of them. Everything that isn't on the list is
 * refused by name: a setting could change what a text means, or who runs it. No I/O.
 */

export interface StartupParameters {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** For the upstream's own StartupMessage, besides user and database. */
  readonly settings: ReadonlyMap<string, string>;
}
export interface StartupFault {
  readonly sqlState: string;
  readonly message: string;
}

const allowed: ReadonlySet<string> = new Set([
  'application_name',
  'client_encoding',
  'client_min_messages',
  'datestyle',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'extra_float_digits',
  'geqo',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'jit',
  'lock_timeout',
  'plan_cache_mode',
  'search_path',
  'standard_conforming_strings',
  'statement_timeout',
  'timezone',
  'transaction_timeout',
]);
const valueBytesMax = 1024;

/** Checks what a StartupMessage carried. */
export function checkStartupParameters(
  parameters: ReadonlyMap<string, string>,
): StartupParameters | StartupFault {
  const settings = new Map<string, string>();
  let user = '';
  let database = '';
  const named: [string, string][] = [];
  const options: [string, string][] = [];
  for (const [name, value] of parameters) {
    if (Buffer.byteLength(value) > valueBytesMax) {
      return { sqlState: '22023', message: `start-up parameter "${printable(name)}" is too long` };
    }
    if (name === 'user') user = value;
    else if (name === 'database') database = value;
    else if (name === 'replication') {
      if (!['false', 'off', 'no', '0'].includes(value.toLowerCase())) {
        return {
          sqlState: '0A000',
          message: 'replication connections are not available through this gateway',
        };
      }
    } else if (name === 'options') {
      const split = splitOptions(value);
      if (split === null) {
        return {
          sqlState: '42601',
          message: 'start-up parameter "options" may only hold -c name=value or --name=value',
        };
      }
      options.push(...split);
    } else named.push([name, value]);
  }
  // A parameter of its own wins over `options`, as in the server.
  for (const [name, value] of [...options, ...named]) {
    const fault = addSetting(settings, name.toLowerCase(), value);
    if (fault !== null) return fault;
  }
  if (user === '') return { sqlState: '28000', message: 'no user name was given in the start-up packet' };
  const applicationName = settings.get('application_name') ?? '';
  settings.set('standard_conforming_strings', 'on');
  return { user, database: database === '' ? user : database, applicationName, settings };
}

function addSetting(settings: Map<string, string>, name: string, value: string): StartupFault | null {
  if (!allowed.has(name)) {
    return {
      sqlState: '42501',
      message: `start-up parameter "${printable(name)}" is not permitted by this gateway`,
    };
  }
  if (name === 'client_encoding') {
    // Encoding names compare by letters and digits alone, as in the server. It is UTF-8 upstream in any case.
    const plain = value.toLowerCase().replace(/[^a-z0-9]/g, '');
    if (plain !== 'utf8' && plain !== 'unicode' && plain !== 'sqlascii') {
      return { sqlState: '22023', message: 'start-up parameter "client_encoding" has to be UTF8' };
    }
    return null;
  }
  if (name === 'standard_conforming_strings') {
    if (['on', 'true', 'yes', '1'].includes(value.toLowerCase())) return null;
    return { sqlState: '22023', message: 'start-up parameter "standard_conforming_strings" has to be on' };
  }
  settings.set(name, value);
  return null;
}

/** The server's rule: words at white space, a backslash takes the next character as it is. */
function splitOptions(options: string): [string, string][] | null {
  const words: string[] = [];
  for (const match of options.matchAll(/(?:\\[\s\S]|[^\\\s])+|\\$/g))
    words.push(match[0].replace(/\\([\s\S])/g, '$1'));
  const settings: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    let word = words[i]!;
    if (word === '-c') word = words[++i] ?? '';
    else if (word.startsWith('--')) word = word.slice(2);
    else if (word.startsWith('-c')) word = word.slice(2);
    else return null;
    const at = word.indexOf('=');
    if (at < 1) return null;
    settings.push([word.slice(0, at).replaceAll('-', '_'), word.slice(at + 1)]);
  }
  return settings;
}

function printable(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 63);
}
