/**
 * Asks statements of two databases that differ in secrets only, through the gateway and of the bare server, and compares:
 * answers that differ, and secrets in them, in each form of the protocol. Where the statements come from is not its business.
 */
import type { Role } from '../../fixtures/corpus/postgres/entry.ts';
import { binaryCanaries, canaries, type Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { say } from '../protocols/postgres-wire.ts';
import { CanaryScan } from './canary-scan.ts';
import type { CorpusWorld } from './postgres-world.ts';
import { type Answer, bytesOf, comparable, statusOf, type WireSession } from './wire.ts';

/** What a run found. */
export interface Findings {
  asked: number;
  /** Not run to their end within the bare server's time limit, and not asked of the gateway. */
  slow: number;
  /** The bare server runs them without an error. */
  valid: number;
  /** The gateway lets them through. */
  passed: number;
  /** Of those, name a table or view with masked columns. */
  touching: number;
  /** Of those, show a secret when the bare server is asked. */
  showing: number;
  /** Let through only because the role sees NULL in place of masked values. */
  blanked: number;
  /** The bare server answers differently for the two: what there was to be found. */
  telling: number;
  /** Told the two databases apart through the gateway, every time. */
  readonly different: string[];
  /** Showed a secret, with the secret. */
  readonly leaking: string[];
  /** The same rows in another order. */
  readonly reordered: string[];
  /** Answers of one database already differ from one time to the next: clocks, ids of sessions, time limits, counters. */
  readonly unsteady: string[];
  /** No answer within the time for one, or the session was closed. */
  readonly broken: string[];
  /** What the bare server says of those that it does not run: SQLSTATE, and how often. */
  readonly failures: Map<string, number>;
  /** Refusals of statements that the bare server runs, by the gateway's reason. */
  readonly refused: Map<string, string[]>;
}

type Form = 'simple' | 'text' | 'binary';
const forms: readonly Form[] = ['simple', 'text', 'binary'];
/** Tables and views of the corpus with a masked column. */
const masked =
  /\b(people|purchases|members|events|events_202[56]|derived|v_people|v_chain|v_upper|m_people|colours)\b/;
const changing =
  /^\s*(insert|update|delete|merge)\b|^\s*with\b.*?\b(insert into|update|delete from|merge into)\s/is;
/** Counters of what a database was asked before, which the two do not share. */
const history = /\bpg_stat(io)?_\w|\bcurrent_(database|catalog)\b/;
const askMilliseconds = 20_000;
/** query_canceled: the server's own time limit. */
const timedOut = '57014';
/** Sessions are opened anew after so many statements: settings, locks and prepared names do not pile up. */
const sessionStatements = 400;

const scans: Readonly<Record<Variant, CanaryScan>> = {
  a: new CanaryScan([...canaries('a'), ...binaryCanaries('a')]),
  b: new CanaryScan([...canaries('b'), ...binaryCanaries('b')]),
};
const secretIn = (variant: Variant, answer: Answer): string | null => scans[variant].find(bytesOf(answer));

/** One statement in one form of the protocol; what changes rows goes into a transaction that is rolled back. */
function exchange(sql: string, form: Form): { messages: Buffer[]; ready: number } {
  const asked =
    form === 'simple'
      ? [say.query(sql)]
      : [say.parse('', sql), say.bind('', '', [form === 'binary' ? 1 : 0]), say.execute(''), say.sync()];
  return changing.test(sql)
    ? { messages: [say.query('BEGIN'), ...asked, say.query('ROLLBACK')], ready: 3 }
    : { messages: asked, ready: 1 };
}

/** Names of the two databases have one length, so that bytes stay in their places without them. */
const normal = (answer: Answer): string => comparable(answer).replace(/corpus_[ab]/g, 'corpus_X');
const sorted = (answer: Answer): string =>
  answer.frames
    .map((frame) => frame.toString('latin1').replace(/corpus_[ab]/g, 'corpus_X'))
    .sort()
    .join('\n');

type Who = Role | 'twin';

/** The sessions of one run, opened when they are first needed. */
class Sessions {
  readonly #world: CorpusWorld;
  readonly #open = new Map<string, WireSession>();

  constructor(world: CorpusWorld) {
    this.#world = world;
  }

  /** Null: no answer in time. */
  async ask(variant: Variant, who: Who, sql: string, form: Form): Promise<Answer | null> {
    const key = `${variant} ${who}`;
    let session = this.#open.get(key);
    if (!session) {
      session = await (who === 'twin' ? this.#world.twin(variant) : this.#world.through(variant, who));
      this.#open.set(key, session);
    }
    const { messages, ready } = exchange(sql, form);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), askMilliseconds);
    });
    const answer = await Promise.race([session.ask(messages, ready), late]);
    clearTimeout(timer);
    if (answer === null || answer.closed || statusOf(answer) !== 'I') {
      session.end();
      this.#open.delete(key);
    }
    return answer;
  }

  end(): void {
    for (const session of this.#open.values()) session.end();
    this.#open.clear();
  }
}

