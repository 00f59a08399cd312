/**
 * A process that appends to an audit log, for tests that kill it or take its disk away. Arguments: directory, number
 * of appends between turns of the event loop, options of the log as JSON. Says `N` after the append of event N
 * returned, `N!` when it was refused.
 */
import { writeSync } from 'node:fs';
import { AuditUnavailable } from '../../audit/event.ts';
import { openAuditLog } from '../../audit/journal.ts';

const [directory = '', atOnce = '1', options = '{}'] = process.argv.slice(2);
const log = await openAuditLog(directory, JSON.parse(options));
const decided = log.template({
  event: 'statement.decided',
  session_id: `s-${process.pid}`,
  decision: 'allow',
});
const completed = log.template({ event: 'statement.completed', session_id: `s-${process.pid}` });

/** The pipe to the test doesn't block: a full one is tried again. */
function say(text: string): void {
  for (;;) {
    try {
      writeSync(1, text);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

for (let n = 1; ; n++) {
  let said = `${n}\n`;
  try {
    log.append(decided, Date.now(), {
      statement_id: `${process.pid}-${n}`,
      shape: 'select ?'.repeat((n % 50) + 1),
    });
    log.defer(completed, Date.now(), { rows: n });
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    said = `${n}!\n`;
  }
  say(said);
  if (n % Number(atOnce) === 0) await new Promise((resolve) => setImmediate(resolve));
}
