/** Tags on parts of JSON columns: how a policy spells them, who sees which part, and that any use but showing is one of a masked column. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, pathText, stepsOf } from '../../policy/json-path.ts';
import { loadPolicy } from '../../policy/load.ts';
import { formatSourceError } from '../../policy/source.ts';
import { masksOfTable } from '../../policy/table-masks.ts';
import { postgresAnalyzer } from '../../sql/postgres/analyze.ts';
import { asking, catalogOf, deciding, inShort, policyFrom, table } from './shop.ts';

const columns = `data: { "$.email": pii.email, "$.addresses[*].street": pii.address, '$["any name"]': pii.name }`;
const text = `version: 1
regions: { eu: {}, us: {} }
data:
  shop:
    - { table: public.profiles, region: eu, columns: { ${columns} } }
    - { table: public.part_1, region: eu, columns: { data: { $.email: pii.email, "$.phone": pii.phone } } }
    - { table: public.part_2, region: eu, columns: { data: pii.all } }
masks: { pii.email: { method: partial_email } }
roles:
  analyst: { members: { groups: [analysts] }, databases: [shop], read: { regions: [eu] } }
  mailer: { members: { groups: [mailers] }, databases: [shop], read: { regions: [eu] }, clear: [pii.email] }
  poster: { members: { groups: [posters] }, databases: [shop], read: { regions: [eu] }, clear: [pii.address, pii.name] }
  all: { members: { groups: [all] }, databases: [shop], read: { regions: [eu] }, clear: ["*"] }
`;
const policy = policyFrom(text);
const profiles = table('public.profiles', ['id:int4', 'data:jsonb']);
const catalog = catalogOf([profiles]);

/** `path method` of each masked part; 'whole METHOD' where the column is masked as such. */
function seen(groups: readonly string[], name = 'profiles', given = catalog, by = policy): string {
  const { principal } = asking(groups.join(','));
  const masks = masksOfTable(by, principal, 'shop', given, 'public', name);
  return masks
    .map(({ mask }) =>
      mask.method === 'json'
        ? mask.parts.map((part) => `${part.path} ${part.mask.method}`).join(', ')
        : `whole ${mask.method}`,
    )
    .join('; ');
}

test('paths as a policy spells them', () => {
  const spelled = (path: string) => {
    const steps = stepsOf(path);
    return steps === null ? null : pathText(steps);
  };
  for (const [path, steps] of [
    ['$', '$'],
    ['$.email', '$["email"]'],
    ['$.straße_1.$x', '$["straße_1"]["$x"]'],
    ['$["any name"].a', '$["any name"]["a"]'],
    ['$["\\u0061\\"]"][*]', '$["a\\"]"][*]'],
    ['$[0][10][*].a', '$[0][10][*]["a"]'],
    ['$[""]', '$[""]'],
  ])
    assert.equal(spelled(path!), steps, path);
  for (const path of [
    ...[
      '',
      'email',
      '.email',
      '$.',
      '$email',
      '$..a',
      '$.*',
      '$.a.*',
      '$[]',
      '$[-1]',
      '$[01]',
      '$[1 to 2]',
      '$[last]',
    ],
    ...[
      '$.a b',
      '$ .a',
      '$.a ',
      ' $',
      '$.e-mail',
      "$['a']",
      '$["a]',
      '$["a"',
      '$["\\x"]',
      '$[0,1]',
      '$[?(@.a)]',
      '$.a()',
      '$**.a',
    ],
    ...['lax $.a', '$.1a', '$[9999999999]', `$${'.a'.repeat(51)}`, '$["a\n"]'],
  ])
    assert.equal(stepsOf(path), null, path);
});

test('which path may stand inside of which', () => {
  const within = (outer: string, inner: string) => covers(stepsOf(outer) ?? [], stepsOf(inner) ?? []);
  for (const [outer, inner] of [
    ['$', '$.a'],
    ['$.a', '$.a'],
    ['$.a', '$["a"][0]'],
    ['$[*]', '$[3].a'],
    ['$[3]', '$[*]'],
  ])
    assert.ok(within(outer!, inner!), `${outer} ${inner}`);
  for (const [outer, inner] of [
    ['$.a', '$'],
    ['$.a', '$.b'],
    ['$[0]', '$[1]'],
    ['$[*]', '$.a'],
    ['$[0]', '$["0"]'],
  ])
    assert.ok(!within(outer!, inner!), `${outer} ${inner}`);
});

