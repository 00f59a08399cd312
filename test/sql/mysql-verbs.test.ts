/** What is called an error of syntax is one to the servers too; what they may understand is refused for not being understood. */
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
  // Not closed, or not opened.
  "SELECT 'a",
  'SELECT "a',
  'SELECT `a',
  'SELECT 1 /* a',
  'SELECT (1',
  'SELECT 1)',
  'UPDATE contacts SET id = (1',
  'INSERT INTO contacts VALUES (1',
];

test('no statement of ours, and none of theirs', async () => {
  for (const text of none) assert.equal(reasonOf(text), 'syntax', text);
  for (const start of [startMariaDb, startMySql]) {
    const server = await start();
    const { host, port, user, password } = server;
    const admin = await mysql.createConnection({ host, port, user, password });
    await admin.query('CREATE DATABASE d');
    await admin.query('USE d');
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

/** Valid to both servers, each in a form that the gateway does not read, or did not once. */
const forms = [
  'SELECT 1a.id FROM t AS 1a',
  'SELECT /*+ SET_VAR(sort_buffer_size = 16777216) */ 1',
  'SELECT t.case FROM t',
  'SELECT a FROM t PROCEDURE',
  "SELECT 'a' 'b'",
  'SELECT 1 FROM t PARTITION (p0)',
  "SELECT MATCH (note) AGAINST ('x' WITH QUERY EXPANSION) FROM t",
  "SELECT {d '2020-01-01'}",
  'SELECT a FROM t LIMIT 1 OFFSET 2 FOR UPDATE',
  'SELECT a FROM (t)',
  'SELECT SQL_BUFFER_RESULT a FROM t',
  'SELECT a FROM t AS x USE INDEX FOR ORDER BY (PRIMARY) ORDER BY a',
  "SELECT _latin1'a' COLLATE latin1_bin",
  'SELECT a FROM t GROUP BY a WITH ROLLUP',
  'SELECT - - 1, ! 1, ~ 1',
  'DELETE x FROM t AS x JOIN t AS y USING (a)',
  'INSERT t () VALUES ()',
  'INSERT INTO t SET a = 5 ON DUPLICATE KEY UPDATE a = VALUES (a)',
  'UPDATE t AS x, t AS y SET x.a = y.a ORDER BY 1',
  'TABLE t',
];

test('no valid text is called an error of syntax, nor is one in whose place the servers see something else', async () => {
  for (const start of [startMariaDb, startMySql]) {
    const server = await start();
    const { host, port, user, password } = server;
    const admin = await mysql.createConnection({ host, port, user, password, multipleStatements: true });
    await admin.query('CREATE DATABASE d; USE d; CREATE TABLE t (a INT PRIMARY KEY, `case` INT, note TEXT)');
    let valid = 0;
    for (const text of forms) {
      const error = await admin.query(text).then(
        () => null,
        (failure) => failure as { errno: number },
      );
      if (error?.errno !== 1064) {
        assert.notEqual(reasonOf(text), 'syntax', text);
        valid++;
      }
    }
    assert.ok(valid > forms.length / 2, `${valid}`);
    await admin.end();
    await server.stop();
  }
});
