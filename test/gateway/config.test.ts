/** cordon.yaml: the example loads whole, and each kind of mistake is told with its place. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../gateway/config.ts';
import { readPolicy } from '../../gateway/read-policy.ts';
import { scratch } from '../servers/scratch.ts';

const example = fileURLToPath(new URL('../../fixtures/cordon.yaml', import.meta.url));
const text = readFileSync(example, 'utf8');

test('the example configuration and its policy load', () => {
  const loaded = loadConfig(example, 'skip');
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const { config } = loaded;
  assert.deepEqual([...config.databases.keys()], ['shop', 'crm']);
  assert.equal(config.upstreams.get('shop-us')?.port, 5502);
  assert.equal(config.listeners.length, 2);
  assert.ok(config.listeners.every((listener) => listener.allowCleartextLoopback));
  assert.equal(config.limits.sessions_max, 1000);
  const policy = readPolicy(config);
  assert.ok(policy.ok, JSON.stringify(policy));
});

const mistakes: readonly (readonly [string, (text: string) => string, RegExp])[] = [
  ['an unknown key', (t) => t.replace('  region: eu  ', '  colour: red\n  region: eu  '), /:4:3: .*colour/],
  [
    'an unknown upstream',
    (t) => t.replace('[crm-eu] }', '[crm-moon] }'),
    /:\d+:\d+: no upstream is named crm-moon/,
  ],
  [
    'two protocols in one database',
    (t) => t.replace('[shop-eu, shop-us]', '[shop-eu, crm-eu]'),
    /one database, one protocol/,
  ],
  [
    'an issuer by plain http',
    (t) => t.replace('https://idp.example.com', 'http://idp.example.com'),
    /loopback/,
  ],
  ['a bad address', (t) => t.replace('127.0.0.1:6432', '127.0.0.1'), /host:port/],
  ["a bad address of the operator's listener", (t) => t.replace('127.0.0.1:9464', '127.0.0.1'), /host:port/],
  ['a bad network', (t) => t.replace('10.2.0.0/16', '10.2.0.0/99'), /:\d+:\d+: /],
  [
    'a proxy by name',
    (t) => t.replace('127.0.0.1:6432,', '127.0.0.1:6432, proxy_protocol: { from: [balancer] },'),
    /:\d+:\d+: /,
  ],
  [
    'proxies that are nobody',
    (t) => t.replace('127.0.0.1:6432,', '127.0.0.1:6432, proxy_protocol: { from: [] },'),
    /:\d+:\d+: /,
  ],
  ['values in the audit', (t) => t.replace('values: none ', 'values: full '), /say none/],
  ['syntax', (t) => `${t}\n  ]`, /:\d+:\d+: /],
];
for (const [name, edit, expected] of mistakes) {
  test(`refused with its place: ${name}`, () => {
    const { dir, remove } = scratch();
    const file = join(dir, 'cordon.yaml');
    const edited = edit(text);
    assert.notEqual(edited, text);
    writeFileSync(file, edited);
    const loaded = loadConfig(file, 'skip');
    assert.ok(!loaded.ok);
    const lines = loaded.errors.map((e) => `${e.file}:${e.line}:${e.column}: ${e.message}`).join('\n');
    assert.match(lines, expected);
    remove();
  });
}

test("the operator's listener is where the section says, and nowhere without it", () => {
  const { dir, remove } = scratch();
  const file = join(dir, 'cordon.yaml');
  writeFileSync(file, text);
  const given = loadConfig(file, 'skip');
  assert.deepEqual(given.ok && given.config.metrics, { host: '127.0.0.1', port: 9464 });
  writeFileSync(file, text.replace(/^metrics: .*\n/m, ''));
  const without = loadConfig(file, 'skip');
  assert.equal(without.ok && without.config.metrics, null);
  remove();
});

test('a missing secret is an error at its place, and only when secrets are read', () => {
  delete process.env.SHOP_EU_PASSWORD;
  const loaded = loadConfig(example, 'read');
  assert.ok(!loaded.ok);
  assert.ok(
    loaded.errors.some((error) => /SHOP_EU_PASSWORD is not set/.test(error.message) && error.line > 10),
  );
});

test('proxies are networks of a listener', () => {
  const { dir, remove } = scratch();
  const file = join(dir, 'cordon.yaml');
  writeFileSync(
    file,
    text.replace('127.0.0.1:6432,', '127.0.0.1:6432, proxy_protocol: { from: [10.0.0.0/8, "fd00::/8"] },'),
  );
  const loaded = loadConfig(file, 'skip');
  assert.ok(loaded.ok);
  assert.deepEqual(
    loaded.config.listeners.map((listener) => listener.proxies),
    [['10.0.0.0/8', 'fd00::/8'], []],
  );
  remove();
});

test('an http issuer on loopback is fine', () => {
  const { dir, remove } = scratch();
  const file = join(dir, 'cordon.yaml');
  writeFileSync(file, text.replace('https://idp.example.com', 'http://127.0.0.1:9000/realm'));
  assert.ok(loadConfig(file, 'skip').ok);
  remove();
});

test('a region that the policy does not declare is an error in the configuration', () => {
  const { dir, remove } = scratch();
  const file = join(dir, 'cordon.yaml');
  writeFileSync(
    join(dir, 'policy.yaml'),
    readFileSync(new URL('../../fixtures/policy.yaml', import.meta.url)),
  );
  writeFileSync(file, text.replace('database: crm, region: eu', 'database: crm, region: moon'));
  const loaded = loadConfig(file, 'skip');
  assert.ok(loaded.ok);
  const policy = readPolicy(loaded.config);
  assert.ok(!policy.ok);
  assert.match(policy.errors[0]!.message, /region moon is not declared/);
  remove();
});
