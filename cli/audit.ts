/** `cordon audit export | tail | verify`: reads the store; leftover journal lines of a dead gateway come in first. */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Command } from 'commander';
import { exportAudit } from '../audit/export.ts';
import { catchUp } from '../audit/journal.ts';
import { tailAudit } from '../audit/tail.ts';
import { verifyAudit } from '../audit/verify.ts';
import { askControl } from '../gateway/control.ts';
import { CommandFailed, printJson, requireConfig } from './report.ts';

interface ExportOptions {
  config: string;
  format: 'csv' | 'jsonl';
  since?: string;
  until?: string;
  session?: string;
  output?: string;
}

export function addAudit(program: Command): void {
  const audit = program.command('audit').description('the audit store');
  audit
    .command('export')
    .description('write the audit rows')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .requiredOption('--format <format>', 'csv or jsonl')
    .option('--since <time>', 'RFC 3339')
    .option('--until <time>', 'RFC 3339')
    .option('--session <id>')
    .option('-o, --output <file>', 'instead of standard output')
    .action(async (options: ExportOptions) => {
      if (options.format !== 'csv' && options.format !== 'jsonl') {
        throw new CommandFailed(['cordon: unknown format, --format, say csv or jsonl'], 2);
      }
      const directory = await settled(options.config);
      const out =
        options.output === undefined ? process.stdout : createWriteStream(options.output, { mode: 0o600 });
      await exportAudit(
        directory,
        {
          format: options.format,
          ...(options.since === undefined ? {} : { since: timeOf(options.since, '--since') }),
          ...(options.until === undefined ? {} : { until: timeOf(options.until, '--until') }),
          ...(options.session === undefined ? {} : { session: options.session }),
        },
        async (part) => {
          if (!out.write(part)) await once(out, 'drain');
        },
      );
      if (out !== process.stdout) {
        out.end();
        await once(out, 'finish');
      }
    });
  audit
    .command('tail')
    .description('follow the audit rows')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action(async (options: { config: string }) => {
      const directory = await settled(options.config);
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort());
      await tailAudit(directory, (line) => process.stdout.write(`${line}\n`), stop.signal);
    });
  audit
    .command('verify')
    .description('walk the hash chain')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .option('--json', 'as JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const result = verifyAudit(await settled(options.config));
      if (options.json) printJson(result);
      else if (result.ok) process.stdout.write(`ok: ${result.rows} rows, head ${result.head}\n`);
      if (!result.ok)
        throw new CommandFailed(options.json ? [] : [`cordon: row ${result.seq} is bad, ${result.why}`]);
    });
}

/** The audit directory with everything that was journaled so far in its store. */
async function settled(file: string): Promise<string> {
  const config = requireConfig(file, 'skip');
  const answer = await askControl(config.controlSocket, { command: 'settle' });
  if (!answer) await catchUp(config.dataDir);
  return config.dataDir;
}

/** Milliseconds since the epoch. */
function timeOf(text: string, option: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw new CommandFailed([`cordon: not a time, ${option}, write it as 2026-01-31T12:00:00Z`], 2);
  return at;
}
