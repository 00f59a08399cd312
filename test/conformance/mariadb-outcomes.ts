/**
 * `npm run conformance:mariadb:outcomes -- [FILES]`: MariaDB's own test files on a bare server and, in step with it, through the
 * gateway in front of another one, by a role that may do everything. What the gateway lets through has to come out alike:
 * the same columns and rows, the same count, or the same error. What it refuses is run past it, so that both stay alike.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { startIdentityProvider } from '../../fixtures/identity-provider.ts';
import { spawnGateway } from '../../fixtures/world.ts';
import { scratch } from '../servers/scratch.ts';
import { isDml, type Outcome, Play, Session, startTestServer } from './mariadb-bare.ts';
import { TestCatalog } from './mariadb-catalog.ts';
import { readTest } from './mysqltest.ts';

const cache = '/var/tmp/cordon/mariadb-tests';
execFileSync(fileURLToPath(new URL('fetch-mariadb-tests.sh', import.meta.url)), [cache], {
  stdio: 'inherit',
});
const root = join(cache, 'mysql-test');
const sample =
  `select join join_nested join_outer subselect2 subselect3 derived view union group_by win having distinct
  table_value_constr brackets case func_group order_by insert insert_select insert_update insert_returning replace
  update multi_update delete delete_returning cte_nonrecursive cte_recursive null type_date type_decimal type_enum
  func_str func_math func_json func_time dyncol fetch_first fulltext intersect except ps auto_increment default
  create_select limit key range update_use_source`.split(/\s+/);
const wanted = process.argv.slice(2);
const files = wanted.length > 0 ? wanted : sample;
const fileTimeMs = 120_000;

/** The two servers can't agree on these, whoever stands between. */
const varies =
  /\b(now|sysdate|curdate|curtime|current_(date|time|timestamp|user|role)|utc_\w+|localtime\w*|uuid\w*|sys_guid|rand|connection_id|unix_timestamp|user|session_user|system_user|row_count|found_rows|last_insert_id|version|encrypt|random_bytes|benchmark|sleep|get_lock|is_used_lock|release_\w+|password)\b|@@|information_schema|performance_schema|mysql\s*\./i;

process.env.TMPDIR = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cordon-outcomes-'));
process.once('exit', () => rmSync(process.env.TMPDIR!, { recursive: true, force: true }));
const { dir } = scratch('cordon-outcomes-');
const bare = await startTestServer();
const behind = await startTestServer();
const identity = await startIdentityProvider({ audience: 'cordon' });
const [bareCatalog, behindCatalog] = [await TestCatalog.open(bare), await TestCatalog.open(behind)];
// Each side's database has to be there before the gateway reads it.
(await Play.begin(behind, behindCatalog)).end();
writeFileSync(
  join(dir, 'policy.yaml'),
  stringify({
    version: 1,
    regions: { eu: {} },
    data: { test: [{ table: '*', region: 'eu', triggers: 'allow' }] },
    functions: ['*'],
    roles: {
      everything: {
        members: { groups: ['everything'] },
        databases: ['test'],
        read: { regions: ['eu'] },
        write: { regions: ['eu'], global: true },
        statements: ['*'],
        functions: ['*'],
        clear: ['*'],
      },
    },
  }),
);
const listener = { address: '127.0.0.1:0', allow_cleartext: 'loopback' };
writeFileSync(
  join(dir, 'cordon.yaml'),
  stringify({
    version: 1,
    gateway: { region: 'eu', data_dir: './data' },
    listeners: { postgres: listener, mysql: listener },
    upstreams: {
      it: {
        protocol: 'mysql',
        address: `127.0.0.1:${behind.port}`,
        database: 'test',
        region: 'eu',
        user: behind.user,
        password: { env: 'SUITE_PASSWORD' },
        tls: { mode: 'disable' },
      },
    },
    databases: { test: { upstreams: ['it'] } },
    identity: { oidc: [{ issuer: identity.issuer, audience: 'cordon' }], networks: { eu: ['127.0.0.0/8'] } },
    policy: './policy.yaml',
  }),
);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const gateway = await spawnGateway(
  [main, 'serve', '-c', join(dir, 'cordon.yaml')],
  { ...process.env, SUITE_PASSWORD: behind.password },
  dir,
);
const now = Math.floor(Date.now() / 1000);
const token = await identity.token({ sub: 'tester', groups: ['everything'], iat: now, exp: now + 14_400 });

