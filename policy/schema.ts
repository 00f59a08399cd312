/**
 * The shape of the policy file, key by key. What goes together (regions that exist, patterns that parse) is checked
 * where the file is loaded.
 */
import { z } from 'zod';
import { statementKinds } from '../sql/statement.ts';

/** A list that may be written as its only element. */
const list = <T extends z.ZodType>(element: T) =>
  z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(element));
/** A map that may be left empty. */
const orEmpty = <T extends z.ZodType>(schema: T) => z.preprocess((value) => value ?? {}, schema);

const word = z.string().min(1);
const regionName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, 'not a region name');
const tag = z.string().regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'not a tag such as pii.email');
const tagPattern = z
  .string()
  .regex(/^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$/, 'neither a tag nor a pattern such as pii.*');
const duration = z.string().regex(/^[1-9][0-9]{0,8}(ms|s|m|h|d)$/, 'not a duration such as 10m');

const columnTag = z.union(
  [tag, z.record(word, tag)],
  'neither a tag such as pii.email nor a map of JSON paths to tags',
);

const dataEntry = z.strictObject({
  table: word,
  region: regionName.optional(),
  by_row: word.optional(),
  values: z.record(z.string(), regionName).optional(),
  default: regionName.optional(),
  global: z.literal(true).optional(),
  columns: orEmpty(z.record(word, columnTag)),
  triggers: z.enum(['refuse', 'allow']).default('refuse'),
});

const transfer = z.strictObject({
  from: regionName,
  to: regionName,
  values: z.enum(['clear', 'masked', 'approval']),
  purpose: z.string().optional(),
  until: z.string().optional(),
});

const mask = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('redact') }),
  // A bare `null` is YAML's null.
  z.strictObject({ method: z.literal([null, 'null']) }),
  z.strictObject({
    method: z.literal('partial'),
    keep_first: z.int().min(0).max(1000).default(0),
    keep_last: z.int().min(0).max(1000).default(0),
  }),
  z.strictObject({ method: z.literal('partial_email') }),
  z.strictObject({ method: z.literal('hash') }),
  z.strictObject({ method: z.literal('year') }),
  z.strictObject({
    method: z.literal('fixed'),
    value: z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]),
  }),
]);

const vouched = z.union(
  [word, z.strictObject({ name: word, reads: list(word).default([]), writes: list(word).default([]) })],
  'neither schema.name nor { name, reads, writes }',
);
const functions = z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(vouched));

const members = z.strictObject({
  groups: list(word).default([]),
  subjects: list(word).default([]),
  issuers: list(word).optional(),
});

const role = z.strictObject({
  members,
  databases: list(word),
  read: z.strictObject({ regions: list(regionName).default([]) }).default({ regions: [] }),
  write: z
    .strictObject({
      regions: list(regionName).default([]),
      tables: list(word).optional(),
      global: z.boolean().default(false),
    })
    .default({ regions: [], global: false }),
  statements: list(z.enum([...statementKinds, '*'])).default([]),
  clear: list(tagPattern).default([]),
  masked_use: z.enum(['refuse', 'blank']).default('refuse'),
  transfers: z.array(transfer).default([]),
  mask_on_write: list(tagPattern).default([]),
  functions: functions.default([]),
});

const approval = z.strictObject({
  name: word,
  when: z.strictObject({
    statements: list(z.enum(statementKinds)).optional(),
    without: z.literal('where').optional(),
    tables: list(word).optional(),
    regions: list(regionName).optional(),
    tags: list(tagPattern).optional(),
  }),
  approvers: z.strictObject({ groups: list(word) }),
  timeout: duration.default('10m'),
});

/** The whole file. */
export const policyFile = z.strictObject({
  version: z.literal(1),
  regions: z.record(regionName, orEmpty(z.strictObject({ contains: list(regionName).default([]) }))),
  data: z.preprocess(
    (value) => value ?? {},
    z.record(
      word,
      z.preprocess((value) => value ?? [], z.array(dataEntry)),
    ),
  ),
  transfers: z.preprocess((value) => value ?? [], z.array(transfer)),
  masks: orEmpty(z.record(tagPattern, mask)),
  roles: orEmpty(z.record(z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/, 'not a role name'), role)),
  functions: z.preprocess((value) => value ?? [], functions),
  approvals: z.preprocess((value) => value ?? [], z.array(approval)),
});
export type PolicyFile = z.infer<typeof policyFile>;
