/** Every describe command of psql, and what browsers of catalogs ask: the server's own answers, for an analyst as well. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { compareDescribe } from './workload-psql.ts';
import { fill, runWorkload } from './workload-runs.ts';
import { expectedOfTools, tools } from './workload-suites.ts';
import { startWorkloadWorld, type WorkloadWorld } from './workload-world.ts';

describe('tools that read catalogs', () => {
  let world: WorkloadWorld;
  before(async () => {
    // What Debian's psql is made for; a newer server it does not know in full.
    world = await startWorkloadWorld('postgres', { tools: tools.masked }, 15);
    await fill(world, 'tools', tools.script());
  });
  after(() => world?.stop());

  for (const person of ['administrator', 'analyst'] as const) {
    it(`psql's describe commands, as ${person}`, async () => {
      const complaints = await compareDescribe(world, ['env'], person);
      const rightly = person === 'administrator' ? [] : expectedOfTools;
      assert.deepEqual(
        complaints.filter((one) => !rightly.some((pattern) => pattern.test(one))),
        [],
      );
    });
    it(`browsers of catalogs, as ${person}`, async () => {
      const statements = tools.statements('postgres');
      const { refused, wrong } = await runWorkload(world, 'tools', statements, person, tools.masked);
      assert.deepEqual([refused, wrong], [[], []]);
    });
  }
});
