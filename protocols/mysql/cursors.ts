/** A server-side cursor of a prepared statement: what its rows are masked by, from its execution to its end. No I/O. */
import type { MaskPlan, ResultColumn } from '../../masking/masker.ts';
import type { Admitted } from '../gate.ts';

/** Its rows are described once, by the execution's metadata; each COM_STMT_FETCH brings some of them. */
export class Cursor {
  readonly admitted: Admitted;
  readonly columns: readonly ResultColumn[];
  readonly plan: MaskPlan | null;
  #rows = 0;
  #bytes = 0;
  #over = false;

  constructor(admitted: Admitted, columns: readonly ResultColumn[], plan: MaskPlan | null) {
    this.admitted = admitted;
    this.columns = columns;
    this.plan = plan;
  }

  /** A fetch has brought rows. */
  delivered(rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
  }

  /** The execution is completed, with all that was fetched. `error`: the server's number, null when there was none. */
  end(error: string | null): void {
    if (this.#over) return;
    this.#over = true;
    if (this.admitted.statements > 0) this.admitted.completed(0, this.#rows, this.#bytes, error);
  }
}
