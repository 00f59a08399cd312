/** Texts that begin as no statement does are errors of syntax, to the servers too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mysql from 'mysql2/promise';
import { startMariaDb } from '../servers/mariadb.ts';
import { startMySql } from '../servers/mysql.ts';
import { statements } from './mysql-reading.ts';

function reasonOf(text: string): string | null {
  const [statement] = statements(text);
  return statement?.kind === 'opaque' ? statement.reason : null;
}

const none = [
  'SELEC 1',
  '1',
  "'a'",
  ') SELECT 1',
  'FROM t',
  ', 1',
  '@a',
  '`SELECT` 1',
  'selectx',
  '= 1',
  "N'x'",
  '.5',
];

test('no statement of ours, and none of theirs', async () => {
  for (const text of none) assert.equal(reasonOf(text), 'syntax', text);
  for (const start of [startMariaDb, startMySql]) {
    const server = await start();
    const { host, port, user, password } = server;
    const admin = await mysql.createConnection({ host, port, user, password });
    for (const text of none) {
      const error = await admin.query(text).then(
        () => null,
        (failure) => failure as { errno: number },
      );
      assert.equal(error?.errno, 1064, text);
    }
    await admin.end();
    await server.stop();
  }
});

test('what one of the servers may understand is not called an error of syntax', () => {
  for (const text of [
    'SHUTDOWN',
    'RESTART',
    "CLONE LOCAL DATA DIRECTORY = '/x'",
    'IF 1 THEN SELECT 1; END IF',
    'BEGIN NOT ATOMIC SELECT 1; END',
    "SIGNAL SQLSTATE '45000'",
    'BACKUP LOCK t',
    'get diagnostics @a = number',
    'IMPORT TABLE FROM "x"',
  ]) {
    assert.notEqual(reasonOf(text), 'syntax', text);
  }
});