/** Asks each statement until `deadline` (milliseconds since the epoch). The world needs twins. */
export async function compare(
  world: CorpusWorld,
  statements: Iterable<string> | AsyncIterable<string>,
  deadline: number,
  watch: (soFar: Findings) => void = () => {},
): Promise<Findings> {
  const found: Findings = {
    ...{ asked: 0, slow: 0, valid: 0, passed: 0, touching: 0, showing: 0, blanked: 0, telling: 0 },
    ...{ different: [], leaking: [], reordered: [], unsteady: [], broken: [] },
    ...{ failures: new Map(), refused: new Map() },
  };
  const sessions = new Sessions(world);
  for await (const sql of statements) {
    if (Date.now() > deadline) break;
    found.asked++;
    if (found.asked % sessionStatements === 0) sessions.end();
    await compareOne(sessions, sql, found);
    watch(found);
  }
  sessions.end();
  return found;
}

async function compareOne(sessions: Sessions, sql: string, found: Findings): Promise<void> {
  const both = async (who: Who, form: Form): Promise<readonly [Answer, Answer] | null> => {
    const [a, b] = await Promise.all([sessions.ask('a', who, sql, form), sessions.ask('b', who, sql, form)]);
    if (a !== null && b !== null && !a.closed && !b.closed) return [a, b];
    found.broken.push(`${who}, ${form}: ${sql}`);
    return null;
  };
  const changes = changing.test(sql);
  const bare = await both('twin', 'simple');
  if (bare === null) return;
  if (bare.some((answer) => answer.sqlState === timedOut)) {
    found.slow++;
    return;
  }
  const valid = bare[0].sqlState === null;
  const shows = scans.a.find(bytesOf(bare[0])) !== null;
  if (valid) found.valid++;
  else found.failures.set(bare[0].sqlState!, (found.failures.get(bare[0].sqlState!) ?? 0) + 1);
  if (normal(bare[0]) !== normal(bare[1])) found.telling++;

  let who: Role = changes ? 'writer' : 'reader';
  let first = await both(who, 'simple');
  if (first !== null) await judge(sessions, sql, who, 'simple', first, found);
  if (who === 'reader' && first?.[0].reason === 'masked_use') {
    who = 'blind';
    first = await both(who, 'simple');
    if (first !== null) await judge(sessions, sql, who, 'simple', first, found);
  }
  if (first === null) return;
  const { reason } = first[0];
  if (reason !== null) {
    const key = valid ? reason : '(the server fails too)';
    const same = found.refused.get(key);
    if (same) same.push(`${first[0].error}: ${sql}`);
    else found.refused.set(key, [`${first[0].error}: ${sql}`]);
  } else {
    found.passed++;
    if (masked.test(sql)) found.touching++;
    if (shows) found.showing++;
    if (who === 'blind') found.blanked++;
  }
  for (const form of forms.slice(1)) {
    // What is refused, or fails, does so before its form matters; each form of it is still looked at now and then.
    if ((reason !== null || first[0].sqlState !== null) && found.asked % 8 !== 0) continue;
    const answers = await both(who, form);
    if (answers !== null) await judge(sessions, sql, who, form, answers, found);
  }
}

/** Looks for secrets and differences in one pair of answers. */
async function judge(
  sessions: Sessions,
  sql: string,
  who: Role,
  form: Form,
  [a, b]: readonly [Answer, Answer],
  found: Findings,
): Promise<void> {
  const title = `${who}, ${form}: ${sql}`;
  // Bytes that are the same for both databases come from neither's secrets, whatever they look like.
  if (normal(a) === normal(b)) return;
  const secrets: Record<Variant, string | null> = { a: secretIn('a', a), b: secretIn('b', b) };
  // Nor does what the other database's answer holds as well: its secrets are others.
  if (secrets.a !== null && secretIn('a', b) === secrets.a) secrets.a = null;
  if (secrets.b !== null && secretIn('b', a) === secrets.b) secrets.b = null;
  let steady = !history.test(sql);
  sessions.end();
  for (const [variant, before] of [['a', a] as const, ['b', b] as const]) {
    for (let again = 0; again < 2; again++) {
      const repeated = await sessions.ask(variant, who, sql, form);
      if (repeated === null || normal(repeated) !== normal(before)) steady = false;
      // Four digits in a row come by themselves in the numbers of sessions and transactions; a secret comes each time.
      if (repeated === null || secretIn(variant, repeated) !== secrets[variant]) secrets[variant] = null;
    }
  }
  const secret = secrets.a ?? secrets.b;
  if (secret !== null) found.leaking.push(`${secret}: ${title}`);
  if (!steady) found.unsteady.push(title);
  else if (sorted(a) === sorted(b)) found.reordered.push(title);
  else found.different.push(title);
}

/** Nothing was shown, nothing told, and every statement was answered. */
export const holds = (found: Findings): boolean =>
  found.leaking.length + found.different.length + found.broken.length === 0;

/** Numbers to the console, and what is to be looked at. */
export function report(found: Findings): void {
  const { refused, failures, ...rest } = found;
  for (const [name, value] of Object.entries(rest))
    console.log(`${name.padEnd(10)} ${typeof value === 'number' ? value : value.length}`);
  console.log(`failures   ${[...failures].map(([state, times]) => `${state} ${times}`).join(', ')}`);
  for (const [reason, list] of refused) console.log(`refused    ${reason} ${list.length}`);
  for (const name of ['leaking', 'different', 'broken', 'reordered'] as const)
    for (const entry of found[name].slice(0, 20)) console.log(`\n${name}: ${entry}`);
}
