/** The tables of a statement and where the policy places them: localities, tags, and what partitions add to both. */
import type { Catalog, CatalogTable } from '../sql/catalog.ts';
import type { TableUse } from '../sql/statement.ts';
import type { Region } from './decision.ts';
import type { Finding } from './finding.ts';
import { pathText } from './json-path.ts';
import type { ColumnTag, DataRule, Locality, PartTag, Policy, TableName } from './model.ts';
import type { NameMatch, NamePatterns } from './patterns.ts';

/** One table in play: all its references together. */
export interface Play {
  readonly schema: string;
  readonly table: string;
  /** `schema.table` */
  readonly name: string;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly uses: readonly TableUse[];
  /** A view that was not placed by its own name has no rule: its regions are those of the tables behind it. */
  readonly rule: DataRule | null;
  /** The table's own locality, then those of partitions and children that are placed elsewhere. Empty with `rule` null. */
  readonly localities: readonly Locality[];
  /** Column, as the catalog spells it, to the tags that it carries. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  /** Those columns of `tags` whose parts are tagged; their tags in `tags` are those of the parts and of the whole. */
  readonly parts: ReadonlyMap<string, TaggedParts>;
  readonly known: CatalogTable | undefined;
  /** Regions of rows that the session itself put into a temporary table, which is at home wherever it was made. */
  readonly brought: readonly Region[];
}

/** The tags of one column, of which some are of its parts. */
export interface TaggedParts {
  /** Of the column as a whole, by another rule. */
  readonly whole: readonly string[];
  readonly parts: readonly PartTag[];
}

/** Regions of the localities that are regional by table. */
export function fixedRegions(play: Play): readonly Region[] {
  const regions = play.localities.flatMap((place) => (place.kind === 'regional' ? [place.region] : []));
  return [...new Set(regions)];
}

/** The locality that is regional by row, when there is one. */
export function rowLocality(play: Play): Extract<Locality, { kind: 'by_row' }> | null {
  for (const place of play.localities) if (place.kind === 'by_row') return place;
  return null;
}

/**
 * Groups the references by table and places each; `findings` names what is not placed. System tables are left out. A
 * temporary table needs no place of its own: `temporaryRegions` says of which regions its rows may be.
 */
export function placeTables(
  policy: Policy,
  database: string,
  catalog: Catalog,
  uses: readonly TableUse[],
  temporaryRegions: readonly Region[] = [],
): { plays: readonly Play[]; findings: readonly Finding[] } {
  const rules = policy.data.get(database);
  const grouped = new Map<string, TableUse[]>();
  for (const use of uses) {
    if (use.system) continue;
    const known = catalog.table(use.schema, use.table);
    const key = `${known?.schema ?? use.schema}\u0000${known?.name ?? use.table}`;
    const group = grouped.get(key);
    if (group) group.push(use);
    else grouped.set(key, [use]);
  }
  const plays: Play[] = [];
  const findings: Finding[] = [];
  for (const group of grouped.values()) {
    const first = group[0];
    if (first === undefined) continue;
    const known = catalog.table(first.schema, first.table);
    const name: TableName = { schema: known?.schema ?? first.schema, table: known?.name ?? first.table };
    const place = isSessionsOwn(catalog, known) ? noRule : placeOne(rules, catalog, name, known, group);
    if ('unplaced' in place) findings.push(unplaced(database, place.unplaced));
    plays.push({
      ...name,
      name: `${name.schema}.${name.table}`,
      reads: group.some((use) => use.reads),
      writes: group.some((use) => use.writes),
      uses: group,
      known,
      brought: known?.temporary ? temporaryRegions : [],
      ...('unplaced' in place ? noRule : place),
    });
  }
  return { plays, findings };
}

