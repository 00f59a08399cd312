/**
 * `npm run bench`: what the gateway costs beside a direct connection and PgBouncer, all in one run and in rotating
 * order, so that a machine that slows down slows all of them. Writes bench/RESULTS.md.
 * Options: --quick (3 runs of 2 s, fewer rows, prints only), --runs N, --seconds N.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type QueryMode, type Rate, selectOnly, streamSeconds } from './measure.ts';
import { type Path, STREAM_ROWS, startPaths } from './paths.ts';
import { median, page, type RateRow } from './report.ts';
import { keep } from './results.ts';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, runs: { type: 'string' }, seconds: { type: 'string' } },
});
const quick = options.quick === true;
const runs = Number(options.runs ?? (quick ? 3 : 5));
const seconds = Number(options.seconds ?? (quick ? 2 : 5));
const streamRows = quick ? STREAM_ROWS / 10 : STREAM_ROWS;

const paths = await startPaths(streamRows);
const others = [paths.direct, ...(paths.pgBouncer === null ? [] : [paths.pgBouncer])];
const measured = [...others, paths.gateway, paths.workers];

// A process that has just started is still being compiled, and its database's pages are not read yet.
for (const path of measured) await selectOnly(path, 'prepared', 16, seconds);

const rates: RateRow[] = [];
for (const mode of ['simple', 'extended', 'prepared'] satisfies QueryMode[]) {
  for (const clients of [1, 16]) {
    const found = await inRotation(measured, (path) => selectOnly(path, mode, clients, seconds));
    const rate = (path: Path) => median(found.get(path)!.map((run: Rate) => run.transactionsPerSecond));
    const inEach = (path: Path, to: Path) =>
      median(
        found
          .get(path)!
          .map((run, i) => run.transactionsPerSecond / found.get(to)![i]!.transactionsPerSecond),
      );
    const latencyMs = (path: Path) => median(found.get(path)!.map((run: Rate) => run.latencyMs));
    rates.push({
      mode,
      clients,
      direct: rate(paths.direct),
      pgBouncer: paths.pgBouncer === null ? null : rate(paths.pgBouncer),
      gateway: rate(paths.gateway),
      workers: rate(paths.workers),
      toPgBouncer:
        paths.pgBouncer === null
          ? null
          : {
              gateway: inEach(paths.gateway, paths.pgBouncer),
              workers: inEach(paths.workers, paths.pgBouncer),
            },
      latencyMs: { direct: latencyMs(paths.direct), gateway: latencyMs(paths.gateway) },
    });
    process.stderr.write(`${mode}, ${clients}: ${JSON.stringify(rates.at(-1))}\n`);
  }
}

const streamed = await inRotation([...others, paths.gateway, paths.masked], (path) =>
  streamSeconds(path, streamRows),
);
const streamMedian = (path: Path) => median(streamed.get(path)!);
const streams = [
  { what: 'direct', seconds: streamMedian(paths.direct) },
  ...(paths.pgBouncer === null ? [] : [{ what: 'PgBouncer', seconds: streamMedian(paths.pgBouncer) }]),
  { what: 'gateway, nothing masked', seconds: streamMedian(paths.gateway) },
  { what: 'gateway, one column masked', seconds: streamMedian(paths.masked) },
];

const results = page(
  {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? 'an unknown processor',
    cores: cpus().length,
    workers: paths.workerCount,
    node: process.versions.node,
    postgres: paths.postgresVersion,
    runs,
    seconds,
    streamRows,
    gatewayPeakMiB: paths.gatewayPeakMiB(),
  },
  rates,
  streams,
);
await paths.stop();
if (!quick) keep(results);
process.stdout.write(results);

/** `runs` measurements of each path; every round begins with another one. */
async function inRotation<T>(
  of: readonly Path[],
  measure: (path: Path) => Promise<T>,
): Promise<Map<Path, T[]>> {
  const found = new Map<Path, T[]>(of.map((path) => [path, []]));
  for (let round = 0; round < runs; round++) {
    for (let step = 0; step < of.length; step++) {
      const path = of[(round + step) % of.length]!;
      found.get(path)!.push(await measure(path));
    }
  }
  return found;
}
