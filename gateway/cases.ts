/** Case files of `cordon policy test`: their shape, and how one case is held against what is decided. */
import { z } from 'zod';
import { reasons } from '../policy/decision.ts';
import type { Explanation } from './trial.ts';

const reason = z.enum(reasons);

export const casesSchema = z.array(
  z.strictObject({
    name: z.string().min(1),
    as: z.strictObject({
      subject: z.string().default('case'),
      groups: z.array(z.string()).default([]),
      claims: z.record(z.string(), z.unknown()).default({}),
    }),
    /** A region's name, or an IP address that the configuration's networks place. */
    from: z.string().optional(),
    database: z.string(),
    sql: z.string(),
    params: z.array(z.unknown()).default([]),
    expect: z.strictObject({
      decision: z.enum(['allow', 'hold', 'refuse']).optional(),
      reason: z.union([reason, z.array(reason).min(1)]).optional(),
      upstream: z.string().optional(),
      masked: z.array(z.string()).optional(),
      rows: z.string().optional(),
    }),
  }),
);
export type Case = z.infer<typeof casesSchema>[number];

/** What differs, a line each; empty when the case passes. Only what is expected is compared. */
export function differences(test: Case, found: Explanation): string[] {
  const { expect } = test;
  const lines: string[] = [];
  const differs = (what: string, wanted: unknown, got: unknown): void => {
    lines.push(`${what}: expected ${JSON.stringify(wanted)}, decided ${JSON.stringify(got)}`);
  };
  if (expect.decision !== undefined && expect.decision !== found.decision)
    differs('decision', expect.decision, found.decision);
  if (expect.reason !== undefined) {
    const wanted = [expect.reason].flat();
    if (!wanted.some((code) => found.reasons.includes(code))) differs('reason', expect.reason, found.reasons);
  }
  if (expect.upstream !== undefined && expect.upstream !== found.upstream)
    differs('upstream', expect.upstream, found.upstream);
  if (expect.masked !== undefined) {
    const got = found.masked.map(tableAndColumn).sort();
    const wanted = expect.masked.map(tableAndColumn).sort();
    if (got.join() !== wanted.join()) differs('masked', expect.masked, found.masked);
  }
  if (expect.rows !== undefined) {
    const squash = (text: string): string => text.replace(/["`\s()]/g, '').toLowerCase();
    if (!found.rewritten || !squash(found.rewritten).includes(squash(expect.rows)))
      differs('rows', expect.rows, found.rewritten);
  }
  return lines;
}

/** `public.customers.email` and `customers.email` name the same column. */
function tableAndColumn(name: string): string {
  return name.split('.').slice(-2).join('.');
}
