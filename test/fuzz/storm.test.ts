/** A short storm, with a seed of its own so that a failure can be had again. `npm run fuzz` is the long one. */
import { test } from 'node:test';
import { storm } from './storm.ts';

test('broken bytes from clients and upstreams neither end, hold, fill nor loosen the gateway', async (context) => {
  const say = (line: string) => context.diagnostic(line);
  await storm({ seed: 20_260_101, clients: 150, sessions: 60, built: false, say });
});
