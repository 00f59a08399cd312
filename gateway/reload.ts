/** The steps of a reload: read, prepare, journal, put in force. A step that fails leaves everything as it was. */
import { type AuditLog, AuditUnavailable } from '../audit/event.ts';
import type { Policy } from '../policy/model.ts';
import type { SourceError } from '../policy/source.ts';
import type { Config } from './config.ts';
import { journalPolicy } from './policy-loaded.ts';
import type { Server } from './server.ts';

export interface ReloadFailed {
  readonly ok: false;
  readonly errors: readonly SourceError[];
}

/** Makes a process ready for a policy; `commit` puts it in force. */
export function prepareReload(
  server: Server,
  policy: Policy,
  config: Config,
): { readonly ok: true; readonly commit: () => void } | ReloadFailed {
  try {
    return { ok: true, commit: server.prepare(policy) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    return failed(config.file, `a listener's certificate or key can't be used (${code}): the old ones stay`);
  }
}

/** The audit's row for the new policy; what it returns says why the policy may not come into force. */
export function journalReload(
  audit: AuditLog,
  version: string,
  config: Config,
  at: number,
): ReloadFailed | null {
  try {
    journalPolicy(audit, version, config.region, at);
    return null;
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    return failed(config.policyFile, 'the audit journal can not be written: the old policy stays');
  }
}

function failed(file: string, message: string): ReloadFailed {
  return { ok: false, errors: [{ file, line: 1, column: 1, message }] };
}
