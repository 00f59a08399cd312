/**
 * The permanent corpus on MariaDB and MySQL: every attack works on the bare server, and shows and tells nothing through the
 * gateway, in no byte; what only looks like one passes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { corpus } from '../../fixtures/corpus/mysql/classes.ts';
import { compare } from './mysql-differential.ts';
import { CorpusRun } from './mysql-run.ts';

const complaints = async <T>(entries: readonly T[], run: (entry: T) => Promise<void>): Promise<string[]> => {
  const found: string[] = [];
  for (const entry of entries) {
    try {
      await run(entry);
    } catch (error) {
      found.push((error as Error).message.split('\n')[0] ?? '');
    }
  }
  return found;
};

test('the corpus is as large as it is said to be', () => {
  assert.ok(corpus.reduce((sum, one) => sum + one.attacks.length, 0) >= 300);
  assert.ok(corpus.reduce((sum, one) => sum + one.harmless.length, 0) >= 170);
});

for (const product of ['mariadb', 'mysql'] as const) {
  describe(product, () => {
    let run: CorpusRun;
    before(async () => {
      // the parts of the machine are named by: mysql: 'mariadb', mysql: 'mysql'
      run = await CorpusRun.start(product);
    });
    after(() => run?.stop());

    test('random statements: equal answers from databases that differ in secrets, origins as the server has them', async () => {
      const found = await compare(run.world, product, 250, 20, Date.now() + 20_000);
      assert.deepEqual([...found.leaking, ...found.different], []);
      assert.deepEqual(found.contradicted, []);
      assert.ok(found.passed > 20 && found.telling > 10, JSON.stringify(found));
      assert.ok(found.unread.length * 20 < found.valid, found.unread.join('\n'));
    });

    for (const { name, attacks, harmless } of corpus) {
      test(`${name}: attacks`, async () => {
        assert.deepEqual(await complaints(attacks, (entry) => run.attack(entry)), []);
      });
      test(`${name}: look-alikes`, async () => {
        assert.deepEqual(await complaints(harmless, (entry) => run.harmless(entry)), []);
      });
    }
  });
}
