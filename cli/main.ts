#!/usr/bin/env node
/** The `cordon` command: hands each command line to the file of its command. */
import { Command, CommanderError } from 'commander';
import { addAudit } from './audit.ts';
import { addPolicy } from './policy.ts';
import { CommandFailed } from './report.ts';
import { addServe } from './serve.ts';
import { addStatus } from './status.ts';

const program = new Command('cordon')
  .description('a data-residency gateway for PostgreSQL and MySQL')
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'cordon: ')) })
  .exitOverride();
addServe(program);
addPolicy(program);
addAudit(program);
addStatus(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommandFailed) {
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    process.exitCode = error.exitCode;
  } else if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`cordon: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
