/** PREPARE, EXECUTE and DEALLOCATE: what the session keeps, under which name, and what is done with it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { analyzer, catalog, names, understood } from './postgres-reading.ts';

describe('statements kept under a name', () => {
  for (const [text, name, inner, runs = 'select'] of [
    ['prepare p as select 1', 'p', 'select 1'],
    ['PREPARE P AS\n select ssn from customers', 'p', 'select ssn from customers'],
    ['/* prepare q as */ prepare "A ""s"" B" as select 1 ', 'A "s" B', 'select 1 '],
    [
      'prepare p(int, numeric(3, 1), text[], pg_catalog."char", double precision) as delete from orders where id = $1',
      'p',
      'delete from orders where id = $1',
      'delete',
    ],
    ['prepare p (int)as(select 1)', 'p', '(select 1)'],
    ['prepare é as values (1), (2)', 'é', 'values (1), (2)'],
    [
      "prepare p as insert into orders values ('é'), ('b') ; ",
      'p',
      "insert into orders values ('é'), ('b') ",
      'insert',
    ],
    ['prepare U&"p" as select 1', 'p', null],
    ['prepare U&"!0070" uescape \'!\' as select 1', 'p', null],
  ] as const)
    it(text, () => {
      assert.deepEqual(understood(text).byName, { action: 'prepare', name, text: inner, runs });
      assert.equal(understood(text).literals, 'matter');
    });

  it('are cut out of a text of several', () => {
    const text = "select 'é' in ('a', 'b'); prepare p as select 1; execute p";
    const found = analyzer.analyze(text, catalog, names).statements;
    assert.deepEqual(
      found.map((statement) => statement.kind === 'analyzed' && statement.byName),
      [
        undefined,
        { action: 'prepare', name: 'p', text: 'select 1', runs: 'select' },
        { action: 'execute', name: 'p', arguments: 0 },
      ],
    );
  });

  it('are run with arguments, whose calls and reads are told', () => {
    const found = understood("execute p (1, upper('a'), (select ssn from customers limit 1))");
    assert.deepEqual(found.byName, { action: 'execute', name: 'p', arguments: 3 });
    assert.deepEqual(
      found.functions.map((fn) => fn.name),
      ['upper'],
    );
    assert.deepEqual(
      found.columns.map((use) => use.column),
      ['ssn', 'ssn'],
    );
    for (const text of ['explain execute p', 'create temp table t as execute p']) {
      assert.deepEqual(understood(text).byName, { action: 'execute', name: 'p', arguments: 0 });
    }
  });

  it('are dropped by name, or all at once', () => {
    assert.deepEqual(understood('deallocate prepare "P"').byName, { action: 'deallocate', name: 'P' });
    assert.deepEqual(understood('deallocate all').byName, { action: 'deallocate', name: null });
    assert.deepEqual(understood('discard all').byName, { action: 'deallocate', name: null });
    assert.equal(understood('discard plans').byName, undefined);
    assert.equal(understood('select 1').byName, undefined);
  });
});
