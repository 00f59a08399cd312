/**
 * The permanent corpus on PostgreSQL: every attack works on the bare server, and shows and tells nothing through the
 * gateway, in no byte and no mode of the protocol; what only looks like one passes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { corpus } from '../../fixtures/corpus/postgres/classes.ts';
import type { Attack, Role } from '../../fixtures/corpus/postgres/entry.ts';
import { binaryCanaries, canaries, type Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { say } from '../protocols/postgres-wire.ts';
import { type CorpusWorld, startCorpusWorld } from './postgres-world.ts';
import { type Answer, bytesOf, comparable, statusOf, type WireSession } from './wire.ts';

let world: CorpusWorld;
before(async () => {
  world = await startCorpusWorld();
});
after(async () => {
  for (const session of sessions.values()) session.end();
  await world?.stop();
});

/** Sessions are kept and cleaned between entries: signing in costs more than a statement. */
const sessions = new Map<string, WireSession>();
async function session(variant: Variant, role: Role | 'bare'): Promise<WireSession> {
  const key = `${variant} ${role}`;
  const open = sessions.get(key);
  if (open && !open.closed) return open;
  const fresh = await (role === 'bare' ? world.bare(variant) : world.through(variant, role));
  sessions.set(key, fresh);
  return fresh;
}

type Mode = 'simple' | 'text' | 'binary';
function messages(sql: string, mode: Mode): Buffer[] {
  if (mode === 'simple') return [say.query(sql)];
  return [say.parse('', sql), say.bind('', '', [mode === 'binary' ? 1 : 0]), say.execute(''), say.sync()];
}

/** Runs the statements of one entry; stops at the first error, then leaves no transaction, cursor or setting behind. */
async function run(
  variant: Variant,
  role: Role | 'bare',
  sql: string | readonly string[],
  mode: Mode = 'simple',
): Promise<Answer[]> {
  const statements = typeof sql === 'string' ? [sql] : sql;
  const on = await session(variant, role);
  const answers: Answer[] = [];
  for (const text of statements) {
    const answer = await on.ask(messages(text, mode));
    answers.push(answer);
    if (answer.sqlState !== null || answer.closed) break;
  }
  const last = answers.at(-1);
  if (last && !last.closed) {
    if (statusOf(last) !== 'I') await on.ask([say.query('ROLLBACK')]);
    if (role === 'bare' || statements.length > 1 || /^\s*(SET|PREPARE|DECLARE)/i.test(statements[0]!)) {
      await on.ask([say.query('DISCARD ALL')]);
    }
  }
  return answers;
}

const needles = new Map<Variant, readonly Buffer[]>(
  (['a', 'b'] as const).map((variant) => [variant, canaries(variant).map((secret) => Buffer.from(secret))]),
);

/** The first canary in the answers' bytes. Binary forms are looked for where binary results were asked for. */
function canaryIn(variant: Variant, answers: readonly Answer[], mode: Mode = 'simple'): string | null {
  const bytes = Buffer.concat(answers.map(bytesOf));
  const all =
    mode === 'binary' ? [...needles.get(variant)!, ...binaryCanaries(variant)] : needles.get(variant)!;
  const found = all.find((needle) => bytes.includes(needle));
  return found === undefined ? null : found.toString('latin1');
}

const shown = (answers: readonly Answer[]): string => answers.map(comparable).join('\n---\n');
const errorOf = (answers: readonly Answer[]): string =>
  answers.find((answer) => answer.sqlState !== null)?.error ?? '';

async function undo(attack: Attack): Promise<void> {
  if (attack.undo !== undefined) await world.owner(attack.undo);
}

async function onTheBareServer(attack: Attack): Promise<void> {
  const a = await run('a', 'bare', attack.sql);
  if (attack.bare === 'canary') {
    assert.notEqual(canaryIn('a', a), null, `shows nothing on the bare server: ${errorOf(a)}`);
  } else if (attack.bare === 'differs') {
    assert.notEqual(shown(a), shown(await run('b', 'bare', attack.sql)), 'tells nothing on the bare server');
  }
  await undo(attack);
}

async function throughTheGateway(attack: Attack, mode: Mode): Promise<void> {
  const role = attack.as ?? 'reader';
  const a = await run('a', role, attack.sql, mode);
  assert.equal(canaryIn('a', a, mode), null, `leaks in mode ${mode}`);
  const reason = a.findLast((answer) => answer.reason !== null)?.reason ?? null;
  const failed = a.some((answer) => answer.sqlState !== null);
  if (attack.gateway === 'refused') {
    assert.ok(failed, `not refused in mode ${mode}`);
  } else if (attack.gateway === 'masked') {
    assert.equal(reason, null, `refused in mode ${mode}: ${errorOf(a)}`);
  } else if (attack.gateway !== 'safe') {
    assert.ok(reason !== null && attack.gateway.includes(reason), `${mode}: ${reason} ${errorOf(a)}`);
  }
  await undo(attack);
  const b = await run('b', role, attack.sql, mode);
  assert.equal(shown(a), shown(b), `tells the two databases apart in mode ${mode}`);
  await undo(attack);
}

for (const { name, attacks, harmless, harmlessWrites } of corpus) {
  describe(name, () => {
    for (const attack of attacks) {
      test(`attack: ${[attack.sql].flat().join(' ;; ')}`, async () => {
        await onTheBareServer(attack);
        await throughTheGateway(attack, 'simple');
        const several = [attack.sql].flat().some((text) => text.replace(/;+\s*(--.*)?$/s, '').includes(';'));
        if (several) return;
        await throughTheGateway(attack, 'text');
        await throughTheGateway(attack, 'binary');
      });
    }
    const passing = [
      ...harmless.map((sql) => ({ sql, role: 'reader' as const })),
      ...(harmlessWrites ?? []).map((sql) => ({ sql, role: 'writer' as const })),
    ];
    for (const { sql, role } of passing) {
      test(`harmless: ${[sql].flat().join(' ;; ')}`, async () => {
        for (const mode of ['simple', 'text', 'binary'] as const) {
          if (mode !== 'simple' && [sql].flat().some((text) => text.includes(';') && !/'[^']*;/.test(text)))
            continue;
          const answers = await run('a', role, sql, mode);
          assert.equal(errorOf(answers), '', `${mode}: ${errorOf(answers)}`);
          assert.equal(canaryIn('a', answers, mode), null);
        }
      });
    }
  });
}
