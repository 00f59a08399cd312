/** What psql's describe commands ask of the catalogs has to pass, for every supported server of psql's own major version and older. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from '../../fixtures/world.ts';
import { runPsql } from '../servers/psql.ts';

const commands = [
  '\\d',
  '\\d+',
  '\\dt+',
  '\\d customers',
  '\\d+ orders',
  '\\l',
  '\\df',
  '\\df+',
  '\\du',
  '\\dn+',
  '\\dv',
  '\\di',
  '\\ds',
  '\\dT',
  '\\dp',
  '\\dx',
  '\\sf now',
  '\\conninfo',
  '\\encoding',
  '\\dconfig',
];

for (const postgresMajor of [14, 15] as const) {
  test(`psql's describe commands work with a server ${postgresMajor}`, async () => {
    const world = await startWorld({ postgresMajor });
    const password = await world.token('ana');
    const failed: string[] = [];
    for (const command of commands) {
      const to = { port: world.gateway.ports.postgres, user: 'ana', password, database: 'shop' };
      const run = await runPsql(to, [], `${command}\n`);
      if (run.stderr !== '' && !/server version \d+ does not support|The server \(version/.test(run.stderr))
        failed.push(`${command}: ${run.stderr}`);
    }
    await world.stop();
    assert.deepEqual(failed, []);
  });
}
