/** `cordon policy check | reload | explain | test`. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Command } from 'commander';
import { casesSchema, differences } from '../gateway/cases.ts';
import type { Config } from '../gateway/config.ts';
import { type Explanation, openTrial } from '../gateway/trial.ts';
import { createNetworks } from '../identity/networks.ts';
import { readYaml } from '../policy/source.ts';
import { CommandFailed, failure, printJson, requireConfig, requirePolicy, sourceFailure } from './report.ts';
import { ask } from './status.ts';

interface ExplainOptions {
  config: string;
  as?: string;
  groups?: string;
  from?: string;
  database: string;
  json?: boolean;
}

export function addPolicy(program: Command): void {
  const policy = program.command('policy').description('the policy file');
  policy
    .command('check')
    .description('validate cordon.yaml and the policy file')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action((options: { config: string }) => {
      const config = requireConfig(options.config, 'skip');
      const loaded = requirePolicy(config).policy;
      process.stdout.write(`ok: policy ${loaded.version}\n`);
    });
  policy
    .command('reload')
    .description('put the policy file in force in the running gateway')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action(async (options: { config: string }) => {
      const result = (await ask(options.config, { command: 'reload' })) as { version: string };
      process.stdout.write(`policy ${result.version} is in force\n`);
    });
  policy
    .command('explain <sql>')
    .description('what would be decided, and why; nothing is run')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .option('--as <subject>')
    .option('--groups <list>', 'comma-separated')
    .option('--from <region>', 'region or IP address of the client')
    .requiredOption('--database <name>')
    .option('--json', 'as JSON')
    .action(async (sql: string, options: ExplainOptions) => {
      const config = requireConfig(options.config, 'read');
      const trial = await openTrial(config, requirePolicy(config).policy);
      const explanation = await trial
        .explain({
          subject: options.as ?? '',
          groups: options.groups?.split(',').filter((group) => group !== '') ?? [],
          clientRegion: regionOf(config, options.from),
          database: options.database,
          sql,
        })
        .catch((error: Error) => {
          throw failure(error.message, options.config, "see that the database's upstreams are up");
        });
      if (options.json) printJson(explanation);
      else print(explanation);
    });
  policy
    .command('test <files...>')
    .description('run files of cases')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action(async (files: string[], options: { config: string }) => {
      const config = requireConfig(options.config, 'read');
      const trial = await openTrial(config, requirePolicy(config).policy);
      let passed = 0;
      let failed = 0;
      for (const file of files) {
        const read = readYaml(readCases(file), file, casesSchema);
        if (!read.ok) throw sourceFailure(read.errors);
        for (const test of read.value) {
          const explanation = await trial.explain({
            subject: test.as.subject,
            groups: test.as.groups,
            clientRegion: regionOf(config, test.from ?? claimedRegion(config, test.as.claims)),
            database: test.database,
            sql: test.sql,
          });
          const lines = differences(test, explanation);
          if (lines.length === 0) passed++;
          else {
            failed++;
            process.stdout.write(`FAILED ${test.name}\n`);
            for (const line of lines) process.stdout.write(`  ${line}\n`);
            process.stdout.write(`  because: ${explanation.message || explanation.reasons.join(', ')}\n`);
          }
        }
      }
      process.stdout.write(`${passed} passed, ${failed} failed\n`);
      if (failed > 0) throw new CommandFailed([]);
    });
}

function readCases(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw failure("can't be read", file, 'name a file of cases');
  }
}

function claimedRegion(config: Config, claims: Readonly<Record<string, unknown>>): string | undefined {
  const name = config.oidc[0]?.claims.region;
  const value = name === undefined ? undefined : claims[name];
  return typeof value === 'string' ? value : undefined;
}

function regionOf(config: Config, from: string | undefined): string | null {
  if (from === undefined) return null;
  return isIP(from) === 0 ? from : createNetworks(config.networks).regionOf(from);
}

function print(explanation: Explanation): void {
  const list = (values: readonly string[]): string => (values.length === 0 ? '-' : values.join(', '));
  const { path, data_regions: regions, masked_paths: paths } = explanation;
  const withPaths = (column: string): string => {
    const parts = paths[column];
    return parts === undefined ? column : `${column} (${parts.join(', ')})`;
  };
  const lines = [
    `decision   ${explanation.decision}`,
    `reasons    ${list(explanation.reasons)}`,
    `rules      ${list(explanation.rules)}`,
    `upstream   ${explanation.upstream ?? '-'}`,
    `regions    read ${list(regions.read)}; write ${list(regions.write)}`,
    `path       upstream ${path.upstream ?? '-'} > gateway ${path.gateway} > client ${path.client ?? 'unknown'}`,
    `masked     ${list(explanation.masked.map(withPaths))}`,
    ...(explanation.rewritten === null ? [] : [`rewritten  ${explanation.rewritten}`]),
    ...(explanation.approvers.length === 0 ? [] : [`approvers  ${list(explanation.approvers)}`]),
    ...(explanation.message === '' ? [] : [`because    ${explanation.message}`]),
    ...(explanation.hint === '' ? [] : [`way out    ${explanation.hint}`]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
