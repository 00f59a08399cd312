/** What we say that SELECT statements take, held against what PostgreSQL itself records of a view of each. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { lineageOracle, type Oracle } from '../conformance/lineage-oracle.ts';
import { byHand, generated } from '../conformance/lineage-statements.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';

describe('lineage as the server sees it', () => {
  let server: PostgresServer;
  let oracle: Oracle;
  before(async () => {
    server = await startPostgres({ settings: { log_statement: 'none' } });
    oracle = await lineageOracle(server);
  });
  after(async () => {
    await oracle?.close();
    await server?.stop();
  });

  it('is ours for statements written by hand', async () => {
    for (const text of byHand) assert.deepEqual((await oracle.compare(text)).disagreements, [], text);
  });

  it('is ours for statements made up', async () => {
    let compared = 0;
    for (const text of generated(7, 400)) {
      const found = await oracle.compare(text);
      if (found.rejected === null) compared++;
      assert.deepEqual(found.disagreements, [], text);
    }
    assert.ok(compared > 380);
  });

  it("is ours for the outputs of the server's own views", async () => {
    for (const { text, disagreements } of await oracle.compareSystemViews())
      assert.deepEqual(disagreements, [], text);
  });
});
