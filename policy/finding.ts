/** What speaks against a statement. A decision's `because` is made of these, in the order in which they were found. */
import type { Reason } from './decision.ts';

/** `message` and `hint` name tables, columns, regions and roles; never a value. */
export interface Finding {
  readonly reason: Reason;
  readonly rule: string | null;
  readonly message: string;
  readonly hint: string;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: Iterable<string>): string {
  const all = [...names];
  const last = all.pop();
  if (last === undefined) return 'nothing';
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`;
}
