/** Runs a client program to its end. Which program, and what it is told, is its own module's business. */
import { spawn } from 'node:child_process';

/** What a client program said and how it ended. `status` is null when a signal ended it. */
export interface ClientRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never throws for a failing client; throws when the program isn't there. */
export function runClient(
  program: string,
  args: readonly string[],
  input: string,
  env: Readonly<Record<string, string>>,
): Promise<ClientRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', ...env } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
    child.stdin.on('error', () => {
      // A client that ends before it has read its input is the test's subject, not an accident.
    });
    child.stdin.end(input);
  });
}
