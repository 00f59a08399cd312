/** The policy file's text in, a policy or errors with file, line and column out. All that can be looked up is built here, once. */
import { createHash } from 'node:crypto';
import type { WholeMask } from '../masking/masker.ts';
import type { StatementKind } from '../sql/statement.ts';
import { statementKinds } from '../sql/statement.ts';
import type { Region } from './decision.ts';
import { pathText, stepsOf } from './json-path.ts';
import type {
  ApprovalRule,
  ColumnTag,
  DataRule,
  Locality,
  NamedMask,
  PartTag,
  Policy,
  Role,
  TableName,
  Transfer,
  Vouched,
  VouchedFunction,
} from './model.ts';
import { type NamePatterns, namePatterns, parseTablePattern, tagPatterns } from './patterns.ts';
import { closeRegions } from './regions.ts';
import { type PolicyFile, policyFile } from './schema.ts';
import { readYaml, type SourceError, type SourcePath, type SourceValue } from './source.ts';
import { durationMs, endOf } from './time.ts';

export type LoadResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly errors: readonly SourceError[] };

/** Reads a policy file. Never throws; a policy comes out only when nothing at all is wrong. */
export function loadPolicy(text: string, file: string): LoadResult {
  const source = readYaml(text, file, policyFile);
  if (!source.ok) return source;
  const loader = new Loader(source);
  const policy = loader.policy(text, file);
  if (loader.errors.length === 0) return { ok: true, policy };
  const errors = loader.errors.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, errors };
}

const tablePatterns = 'schema.table, schema.prefix*, schema.*, *';

type FileTransfer = PolicyFile['transfers'][number];
type FileRole = PolicyFile['roles'][string];
type FileFunctions = PolicyFile['functions'];
type FileData = PolicyFile['data'][string][number];
type FileMask = PolicyFile['masks'][string];

/** Compiles the file's parts and gathers what is wrong with them. */
class Loader {
  readonly errors: SourceError[] = [];
  readonly #source: SourceValue<PolicyFile>;
  readonly #regions: ReadonlyMap<Region, ReadonlySet<Region>>;

  constructor(source: SourceValue<PolicyFile>) {
    this.#source = source;
    const { regions, cycles } = closeRegions(source.value.regions);
    this.#regions = regions;
    for (const cycle of cycles) {
      this.#wrongKey(['regions', cycle], `region \`${cycle}\` contains itself`);
    }
  }

