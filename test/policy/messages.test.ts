/** Messages reach clients in any encoding that they chose: they are plain ASCII. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('no message of this folder holds a character beyond ASCII', () => {
  const folder = new URL('../../policy/', import.meta.url);
  for (const file of readdirSync(folder)) {
    const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
    lines.forEach((line, index) => {
      assert.ok(!/[^\u0000-\u007f]/.test(line), `policy/${file}:${index + 1}`);
    });
  }
});
