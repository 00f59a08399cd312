/** What the gateway counts: every metric's name, kind and words. How the numbers come about is not known here. */

/** One metric as Prometheus knows it. `combine`: how the numbers of several processes become one. */
export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly combine: 'sum' | 'max';
  readonly help: string;
  /** Upper bounds of a histogram's buckets, ascending, without +Inf. */
  readonly bounds?: readonly number[];
}

/** Seconds: from a decision that was cached to one that waited for a catalog. */
const latencyBounds = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5,
  10,
] as const;
/** Seconds; the clock behind it counts milliseconds. */
const statementBounds = [
  0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
] as const;

/** Of this many statements, one is timed for `cordon_added_latency_seconds`: prime, so that no rhythm of a client's hides behind it. */
export const timedOneOf = 7;

/** All of them, in the order in which they are told. */
export const families = {
  cordon_sessions: { type: 'gauge', combine: 'sum', help: 'Open sessions.' },
  cordon_sign_ins_total: {
    type: 'counter',
    combine: 'sum',
    help: 'Sign-ins by result: ok, or why they were refused.',
  },
  cordon_statements_total: {
    type: 'counter',
    combine: 'sum',
    help: 'Decided statements. A prepared one counts when it is prepared and with each execution, as in the audit.',
  },
  cordon_held_statements: { type: 'gauge', combine: 'sum', help: 'Statements that wait for an approval.' },
  cordon_added_latency_seconds: {
    type: 'histogram',
    combine: 'sum',
    help: `From the arrival of a statement to its decision in the journal, of one statement in ${timedOneOf}.`,
    bounds: latencyBounds,
  },
  cordon_statement_seconds: {
    type: 'histogram',
    combine: 'sum',
    help: 'From the decision of a statement to its completion.',
    bounds: statementBounds,
  },
  cordon_rows_total: { type: 'counter', combine: 'sum', help: 'Rows of completed statements.' },
  cordon_bytes_total: { type: 'counter', combine: 'sum', help: 'Bytes of completed statements.' },
  cordon_rows_masked_total: {
    type: 'counter',
    combine: 'sum',
    help: 'Rows of completed statements in which at least one column was masked.',
  },
  cordon_audit_lag_bytes: {
    type: 'gauge',
    combine: 'sum',
    help: 'Journal that is not in the audit store yet.',
  },
  cordon_audit_unavailable_total: {
    type: 'counter',
    combine: 'sum',
    help: 'Texts and sign-ins that were refused because the audit could not be written.',
  },
  cordon_catalog_age_seconds: {
    type: 'gauge',
    combine: 'max',
    help: 'Age of the catalog that is in use, the oldest of all processes.',
  },
  cordon_upstream_up: {
    type: 'gauge',
    combine: 'max',
    help: 'Whether the gateway could sign in when it last tried; it tries when it is asked, at most every 2 s.',
  },
  cordon_policy_info: { type: 'gauge', combine: 'max', help: 'The policy in force.' },
  cordon_processes: { type: 'gauge', combine: 'sum', help: 'Processes that serve clients.' },
  process_cpu_user_seconds_total: {
    type: 'counter',
    combine: 'sum',
    help: 'User CPU time of all processes.',
  },
  process_cpu_system_seconds_total: {
    type: 'counter',
    combine: 'sum',
    help: 'System CPU time of all processes.',
  },
  process_resident_memory_bytes: { type: 'gauge', combine: 'sum', help: 'Resident memory of all processes.' },
  nodejs_heap_used_bytes: { type: 'gauge', combine: 'sum', help: 'Used JavaScript heap of all processes.' },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
