/** Turns measurements into the page that `npm run bench` writes. No measuring here. */

/** One line of the first table: medians of transactions a second; null where that path isn't there. */
export interface RateRow {
  readonly mode: string;
  readonly clients: number;
  readonly direct: number;
  readonly pgBouncer: number | null;
  /** In one process. */
  readonly gateway: number;
  /** With a worker process for each core. */
  readonly workers: number;
  /** Medians of the ratios within each rotation: what slows the machine for a while slows all of one rotation. */
  readonly toPgBouncer: { readonly gateway: number; readonly workers: number } | null;
  /** Median of pgbench's average latency, in milliseconds; the gateway's in one process. */
  readonly latencyMs: { readonly direct: number; readonly gateway: number };
}

/** One line of the second table: medians of seconds. */
export interface StreamRow {
  readonly what: string;
  readonly seconds: number;
}

/** Where and how it was measured. */
export interface Setting {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly workers: number;
  readonly node: string;
  readonly postgres: string;
  readonly runs: number;
  readonly seconds: number;
  readonly streamRows: number;
  readonly gatewayPeakMiB: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function page(setting: Setting, rates: readonly RateRow[], streams: readonly StreamRow[]): string {
  const memory =
    setting.gatewayPeakMiB === null
      ? ''
      : ` The gateway's peak resident memory was ${setting.gatewayPeakMiB} MiB.`;
  const first = streams[0]?.seconds ?? Number.NaN;
  return `# What the gateway costs

Measured ${setting.date} on ${setting.processor} (${setting.cores} cores), Node ${setting.node}, PostgreSQL ${setting.postgres}; clients,
database and gateway shared the machine. Policy and audit were on, connections without TLS. PgBouncer and "gateway" are one process each;
"${setting.workers} workers" is the gateway with \`gateway.workers: ${setting.workers}\`. \`npm run bench\` measures again.

\`pgbench -S\` (one-row lookups by primary key), transactions a second: medians of ${setting.runs} runs of ${setting.seconds} s in rotating order.

| mode | clients | direct | PgBouncer (session) | gateway | ${setting.workers} workers | gateway / PgBouncer | ${setting.workers} workers / PgBouncer | added latency |
|---|---|---|---|---|---|---|---|---|
${rates
  .map(
    (row) =>
      `| ${row.mode} | ${row.clients} | ${whole(row.direct)} | ${row.pgBouncer === null ? 'not installed' : whole(row.pgBouncer)} | ${whole(row.gateway)} | ${whole(row.workers)} | ` +
      `${row.toPgBouncer?.gateway.toFixed(2) ?? ''} | ${row.toPgBouncer?.workers.toFixed(2) ?? ''} | ${(row.latencyMs.gateway - row.latencyMs.direct).toFixed(3)} ms |`,
  )
  .join('\n')}

${whole(setting.streamRows)} rows of five columns, streamed to psql: medians of ${setting.runs} runs.${memory}

| path | seconds | times direct |
|---|---|---|
${streams.map((row) => `| ${row.what} | ${row.seconds.toFixed(2)} | ${(row.seconds / first).toFixed(2)} |`).join('\n')}
`;
}

/** A number to the unit, with its thousands apart. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
