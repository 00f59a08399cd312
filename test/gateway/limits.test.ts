/** Limits on sessions hold for a burst of sign-ins, over both protocols together, and are free again afterwards. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld, type World } from '../../fixtures/world.ts';
import { connectMySql, connectPostgres } from './connect.ts';

const sessionsMax = 8;
const ofSubjectMax = 5;
let world: World;
before(async () => {
  world = await startWorld({
    mysql: 'mariadb',
    config: { limits: { sessions_max: sessionsMax, sessions_per_subject_max: ofSubjectMax } },
  });
});
after(() => world?.stop());

type Ender = () => Promise<void>;

/** Tries all at once; answers what ends those that got in. */
async function burst(tries: readonly (() => Promise<Ender>)[]): Promise<Ender[]> {
  const settled = await Promise.allSettled(tries.map((one) => one()));
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

const postgres = async (persona: 'ana' | 'sam'): Promise<Ender> => {
  const client = await connectPostgres(world, persona);
  return () => client.end();
};
const mysql = async (persona: 'ana' | 'sam'): Promise<Ender> => {
  const client = await connectMySql(world, persona);
  return () => client.end();
};
const many = (open: () => Promise<Ender>) => Array.from({ length: 12 }, () => open);

test('a burst does not pass the limits', async () => {
  const ana = await burst([...many(() => postgres('ana')), ...many(() => mysql('ana'))]);
  assert.equal(ana.length, ofSubjectMax);
  const sam = await burst([...many(() => mysql('sam')), ...many(() => postgres('sam'))]);
  assert.equal(ana.length + sam.length, sessionsMax);
  await Promise.all([...ana, ...sam].map((end) => end()));
  while ((await world.cordon('sessions', 'list')).stdout.match(/\b(ana|sam)\b/));
});

test('a connection that changes its user has one seat', async () => {
  const password = await world.token('ana');
  const sessions = await Promise.all(Array.from({ length: ofSubjectMax }, () => connectMySql(world, 'ana')));
  for (const session of sessions) await session.changeUser({ user: 'ana', password });
  await assert.rejects(connectMySql(world, 'ana'));
  await Promise.all(sessions.map((session) => session.end()));
});
