/**
 * Reads what a PostgreSQL server says exists, over a connection of its own, in a handful of set-based queries within
 * one snapshot. Builds the catalog that names are resolved against; resolves none itself.
 */
import { buildCatalog, type Catalog } from '../../sql/catalog.ts';
import type { UpstreamTarget } from '../gate.ts';
import { catalogTexts, readContents } from './catalog-queries.ts';
import { terminate } from './client-messages.ts';
import { QueryFailed, runQuery } from './frame-source.ts';
import { readAttemptsMax } from './session-state.ts';
import { connectUpstream, UpstreamUnavailable } from './upstream.ts';

/** Only pg_catalog is searched, so that view definitions name every other schema. Only pg_catalog's own relations
 *  come without one: no relation of a user can come first. */
const begin =
  "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '60s'; SET LOCAL quote_all_identifiers = off";

/** Bounds one row of an answer: the longest view definition. */
const rowBytesMax = 64 * 1024 * 1024;

/**
 * Reads the catalog of a target's database.
 * @param version the snapshot's number, given by the caller.
 * @throws UpstreamUnavailable when the server can't be reached or its answers can't be read.
 */
export async function readPostgresCatalog(
  target: UpstreamTarget,
  version: number,
  signal?: AbortSignal,
): Promise<{ catalog: Catalog }> {
  const settings = new Map([['application_name', 'cordon catalog']]);
  const { socket, frames: first, parameters } = await connectUpstream(target, settings, signal);
  first.detach();
  const frames = first.again(rowBytesMax);
  const abort = (): void => {
    socket.destroy();
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const ask = (text: string): Promise<(string | null)[][]> => runQuery(socket, frames, text);
    const readAll = async (): Promise<(string | null)[][][]> => {
      await ask(begin);
      const found: (string | null)[][][] = [];
      for (const text of catalogTexts('everything')) found.push(await ask(text));
      return found;
    };
    let answers = await readAll().catch(failed);
    for (let attempt = 2; answers === null && attempt <= readAttemptsMax; attempt++) {
      await ask('ROLLBACK');
      answers = await (attempt === readAttemptsMax ? readAll() : readAll().catch(failed));
    }
    const contents = readContents(answers!);
    socket.end(terminate);
    const serverVersion = versionNumber(parameters.get('server_version') ?? '');
    return {
      catalog: buildCatalog({
        engine: 'postgres',
        version,
        serverVersion,
        isMariaDb: false,
        foldsTableNames: false,
        ...contents,
      }),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : 'failed';
    throw new UpstreamUnavailable(`upstream "${target.name}": its catalog could not be read (${why})`);
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.destroySoon();
  }
}

/** `server_version` such as `18.4` or `18.4 (Debian ...)` as 180004; betas (`19beta1`) as 190000. */
function versionNumber(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(text);
  return match === null ? 0 : Number(match[1]) * 10_000 + Number(match[2] ?? 0);
}

/** The server failed a query, which DDL of others can make it do; the connection is as good as before. */
function failed(error: unknown): null {
  if (error instanceof QueryFailed) return null;
  throw error;
}
