/** The built gateway in front of one server, with policy and audit on, as every measurement has it. What is measured is not said here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { startIdentityProvider } from '../fixtures/identity-provider.ts';
import { end, freePort, logText, scratch, untilReady, whenProcessEnds } from '../test/servers/scratch.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface GatewayOptions {
  readonly protocol: 'postgres' | 'mysql';
  /** The server's port on loopback; the account is `cordon`, the database `bench`. */
  readonly port: number;
  readonly password: string;
  /** Its roles go by the groups `clear` and `masked`. */
  readonly policy: object;
  readonly workers: number;
  /** Arguments of Node's own. */
  readonly node?: readonly string[];
}

export interface GatewayPath {
  readonly port: number;
  /** Token of somebody who sees every column. */
  readonly clear: string;
  readonly masked: string;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

export async function startGateway(options: GatewayOptions): Promise<GatewayPath> {
  const { protocol, port, password, policy, workers, node = [] } = options;
  const { dir, remove } = scratch('cordon-bench-');
  const identity = await startIdentityProvider({ audience: 'cordon' });
  const address = `127.0.0.1:${await freePort()}`;
  mkdirSync(join(dir, 'cordon-data'), { mode: 0o700 });
  writeFileSync(join(dir, 'policy.yaml'), stringify(policy));
  writeFileSync(
    join(dir, 'cordon.yaml'),
    stringify({
      version: 1,
      gateway: { region: 'eu', data_dir: './cordon-data', control: './cordon-data/control.sock', workers },
      listeners: { [protocol]: { address, allow_cleartext: 'loopback' } },
      upstreams: {
        'bench-eu': {
          ...{ protocol, address: `127.0.0.1:${port}`, database: 'bench', region: 'eu' },
          ...{ user: 'cordon', password: { env: 'BENCH_PASSWORD' }, tls: { mode: 'disable' } },
        },
      },
      databases: { bench: { upstreams: ['bench-eu'] } },
      identity: {
        oidc: [{ issuer: identity.issuer, audience: 'cordon' }],
        networks: { eu: ['127.0.0.0/8'] },
      },
      policy: './policy.yaml',
    }),
  );
  const log = join(dir, 'log');
  const child = spawn(
    process.execPath,
    [...node, join(ROOT, 'dist/cli/main.js'), 'serve', '-c', join(dir, 'cordon.yaml')],
    {
      cwd: dir,
      env: { ...process.env, BENCH_PASSWORD: password },
      stdio: ['ignore', 'pipe', openSync(log, 'a')],
    },
  );
  const forget = whenProcessEnds(() => child.kill('SIGKILL'));
  let listening = false;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line === `cordon: listening ${protocol} ${address}`) listening = true;
  });
  await untilReady('the gateway', child, log, async () => listening);
  const exp = Math.floor(Date.now() / 1000) + 12 * 3600;
  return {
    port: Number(address.split(':')[1]),
    clear: await identity.token({ sub: 'bench-clear', groups: ['clear'], exp }),
    masked: await identity.token({ sub: 'bench-masked', groups: ['masked'], exp }),
    child,
    stop: async () => {
      await end(child, 'SIGTERM');
      forget();
      await identity.stop();
      remove();
      if (child.exitCode !== 0) throw new Error(`the gateway ended with ${child.exitCode}: ${logText(log)}`);
    },
  };
}
