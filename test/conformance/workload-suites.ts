/** The workloads of `fixtures/workloads`: what fills each one's database, what is asked there, and what is masked for the analyst. */
import { tpchRows } from '../../fixtures/workloads/tpch/rows.ts';
import { readQueries, readScript, readWorkload, type WorkloadStatement } from './workload-statements.ts';
import type { MaskedColumns, Product } from './workload-world.ts';

export interface Suite {
  /** Columns that the statements don't use, only give out as they are, or use: the last are the refusals. */
  readonly masked: MaskedColumns;
  script(): readonly string[];
  statements(product: Product): readonly WorkloadStatement[];
}

const file = (path: string): URL => new URL(`../../fixtures/workloads/${path}`, import.meta.url);
/** The Join Order Benchmark's queries, one a file, where the user has them. */
const jobFolder = process.env.CORDON_JOB;

/** By the name of the database. */
export const suites: Readonly<Record<string, Suite>> = {
  tpch: {
    masked: {
      supplier: ['s_address', 's_phone'],
      customer: ['c_address', 'c_phone'],
      orders: ['o_clerk'],
      lineitem: ['l_comment'],
      part: ['p_comment'],
      partsupp: ['ps_comment'],
    },
    script: () => [...readScript(file('tpch/schema.sql')), ...tpchRows()],
    statements: (product) => readWorkload(file('tpch/queries.sql'), product),
  },
  tpcc: {
    masked: { customer: ['c_street_1', 'c_street_2', 'c_phone', 'c_data'], history: ['h_data'] },
    script: () => readScript(file('tpcc/schema.sql')),
    statements: (product) => readWorkload(file('tpcc/statements.sql'), product),
  },
  movies: {
    masked: {
      title: ['md5sum'],
      aka_title: ['md5sum', 'note'],
      name: ['name_pcode_cf', 'md5sum'],
      person_info: ['info'],
      company_name: ['imdb_id'],
    },
    script: () => readScript(file('movies/schema.sql')),
    statements: (product) => [
      ...readWorkload(file('movies/queries.sql'), product),
      ...(jobFolder === undefined ? [] : readQueries(jobFolder)),
    ],
  },
};

/** What browsers of catalogs and object mappers ask, by product; not among the benchmarks. */
export const tools: Suite = {
  masked: { person: ['email', 'notes'], o_author: ['email'] },
  script: () => readScript(file('tools/postgres.sql')),
  statements: (product) =>
    product === 'postgres' ? readWorkload(file('tools/browsers-postgres.sql'), product) : [],
};

/** What tools get otherwise than from the server itself, and should. */
export const expectedOfTools: readonly RegExp[] = [
  // How to sign in elsewhere: for administrators who see every column clear.
  /^\\deu\+: .*pg_user_mappings is refused/s,
  /^\\dRs\+: .*pg_subscription is refused/s,
  // It repeats the error before it.
  /^\\errverbose: .*is refused/s,
  // A cursor over masked columns: dumps as COPY have them starred.
  /^pg_dump .*--(column-)?inserts.*: .*cursor _pg_dump_cursor is refused/s,
  // A relation as JSON is a function of the masked column.
  /^drizzle analyst relation: /,
  // MariaDB's extended metadata is not offered: JSON arrives as text.
  /^(sequelize|drizzle) \w+ (include|json): .*(likes|"n":"1")/,
  // The object mappers' own words for JSON and for correlated subqueries that MariaDB does not have.
  /^(kysely|drizzle) (on the server itself|analyst|administrator) (relations?|json|first): /,
];

/** Statements that the analyst may not run, as they use what is masked for them; all others have to pass. */
export const refusedToAnalyst: ReadonlySet<string> = new Set([
  // GROUP BY c_address and c_phone.
  '10 returned item reporting',
  // substring(c_phone): the country's digits.
  '22 global sales opportunity',
  // A range of name_pcode_cf, and min(person_info.info).
  'biographies',
  '07a',
  '07b',
  '07c',
]);
