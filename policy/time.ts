/** Durations and dates as the product's files write them. */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10m` to milliseconds; NaN for a text that is no duration. */
export function durationMs(text: string): number {
  const found = /^([0-9]{1,9})(ms|s|m|h|d)$/.exec(text);
  return found === null ? Number.NaN : Number(found[1]) * (unitMs[found[2] ?? ''] ?? Number.NaN);
}

/**
 * When an `until` is over, in milliseconds since the epoch: a date (YYYY-MM-DD) at the end of that day in UTC, an
 * RFC 3339 time at that moment. NaN for anything else.
 */
export function endOf(text: string): number {
  const date = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (date !== null) {
    const start = Date.parse(`${text}T00:00:00Z`);
    // Date.parse turns 30 February into March in some forms.
    if (Number.isNaN(start) || !new Date(start).toISOString().startsWith(text)) return Number.NaN;
    return start + 86_400_000;
  }
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
}
