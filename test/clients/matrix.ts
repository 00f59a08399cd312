/**
 * Runs one client of the matrix against a server and, twice, against the gateway in front of it, and compares what it saw. What a
 * client does is its script's business; what has to be equal, masked or refused is said here.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PersonaName } from '../../fixtures/personas.ts';
import { startWorld, type World } from '../../fixtures/world.ts';
import { runClient } from '../servers/client-run.ts';
import { scratch } from '../servers/scratch.ts';
import { jdbcDrivers, npmClients } from './installed.ts';

type Dialect = 'postgres' | 'mysql';

/** Starts a world and runs each client in a test of its own. */
export function matrixOf(dialect: Dialect, clients: readonly Client[]): void {
  describe(`${dialect} clients`, () => {
    let world: World;
    before(async () => {
      world = await startWorld(dialect === 'mysql' ? { mysql: 'mariadb' } : {});
    });
    after(() => world?.stop());
    for (const client of clients) {
      test(client.name, async () => assert.deepEqual(await compare(world, dialect, client), []));
    }
  });
}

/** Where a client connects and as whom. `ca`: it has to use TLS and may check it against this file. */
interface Target {
  readonly dialect: Dialect;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ca: string | null;
}

/** One line of a script: what a step gave, or the native error that it ended in. */
interface Step {
  readonly step: string;
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** A client: the program with its arguments; paths are the matrix's own. */
interface Client {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** The error that a refusal is for this client, where it isn't the dialect's own (42501, or 1142). */
  readonly refusal?: string;
  /** Steps that the gateway may refuse to everybody, as it doesn't understand what they send; when it answers, it answers right. */
  readonly notYet?: readonly string[];
}

const clientsFolder = fileURLToPath(new URL('.', import.meta.url));
const steps = JSON.parse(readFileSync(join(clientsFolder, 'steps.json'), 'utf8')) as Record<
  Dialect,
  Readonly<Record<string, string>>
>;

/** The server itself, as the account that the gateway uses. */
function directly(world: World, dialect: Dialect): Target {
  const server = dialect === 'postgres' ? world.shopEu : world.crm;
  assert.ok(server !== null);
  return {
    dialect,
    host: '127.0.0.1',
    port: server.port,
    user: 'cordon',
    password: world.secrets[dialect === 'postgres' ? 0 : 1]!,
    database: dialect === 'postgres' ? 'shop' : 'crm',
    ca: null,
  };
}

/** The gateway, by a token. */
async function throughGateway(world: World, dialect: Dialect, persona: PersonaName): Promise<Target> {
  return {
    ...directly(world, dialect),
    port: world.gateway.ports[dialect],
    user: persona,
    password: await world.token(persona),
    ca: world.caFile,
  };
}

/** Runs the script and reads its lines. Throws with its words when it fails or prints anything else. */
async function runScript(client: Client, target: Target): Promise<ReadonlyMap<string, Step>> {
  const args = client.args.map((arg) => (arg.includes('/') ? join(clientsFolder, arg) : arg));
  const run = await runClient(
    client.program,
    [...(client.program === 'java' ? javaArgs() : []), ...args],
    '',
    {
      HOME: process.env.HOME ?? '/',
      TZ: 'UTC',
      ...environment(target),
    },
  );
  const where = `${client.name} as ${target.user}`;
  assert.equal(run.status, 0, `${where}: ${run.stderr}${run.stdout.slice(-2000)}`);
  const found = new Map<string, Step>();
  for (const line of run.stdout.split('\n')) {
    if (line === '') continue;
    const step = JSON.parse(line) as Step;
    assert.ok(!found.has(step.step), `${where}: ${step.step} twice`);
    found.set(step.step, step);
  }
  return found;
}

/** Steps whose statement an analyst may not run. */
const refused = /(^|_)(derived|insert|insert_prepared|executemany|batch|entity_written)$/;
const masked = /(^|_)(masked|masked_\w+|binary)$/;
const stepsMin = 5;

/** A client's run against the server, and the two through the gateway: complaints, none when all is well. */
async function compare(world: World, dialect: Dialect, client: Client): Promise<string[]> {
  const direct = await runScript(client, directly(world, dialect));
  const complaints: string[] = [];
  if (direct.size < stepsMin || direct.get('end')?.error !== undefined || !direct.has('end'))
    complaints.push(`the direct run did not come to its end: ${[...direct.keys()].join()}`);
  const administrator = await runScript(client, await throughGateway(world, dialect, 'dora'));
  const analyst = await runScript(client, await throughGateway(world, dialect, 'ana'));
  for (const [name, expected] of direct) {
    const asDora = administrator.get(name);
    const asAna = analyst.get(name);
    const isRefused = asDora?.error !== undefined && asAna?.error !== undefined;
    if (isRefused && client.notYet?.includes(name)) continue;
    if (!same(expected, asDora)) complaints.push(`dora ${name}: ${told(asDora)} and not ${told(expected)}`);
    if (refused.test(name)) {
      const code = client.refusal ?? (dialect === 'postgres' ? '42501' : '1142');
      if (asAna?.error !== code) complaints.push(`ana ${name}: ${told(asAna)} and not refused`);
    } else if (masked.test(name)) complaints.push(...maskComplaints(name, expected, asAna));
    else if (!same(expected, asAna)) complaints.push(`ana ${name}: ${told(asAna)} and not ${told(expected)}`);
  }
  for (const name of [...administrator.keys(), ...analyst.keys()]) {
    if (!direct.has(name)) complaints.push(`${name}: not a step of the direct run`);
  }
  return complaints;
}

function same(expected: Step, found: Step | undefined): boolean {
  if (found === undefined) return false;
  if (expected.error !== found.error) return false;
  return expected.error !== undefined || JSON.stringify(expected.value) === JSON.stringify(found.value);
}

/** Every cell arrives as it is or masked: addresses and free text never as they are, rows and types as they were. */
function maskComplaints(name: string, expected: Step, found: Step | undefined): string[] {
  if (expected.error !== undefined) return [`${name}: ${told(expected)} on the server itself`];
  if (found === undefined || found.error !== undefined) return [`ana ${name}: ${told(found)}`];
  const clear = JSON.stringify(expected.value);
  const shown = JSON.stringify(found.value);
  const complaints: string[] = [];
  for (const pattern of personal) {
    const leaked = [...shown.matchAll(pattern)];
    if (leaked.length > 0) complaints.push(`ana ${name}: ${leaked.length} values in the clear`);
  }
  if (shown === clear) complaints.push(`ana ${name}: nothing masked`);
  if (!/\w\*\*\*@|\*\d{4}\b/.test(shown))
    complaints.push(`ana ${name}: no masked address or card: ${shown.slice(0, 300)}`);
  if (shapeOf(found.value) !== shapeOf(expected.value)) {
    complaints.push(`ana ${name}: other rows or types: ${shown.slice(0, 400)}`);
  }
  return complaints;
}

/** Values of the fixtures that no analyst sees: addresses, numbers of people, cards, notes, days of birth. */
const personal: readonly RegExp[] = [
  /anna\.lindqvist@|matteo\.ricci@|lukasz@/g,
  /19840317|RCCMTT79|73051204318/g,
  /\+46 70 174|\+39 347/g,
  /4111111111111111|5555555555554444/g,
  /Asked for an invoice|Lamp arrived/g,
  /1984-03-17|1979-07-04/g,
];

/** The nesting of rows, which cells are null, and the type in front of a typed cell. */
function shapeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map(shapeOf).join()}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value as object)
      .map(([key, item]) => `${key}:${shapeOf(item)}`)
      .join()}}`;
  }
  if (typeof value === 'string')
    return /^(date|datetime|Decimal|Date|Time|BigDecimal|bytes)\w*:/.exec(value)?.[0] ?? 'string';
  return typeof value;
}

function told(step: Step | undefined): string {
  if (step === undefined) return 'no such step';
  if (step.error !== undefined) return `error ${step.error} (${step.message})`;
  return JSON.stringify(step.value).slice(0, 600);
}

/** The target as each language takes it: JSON, or plain variables where the language has no parser for it. */
function environment(target: Target): Readonly<Record<string, string>> {
  const texts = steps[target.dialect];
  const address = `127.0.0.1:${target.port}/${target.database}`;
  const tls = target.ca === null ? '' : `&useSsl=true&serverSslCert=${target.ca}`;
  return {
    CORDON_CLIENT: JSON.stringify({ ...target, steps: texts }),
    CORDON_NODE_CLIENTS: join(npmClients(), 'package.json'),
    CORDON_DIALECT: target.dialect,
    CORDON_USER: target.user,
    CORDON_PASSWORD: target.password,
    CORDON_URL:
      target.dialect === 'postgres'
        ? `jdbc:postgresql://${address}?sslmode=prefer`
        : `jdbc:mariadb://${address}?useServerPrepStmts=true${tls}`,
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [`CORDON_STEP_${name}`, text])),
  };
}

let compiled: string | null = null;

/** Java's arguments: the class path, with the classes compiled once. */
function javaArgs(): readonly string[] {
  if (compiled === null) {
    const { dir } = scratch('cordon-java-');
    const made = spawnSync('javac', ['-nowarn', '-d', dir, join(clientsFolder, 'java/Jdbc.java')], {
      encoding: 'utf8',
    });
    assert.equal(made.status, 0, made.stderr);
    compiled = dir;
  }
  // Small and quick to start is what counts here.
  return ['-XX:TieredStopAtLevel=1', '-Xshare:auto', '-cp', [compiled, ...jdbcDrivers].join(':')];
}
