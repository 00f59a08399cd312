/** Runs the entries of the MySQL corpus against one server, and the gateway in front of it. */
import assert from 'node:assert/strict';
import type { Attack, Harmless, Product, Role } from '../../fixtures/corpus/mysql/entry.ts';
import { binaryCanaries } from '../../fixtures/corpus/mysql/secrets.ts';
import { canaries, type Variant } from '../../fixtures/corpus/postgres/secrets.ts';
import { CanaryScan } from './canary-scan.ts';
import type { Answer, RecordedSession } from './mysql-session.ts';
import { type CorpusWorld, startCorpusWorld } from './mysql-world.ts';

const secrets = new CanaryScan(
  (['a', 'b'] as const).flatMap((variant) => [...canaries(variant), ...binaryCanaries(variant)]),
);

/** The first secret value, or recognisable part of one, in the bytes; null when there is none. */
export function leaked(answer: Answer): string | null {
  return secrets.find(answer.bytes);
}

/** An answer's bytes without what tells the two databases apart by name. */
export function comparable(answer: Answer): string {
  // a refusal's length has the length of its decision's id in it
  return answer.bytes
    .toString('latin1')
    .replaceAll(/corpus_[ab]/g, 'corpus_X')
    .replaceAll(/[\s\S]{4}(?=\u00ff[\s\S]{2}#42000)/g, '');
}

const named = (sql: string | readonly string[], variant: Variant): string[] => {
  const other = variant === 'a' ? 'b' : 'a';
  return (typeof sql === 'string' ? [sql] : sql).map((one) =>
    one.replaceAll('corpus_X', `corpus_${variant}`).replaceAll('corpus_Y', `corpus_${other}`),
  );
};

export class CorpusRun {
  readonly #world: CorpusWorld;
  readonly #product: Product;
  readonly #kept = new Map<string, RecordedSession>();

  private constructor(world: CorpusWorld, product: Product) {
    this.#world = world;
    this.#product = product;
  }

  static async start(product: Product): Promise<CorpusRun> {
    return new CorpusRun(await startCorpusWorld(product, { twins: true }), product);
  }

  get world(): CorpusWorld {
    return this.#world;
  }

  async stop(): Promise<void> {
    for (const session of this.#kept.values()) session.end();
    await this.#world.stop();
  }

  /** @throws AssertionError when the attack doesn't work on the bare server, or gets anything from the gateway. */
  async attack(attack: Attack): Promise<void> {
    if (attack.on !== undefined && attack.on !== this.#product) return;
    const title = `${typeof attack.sql === 'string' ? attack.sql : attack.sql.join(' ;; ')} [${attack.prepared ?? ''}]`;
    const a = await this.#ask('bare', attack, 'a');
    switch (attack.bare) {
      case 'canary':
        assert.ok(
          leaked(a),
          `on the bare server nothing is seen: ${title}: ${a.error?.message ?? 'no error'}`,
        );
        break;
      case 'differs': {
        const b = await this.#ask('bare', attack, 'b');
        assert.notEqual(comparable(a), comparable(b), `the bare server's answers are equal: ${title}`);
        break;
      }
      case 'runs':
        assert.equal(a.error, null, `fails on the bare server: ${title}: ${a.error?.message}`);
    }
    const role = attack.as ?? 'reader';
    const first = await this.#ask(role, attack, 'a');
    const second = await this.#ask(role, attack, 'b');
    const found = leaked(first) ?? leaked(second);
    assert.equal(found, null, `leaks: ${title}`);
    assert.equal(comparable(first), comparable(second), `tells the databases apart: ${title}`);
    if (attack.gateway === 'masked') {
      assert.equal(first.error, null, `is refused: ${title}: ${first.error?.message}`);
      return;
    }
    assert.notEqual(first.reason, null, `is not refused: ${title}: ${first.error?.message}`);
    if (attack.gateway !== 'refused')
      assert.ok(attack.gateway.includes(first.reason ?? ''), `${title}: ${first.error?.message}`);
  }

  async harmless(entry: string | Harmless): Promise<void> {
    const harmless = typeof entry === 'string' ? { sql: entry } : entry;
    if (harmless.on !== undefined && harmless.on !== this.#product) return;
    for (const who of ['bare', harmless.as ?? 'reader'] as const) {
      const answer = await this.#ask(who, harmless, 'a');
      assert.equal(answer.error, null, `${who}: ${harmless.sql}: ${answer.error?.message}`);
      if (who !== 'bare') assert.equal(leaked(answer), null, `leaks: ${harmless.sql}`);
    }
  }

  /** Single statements share a session: signing in costs more than they do. */
  async #ask(
    who: Role | 'bare',
    entry: Pick<Attack, 'sql' | 'prepared' | 'undo'>,
    variant: Variant,
  ): Promise<Answer> {
    const alone =
      typeof entry.sql !== 'string' ||
      entry.undo !== undefined ||
      entry.prepared !== undefined ||
      /^\W*(SET|USE|START|BEGIN)\b/i.test(entry.sql);
    const session = alone ? await this.#open(who, variant) : await this.#keep(who, variant);
    const answer = await session.ask(named(entry.sql, variant), entry.prepared);
    if (alone) session.end();
    if (entry.undo !== undefined) {
      const owner = await this.#world.bare(variant);
      for (const sql of entry.undo.split('; ')) await owner.ask(sql);
      owner.end();
    }
    return answer;
  }

  #open(who: Role | 'bare', variant: Variant): Promise<RecordedSession> {
    return who === 'bare' ? this.#world.bare(variant) : this.#world.through(variant, who);
  }

  async #keep(who: Role | 'bare', variant: Variant): Promise<RecordedSession> {
    const key = `${who} ${variant}`;
    const kept = this.#kept.get(key);
    if (kept && !kept.closed) return kept;
    const fresh = await this.#open(who, variant);
    this.#kept.set(key, fresh);
    return fresh;
  }
}
