/**
 * The words that a statement can begin with, in any version of MySQL or MariaDB. A text that begins with none of them is an error of
 * syntax to the servers too; this is no list of what is understood.
 */
import type { Token } from './lexer.ts';

const verbs: ReadonlySet<string> = new Set(
  `ALTER ANALYZE BACKUP BEGIN BINLOG CACHE CALL CASE CHANGE CHECK CHECKSUM CLONE CLOSE COMMIT CREATE DEALLOCATE DECLARE DELETE DESC
   DESCRIBE DO DROP EXECUTE EXPLAIN FETCH FLUSH FOR GET GOTO GRANT HANDLER HELP IF IMPORT INSERT INSTALL ITERATE KILL LEAVE LOAD LOCK
   LOOP OPEN OPTIMIZE PREPARE PURGE RAISE RELEASE RENAME REPAIR REPEAT REPLACE RESET RESIGNAL RESTART RETURN REVOKE ROLLBACK SAVEPOINT
   SELECT SET SHOW SHUTDOWN SIGNAL SLAVE START STOP TABLE TRUNCATE UNINSTALL UNLOCK UPDATE USE VALUES WHILE WITH XA`.split(
    /\s+/,
  ),
);

/** False when neither server has a statement that begins so. */
export function mayBegin(first: Token | undefined): boolean {
  if (first === undefined || first.upper === '(' || first.kind === 'executable_comment') return true;
  return first.kind === 'word' && verbs.has(first.upper);
}
