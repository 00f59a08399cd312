/** `npm run check`: format and lint, types, unused code, and the shape of the tree. All run, even when one fails. */
import { spawnSync } from 'node:child_process';
import { ensureDependencies, ROOT } from '../fixtures/dependencies.mjs';

ensureDependencies();
const steps = {
  'format and lint': ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  types: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
  'unused code': ['node_modules/knip/bin/knip.js'],
  'shape of the tree': ['--import', 'tsx', '--test', '--test-reporter=dot', 'test/tidy/tidy.test.ts'],
};
const failed = [];
for (const [name, args] of Object.entries(steps)) {
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok    ' : 'failed'}  ${name}`);
  if (status !== 0) failed.push(name);
}
process.exit(failed.length === 0 ? 0 : 1);
