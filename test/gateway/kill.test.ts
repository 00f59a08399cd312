/** kill -9 under load: whatever an upstream executed has its decision row afterwards. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';

let world: World;
after(() => world?.stop());

/** Runs marked statements until the connection breaks; half of them prepared. */
async function load(worker: string, token: string, count: { sent: number }): Promise<void> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: 'ana',
    password: token,
    database: 'shop',
  });
  client.on('error', () => {});
  await client.connect();
  try {
    for (let i = 0; ; i++) {
      const text = `SELECT '${worker}-${i}' AS marker`;
      await (i % 2 === 0 ? client.query(text) : client.query({ name: `n${i}`, text, values: [] }));
      count.sent++;
    }
  } catch {
    // The gateway was killed.
  }
}

function markersIn(text: string): Set<string> {
  return new Set([...text.matchAll(/SELECT '(k\d+w\d+-\d+)' AS marker/g)].map((match) => match[1]!));
}

for (const [workers, rounds] of [
  [1, 8],
  [2, 4],
] as const) {
  test(`every statement that the upstream executed was decided on disk: ${workers} process(es)`, async () => {
    await world?.stop();
    world = await startWorld({
      config: { gateway: { region: 'eu', data_dir: './cordon-data', workers }, audit: { sql: 'full' } },
    });
    await killUnderLoad(rounds);
  });
}

async function killUnderLoad(rounds: number): Promise<void> {
  const token = await world.token('ana');
  for (let round = 0; round < rounds; round++) {
    const count = { sent: 0 };
    const workers = Array.from({ length: 4 }, (_, w) => load(`k${round}w${w}`, token, count));
    // A different moment each round, told by work done and not by the clock.
    const moment = 40 + round * 37;
    while (count.sent < moment) await new Promise((resolve) => setImmediate(resolve));
    const ended = new Promise((resolve) => world.gateway.process.once('exit', resolve));
    world.gateway.process.kill('SIGKILL');
    await ended;
    await Promise.all(workers);
    if (round === rounds >> 1) {
      // The store must be whole without a gateway too.
      const verified = await world.cordon('audit', 'verify');
      assert.equal(verified.code, 0, verified.stderr);
    }
    world.gateway = await world.startGateway();
  }
  const exported = await world.cordon('audit', 'export', '--format', 'jsonl');
  assert.equal(exported.code, 0, exported.stderr);
  const decided = markersIn(
    exported.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((row) => row.event === 'statement.decided' && row.decision === 'allow')
      .map((row) => row.sql)
      .join('\n'),
  );
  const executed = markersIn(world.shopEu.logText() + world.shopUs.logText());
  assert.ok(executed.size > 60 * rounds, `${executed.size} executed`);
  const missing = [...executed].filter((marker) => !decided.has(marker));
  assert.deepEqual(missing, []);
  const verified = await world.cordon('audit', 'verify');
  assert.equal(verified.code, 0, verified.stderr);
}
