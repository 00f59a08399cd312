/** Which server version MySQL clients are greeted with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { versionOf } from '../../gateway/greeting-version.ts';

const mariaDb = (serverVersion: number) => ({ serverVersion, isMariaDb: true });
const mySql = (serverVersion: number) => ({ serverVersion, isMariaDb: false });
const cases: readonly (readonly [Parameters<typeof versionOf>[0], string])[] = [
  [[mariaDb(101_119)], '5.5.5-10.11.19-MariaDB-cordon'],
  [[mariaDb(110_802), mariaDb(110_401)], '11.4.1-MariaDB-cordon'],
  [[mySql(90_704)], '9.7.4-cordon'],
  [[mySql(90_704), mariaDb(101_119)], '8.0.36-cordon'],
  [[mariaDb(101_119), undefined], '8.0.36-cordon'],
  [[], '8.0.36-cordon'],
];

for (const [snapshots, version] of cases) {
  test(`${version} for ${JSON.stringify(snapshots)}`, () => assert.equal(versionOf(snapshots), version));
}
