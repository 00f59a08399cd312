/** What the tag of a CommandComplete says about the session: settings that hold now, names that may be gone or new. */
import type { SettingsLog } from './settings-log.ts';
import type { Names, Portal, Prepared } from './statements.ts';

/** `settingText`: the text that ended, when it is a setting that outlives its transaction. */
export function noteTag(
  tag: string,
  settingText: string | null,
  settings: SettingsLog,
  statements: Names<Prepared>,
  portals: Names<Portal>,
): void {
  switch (tag) {
    case 'SET':
    case 'RESET':
      if (settingText !== null) settings.ran(settingText);
      break;
    case 'DEALLOCATE':
    case 'DEALLOCATE ALL':
    case 'DISCARD ALL':
    case 'DISCARD PLANS':
    // Code may release names as well.
    case 'DO':
    case 'CALL':
      statements.released();
      break;
    case 'PREPARE':
      statements.made();
      break;
    case 'ROLLBACK':
      settings.undone();
      portals.released();
      break;
    case 'CLOSE CURSOR':
    case 'CLOSE CURSOR ALL':
      portals.released();
      break;
    case 'DECLARE CURSOR':
      portals.made();
      break;
  }
}
