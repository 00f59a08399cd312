/** The audit's row for a policy that comes into force. */
import type { AuditLog } from '../audit/event.ts';

/** Throws AuditUnavailable when the row can't be written: then the policy may not come into force. */
export function journalPolicy(audit: AuditLog, version: string, gatewayRegion: string, at: number): void {
  const event = 'policy.loaded';
  audit.append(audit.template({ event, policy_version: version, gateway_region: gatewayRegion }), at, {});
}
