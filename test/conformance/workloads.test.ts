/** TPC-H, TPC-C and joins of many tables: nothing is refused to who may do everything, and to others only what uses a masked column. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill, runWorkload } from './workload-runs.ts';
import { refusedToAnalyst, suites } from './workload-suites.ts';
import { startWorkloadWorld } from './workload-world.ts';

for (const product of ['postgres', 'mariadb', 'mysql'] as const) {
  test(`benchmarks pass on ${product}`, async () => {
    const world = await startWorkloadWorld(
      product,
      Object.fromEntries(Object.entries(suites).map(([name, { masked }]) => [name, masked])),
    );
    try {
      for (const [database, { script, statements, masked }] of Object.entries(suites)) {
        await fill(world, database, script());
        const all = statements(product);
        const administrator = await runWorkload(world, database, all, 'administrator', masked);
        assert.deepEqual(administrator.refused, []);
        assert.deepEqual(administrator.wrong, []);
        assert.equal(administrator.invalid, 0);
        const analyst = await runWorkload(world, database, all, 'analyst', masked);
        assert.deepEqual(analyst.wrong, []);
        const refused = new Set(analyst.refused.map(({ name }) => name));
        const expected = all.map(({ name }) => name).filter((name) => refusedToAnalyst.has(name));
        assert.deepEqual([...refused].sort(), expected.sort());
        for (const { error } of analyst.refused) assert.match(error, /reason: masked_use/);
      }
    } finally {
      await world.stop();
    }
  });
}
