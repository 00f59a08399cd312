/** What one process of the gateway needs of the others. Alone it needs nothing. */

import { randomBytes } from 'node:crypto';

/** The gateway's other processes, and this one's place among them. */
export interface Peers {
  /** MySQL connection ids of this process: `first`, `first + step`, ... */
  readonly connectionIds: { readonly first: number; readonly step: number };
  /** See Gate.ownerKey. */
  readonly ownerKey: Uint8Array;
  /** DDL went through to an upstream: nobody's snapshot of it counts any more. */
  catalogStale(upstream: string): void;
  /** Resolves when all that they had said before has arrived here. Never rejects. */
  caughtUp(): Promise<void>;
  /** A PostgreSQL cancel request whose session is not here. */
  cancel(processId: number, key: Buffer): void;
  /** Whether one of them has a MySQL session of this owner. Never rejects. */
  owns(owner: string): Promise<boolean>;
  /** A MySQL KILL whose session is not here; whether one of them had it. Never rejects. */
  kill(connectionId: number, queryOnly: boolean, owner: string): Promise<boolean>;
}

/** The only process has none. */
export function noPeers(): Peers {
  return {
    connectionIds: { first: 1, step: 1 },
    ownerKey: randomBytes(32),
    catalogStale() {},
    caughtUp: async () => {},
    cancel() {},
    owns: async () => false,
    kill: async () => false,
  };
}
