/**
 * Templates of the journal as the store keeps them: what many rows have in common lies there once. Knows when a template is
 * worth a row of its own; the SQL is store.ts.
 */
import { type SharedRuns, sharedRuns } from './chain.ts';
import type { Cell } from './columns.ts';

/** A template whose events say only their own columns. */
export interface StoredTemplate {
  readonly cells: readonly Cell[];
  readonly runs: SharedRuns;
  /** Its row in the store; 0: it has none. */
  id: number;
  /** A row of it is there already, with all cells: the next one is worth a row for the template. */
  isUsed: boolean;
}

/** An event on its way into the store: all cells of the row, or the own ones of a template's. */
export type StoredRow =
  | { readonly template: null; readonly cells: Cell[] }
  | { readonly template: StoredTemplate; readonly own: Cell[] };

const keptMax = 10_000;

/** Finds a template again that another segment has defined. */
export class StoredTemplates {
  readonly #known = new Map<string, StoredTemplate>();

  /** @param cells as from templateCells */
  of(cells: readonly Cell[]): StoredTemplate {
    const key = JSON.stringify(cells);
    let template = this.#known.get(key);
    if (template === undefined) {
      if (this.#known.size >= keptMax) this.#known.clear();
      template = { cells, runs: sharedRuns(cells), id: 0, isUsed: false };
      this.#known.set(key, template);
    }
    return template;
  }
}
