/** A policy that changes under open sessions: the next execution obeys the new one; a broken one changes nothing. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { startWorld, type World } from '../../fixtures/world.ts';
import { PsqlTerminal } from '../servers/psql-terminal.ts';

let world: World;
let original: string;
before(async () => {
  world = await startWorld({ mysql: 'mariadb' });
  original = readFileSync(world.policyFile, 'utf8');
});
after(() => world?.stop());

async function reload(text: string) {
  writeFileSync(world.policyFile, text);
  return world.cordon('policy', 'reload');
}

test('an open psql session, a prepared statement and a MySQL prepared statement obey the new policy', async () => {
  const token = await world.token('ana');
  const port = world.gateway.ports.postgres;
  const terminal = new PsqlTerminal({ port, user: 'ana', password: token, database: 'shop' });
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'ana', password: token, database: 'shop' });
  await client.connect();
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port: world.gateway.ports.mysql,
    user: 'ana',
    password: token,
    database: 'crm',
    authPlugins: { mysql_clear_password: () => () => Buffer.from(`${token}\0`) },
  });
  const prepared = { name: 'contact', text: 'SELECT email FROM customers WHERE id = $1', values: [1] };
  const contact = await connection.prepare('SELECT email FROM contacts WHERE id = ?');
  const look = async () => ({
    psql: await terminal.ask('SELECT email FROM customers WHERE id = 1;'),
    node: (await client.query(prepared)).rows[0].email as string,
    mysql: ((await contact.execute([1])) as unknown as [{ email: string }[]])[0][0]!.email,
  });

  const before = await look();
  for (const email of Object.values(before)) assert.match(email, /^.\*\*\*@/);

  const clear = original.replace(
    /(eu-analyst:\n(?: {4}.*\n)*?)( {4}masked_use)/,
    '$1    clear: [pii.email]\n$2',
  );
  assert.notEqual(clear, original);
  const reloaded = await reload(clear);
  assert.equal(reloaded.code, 0, reloaded.stderr);
  const inClear = await look();
  for (const email of Object.values(inClear)) assert.match(email, /^[^*]+@/);

  assert.equal((await reload(original)).code, 0);
  assert.deepEqual(await look(), before);

  const none = original.replace('groups: [analysts-eu]', 'groups: [analysts-moon]');
  assert.notEqual(none, original);
  assert.equal((await reload(none)).code, 0);
  await assert.rejects(client.query(prepared), { code: '42501' });
  await assert.rejects(contact.execute([1]) as unknown as Promise<unknown>, { errno: 1142 });
  assert.match(await terminal.ask('SELECT email FROM customers WHERE id = 1;'), /reason: no_role/);

  assert.equal((await reload(original)).code, 0);
  assert.deepEqual(await look(), before);
  await terminal.end();
  await client.end();
  await connection.end();
});

test('a broken policy is refused with its place and changes nothing', async () => {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: world.gateway.ports.postgres,
    user: 'ana',
    password: await world.token('ana'),
    database: 'shop',
  });
  await client.connect();
  const version = async () => JSON.parse((await world.cordon('status', '--json')).stdout).policy_version;
  const before = await version();
  const lines = original.split('\n');
  const at = lines.findIndex((line) => line.includes('eu-analyst:'));
  lines.splice(at + 1, 0, '    colour: blue');
  const broken = await reload(lines.join('\n'));
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, new RegExp(`policy\\.yaml:${at + 2}:\\d+: .*colour`));
  const syntax = await reload(`${original}\n  - ]`);
  assert.equal(syntax.code, 1);
  assert.match(syntax.stderr, /policy\.yaml:\d+:\d+: /);
  assert.equal(await version(), before);
  assert.match((await client.query('SELECT email FROM customers LIMIT 1')).rows[0].email, /\*\*\*/);
  await client.end();
});
