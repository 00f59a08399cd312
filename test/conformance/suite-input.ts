/**
 * The regression suite's input for one run: as PostgreSQL ships it, but that tables are filled from files of the client (`\copy`) where
 * the original has the server read its own. The gateway refuses that to everybody, and without these rows hardly a test could be told.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes the input into `folder/input`; the expected outputs, which repeat the statements, are changed alike. Gives its path. */
export function writeSuiteInput(source: string, folder: string): string {
  const input = join(folder, 'input');
  for (const part of ['sql', 'expected']) {
    mkdirSync(join(input, part), { recursive: true });
    for (const name of readdirSync(join(source, part)))
      writeFileSync(
        join(input, part, name),
        byClient(readFileSync(join(source, part, name), 'latin1'), input, folder),
        'latin1',
      );
  }
  for (const name of ['data', 'resultmap', 'parallel_schedule'])
    symlinkSync(join(source, name), join(input, name));
  return input;
}

function byClient(text: string, sources: string, results: string): string {
  let filename = '';
  return text
    .split('\n')
    .map((line) => {
      const set = /^\\set filename :abs_(srcdir|builddir) '([^']*)'$/.exec(line);
      if (set !== null) filename = `${set[1] === 'srcdir' ? sources : results}${set[2]}`;
      const copy = /^copy (.*) (from|to) :'filename'(.*)$/i.exec(line);
      if (copy === null || !line.endsWith(';')) return line;
      return `\\copy ${copy[1]} ${copy[2]} '${filename}'${copy[3]}`;
    })
    .join('\n');
}
