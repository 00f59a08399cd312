/**
 * The columns of the store and of every export, in the contract's order, and how an event's fields become cells.
 * No file and no database is touched here.
 */

/** `list` is kept joined (see joinList); `time` as RFC 3339 UTC with milliseconds; `integer` as a whole number. */
export type ColumnKind = 'integer' | 'time' | 'text' | 'list';

/** Column names and kinds in the order of the CSV header. */
export const columns = [
  ['seq', 'integer'],
  ['at', 'time'],
  ['session_id', 'text'],
  ['statement_id', 'text'],
  ['event', 'text'],
  ['database', 'text'],
  ['protocol', 'text'],
  ['subject', 'text'],
  ['issuer', 'text'],
  ['groups', 'list'],
  ['roles', 'list'],
  ['client_address', 'text'],
  ['client_region', 'text'],
  ['gateway_region', 'text'],
  ['upstream', 'text'],
  ['upstream_region', 'text'],
  ['statement_kind', 'text'],
  ['shape', 'text'],
  ['sql', 'text'],
  ['tables', 'list'],
  ['data_regions', 'list'],
  ['decision', 'text'],
  ['reasons', 'list'],
  ['rules', 'list'],
  ['policy_version', 'text'],
  ['masked_columns', 'list'],
  ['rows', 'integer'],
  ['bytes', 'integer'],
  ['error', 'text'],
  ['duration_us', 'integer'],
  ['approval_id', 'text'],
  ['approver', 'text'],
  ['prev_hash', 'text'],
  ['hash', 'text'],
] as const satisfies readonly (readonly [string, ColumnKind])[];

/** What a cell holds in the store. */
export type Cell = string | number | null;

/** Index of the cell `prev_hash` in a row; `hash` is the one after it. */
export const prevHashIndex = columns.length - 2;

/**
 * A list as one text, joined with `;`. Reversible: a `;` inside an element becomes `\;`, and backslashes are doubled
 * only where they stand before a `;` or at an element's end, so that `CORP\analysts` stays as it is.
 */
export function joinList(elements: readonly string[]): string {
  let joined = '';
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as string;
    if (i > 0) joined += ';';
    joined +=
      element.includes(';') || element.endsWith('\\')
        ? element.replace(/(\\*)(;|$)/g, (_, slashes: string, end: string) =>
            end === ';' ? `${slashes}${slashes}\\;` : `${slashes}${slashes}`,
          )
        : element;
  }
  return joined;
}

/** The elements that joinList was given. An empty text is the empty list. */
export function splitList(joined: string): string[] {
  if (joined === '') return [];
  const elements: string[] = [];
  let element = '';
  for (let i = 0; i < joined.length; i++) {
    const char = joined[i] as string;
    if (char === '\\') {
      let run = 1;
      while (joined[i + run] === '\\') run++;
      i += run - 1;
      const next = joined[i + 1];
      if (next === undefined) element += '\\'.repeat(run / 2);
      else if (next !== ';') element += '\\'.repeat(run);
      else {
        element += '\\'.repeat(run >> 1);
        if (run % 2 === 1) {
          element += ';';
          i++;
        }
      }
    } else if (char === ';') {
      elements.push(element);
      element = '';
    } else element += char;
  }
  elements.push(element);
  return elements;
}

/** Half a surrogate pair has no UTF-8: what SQLite would make of it must not differ from what was hashed. */
function wellFormed(text: string): string {
  // ES2024, in Node since 20; the compiler's library is older.
  const ours = text as unknown as { isWellFormed(): boolean; toWellFormed(): string };
  return ours.isWellFormed() ? text : ours.toWellFormed();
}

function cellOf(kind: ColumnKind, value: unknown): Cell {
  if (value === undefined || value === null) return null;
  switch (kind) {
    case 'integer': {
      if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('not a number');
      const whole = Math.round(value);
      if (!Number.isSafeInteger(whole)) throw new TypeError('not a safe integer');
      return whole;
    }
    case 'time':
      if (typeof value !== 'number') throw new TypeError('not a time');
      return new Date(value).toISOString();
    case 'text':
      if (typeof value !== 'string') throw new TypeError('not a text');
      return wellFormed(value);
    case 'list':
      if (!Array.isArray(value) || !value.every((element) => typeof element === 'string')) {
        throw new TypeError('not a list of texts');
      }
      return wellFormed(joinList(value));
  }
}

