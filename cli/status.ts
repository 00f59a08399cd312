/** `cordon status` and `cordon sessions ...`: what the running gateway says of itself. */
import type { Command } from 'commander';
import { auditHead } from '../audit/verify.ts';
import { askControl, type ControlRequest } from '../gateway/control.ts';
import { CommandFailed, failure, printJson, printTable, requireConfig } from './report.ts';

type Row = Readonly<Record<string, unknown>>;

/** Asks the gateway of that configuration; fails when none runs or it says no. */
export async function ask(file: string, request: ControlRequest): Promise<unknown> {
  const config = requireConfig(file, 'skip');
  const answer = await askControl(config.controlSocket, request);
  if (!answer) throw failure('no gateway answers', config.controlSocket, 'start it with cordon serve');
  if (!answer.ok) throw new CommandFailed(answer.errors);
  return answer.result;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('listeners, sessions, upstreams, policy version, audit head')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .option('--json', 'as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      await ask(options.config, { command: 'settle' });
      const status = (await ask(options.config, { command: 'status' })) as Record<string, unknown>;
      const full: Record<string, unknown> = {
        ...status,
        audit_head: auditHead(requireConfig(options.config, 'skip').dataDir),
      };
      if (options.json) return printJson(full);
      printTable(full.listeners as unknown as Row[], 'no listeners');
      printTable(full.upstreams as unknown as Row[], 'no upstreams');
      printTable(
        [{ sessions: status.sessions, policy: status.policy_version, region: status.gateway_region }],
        '',
      );
      printTable(full.audit_head ? [full.audit_head as unknown as Row] : [], 'the audit store is empty');
    });

  const sessions = program.command('sessions').description('sessions of the running gateway');
  sessions
    .command('list')
    .description('open sessions')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .option('--json', 'as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const rows = (await ask(options.config, { command: 'sessions' })) as Row[];
      if (options.json) printJson(rows);
      else printTable(rows, 'no open sessions');
    });
  sessions
    .command('kill <id>')
    .description('end a session')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action(async (id: string, options: { config: string }) => {
      await ask(options.config, { command: 'kill', session: id });
      process.stdout.write(`${id} is ended\n`);
    });
}
