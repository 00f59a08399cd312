/** DO blocks that only make a definition are understood as that definition; every other block is code. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { statements, understood } from './postgres-reading.ts';

const guarded = (inside: string) =>
  `DO $$ BEGIN ${inside}; EXCEPTION WHEN duplicate_object THEN null; END $$`;
const isCode = (text: string): boolean =>
  statements(text).every(
    (one) =>
      one.kind === 'opaque' ||
      one.effects.some((effect) => effect.kind === 'channel' && effect.channel === 'dynamic_sql'),
  );

describe('a DO block', () => {
  for (const text of [
    guarded('CREATE TYPE "public"."enum_a" AS ENUM(\'x\', \'y; END\')'),
    `DO 'BEGIN CREATE TYPE "a" AS ENUM(''x''); EXCEPTION WHEN duplicate_object THEN null; END' LANGUAGE plpgsql`,
    guarded('ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers (id)'),
    guarded('ALTER TABLE orders ADD CONSTRAINT k UNIQUE (id)'),
  ])
    it(`is a definition in ${text}`, () => {
      const found = understood(text);
      assert.equal(found.statementKind, 'ddl');
      assert.ok(found.effects.some((effect) => effect.kind === 'ddl'));
      assert.ok(found.effects.every((effect) => effect.kind !== 'channel'));
      assert.equal(found.literals, 'matter');
    });

  for (const text of [
    "DO 'BEGIN NULL; END'",
    'DO $$ BEGIN DELETE FROM orders; END $$',
    guarded('DELETE FROM orders'),
    guarded("CREATE TYPE a AS ENUM('x'); DELETE FROM orders"),
    guarded("CREATE TYPE a AS ENUM('x'); PERFORM set_config('a', 'b', false)"),
    guarded("EXECUTE 'CREATE TYPE a AS ENUM (''x'')'"),
    guarded("CREATE TYPE a AS ENUM('x') -- hidden\n"),
    guarded("CREATE TYPE a AS ENUM('x') /* hidden */"),
    guarded('CREATE TABLE a AS SELECT email FROM customers'),
    guarded('ALTER TABLE orders ADD CONSTRAINT k CHECK (id > 0)'),
    guarded('ALTER TABLE orders ADD COLUMN x int'),
    guarded('ALTER TABLE orders DISABLE TRIGGER ALL'),
    'DO $$ DECLARE x int; BEGIN CREATE TYPE a AS ENUM(); EXCEPTION WHEN duplicate_object THEN null; END $$',
    'DO $$ BEGIN CREATE TYPE a AS ENUM(); EXCEPTION WHEN others THEN null; END $$',
    'DO $$ BEGIN CREATE TYPE a AS ENUM(); EXCEPTION WHEN duplicate_object THEN DELETE FROM orders; END $$',
    "DO $$ BEGIN CREATE TYPE a AS ENUM('x'); EXCEPTION WHEN duplicate_object THEN null; END $$ LANGUAGE plpython3u",
    'DO $$ <<l>> BEGIN CREATE TYPE a AS ENUM(); EXCEPTION WHEN duplicate_object THEN null; END $$',
  ])
    it(`is code in ${text}`, () => {
      assert.ok(isCode(text));
    });

  it('touches the tables that its definition touches', () => {
    const text = guarded(
      'ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers (id)',
    );
    const tables = understood(text).tables.map((use) => use.table);
    assert.ok(tables.includes('orders'));
  });
});
