/** What one process of the gateway needs of the others. Alone it needs nothing. */

/** The gateway's other processes, and this one's place among them. */
export interface Peers {
  /** MySQL connection ids of this process: `first`, `first + step`, ... */
  readonly connectionIds: { readonly first: number; readonly step: number };
  /** DDL went through to an upstream: nobody's snapshot of it counts any more. */
  catalogStale(upstream: string): void;
  /** A PostgreSQL cancel request whose session is not here. */
  cancel(processId: number, key: Buffer): void;
}

/** The only process. */
export const noPeers: Peers = {
  connectionIds: { first: 1, step: 1 },
  catalogStale() {},
  cancel() {},
};
