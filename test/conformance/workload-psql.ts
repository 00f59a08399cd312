/**
 * psql's describe commands and pg_dump, run against the server and through the gateway as both people: what they print has to be
 * the same. Where what is masked is printed, is said here.
 */
import { runClient } from '../servers/client-run.ts';
import type { Address, Person, WorkloadWorld } from './workload-world.ts';

/** How psql and pg_dump are started: the program and the arguments before a tool's own. */
export type Launcher = readonly string[];

const listing = `
  d dS d+ da daS dA dA+ dAc dAc+ dAf dAf+ dAo dAo+ dAp dAp+ db db+ dc dcS+ dconfig dconfig+ dC dC+ dd ddS dD dD+ dDS ddp dE dE+ des
  des+ det det+ deu deu+ dew dew+ df df+ dfS dfa dfn dfp dft dfw dF dF+ dFd dFd+ dFp dFp+ dFt dFt+ dg dg+ dgS di di+ diS dl dl+ dL dL+
  dLS dm dm+ dn dn+ dnS do do+ doS dO dO+ dOS dp dpS dP dP+ dPi dPt dPn drds dRp dRp+ dRs dRs+ ds ds+ dsS dt dt+ dtS dtvmsE+ dT dT+ dTS
  du du+ duS dv dv+ dvS dX dX+ dx dx+ dy dy+ l l+ z zS lo_list`;
const named = `
  d person;d+ person;d shop.product;d+ shop.product;d+ purchase;d+ event;d event_2025;d+ remark;d+ long_remark;d+ scratch;d+ buyer;
  d+ contact;d+ price;d ticket;d+ address;d person_by_name;d+ event_by_date;d pg_class;d+ pg_roles;d information_schema.tables;
  d shop.*;dt shop.*;dt *.*;dt p*;dv+ *.buyer;df twice;df+ pair;df * integer;dfa total;da total;do ===;do + integer integer;dT mood;
  dT+ float_range;dD+ positive;dO plain;dF+ own;dRp+ changes;dX person_stats;dP+ event;dp person;z shop.product;ddp shop.*;dd mood;
  dn+ shop;dS+ pg_stats;sf twice;sf+ touch;sf pair(integer);sv buyer;sv+ contact;dconfig work_mem;dconfig+ *timeout;dC integer;
  du cordon;l postgres;dx plpgsql;dAc btree integer;dAf btree integer;dAo+ btree integer_ops;dAp btree integer_ops;d nothing_here;
  encoding;errverbose`;

/** Every describe command, without its backslash. */
export const describeCommands: readonly string[] = [
  ...listing.trim().split(/\s+/),
  ...named.split(';').map((one) => one.trim()),
];

/** Runs all commands in one psql session and gives what each printed, errors with it. */
export async function runDescribe(
  launcher: Launcher,
  to: Address,
  commands: readonly string[] = describeCommands,
): Promise<ReadonlyMap<string, string>> {
  const input = commands.map((one) => `\\echo @@@ ${one}\n\\${one}\n\\warn\n`).join('');
  const { stdout } = await start(launcher, 'psql', ['-X', '-P', 'pager=off'], to, input);
  return new Map(
    stdout
      .split(/^@@@ /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n');
        // Sizes on disk are those of the moment.
        return [part.slice(0, end), part.slice(end + 1).replace(/ *\d+ (bytes|kB|MB)/g, ' size')];
      }),
  );
}

/** Commands whose output through the gateway is not what the server itself prints, with the first line that differs. */
export async function compareDescribe(
  world: WorkloadWorld,
  launcher: Launcher,
  person: Person,
): Promise<readonly string[]> {
  const expected = await runDescribe(launcher, world.directly('tools'));
  const found = await runDescribe(launcher, await world.throughGateway('tools', person));
  const complaints: string[] = [];
  if (expected.size < describeCommands.length) complaints.push(`only ${expected.size} commands ran`);
  for (const [command, text] of expected) {
    const other = found.get(command);
    if (other !== text) complaints.push(`\\${command}: ${firstDifference(text, other ?? 'nothing')}`);
  }
  return complaints;
}

/** pg_dump's own text, without the lines that are random in each run. */
export async function dump(
  launcher: Launcher,
  to: Address,
  args: readonly string[],
): Promise<{ readonly text: string; readonly error: string }> {
  const { stdout, status } = await start(launcher, 'pg_dump', args, to, '');
  const lines = stdout.split('\n').filter((line) => !/^\\(un)?restrict /.test(line));
  return { text: lines.join('\n'), error: status === 0 ? '' : stdout.slice(-600) };
}

/** The first line of two texts that is not the same in both. */
export function firstDifference(expected: string, found: string): string {
  const [a, b] = [expected.split('\n'), found.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  const more = at + 1 < b.length ? ` / ${b[at + 1]}` : '';
  return at === -1 ? `more lines: ${b[a.length]}` : `${b[at]}${more} and not ${a[at]}`;
}

function start(
  launcher: Launcher,
  program: string,
  args: readonly string[],
  { port, user, password, database }: Address,
  input: string,
) {
  // Errors belong between the outputs, where they happened.
  return runClient('sh', ['-c', 'exec "$0" "$@" 2>&1', ...launcher, program, ...args], input, {
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
    PGTZ: 'UTC',
    // As the gateway has it: the server tells settings that a client made from its defaults.
    PGCLIENTENCODING: 'UTF8',
  });
}

/** What pg_dump is asked for; the last needs a snapshot that several sessions share. */
export const dumps: readonly (readonly string[])[] = [
  [],
  ['--schema-only'],
  ['--data-only', '--inserts'],
  ['--data-only', '--column-inserts', '--rows-per-insert=2'],
  ['-t', 'person', '--no-owner', '--no-privileges'],
  ['--if-exists', '--clean', '--create'],
  ['--section=pre-data', '--strict-names', '--quote-all-identifiers'],
  ['--serializable-deferrable', '--disable-triggers', '--data-only'],
];

/** Dumps that are not the server's own through the gateway, or for the analyst not the same with what is masked starred. */
export async function compareDumps(
  world: WorkloadWorld,
  launcher: Launcher,
  person: Person,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  for (const args of dumps) {
    const expected = await dump(launcher, world.directly('tools'), args);
    const found = await dump(launcher, await world.throughGateway('tools', person), args);
    const masked = person === 'administrator' ? expected.text : starred(expected.text);
    if (expected.error !== '') complaints.push(`pg_dump ${args.join(' ')} on the server: ${expected.error}`);
    else if (found.text !== masked)
      complaints.push(`pg_dump ${args.join(' ')}: ${firstDifference(masked, found.text)} ${found.error}`);
  }
  return complaints;
}

/** The masked values of the tools' database as the policy shows them. */
function starred(text: string): string {
  return text.replace(
    /\b(?:\w+@example\.se|asked twice|called back)/g,
    (value) => '*'.repeat(value.length - 1) + value.at(-1),
  );
}
