/** The places of a JSON value that are masked, as a tree that is walked along with the value. Reads no bytes of it. */
import type { JsonPart, JsonStep, Masker, WholeMask } from './masker.ts';

/** One place of a JSON value, or several that are masked alike. */
export interface Place {
  /** What masks the value here, whole; its inside is not looked at then. null: only parts of it are masked. */
  readonly masker: Masker | null;
  /** Members by name; an object has no others that matter. */
  readonly members: ReadonlyMap<string, Place>;
  /** Elements by index. */
  readonly elements: ReadonlyMap<number, Place>;
  /** Every other element. */
  readonly others: Place | null;
}

interface Rest {
  readonly steps: readonly JsonStep[];
  readonly mask: WholeMask;
}

/** The tree of the parts. `maskerOf` gives what masks a string by a method. */
export function placesOf(parts: readonly JsonPart[], maskerOf: (mask: WholeMask) => Masker): Place | null {
  return placeOf(parts, maskerOf);
}

function placeOf(rests: readonly Rest[], maskerOf: (mask: WholeMask) => Masker): Place | null {
  if (rests.length === 0) return null;
  const here = rests.filter((rest) => rest.steps.length === 0);
  const members = new Map<string, Place>();
  const elements = new Map<number, Place>();
  const [first, ...more] = here;
  if (first !== undefined) {
    const same = JSON.stringify(first.mask);
    const mask: WholeMask = more.every((one) => JSON.stringify(one.mask) === same)
      ? first.mask
      : { method: 'redact' };
    return { masker: maskerOf(mask), members, elements, others: null };
  }
  const under = (matches: (step: JsonStep) => boolean): Place | null =>
    placeOf(
      rests.flatMap(({ steps: [step, ...steps], mask }) =>
        step !== undefined && matches(step) ? [{ steps, mask }] : [],
      ),
      maskerOf,
    );
  const others = under((step) => 'every' in step);
  for (const { steps } of rests) {
    const step = steps[0];
    if (step === undefined) continue;
    if ('name' in step && !members.has(step.name)) {
      const place = under((one) => 'name' in one && one.name === step.name);
      if (place !== null) members.set(step.name, place);
    } else if ('index' in step && !elements.has(step.index)) {
      const place = under((one) => 'every' in one || ('index' in one && one.index === step.index));
      if (place !== null) elements.set(step.index, place);
    }
  }
  return { masker: null, members, elements, others };
}