  policy(text: string, file: string): Policy {
    const value = this.#source.value;
    return {
      version: createHash('sha256').update(text).digest('hex').slice(0, 12),
      text,
      file,
      regions: this.#regions,
      data: new Map(Object.entries(value.data).map(([name, entries]) => [name, this.#data(name, entries)])),
      transfers: this.#transfers(value.transfers, ['transfers'], 'transfers'),
      masks: tagPatterns(
        Object.entries(value.masks).map(([pattern, mask]): [string, NamedMask] => [
          pattern,
          { pattern, method: maskMethod(mask) },
        ]),
      ),
      roles: Object.entries(value.roles).map(([name, role]) => this.#role(name, role)),
      vouched: this.#functions(value.functions, ['functions']),
      approvals: value.approvals.map((rule, index) => this.#approval(rule, index)),
    };
  }

  #wrong(path: SourcePath, message: string): void {
    this.errors.push(this.#source.errorAt(path, message));
  }

  #wrongKey(path: SourcePath, message: string): void {
    this.errors.push(this.#source.errorAtKey(path, message));
  }

  #region(region: Region, path: SourcePath): Region {
    if (!this.#regions.has(region))
      this.#wrong(path, `no region \`${region}\` is declared under \`regions\``);
    return region;
  }

  #regionList(regions: readonly Region[], path: SourcePath): readonly Region[] {
    return regions.map((region, index) => this.#region(region, [...path, index]));
  }

  #data(database: string, entries: readonly FileData[]): NamePatterns<DataRule> {
    const seen = new Set<string>();
    return namePatterns(
      entries.map((entry, index): [string, DataRule] => {
        const path = ['data', database, index];
        if (parseTablePattern(entry.table) === null) {
          this.#wrong([...path, 'table'], `\`${entry.table}\` is none of ${tablePatterns}`);
        }
        if (seen.has(entry.table)) {
          this.#wrong([...path, 'table'], `\`${entry.table}\` is placed twice`);
        }
        seen.add(entry.table);
        const columns = new Map(
          Object.entries(entry.columns).map(([column, tag]): [string, ColumnTag] => [
            column,
            typeof tag === 'string' ? tag : this.#parts(column, tag, [...path, 'columns', column]),
          ]),
        );
        const folded = new Map([...columns].map(([column, tag]) => [column.toLowerCase(), tag]));
        return [
          entry.table,
          {
            id: `data.${database}.${entry.table}`,
            pattern: entry.table,
            locality: this.#locality(entry, path),
            columns,
            columnsFolded: folded,
            triggersAllowed: entry.triggers === 'allow',
          },
        ];
      }),
    );
  }

  #parts(column: string, tags: Readonly<Record<string, string>>, at: SourcePath): readonly PartTag[] {
    const seen = new Set<string>();
    const parts = Object.entries(tags).flatMap(([path, tag]): readonly PartTag[] => {
      const steps = stepsOf(path);
      if (steps === null) {
        this.#wrongKey([...at, path], `\`${path}\` is no path: $, then any of .name, ["name"], [*] and [0]`);
        return [];
      }
      if (seen.has(pathText(steps))) this.#wrongKey([...at, path], `\`${path}\` is tagged twice`);
      seen.add(pathText(steps));
      return [{ path, steps, tag }];
    });
    if (Object.keys(tags).length === 0) this.#wrong(at, `column \`${column}\` names no path`);
    return parts;
  }

  #locality(entry: FileData, path: SourcePath): Locality {
    const stated = [entry.region, entry.by_row, entry.global].filter((part) => part !== undefined);
    if (stated.length !== 1) {
      this.#wrong(path, `\`${entry.table}\` needs exactly one of region, by_row, global`);
    }
    if (entry.by_row === undefined) {
      for (const key of ['values', 'default'] as const) {
        if (entry[key] !== undefined) this.#wrongKey([...path, key], `\`${key}\` goes with by_row only`);
      }
    }
    if (entry.region !== undefined) {
      return { kind: 'regional', region: this.#region(entry.region, [...path, 'region']) };
    }
    if (entry.by_row === undefined) return { kind: 'global' };
    // The printer of predicates doesn't escape a quote inside a name.
    if (/["\u0000]/.test(entry.by_row)) {
      this.#wrong([...path, 'by_row'], 'a region column may not have a quote in its name');
    }
    for (const [value, region] of Object.entries(entry.values ?? {})) {
      this.#region(region, [...path, 'values', value]);
      if (value.includes('\u0000')) this.#wrongKey([...path, 'values', value], 'a value may not hold NUL');
    }
    const byValue =
      entry.values === undefined
        ? new Map([...this.#regions.keys()].map((region) => [region, region]))
        : new Map(Object.entries(entry.values));
    const otherwise = entry.default === undefined ? null : this.#region(entry.default, [...path, 'default']);
    return { kind: 'by_row', column: entry.by_row, values: { byValue, otherwise } };
  }

  #transfers(entries: readonly FileTransfer[], path: SourcePath, id: string): readonly Transfer[] {
    return entries.map((entry, index) => {
      const at = [...path, index];
      const endsAt = entry.until === undefined ? null : endOf(entry.until);
      if (Number.isNaN(endsAt)) this.#wrong([...at, 'until'], 'not a date such as 2027-01-31');
      return {
        id: `${id}[${index}]`,
        from: this.#region(entry.from, [...at, 'from']),
        to: this.#region(entry.to, [...at, 'to']),
        values: entry.values,
        purpose: entry.purpose ?? '',
        endsAt,
      };
    });
  }

  #role(name: string, role: FileRole): Role {
    const path = ['roles', name];
    const { groups, subjects, issuers } = role.members;
    if (groups.length === 0 && subjects.length === 0) {
      this.#wrong([...path, 'members'], `role \`${name}\` has no members: name groups or subjects`);
    }
    return {
      name,
      groups: new Set(groups),
      subjects: new Set(subjects),
      issuers: issuers === undefined ? null : new Set(issuers),
      databases: new Set(role.databases),
      readRegions: this.#regionList(role.read.regions, [...path, 'read', 'regions']),
      writeRegions: this.#regionList(role.write.regions, [...path, 'write', 'regions']),
      writeTables:
        role.write.tables === undefined
          ? null
          : this.#tablePatterns(role.write.tables, [...path, 'write', 'tables']),
      writesGlobal: role.write.global,
      statements: grantedKinds(role.statements),
      clear: tagPatterns(role.clear.map((pattern) => [pattern, true as const])),
      maskOnWrite: tagPatterns(role.mask_on_write.map((pattern) => [pattern, true as const])),
      maskedUse: role.masked_use,
      transfers: this.#transfers(role.transfers, [...path, 'transfers'], `roles.${name}.transfers`),
      vouched: this.#functions(role.functions, [...path, 'functions']),
    };
  }

  #tablePatterns(patterns: readonly string[], path: SourcePath): NamePatterns<true> {
    for (const [index, pattern] of patterns.entries()) {
      if (parseTablePattern(pattern) === null) {
        this.#wrong([...path, index], `\`${pattern}\` is none of ${tablePatterns}`);
      }
    }
    return namePatterns(patterns.map((pattern) => [pattern, true as const]));
  }

  #functions(entries: FileFunctions, path: SourcePath): Vouched {
    let all = false;
    const named = new Map<string, VouchedFunction>();
    for (const [index, entry] of entries.entries()) {
      const name = typeof entry === 'string' ? entry : entry.name;
      if (name === '*') {
        all = true;
        continue;
      }
      const parsed = parseTablePattern(name);
      if (parsed?.kind !== 'table') {
        const at = typeof entry === 'string' ? [...path, index] : [...path, index, 'name'];
        this.#wrong(at, `\`${name}\` is neither schema.name nor *`);
        continue;
      }
      const key = `${parsed.schema}.${parsed.table}`;
      const touches = (key: 'reads' | 'writes'): readonly TableName[] =>
        typeof entry === 'string'
          ? []
          : entry[key].flatMap((table, at) => this.#tableName(table, [...path, index, key, at]));
      named.set(key, { name: key, reads: touches('reads'), writes: touches('writes') });
    }
    return { all, named };
  }

  #tableName(text: string, path: SourcePath): readonly TableName[] {
    const parsed = parseTablePattern(text);
    if (parsed?.kind === 'table') return [{ schema: parsed.schema, table: parsed.table }];
    this.#wrong(path, `\`${text}\` is no schema.table`);
    return [];
  }

  #approval(rule: PolicyFile['approvals'][number], index: number): ApprovalRule {
    const path = ['approvals', index];
    const { when } = rule;
    if (Object.values(when).every((condition) => condition === undefined)) {
      this.#wrong([...path, 'when'], `approval \`${rule.name}\` names no condition`);
    }
    if (rule.approvers.groups.length === 0) {
      this.#wrong([...path, 'approvers'], `approval \`${rule.name}\` names no group that may approve`);
    }
    return {
      name: rule.name,
      statements: when.statements === undefined ? null : new Set(when.statements),
      withoutWhere: when.without === 'where',
      tables:
        when.tables === undefined ? null : this.#tablePatterns(when.tables, [...path, 'when', 'tables']),
      regions:
        when.regions === undefined ? null : this.#regionList(when.regions, [...path, 'when', 'regions']),
      tags: when.tags === undefined ? null : tagPatterns(when.tags.map((tag) => [tag, true as const])),
      approvers: rule.approvers.groups,
      timeoutMs: durationMs(rule.timeout),
    };
  }
}

function maskMethod(mask: FileMask): WholeMask {
  switch (mask.method) {
    case null:
    case 'null':
      return { method: 'null' };
    case 'partial':
      return { method: 'partial', keepFirst: mask.keep_first, keepLast: mask.keep_last };
    case 'fixed':
      return { method: 'fixed', value: mask.value };
    default:
      return { method: mask.method };
  }
}

/** Kinds that every role has; rows are still bounded by its regions. */
const kindsOfEveryRole: readonly StatementKind[] = [
  'select',
  'copy_out',
  'cursor',
  'prepare',
  'explain',
  'show',
  'set',
  'transaction',
  'lock',
  'insert',
  'update',
  'delete',
  'merge',
  'copy_in',
];

function grantedKinds(named: readonly (StatementKind | '*')[]): ReadonlySet<StatementKind> {
  const granted = new Set<StatementKind>(kindsOfEveryRole);
  for (const kind of named) {
    if (kind === '*') return new Set(statementKinds);
    granted.add(kind);
  }
  return granted;
}