function unplaced(database: string, name: Unplaced): Finding {
  const quoted = (part: string): string =>
    /^[^".*\s]+$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`;
  const pattern = `${quoted(name.schema)}.${quoted(name.table)}`;
  const foreign = name.foreign ? '; a foreign table has to be placed by its own name' : '';
  return {
    reason: 'unplaced_table',
    rule: `data.${database}`,
    message: `table ${name.schema}.${name.table} is not placed in any region${foreign}`,
    hint: `add to the policy under data.${database}: - { table: ${yamlText(pattern)}, region: REGION }`,
  };
}

function yamlText(text: string): string {
  return /^[A-Za-z_][A-Za-z0-9_.]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

type Place = Pick<Play, 'rule' | 'localities' | 'tags' | 'parts'>;
type Unplaced = TableName & { readonly foreign: boolean };
const noRule: Place = { rule: null, localities: [], tags: new Map(), parts: new Map() };

/** A temporary table that is not part of a table which others see. No pattern of the policy speaks of it. */
function isSessionsOwn(catalog: Catalog, known: CatalogTable | undefined): boolean {
  if (!known?.temporary || known.kind === 'view') return false;
  return relatives(catalog, known).every(({ table }) => table.temporary === true);
}

function placeOne(
  rules: NamePatterns<DataRule> | undefined,
  catalog: Catalog,
  name: TableName,
  known: CatalogTable | undefined,
  uses: readonly TableUse[],
): Place | { readonly unplaced: Unplaced } {
  const match = narrowest(rules, catalog, name, known, new Set());
  const isPlainView = known === undefined ? uses.every((use) => use.view) : known.kind === 'view';
  if (isPlainView && !match?.exact) return noRule;
  if (match === null) return { unplaced: { ...name, foreign: known?.kind === 'foreign' } };
  const localities = [match.value.locality];
  const tagged = new Map<string, Tagged>();
  const addTags = (rule: DataRule): void => tagColumns(tagged, rule, catalog, known);
  addTags(match.value);
  if (known !== undefined) {
    for (const relative of relatives(catalog, known)) {
      const own = rules?.find(relative.table.schema, relative.table.name, catalog.foldsTableNames);
      if (relative.isChild && relative.table.kind === 'foreign' && !own?.exact) {
        const { schema, name: table } = relative.table;
        return { unplaced: { schema, table, foreign: true } };
      }
      if (!own) continue;
      addTags(own.value);
      if (!relative.isChild) continue;
      // A parent's own rows are not read through its child; the children's are read through the parent.
      const { schema, name: table } = relative.table;
      const placed = narrowest(rules, catalog, { schema, table }, relative.table, new Set());
      if (placed !== null && placed.value !== match.value) localities.push(placed.value.locality);
    }
  }
  return { rule: match.value, localities, ...gathered(tagged) };
}

/** A table's own rule, or one that stands above it in the inheritance tree and is narrower. */
function narrowest(
  rules: NamePatterns<DataRule> | undefined,
  catalog: Catalog,
  name: TableName,
  known: CatalogTable | undefined,
  seen: Set<string>,
): NameMatch<DataRule> | null {
  let best = rules?.find(name.schema, name.table, catalog.foldsTableNames) ?? null;
  if (known?.kind === 'foreign') return best?.exact ? best : null;
  if (best?.exact || known === undefined || seen.has(`${name.schema}.${name.table}`)) return best;
  seen.add(`${name.schema}.${name.table}`);
  for (const parent of parentsOf(catalog, known)) {
    const above = narrowest(rules, catalog, { schema: parent.schema, table: parent.name }, parent, seen);
    if (above === null) continue;
    if (best === null || above.length > best.length || (above.exact && above.length === best.length))
      best = above;
  }
  return best;
}

/** What all rules together say of one column. */
interface Tagged {
  readonly whole: Set<string>;
  /** By tag and path. */
  readonly parts: Map<string, PartTag>;
}

function gathered(tagged: ReadonlyMap<string, Tagged>): Pick<Play, 'tags' | 'parts'> {
  const tags = new Map<string, readonly string[]>();
  const parts = new Map<string, TaggedParts>();
  for (const [column, all] of tagged) {
    const ofParts = [...all.parts.values()];
    tags.set(column, [...new Set([...all.whole, ...ofParts.map((part) => part.tag)])]);
    if (ofParts.length > 0) parts.set(column, { whole: [...all.whole], parts: ofParts });
  }
  return { tags, parts };
}

function tagColumns(
  tagged: Map<string, Tagged>,
  rule: DataRule,
  catalog: Catalog,
  known: CatalogTable | undefined,
): void {
  const add = (column: string, tag: ColumnTag | undefined): void => {
    if (tag === undefined) return;
    const all = tagged.get(column) ?? { whole: new Set(), parts: new Map() };
    tagged.set(column, all);
    if (typeof tag === 'string') all.whole.add(tag);
    else for (const part of tag) all.parts.set(`${part.tag} ${pathText(part.steps)}`, part);
  };
  if (known === undefined) {
    for (const [column, tag] of rule.columns) add(column, tag);
    return;
  }
  for (const column of known.columns) {
    const exact = rule.columns.get(column.name);
    add(
      column.name,
      exact ?? (catalog.engine === 'mysql' ? rule.columnsFolded.get(column.name.toLowerCase()) : undefined),
    );
  }
}

function parentsOf(catalog: Catalog, table: CatalogTable): readonly CatalogTable[] {
  return table.parents.flatMap((name) => {
    // A schema may hold a dot: try every split.
    for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const parent = catalog.table(name.slice(0, dot), name.slice(dot + 1));
      if (parent !== undefined) return [parent];
    }
    return [];
  });
}

/** Every table above and below in the inheritance tree. */
function relatives(
  catalog: Catalog,
  table: CatalogTable,
): readonly { table: CatalogTable; isChild: boolean }[] {
  const children = childrenOf(catalog);
  if (table.parents.length === 0 && !children.has(table)) return [];
  const found = new Map<CatalogTable, boolean>();
  const down = [...(children.get(table) ?? [])];
  for (let next = down.pop(); next !== undefined; next = down.pop()) {
    if (next === table || found.has(next)) continue;
    found.set(next, true);
    down.push(...(children.get(next) ?? []));
  }
  const up = [...parentsOf(catalog, table)];
  for (let next = up.pop(); next !== undefined; next = up.pop()) {
    if (next === table || found.has(next)) continue;
    found.set(next, false);
    up.push(...parentsOf(catalog, next));
  }
  return [...found].map(([relative, isChild]) => ({ table: relative, isChild }));
}

const childIndexes = new WeakMap<Catalog, ReadonlyMap<CatalogTable, readonly CatalogTable[]>>();

function childrenOf(catalog: Catalog): ReadonlyMap<CatalogTable, readonly CatalogTable[]> {
  const known = childIndexes.get(catalog);
  if (known !== undefined) return known;
  const index = new Map<CatalogTable, CatalogTable[]>();
  for (const table of catalog.tables()) {
    for (const parent of parentsOf(catalog, table)) {
      const children = index.get(parent);
      if (children) children.push(table);
      else index.set(parent, [table]);
    }
  }
  childIndexes.set(catalog, index);
  return index;
}
