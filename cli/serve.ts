/** `cordon serve`: runs the gateway until SIGTERM or SIGINT; SIGHUP reloads. */
import type { Command } from 'commander';
import { startControl } from '../gateway/control.ts';
import { openState } from '../gateway/open.ts';
import { startServer } from '../gateway/server.ts';
import { formatSourceError } from '../policy/source.ts';
import { failure, requireConfig, requirePolicy } from './report.ts';

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the gateway')
    .option('-c, --config <file>', 'configuration file', './cordon.yaml')
    .action(async (options: { config: string }) => {
      const config = requireConfig(options.config, 'read');
      const policy = requirePolicy(config);
      const state = await openState(config, policy);
      let server: Awaited<ReturnType<typeof startServer>>;
      let control: Awaited<ReturnType<typeof startControl>>;
      try {
        server = await startServer(state);
        control = await startControl(config.controlSocket, state, server);
      } catch (error) {
        await state.audit.close();
        throw failure((error as Error).message, config.file, 'free the address or choose another');
      }
      for (const listener of server.listening) {
        const host = listener.host.includes(':') ? `[${listener.host}]` : listener.host;
        process.stdout.write(`cordon: listening ${listener.protocol} ${host}:${listener.port}\n`);
      }
      process.on('SIGHUP', () => {
        const reloaded = server.reload();
        if (reloaded.ok) process.stderr.write(`cordon: policy ${reloaded.version} is in force\n`);
        else for (const e of reloaded.errors) process.stderr.write(`${formatSourceError(e)}\n`);
      });
      let draining = false;
      const drain = (): void => {
        if (draining) return;
        draining = true;
        process.stderr.write('cordon: draining\n');
        void server.drain().then(() => {
          control.close();
          process.exit(0);
        });
      };
      process.on('SIGTERM', drain);
      process.on('SIGINT', drain);
    });
}
