/**
 * Runs an object mapper's script (`orms/`) against the server itself, through the gateway as the administrator, who makes and drops
 * tables, and as the analyst, who reads what is there; what it saw has to be the same, the masked column apart.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npmClients } from '../clients/installed.ts';
import { runClient } from '../servers/client-run.ts';
import type { Address, WorkloadWorld } from './workload-world.ts';

/** The scripts: all make the tables o_author and o_book, and the analyst may not see o_author.email. */
export const mappers = ['kysely', 'sequelize', 'typeorm', 'drizzle', 'prisma', 'alchemy'] as const;
export type Mapper = (typeof mappers)[number];

/** 'all': make, change and drop; 'keep': the same without dropping; 'read': read what is there. */
type Mode = 'all' | 'keep' | 'read';

interface Step {
  readonly step: string;
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** How many steps ran as which person, and those that went otherwise than on the server. */
export async function compareMapper(
  world: WorkloadWorld,
  database: string,
  mapper: Mapper,
): Promise<{ readonly steps: number; readonly complaints: readonly string[] }> {
  const complaints: string[] = [];
  let steps = 0;
  const direct = world.directly(database);
  const judge = (who: string, expected: readonly Step[], found: readonly Step[], masked: boolean): void => {
    const byName = new Map(found.map((one) => [one.step, one]));
    if (!byName.has('end')) complaints.push(`${mapper} ${who}: did not come to its end`);
    for (const one of expected) {
      steps++;
      const other = byName.get(one.step);
      if (one.error !== undefined && other?.error === one.error) continue;
      const clear = JSON.stringify(one.value ?? one.error ?? null);
      const shown = JSON.stringify(other?.value ?? null);
      const hidden = masked ? clear.replace(/"\w+@example\.org"/g, (mail) => stars(mail)) : clear;
      if (other?.error !== undefined || shown !== hidden)
        complaints.push(
          `${mapper} ${who} ${one.step}: ${other?.error === undefined ? shown.slice(0, 300) : `${other.error} ${other.message}`} and not ${hidden.slice(0, 300)}${one.message ?? ''}`,
        );
    }
  };
  const expected = await run(world, mapper, direct, 'all');
  for (const one of expected)
    if (one.error !== undefined)
      complaints.push(
        `${mapper} on the server itself ${one.step}: ${one.error} ${one.message?.slice(0, 200)}`,
      );
  const administrator = await world.throughGateway(database, 'administrator');
  judge('administrator', expected, await run(world, mapper, administrator, 'all'), false);
  await run(world, mapper, direct, 'keep');
  const analyst = await world.throughGateway(database, 'analyst');
  const plain = await run(world, mapper, direct, 'read');
  judge('analyst', plain, await run(world, mapper, analyst, 'read'), true);
  return { steps, complaints };
}

/** The mask of the workloads' policy: all but the last character. */
function stars(quoted: string): string {
  return `"${'*'.repeat(quoted.length - 3)}${quoted.at(-2)}"`;
}

async function run(world: WorkloadWorld, mapper: Mapper, to: Address, mode: Mode): Promise<readonly Step[]> {
  const script = fileURLToPath(
    new URL(`orms/${mapper}.${mapper === 'alchemy' ? 'py' : 'mjs'}`, import.meta.url),
  );
  const target = {
    ...to,
    dialect: to.product === 'postgres' ? 'postgres' : 'mysql',
    host: '127.0.0.1',
    ca: to.user === 'cordon' ? null : world.caFile,
    steps: {},
  };
  const { stdout, stderr } = await runClient(
    mapper === 'alchemy' ? '/usr/bin/python3' : process.execPath,
    [script],
    '',
    {
      HOME: process.env.HOME ?? '/',
      TZ: 'UTC',
      PYTHONDONTWRITEBYTECODE: '1',
      CORDON_CLIENT: JSON.stringify(target),
      CORDON_NODE_CLIENTS: join(npmClients(), 'package.json'),
      CORDON_PRODUCT: to.product,
      CORDON_ORM: mode,
    },
  );
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  const steps = lines.map((line) => JSON.parse(line) as Step);
  if (!steps.some((one) => one.step === 'end'))
    throw new Error(`${mapper} ${mode} as ${to.user}: ${stderr.slice(-1500)}`);
  return steps;
}