const counts = { ran: 0, alike: 0, refused: 0, varies: 0, follows: 0, apart: 0, lost: 0 };
const wrong: string[] = [];
const reasons = new Map<string, number>();
for (const file of files) {
  const test = readTest(root, `main/${file.replace(/\.test$/, '')}.test`);
  const play = await Play.begin(bare, bareCatalog);
  const other = await Play.begin(behind, behindCatalog);
  const past = other.session;
  let through = await open();
  const until = Date.now() + fileTimeMs;
  const before = { ...counts };
  /** A refused statement would have set a variable or setting of the session, which nobody else can. */
  let unset = false;
  for (const { sql, line } of test.steps) {
    if (Date.now() > until) break;
    if (play.unplayable(sql) !== null) continue;
    const mine = await play.session.run(sql);
    await play.after(sql);
    let theirs = await through.run(sql);
    const reason = /reason: (\w+); decision: /.exec(theirs.error?.message ?? '')?.[1];
    const counted = isDml(sql);
    if (reason !== undefined) {
      if (counted && mine.error === null) {
        counts.ran++;
        counts.refused++;
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
      if (mine.error === null) theirs = await past.run(sql);
      unset ||= /@|^\s*set\b/i.test(sql);
      continue;
    }
    // The session that runs what is refused has the settings of the one that is refused it.
    if (/^\s*(set|use|prepare|deallocate)\b/i.test(sql)) await past.run(sql);
    if (theirs.error !== null && theirs.error.errno < 1000) {
      counts.lost++;
      wrong.push(`${file}:${line}: LOST ${theirs.error.message}: ${sql.replace(/\s+/g, ' ').slice(0, 300)}`);
      through.end();
      through = await open();
      continue;
    }
    if (!counted) continue;
    if (mine.error === null) counts.ran++;
    const differs = difference(mine, theirs);
    if (differs === null) counts.alike += mine.error === null ? 1 : 0;
    else if (varies.test(sql) || ties(sql, mine, theirs)) counts.varies++;
    else if (unset) counts.follows++;
    else {
      counts.apart++;
      wrong.push(`${file}:${line}: ${differs}\n    ${sql.replace(/\s+/g, ' ').slice(0, 300)}`);
    }
  }
  through.end();
  other.end();
  play.end();
  writeFileSync(join(cache, 'outcomes.txt'), wrong.join('\n'));
  process.stdout.write(
    `${file}: ${counts.ran - before.ran} statements, ${counts.refused - before.refused} refused, ${counts.apart - before.apart} apart\n`,
  );
}
await gateway.stop();
bareCatalog.end();
behindCatalog.end();
await Promise.all([bare.stop(), behind.stop(), identity.stop()]);
process.stdout.write(
  `${JSON.stringify(counts)} ${JSON.stringify(Object.fromEntries(reasons))} (outcomes.txt)\n`,
);

function open(): Promise<Session> {
  return Session.open({
    host: '127.0.0.1',
    port: gateway.ports.mysql,
    user: 'tester',
    password: token,
    database: 'test',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${token}\0`) },
  });
}

/** Of rows that tie, LIMIT takes what comes first. */
function ties(sql: string, mine: Outcome, theirs: Outcome): boolean {
  const width = ({ results }: Outcome): string =>
    results.map((one) => ('rows' in one ? one.rows.length : 'count')).join();
  return (
    /\blimit\b/i.test(sql) && mine.error === null && theirs.error === null && width(mine) === width(theirs)
  );
}

/** How two outcomes differ; rows count as a set, since the server orders them as it likes. */
function difference(mine: Outcome, theirs: Outcome): string | null {
  if (mine.error !== null || theirs.error !== null) {
    const [a, b] = [mine.error?.errno ?? 0, theirs.error?.errno ?? 0];
    return a === b ? null : `error ${a} bare, ${b} through: ${theirs.error?.message ?? ''}`;
  }
  const flat = ({ results }: Outcome): string =>
    results
      .map((one) =>
        'rows' in one
          ? `${JSON.stringify(one.columns)}\n${one.rows
              .map((row) => JSON.stringify(row))
              .sort()
              .join('\n')}`
          : `${one.affected}`,
      )
      .join('\n\n');
  const [a, b] = [flat(mine), flat(theirs)];
  return a === b ? null : `${a.slice(0, 200)} <> ${b.slice(0, 200)}`;
}
