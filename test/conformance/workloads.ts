/**
 * `npm run conformance:workloads -- [PRODUCT...] [DATABASE...]`: what benchmarks send, through the gateway beside the server itself.
 * Nothing may be refused to the administrator, and to the analyst only what uses a masked column. CORDON_JOB names a folder with the
 * Join Order Benchmark's queries, which are not part of the project.
 */
import { fill, type Outcome, runWorkload } from './workload-runs.ts';
import { refusedToAnalyst, suites } from './workload-suites.ts';
import { type Product, startWorkloadWorld } from './workload-world.ts';

const products: readonly Product[] = ['postgres', 'mariadb', 'mysql'];
const asked = process.argv.slice(2);
const chosen = <T extends string>(all: readonly T[]): readonly T[] =>
  all.some((one) => asked.includes(one)) ? all.filter((one) => asked.includes(one)) : all;

let failed = false;
for (const product of chosen(products)) {
  const databases = chosen(Object.keys(suites));
  const world = await startWorkloadWorld(
    product,
    Object.fromEntries(databases.map((name) => [name, suites[name]!.masked])),
  );
  try {
    for (const database of databases) {
      const { script, statements, masked } = suites[database]!;
      await fill(world, database, script());
      for (const person of ['administrator', 'analyst'] as const)
        report(
          `${product} ${database}`,
          await runWorkload(world, database, statements(product), person, masked),
        );
    }
  } finally {
    await world.stop();
  }
}
process.exitCode = failed ? 1 : 0;

function report(what: string, { person, sent, answered, refused, invalid, wrong }: Outcome): void {
  process.stdout.write(
    `${what}, ${person}: ${sent} sent, ${answered} answered with rows, ${invalid} invalid on the server itself, ${refused.length} refused, ${wrong.length} otherwise than the server\n`,
  );
  const names = new Map(refused.map((one) => [one.name, one.error]));
  for (const [name, error] of names) {
    const rightly = person === 'analyst' && refusedToAnalyst.has(name) && /reason: masked_use/.test(error);
    if (!rightly) failed = true;
    process.stdout.write(`  refused${rightly ? ', rightly' : ''}: ${name}: ${error}\n`);
  }
  for (const one of wrong) process.stdout.write(`  wrong: ${one}\n`);
  if (wrong.length > 0) failed = true;
}