/**
 * The cells of one journal line, with `seq`, `prev_hash` and `hash` still null. Throws TypeError or RangeError when
 * the line isn't an event; the message names the column, never the value.
 */
export function cellsOf(event: unknown): Cell[] {
  return complete(cellsOver(noCells, fieldsOf(event)));
}

/** The cells of a template, which lack what differs from event to event. Throws TypeError as cellsOf does. */
export function templateCells(event: unknown): Cell[] {
  return cellsOver(noCells, fieldsOf(event));
}

/** The cells of an event that takes from `template` what it does not say itself. Throws as cellsOf does. */
export function cellsWith(template: readonly Cell[], event: unknown): Cell[] {
  return complete(cellsOver(template, fieldsOf(event)));
}

/** Index of a column in a row. */
export function indexOfColumn(name: (typeof columns)[number][0]): number {
  return columns.findIndex(([other]) => other === name);
}

/** Columns in which the events of a template differ; in column order. */
export const ownColumns = [
  'at',
  'statement_id',
  'sql',
  'rows',
  'bytes',
  'error',
  'duration_us',
  'approval_id',
  'approver',
] as const satisfies readonly (typeof columns)[number][0][];

/** Their indices in a row. */
export const ownIndices: readonly number[] = ownColumns.map(indexOfColumn);

/** Indices of what the events of a template have in common: all columns but `seq`, their own ones and the hashes. */
export const sharedIndices: readonly number[] = columns
  .map((_, index) => index)
  .filter((index) => index > 0 && index < prevHashIndex && !ownIndices.includes(index));

const ownPlaces: ReadonlyMap<string, number> = new Map(ownColumns.map((name, place) => [name, place]));

/** The template says nothing of what its events say themselves. */
export function isShared(template: readonly Cell[]): boolean {
  return ownIndices.every((index) => template[index] === null);
}

/**
 * The own cells of an event of a template, in the order of `ownColumns`; null when it says something else besides.
 * Throws as cellsOf does.
 */
export function ownCellsOf(event: unknown): Cell[] | null {
  const fields = fieldsOf(event);
  const cells: Cell[] = new Array(ownColumns.length).fill(null);
  for (const name in fields) {
    const place = ownPlaces.get(name);
    if (place !== undefined) cells[place] = cellIn(ownIndices[place]!, fields[name]);
    else if (indexOf.has(name)) return null;
  }
  if (cells[0] === null) throw new TypeError('column at is missing');
  return cells;
}

/** All cells of an event of a template from its own ones, with `seq`, `prev_hash` and `hash` still null. */
export function withOwnCells(template: readonly Cell[], own: readonly Cell[]): Cell[] {
  const cells = template.slice();
  for (let place = 0; place < own.length; place++) cells[ownIndices[place]!] = own[place]!;
  return cells;
}

function cellIn(index: number, value: unknown): Cell {
  const [name, kind] = columns[index]!;
  try {
    return cellOf(kind, value);
  } catch {
    throw new TypeError(`column ${name} can't hold its value`);
  }
}

const noCells: readonly Cell[] = new Array(columns.length).fill(null);
const indexOf: ReadonlyMap<string, number> = new Map(columns.map(([name], index) => [name, index]));

function fieldsOf(event: unknown): Readonly<Record<string, unknown>> {
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw new TypeError('not an object');
  return event as Record<string, unknown>;
}

function cellsOver(base: readonly Cell[], fields: Readonly<Record<string, unknown>>): Cell[] {
  const cells = base.slice();
  for (const name in fields) {
    const index = indexOf.get(name);
    if (index === undefined || index === 0 || index >= prevHashIndex) continue;
    cells[index] = cellIn(index, fields[name]);
  }
  return cells;
}

function complete(cells: Cell[]): Cell[] {
  if (cells[1] === null) throw new TypeError('column at is missing');
  if (cells[4] === null) throw new TypeError('column event is missing');
  return cells;
}
