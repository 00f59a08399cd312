/** `cordon serve`: runs the gateway until SIGTERM or SIGINT; SIGHUP reloads. */
import type { Command } from 'commander';
import { startControl } from '../gateway/control.ts';
import { startEndpoints } from '../gateway/metrics/endpoints.ts';
import { runInOneProcess } from '../gateway/one-process.ts';
import { runWorkers } from '../gateway/workers/supervisor.ts';
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
      const run = config.workers === 1 ? runInOneProcess : runWorkers;
      const failed = (error: unknown) =>
        failure((error as Error).message, config.file, 'free the address or choose another');
      const gateway = await run(config, policy).catch((error) => {
        throw failed(error);
      });
      const control = await startControl(config.controlSocket, gateway).catch(async (error) => {
        await gateway.drain();
        throw failed(error);
      });
      const endpoints =
        config.metrics &&
        (await startEndpoints(config.metrics, gateway).catch(async (error) => {
          control.close();
          await gateway.drain();
          throw failed(error);
        }));
      const listening = [...(endpoints ? [{ protocol: 'metrics', ...endpoints }] : []), ...gateway.listening];
      for (const listener of listening) {
        const host = listener.host.includes(':') ? `[${listener.host}]` : listener.host;
        process.stdout.write(`cordon: listening ${listener.protocol} ${host}:${listener.port}\n`);
      }
      process.on('SIGHUP', () => {
        void gateway.reload().then((reloaded) => {
          if (reloaded.ok) process.stderr.write(`cordon: policy ${reloaded.version} is in force\n`);
          else for (const e of reloaded.errors) process.stderr.write(`${formatSourceError(e)}\n`);
        });
      });
      let draining = false;
      const drain = (): void => {
        if (draining) return;
        draining = true;
        process.stderr.write('cordon: draining\n');
        void gateway.drain().then(() => {
          control.close();
          endpoints?.close();
          process.exit(0);
        });
      };
      process.on('SIGTERM', drain);
      process.on('SIGINT', drain);
    });
}
