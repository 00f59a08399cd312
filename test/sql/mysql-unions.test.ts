/** Chains of UNIONs are read arm by arm, and mean what they mean as one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clauses, outputs, read, refused } from './mysql-reading.ts';

const [a, b, c] = ['select email from contacts', 'select title from accounts', 'select name from contacts'];

test('every arm is a source of the output, whatever stands between them', () => {
  const sources = ['email=contacts.email+accounts.title+contacts.name'];
  assert.deepEqual(outputs(`${a} union all ${b} union all ${c}`), sources);
  assert.deepEqual(outputs(`${a} UNION  ALL\n${b} /* x */ union all ${c}`), sources);
  assert.equal(clauses(`${a} union all ${b} union all ${c}`), 'output');
  assert.equal(clauses(`${a} union all ${b} union ${c}`), 'output set_operation');
  assert.equal(clauses(`${a} union distinct ${b} union all ${c}`), 'output set_operation');
});

test('unions in subqueries, derived tables and CTEs stay in their arm', () => {
  assert.deepEqual(
    outputs(
      `select email from (${a} union all ${b}) d where 1 in (select 1 union all select 2) union all ${c}`,
    ),
    ['email=contacts.email+accounts.title+contacts.name'],
  );
  assert.deepEqual(outputs(`with w as (${a} union all ${b}) select email from w union all ${c}`), [
    'email=contacts.email+accounts.title+contacts.name',
  ]);
  assert.match(clauses(`${b} union all select 1 from contacts where email in (${a} union ${c})`), /where/);
});

test('ORDER BY and LIMIT at the end belong to all of it', () => {
  assert.match(clauses(`${a} union all ${b} order by 1`), /order_by/);
  assert.match(clauses(`${a} union all ${b} order by email limit 3`), /order_by/);
  assert.doesNotMatch(clauses(`${c} union all ${b} order by name`), /order_by/);
  assert.equal(read(`${c} union all ${b} limit 3`).statementKind, 'select');
});

test('what is no such chain is refused as before', () => {
  for (const sql of [
    `${a} order by 1 union all ${b}`,
    `${a} limit 1 union all ${b}`,
    `${a} union all`,
    `${a} union all union all ${b}`,
    `${a} union all ${b} bogus words here`,
  ]) {
    assert.equal(refused(sql).kind, 'opaque', sql);
  }
});
