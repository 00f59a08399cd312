/**
 * `npx tsx test/conformance/postgres-lineage.ts [count] [seed]`: what we say that SELECT statements take, held against what
 * a real server records of a view of each.
 */
import { startPostgres } from '../servers/postgres.ts';
import { type Comparison, lineageOracle } from './lineage-oracle.ts';
import { byHand, generated } from './lineage-statements.ts';

const count = Number(process.argv[2] ?? 500);
const seed = Number(process.argv[3] ?? 1);
const server = await startPostgres({ settings: { log_statement: 'none' } });
const oracle = await lineageOracle(server);
const all: Comparison[] = [];
for (const text of [...byHand, ...generated(seed, count)]) all.push(await oracle.compare(text));
all.push(...(await oracle.compareSystemViews()));
for (const { text, rejected } of all) if (rejected) process.stdout.write(`rejected (${rejected}): ${text}\n`);
for (const { text, disagreements } of all)
  if (disagreements.length > 0)
    process.stdout.write(`${text}\n${disagreements.map((one) => `  ${one}\n`).join('')}`);
const compared = all.filter((one) => one.rejected === null);
const disagree = compared.filter((one) => one.disagreements.length > 0);
process.stdout.write(`${compared.length} compared, ${disagree.length} disagree\n`);
await oracle.close();
await server.stop();
process.exitCode = disagree.length > 0 ? 1 : 0;