test('each mistake is named with its line and column', () => {
  const small = text.slice(0, text.indexOf('    - { table: public.part_1'));
  for (const [entry, at, message] of [
    [
      '{ "$.a": pii.x, "$.a b": pii.x }',
      '"$.a b"',
      '`$.a b` is no path: $, then any of .name, ["name"], [*] and [0]',
    ],
    ['{ email: pii.x }', 'email', '`email` is no path: $, then any of .name, ["name"], [*] and [0]'],
    ['{ "$.a": pii.x, \'$["a"]\': pii.y }', `'$["a"]'`, '`$["a"]` is tagged twice'],
    ['{ "$.a": "not a tag" }', '"not a tag"', '`$.a`: not a tag such as pii.email'],
    ['"not a tag"', '"not a tag"', '`data`: not a tag such as pii.email'],
    ['{}', '{}', 'column `data` names no path'],
    ['[pii.x]', '[', '`data`: neither a tag such as pii.email nor a map of JSON paths to tags'],
    ['7', '7', '`data`: neither a tag such as pii.email nor a map of JSON paths to tags'],
    [
      '{ "$.a": { "$.b": pii.x } }',
      '{ "$.a"',
      '`data`: neither a tag such as pii.email nor a map of JSON paths to tags',
    ],
  ] as const) {
    const wrong = small.replace(columns, `data: ${entry}`);
    const line = wrong.split('\n')[4] ?? '';
    const column = line.indexOf(at, line.indexOf('data: ') + 6) + 1;
    const loaded = loadPolicy(wrong, 'p.yaml');
    assert.ok(!loaded.ok, entry);
    const [first = ''] = loaded.errors.map(formatSourceError);
    assert.equal(loaded.errors.length, 1, entry);
    assert.equal(first, `p.yaml:5:${column}: ${message}`);
  }
});

test('a role sees the parts whose tags it clears', () => {
  const all = '$.email partial_email, $.addresses[*].street redact, $["any name"] redact';
  assert.equal(seen(['analysts']), all);
  assert.equal(seen([]), all);
  assert.equal(seen(['mailers']), '$.addresses[*].street redact, $["any name"] redact');
  assert.equal(seen(['posters']), '$.email partial_email');
  assert.equal(seen(['mailers', 'posters']), '');
  assert.equal(seen(['all']), '');
});

test('a part inside of another is shown to who clears both by one role', () => {
  const nested = policyFrom(text.replace(columns, 'data: { "$.a": pii.address, "$.a[*]": pii.email }'));
  const by = (...groups: string[]) => seen(groups, 'profiles', catalog, nested);
  assert.equal(by('mailers'), '$.a redact, $.a[*] partial_email');
  assert.equal(by('posters'), '$.a[*] partial_email');
  assert.equal(by('mailers', 'posters'), '$.a[*] partial_email');
  assert.equal(by('all'), '');
});

test('partitions add the parts of their own entries; a tag on the whole is stricter', () => {
  const child = (name: string) =>
    table(`public.${name}`, ['id:int4', 'data:jsonb'], { parents: ['public.profiles'] });
  const one = catalogOf([profiles, child('part_1')]);
  const both = '$.email partial_email, $.addresses[*].street redact, $["any name"] redact, $.phone redact';
  assert.equal(seen(['analysts'], 'profiles', one), both);
  const two = catalogOf([profiles, child('part_2')]);
  assert.equal(seen(['analysts'], 'profiles', two), 'whole redact');
  assert.equal(seen(['mailers', 'posters'], 'profiles', two), 'whole redact');
  assert.equal(seen(['all'], 'profiles', two), '');
});

test('MySQL compares column names without case', () => {
  const mysql = catalogOf([table('public.profiles', ['id:int', 'Data:json'])], 'mysql');
  assert.equal(seen(['posters'], 'profiles', mysql), '$.email partial_email');
});

test('any use but as a plain output is refused, for the tag that is not cleared', async () => {
  const analyzer = await postgresAnalyzer();
  const real = catalogOf([profiles], 'postgres', { schemas: ['pg_catalog', 'public'] });
  const decided = (sql: string, group = 'posters') => {
    const [statement] = analyzer.analyze(sql, real, { path: ['pg_catalog', 'public'] }).statements;
    assert.ok(statement);
    return deciding(group, statement, { policy, catalog: real });
  };
  for (const sql of [
    'select data from profiles',
    'select * from profiles p',
    'select id from profiles where id > 1',
    'copy profiles to stdout',
  ])
    assert.match(inShort(decided(sql)), /^allow/, sql);
  for (const sql of [
    "select data->'other' from profiles",
    "select data->>'email' from profiles",
    'select data::text from profiles',
    'select id from profiles order by data',
    'select id from profiles where data is null',
    'select p from profiles p',
    "select data['email'] from profiles",
    'select distinct data from profiles',
    "select t.e from profiles, json_table(data, '$' columns (e text path '$.email')) t",
  ]) {
    const decision = decided(sql);
    assert.equal(inShort(decision), 'refuse masked_use', sql);
    assert.match(decision.because.message, /profiles\.data \(pii\.email\) is masked for you/);
    assert.match(inShort(decided(sql, 'all')), /^(allow|refuse (opaque|function))/, sql);
  }
});
