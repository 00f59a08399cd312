/** The policy file as the configuration names it. */
import { readFileSync } from 'node:fs';
import { loadPolicy } from '../policy/load.ts';
import type { Policy } from '../policy/model.ts';
import type { SourceError } from '../policy/source.ts';
import type { Config } from './config.ts';

/** A policy, and the text that it was read from. */
export interface PolicyText {
  readonly policy: Policy;
  readonly text: string;
}

export type PolicyRead =
  | ({ readonly ok: true } & PolicyText)
  | { readonly ok: false; readonly errors: readonly SourceError[] };

/** Reads and checks the policy file. */
export function readPolicy(config: Config): PolicyRead {
  let text: string;
  try {
    text = readFileSync(config.policyFile, 'utf8');
  } catch (error) {
    const message = `can't be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`;
    return { ok: false, errors: [{ file: config.policyFile, line: 1, column: 1, message }] };
  }
  return policyOf(text, config);
}

/** Checks a policy's text, and that it knows every region that the configuration names. */
export function policyOf(text: string, config: Config): PolicyRead {
  const loaded = loadPolicy(text, config.policyFile);
  if (!loaded.ok) return loaded;
  const errors = config.regionMentions
    .filter((mention) => !loaded.policy.regions.has(mention.region))
    .map(({ region, line, column }) => ({
      file: config.file,
      line,
      column,
      message: `region ${region} is not declared under regions in ${config.policyFile}`,
    }));
  return errors.length === 0 ? { ...loaded, text } : { ok: false, errors };
}
