/**
 * `npm run conformance:tools -- [PART...]`: psql's describe commands, pg_dump, browsers of catalogs and object mappers, run against
 * the server and through the gateway. Parts: psql, browsers, and products for the object mappers.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareMapper, mappers } from './workload-orms.ts';
import { compareDescribe, compareDumps, describeCommands, dumps, type Launcher } from './workload-psql.ts';
import { fill, runWorkload } from './workload-runs.ts';
import { expectedOfTools, tools } from './workload-suites.ts';
import { startWorkloadWorld } from './workload-world.ts';

const asked = process.argv.slice(2);
const wants = (part: string): boolean => asked.length === 0 || asked.includes(part);
let unexpected = 0;

if (wants('psql')) {
  const debian = (suite: string): Launcher => {
    const cache = '/var/tmp/cordon/psql';
    const fetch = fileURLToPath(new URL('fetch-psql.sh', import.meta.url));
    spawnSync(fetch, [cache, suite], { stdio: 'inherit' });
    return [join(cache, suite, 'run')];
  };
  for (const [major, launcher] of [
    [14, ['env']],
    [15, ['env']],
    [17, debian('trixie')],
    [18, debian('sid')],
  ] as const) {
    const version = spawnSync(launcher[0]!, ['psql', '--version'], { encoding: 'utf8' }).stdout.trim();
    const world = await startWorkloadWorld('postgres', { tools: tools.masked }, major);
    await fill(world, 'tools', tools.script());
    for (const person of ['administrator', 'analyst'] as const) {
      report(
        `${version} with server ${major}, ${person}, ${describeCommands.length} commands`,
        await compareDescribe(world, launcher, person),
      );
      report(
        `pg_dump with server ${major}, ${person}, ${dumps.length} dumps`,
        await compareDumps(world, launcher, person),
      );
    }
    await world.stop();
  }
}
if (wants('browsers')) {
  const world = await startWorkloadWorld('postgres', { tools: tools.masked });
  await fill(world, 'tools', tools.script());
  for (const person of ['administrator', 'analyst'] as const) {
    const statements = tools.statements('postgres');
    const { sent, refused, wrong } = await runWorkload(world, 'tools', statements, person, tools.masked);
    report(`browsers of catalogs, ${person}, ${sent} sent`, [
      ...refused.map((one) => `refused ${one.name} (${one.form}): ${one.error}`),
      ...wrong,
    ]);
  }
  await world.stop();
}
for (const product of ['postgres', 'mariadb', 'mysql'] as const) {
  if (!wants(product)) continue;
  for (const mapper of mappers) {
    const world = await startWorkloadWorld(product, { orms: tools.masked });
    const { steps, complaints } = await compareMapper(world, 'orms', mapper);
    report(`${mapper} on ${product}, ${steps} steps`, complaints);
    await world.stop();
  }
}
process.exitCode = unexpected > 0 ? 1 : 0;

function report(what: string, complaints: readonly string[]): void {
  const expected = (one: string): boolean => expectedOfTools.some((pattern) => pattern.test(one));
  const surprising = complaints.filter((one) => !expected(one));
  unexpected += surprising.length;
  process.stdout.write(
    `${what}: ${surprising.length} otherwise than the server, ${complaints.length - surprising.length} as expected\n`,
  );
  for (const one of complaints)
    process.stdout.write(`  ${expected(one) ? 'as expected: ' : ''}${one.slice(0, 500)}\n`);
}
