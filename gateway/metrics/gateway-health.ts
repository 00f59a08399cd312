/** The whole gateway as its operator's tools see it: all numbers in one text, and whether it should get sessions. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { exposition } from './exposition.ts';
import { combined, gauges, labels, type Numbers } from './numbers.ts';
import type { ProcessReport } from './process-numbers.ts';
import type { UpstreamHealth } from './upstream-health.ts';

/** What the owner of the data directory knows, and how it asks the processes that serve. */
export interface GatewayParts {
  readonly config: Config;
  readonly upstreams: UpstreamHealth;
  isDraining(): boolean;
  policyVersion(): string;
  /** One of each process that serves clients and answers. */
  reports(): Promise<readonly ProcessReport[]>;
  /** What else there is to be added: of processes that are gone or serve no clients. */
  others(): Numbers;
}

export class GatewayHealth {
  readonly #parts: GatewayParts;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** As Prometheus reads it. */
  async metrics(): Promise<string> {
    const { upstreams, others, reports, policyVersion } = this.#parts;
    await upstreams.look();
    const told = await reports();
    const whole = gauges([['cordon_policy_info', labels({ version: policyVersion() }), 1]]);
    return exposition(
      combined([...told.map((report) => report.numbers), others(), upstreams.numbers(), whole]),
    );
  }

  /** Why no session should be sent here just now, in a line without secrets; null: one can be. */
  async unreadiness(): Promise<string | null> {
    const { config, upstreams, isDraining, reports } = this.#parts;
    if (isDraining()) return 'draining';
    const [told, canWrite] = await Promise.all([reports(), isWritable(config.dataDir), upstreams.look()]);
    if (isDraining()) return 'draining';
    if (told.length === 0) return 'no process serves clients';
    if (!canWrite || !told.some((report) => report.takesAudit)) return 'the audit can not be written';
    return upstreams.isAnyUp ? null : 'no upstream can be reached';
  }
}

/** A full disk lets files be made, and takes no bytes. */
const probeBytes = 4096;

async function isWritable(dataDir: string): Promise<boolean> {
  const path = join(dataDir, 'ready.probe');
  try {
    await writeFile(path, Buffer.alloc(probeBytes), { mode: 0o600 });
    return true;
  } catch {
    return false;
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
}
