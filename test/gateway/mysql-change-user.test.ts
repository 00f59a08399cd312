/** A connection to the gateway that goes on as somebody else: their masks, their refusals, their audit. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql } from './connect.ts';

let world: World;
before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
});
after(() => world?.stop());

const emails = 'SELECT email FROM contacts WHERE id = 1';

test('masks are those of whoever is signed in now, and the audit says who it was', async () => {
  let password = await world.token('ana');
  const authPlugins = { mysql_clear_password: () => () => Buffer.from(`${password}\0`) };
  const client = await connectMySql(world, 'ana', { authPlugins });
  const email = async () => ((await client.execute(emails))[0] as { email: string }[])[0]?.email;
  const masked = await email();
  assert.match(masked ?? '', /\*/);
  password = await world.token('sam');
  await client.changeUser({ user: 'sam', password });
  assert.equal(await email(), 'anna.lindqvist@example.se');
  password = await world.token('ana');
  await client.changeUser({ user: 'ana', password });
  assert.equal(await email(), masked);
  await client.end();
  const { stdout } = await world.cordon('audit', 'export', '--format', 'jsonl');
  const events = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { event: string; subject?: string })
    .filter(({ event }) => event.startsWith('session.'))
    .map(({ event, subject }) => `${event} ${subject}`);
  assert.deepEqual(events, [
    'session.opened ana',
    'session.closed ana',
    'session.opened sam',
    'session.closed sam',
    'session.opened ana',
    'session.closed ana',
  ]);
});

async function expired(): Promise<string> {
  const [, payload] = (await world.token('ana')).split('.');
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString());
  return world.identity.token({ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 });
}

test('an expired token of the same person, or nobody, ends the connection', async () => {
  for (const [user, password] of [
    ['ana', await expired()],
    ['nobody', await world.token('nobody')],
  ] as const) {
    let secret = await world.token('ana');
    const authPlugins = { mysql_clear_password: () => () => Buffer.from(`${secret}\0`) };
    const client = await connectMySql(world, 'ana', { authPlugins });
    client.on('error', () => {});
    secret = password;
    await assert.rejects(client.changeUser({ user, password }));
    await assert.rejects(client.query('SELECT 1'));
  }
});
