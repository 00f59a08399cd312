/** Cells as CSV: RFC 4180, and no cell that a spreadsheet would take for a formula. */
import type { Cell } from './columns.ts';

// OWASP, CSV Injection: what starts a formula, or is stripped by a spreadsheet so that what follows starts one.
const formula = /^[=+\-@\t\r\n\uFF0B\uFF0D\uFF1D\uFF20]/;
// `;` is no separator here, but some locales' spreadsheets take it for one.
const special = /[",;\r\n]/;

function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const text = formula.test(cell) ? `'${cell}` : cell;
  return special.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One record with its CRLF (RFC 4180, 2.1). Null is the empty field; a text that could start a formula gets a `'`. */
export function csvRecord(cells: readonly Cell[]): string {
  let record = '';
  for (let i = 0; i < cells.length; i++) record += (i === 0 ? '' : ',') + csvCell(cells[i] as Cell);
  return `${record}\r\n`;
}
