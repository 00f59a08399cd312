/**
 * `masked_use: blank`: a statement that does more with a masked column than to show it is not refused, but sees NULL
 * wherever the column stood. Which tables are blanked is said here; what their references become, in sql/rewrite.ts.
 */
import type { Analyzed, StatementKind } from '../sql/statement.ts';
import { useFindings } from './columns.ts';
import type { ColumnMask, Rewrite, RewrittenColumn } from './decision.ts';
import type { Role } from './model.ts';
import type { Play } from './placement.ts';

/** What is left to mask and to refuse after blanking. */
export interface Blanking {
  /** Masks of the tables that stay as they are. */
  readonly masks: readonly ColumnMask[];
  /** Columns that every reference of the statement gives as NULL. */
  readonly blanked: readonly ColumnMask[];
  readonly rewrites: readonly Rewrite[];
  /** Rule ids that asked for it. */
  readonly rules: readonly string[];
  /** Why nothing was blanked although the roles ask for it; the way out. */
  readonly obstacle: string | null;
}

/** Kinds that show rows and leave nothing behind: a view that was made of NULLs would stay so for everybody. */
const blankedKinds: ReadonlySet<StatementKind> = new Set<StatementKind>([
  'select',
  'copy_out',
  'explain',
  'cursor',
  'prepare',
]);

/**
 * Blanks each table of which a masked column is used in another way than as a plain output: all its masked columns,
 * in all its references, but those inside views that name none of these columns. Nothing is blanked unless every role of
 * the principal asks for it, every such reference can be replaced, and the statement only reads; then the uses stay findings.
 *
 * `permitted`: the rewrites that restrict rows; each reference has one rewrite at most, so these are taken in.
 */
export function blankUses(
  roles: readonly Role[],
  statement: Analyzed,
  plays: readonly Play[],
  masks: readonly ColumnMask[],
  permitted: readonly Rewrite[],
): Blanking {
  const untouched: Blanking = { masks, blanked: [], rewrites: permitted, rules: [], obstacle: null };
  if (masks.length === 0 || roles.length === 0) return untouched;
  if (!roles.every((role) => role.maskedUse === 'blank')) return untouched;
  if (!onlyReads(statement)) return untouched;
  const rewrites = new Map(permitted.map((rewrite) => [rewrite.start, rewrite]));
  const blanked: ColumnMask[] = [];
  const everySourceKnown = statement.outputs.every((output) => output.sources !== 'unknown');
  for (const play of plays) {
    const own = masks.filter((mask) => mask.schema === play.schema && mask.table === play.table);
    if (own.length === 0 || useFindings(statement, own).length === 0) continue;
    const columns = columnsOf(play, own);
    if (columns === null) return untouched;
    for (const { span, writes, viaView, viewReads } of play.uses) {
      if (viewReads !== undefined && everySourceKnown && !own.some((mask) => viewReads.includes(mask.column)))
        continue;
      // A COPY's own column list leaves no room for another.
      if (span === null || span.columns !== undefined || writes || viaView)
        return { ...untouched, obstacle: obstacleIn(play, viaView) };
      // What closes off the rows that a restriction leaves out has nothing to close off here.
      const { fence: _fence, columns: _columns, ...place } = span;
      const { start } = place;
      const whole = { ...place, schema: play.schema, table: play.table, predicate: 'true' };
      rewrites.set(start, { ...(rewrites.get(start) ?? whole), columns });
    }
    blanked.push(...own);
  }
  if (blanked.length === 0) return untouched;
  return {
    masks: masks.filter((mask) => !blanked.includes(mask)),
    blanked,
    rewrites: [...rewrites.values()].toSorted((a, b) => a.start - b.start),
    rules: roles.map((role) => `roles.${role.name}.masked_use`),
    obstacle: null,
  };
}

function obstacleIn(play: Play, viaView: boolean): string {
  const place = viaView ? 'inside a view or function' : 'where no subquery can stand';
  return `${play.name} is read ${place}, so its masked columns can't be made NULL: name it itself, with an alias, in the FROM clause of a SELECT`;
}

function onlyReads(statement: Analyzed): boolean {
  return (
    blankedKinds.has(statement.statementKind) &&
    statement.written.length === 0 &&
    statement.tables.every((table) => !table.writes) &&
    statement.effects.every((effect) => effect.kind !== 'ddl' && effect.kind !== 'temporary')
  );
}

/** Every column by name, so that one which the catalog doesn't know of isn't read; null when a masked one isn't there. */
function columnsOf(play: Play, own: readonly ColumnMask[]): readonly RewrittenColumn[] | null {
  const masked = new Set(own.map((mask) => mask.column));
  const columns = (play.known?.columns ?? []).map(({ name }) => ({ name, blank: masked.has(name) }));
  return columns.filter((column) => column.blank).length === masked.size ? columns : null;
}
