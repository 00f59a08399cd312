/** Reads one JSON object over HTTP: bounded, without redirects. */

const bytesMax = 512 * 1024;

/** The object at `url`. Rejects for anything but status 200 and one JSON object of at most 512 KiB. */
export async function fetchJson(
  url: string,
  signal: AbortSignal,
  fetchFrom: typeof fetch,
): Promise<Record<string, unknown>> {
  // A redirect could lead from https to anywhere.
  const response = await fetchFrom(url, {
    signal,
    redirect: 'error',
    headers: { accept: 'application/json' },
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.length;
    // Leaving the loop cancels the body.
    if (bytes > bytesMax) throw new Error('the answer is too large');
    parts.push(part);
  }
  const document: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Error('the answer is not a JSON object');
  }
  return document as Record<string, unknown>;
}
