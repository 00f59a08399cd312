/** Every bound of the gateway in one table: its default, its unit and what happens beyond it. */
import { z } from 'zod';

/** 0: no limit. Those on sessions and statements are looked at about once a second, and never act early. */
const duration = z.int().min(0).max(86_400_000).default(0);

const count = (fallback: number, max: number) => z.int().min(1).max(max).default(fallback);

/** The `limits:` section of cordon.yaml. */
export const limitsSchema = z.strictObject({
  /** Sessions at once over all listeners; one more is refused at sign-in. */
  sessions_max: count(1000, 100_000),
  /** Sessions at once of one subject. */
  sessions_per_subject_max: count(200, 100_000),
  /** A connection that has not signed in by then is closed. */
  handshake_timeout_ms: count(15_000, 600_000),
  /** Bytes a client may send before it has signed in. */
  handshake_bytes_max: count(65_536, 1_048_576),
  /** One message or command of a client. */
  message_bytes_max: count(64 * 1024 * 1024, 1024 * 1024 * 1024),
  /** Prepared statements of one session. */
  prepared_max: count(2000, 100_000),
  /** Portals of one session. */
  portals_max: count(500, 100_000),
  /** Analyzed statement shapes kept for each context (policy, roles, path). */
  cached_statements_max: count(2000, 1_000_000),
  /** A read of an upstream's catalog. */
  catalog_timeout_ms: count(15_000, 600_000),
  /** A catalog older than this is read again in the background while sessions are open. */
  catalog_age_max_ms: count(60_000, 86_400_000),
  /** A session that sends nothing, with no transaction open, ends (PostgreSQL 57P05, MySQL 4031). One that LISTENs too. */
  idle_session_timeout_ms: duration,
  /** A session that sends nothing in an open transaction ends (PostgreSQL 25P03, MySQL 4031). */
  idle_transaction_timeout_ms: duration,
  /** A statement that runs longer is cancelled at the upstream (PostgreSQL 57014, MySQL 3024); the session goes on. */
  statement_timeout_ms: duration,
  /** How long in-flight work may go on after SIGTERM. */
  drain_timeout_ms: count(30_000, 3_600_000),
});
