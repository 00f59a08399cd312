import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cellsOf, cellsWith, columns, joinList, splitList, templateCells } from '../../audit/columns.ts';
import type { AuditEvent } from '../../audit/event.ts';
import { definitionLine, eventLine, eventRest, eventTemplate } from '../../audit/event-line.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      '"',
      '\\',
      '\n',
      '\r',
      '\u2028',
      '\u0000',
      '\u001f',
      '\u007f',
      '\ud800',
      'é',
      'a',
      ';',
    ),
  }),
);
const number = fc.oneof(fc.nat(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const kinds = { text, list: fc.array(text, { maxLength: 4 }), integer: number, time: number };

/** Any of an event's fields but `at` and `event`. */
const fields = fc.record(
  Object.fromEntries(
    columns
      .filter(([name]) => !['seq', 'at', 'event', 'prev_hash', 'hash'].includes(name))
      .map(([name, kind]) => [name, kinds[kind]]),
  ),
  { requiredKeys: [] },
) as fc.Arbitrary<Omit<AuditEvent, 'at' | 'event'>>;

/** What cells come to, or that they can't hold the values. */
function outcome(cells: () => unknown): unknown {
  try {
    return cells();
  } catch {
    return 'refused';
  }
}

describe('an event line', () => {
  it('is what JSON.parse reads back, whatever the fields hold, on one line', () => {
    fc.assert(
      fc.property(fields, fields, fc.nat(), (constant, more, at) => {
        const template = eventTemplate({ event: 'statement.decided', ...constant });
        fc.pre(outcome(() => templateCells({ event: 'statement.decided', ...constant })) !== 'refused');
        const [definition, line] = [definitionLine(template), eventLine(template, eventRest(at, more))];
        for (const one of [definition, line]) assert.equal(one.indexOf('\n'), one.length - 1);
        const expected = { at, event: 'statement.decided', ...constant, ...more };
        assert.deepEqual(
          outcome(() => cellsWith(templateCells(JSON.parse(definition).event), JSON.parse(line))),
          outcome(() => cellsOf(JSON.parse(JSON.stringify(expected)))),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves undefined fields out, and a number that is none becomes null', () => {
    const rest = eventRest(5, {
      rows: Number.NaN,
      bytes: Number.POSITIVE_INFINITY,
      ...({ error: undefined } as object),
    });
    assert.equal(rest, '"at":5,"rows":null,"bytes":null}\n');
  });
});

describe('cells', () => {
  it('hold a list without loss as one text', () => {
    const element = fc.string({ minLength: 1, unit: fc.constantFrom(';', '\\', 'a', ',', '"', '\n') });
    fc.assert(
      fc.property(fc.array(element, { maxLength: 5 }), (list) => {
        assert.deepEqual(splitList(joinList(list)), list);
      }),
      { numRuns: 5000 },
    );
  });

  it('leave plain elements as they are', () => {
    assert.equal(joinList(['analysts-eu', 'CORP\\dba', 'a,b']), 'analysts-eu;CORP\\dba;a,b');
    assert.equal(joinList(['a;b', 'c\\']), 'a\\;b;c\\\\');
    assert.deepEqual(splitList(''), []);
  });

  it('stand in the contract’s order', () => {
    assert.equal(
      columns.map(([name]) => name).join(','),
      'seq,at,session_id,statement_id,event,database,protocol,subject,issuer,groups,roles,client_address,client_region,gateway_region,upstream,upstream_region,statement_kind,shape,sql,tables,data_regions,decision,reasons,rules,policy_version,masked_columns,rows,bytes,error,duration_us,approval_id,approver,prev_hash,hash',
    );
  });

  it('are whole numbers and UTC times', () => {
    const cells = cellsOf({
      at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      event: 'x',
      duration_us: 12.6,
      groups: [],
    });
    assert.deepEqual(
      cells.filter((cell) => cell !== null),
      ['2026-01-02T03:04:05.006Z', 'x', '', 13],
    );
    assert.throws(() => cellsOf({ at: 9e15, event: 'x' }), TypeError);
    assert.throws(() => cellsOf({ at: 1, event: 'x', rows: 2 ** 60 }), TypeError);
  });
});
