/** A running gateway, in one process or several, as the command line and its control socket see it. */
import type { SourceError } from '../policy/source.ts';

export interface Listening {
  readonly protocol: 'postgres' | 'mysql';
  readonly host: string;
  readonly port: number;
}

export type Reloaded =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly errors: readonly SourceError[] };

/** One open session, as `cordon sessions list --json` prints it. */
export interface SessionRow {
  readonly id: string;
  readonly subject: string;
  readonly database: string;
  readonly protocol: 'postgres' | 'mysql';
  readonly client_address: string;
  readonly client_region: string | null;
  readonly opened_at: string;
  readonly statements: number;
}

/** What one process says of itself. */
export interface ProcessStatus {
  readonly pid: number;
  readonly sessions: number;
  /** Upstreams whose catalog it has read. */
  readonly catalogs: readonly string[];
}

/** As `cordon status --json` prints it. */
export interface GatewayStatus {
  readonly listeners: readonly Listening[];
  readonly sessions: number;
  readonly upstreams: readonly { readonly name: string; readonly region: string; readonly catalog: string }[];
  readonly policy_version: string;
  readonly gateway_region: string;
  readonly draining: boolean;
  /** The processes that serve clients. */
  readonly processes: readonly { readonly pid: number; readonly sessions: number }[];
}

export interface RunningGateway {
  readonly listening: readonly Listening[];
  status(): Promise<GatewayStatus>;
  sessions(): Promise<readonly SessionRow[]>;
  /** False when no such session is open. */
  kill(session: string): Promise<boolean>;
  /** Puts the policy file and the certificates in force, in every process or in none. */
  reload(): Promise<Reloaded>;
  /** All numbers, in Prometheus' text format. */
  metrics(): Promise<string>;
  /** Why no session should be sent here just now, in one line; null: one can be. */
  unreadiness(): Promise<string | null>;
  /** Resolves when everything so far is in the audit store. */
  settle(): Promise<void>;
  /** Ends in-flight work within the limit, then everything. */
  drain(): Promise<void>;
}
