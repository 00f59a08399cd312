/**
 * `npm run fuzz`: a long storm over the built gateway.
 * Options: --seed N (default: the clock), --clients N (2000), --sessions N (500), --sources (run the sources).
 */
import { parseArgs } from 'node:util';
import { storm } from './storm.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    clients: { type: 'string' },
    sessions: { type: 'string' },
    sources: { type: 'boolean' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
console.log(`seed ${seed}`);
await storm({
  seed,
  clients: Number(values.clients ?? 2000),
  sessions: Number(values.sessions ?? 500),
  built: values.sources !== true,
  say: (line) => console.log(line),
});
console.log('the gateway stood');
process.exit(0);
