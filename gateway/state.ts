/** What a process of the gateway holds while it runs. The policy is replaced as a whole; everything else lives as long as the process. */
import type { AuditLog } from '../audit/event.ts';
import type { Principal } from '../policy/decision.ts';
import type { Policy } from '../policy/model.ts';
import type { SessionControl } from '../protocols/gate.ts';
import type { BoundedCache } from './bounded-cache.ts';
import type { Catalogs } from './catalogs.ts';
import type { Config } from './config.ts';
import type { DecisionCache, TextDecider } from './decide-text.ts';
import type { Meters } from './metrics/meters.ts';
import type { Peers } from './peers.ts';
import type { Seats } from './seats.ts';

export interface OpenSession {
  readonly id: string;
  readonly principal: Principal;
  readonly database: string;
  readonly protocol: 'postgres' | 'mysql';
  readonly clientAddress: string;
  readonly clientRegion: string | null;
  readonly openedAt: number;
  statements: number;
  readonly control: SessionControl;
}

export interface GatewayState {
  readonly config: Config;
  policy: Policy;
  readonly verify: (token: string) => Promise<Principal>;
  readonly regionOf: (address: string) => string | null;
  readonly catalogs: Catalogs;
  readonly decider: TextDecider;
  readonly decisionCaches: BoundedCache<DecisionCache>;
  readonly audit: AuditLog;
  readonly meters: Meters;
  readonly seats: Seats;
  readonly peers: Peers;
  /** Key of the `hash` mask, 32 bytes. */
  readonly maskKey: Uint8Array;
  readonly now: () => number;
  readonly sessions: Map<string, OpenSession>;
  draining: boolean;
}
