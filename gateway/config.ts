/** cordon.yaml: its shape, and how it becomes a Config with every path resolved and every secret read. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { readYaml, type SourceError } from '../policy/source.ts';
import type { UpstreamTarget } from '../protocols/gate.ts';
import { limitsSchema } from './limits.ts';

const region = z.string().regex(/^[a-z][a-z0-9_-]*$/, 'a region is lower-case letters, digits, _ and -');
const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, 'letters, digits, _ . and -');
const hostAndPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'host:port, or [IPv6]:port')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'the port is above 65535');

const secret = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);

const network = z.union([z.cidrv4(), z.cidrv6()]);

const listener = z.strictObject({
  address: hostAndPort,
  tls: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
  /** `loopback`: a client on this machine may send its token without TLS. */
  allow_cleartext: z.enum(['loopback', 'never']).default('never'),
  /** Connections from these networks begin with a PROXY header (version 1 or 2) and are whoever it says; nobody else may send one. */
  proxy_protocol: z.strictObject({ from: z.array(network).min(1) }).optional(),
});

const upstream = z.strictObject({
  protocol: z.enum(['postgres', 'mysql']),
  address: hostAndPort,
  database: z.string().min(1),
  region,
  kind: z.enum(['primary', 'replica']).default('primary'),
  user: z.string().min(1),
  password: secret.optional(),
  tls: z
    .strictObject({
      mode: z.enum(['verify-full', 'verify-ca', 'require', 'disable']).default('verify-full'),
      ca: z.string().optional(),
      cert: z.string().optional(),
      key: z.string().optional(),
    })
    .default({ mode: 'verify-full' }),
});

const oidc = z.strictObject({
  issuer: z.url(),
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  claims: z
    .strictObject({
      subject: z.string().default('sub'),
      name: z.string().default('email'),
      groups: z.string().default('groups'),
      region: z.string().default('region'),
    })
    .default({ subject: 'sub', name: 'email', groups: 'groups', region: 'region' }),
  algorithms: z
    .array(z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']))
    .min(1)
    .optional(),
  azp: z.string().optional(),
  clock_tolerance_seconds: z.int().min(0).max(120).default(30),
  jwks_file: z.string().optional(),
});

const configSchema = z.strictObject({
  version: z.literal(1),
  gateway: z.strictObject({
    region,
    data_dir: z.string().default('./cordon-data'),
    control: z.string().optional(),
    /** Processes that serve clients, on the same addresses. */
    workers: z.int().min(1).max(64).default(1),
  }),
  listeners: z
    .strictObject({ postgres: listener.optional(), mysql: listener.optional() })
    .refine(
      (all) => all.postgres !== undefined || all.mysql !== undefined,
      'at least one listener is needed',
    ),
  upstreams: z.record(name, upstream),
  databases: z.record(name, z.strictObject({ upstreams: z.array(name).min(1) })),
  identity: z.strictObject({
    oidc: z.array(oidc).min(1),
    networks: z.record(region, z.array(network)).default({}),
  }),
  audit: z
    .strictObject({
      sql: z.enum(['shape', 'full']).default('shape'),
      /** Bound parameters in the audit. Only `none` is built; the others are refused at load. */
      values: z.enum(['none', 'masked', 'full']).default('none'),
      /** `write`: a decision outlives the gateway's death; `disk`: the machine's too (an fdatasync each). */
      sync: z.enum(['write', 'disk']).default('write'),
    })
    .default({ sql: 'shape', values: 'none', sync: 'write' }),
  recordings: z
    .strictObject({
      results: z.enum(['none', 'masked']).default('masked'),
      rows_max: z.int().min(0).default(1000),
      keep_days: z.int().min(1).default(90),
    })
    .optional(),
  /** The operator's HTTP listener: numbers and health, without a sign-in. None when missing. */
  metrics: z.strictObject({ address: hostAndPort }).optional(),
  limits: limitsSchema.default(() => limitsSchema.parse({})),
  policy: z.string().default('./policy.yaml'),
});

type File = z.infer<typeof configSchema>;

export interface Upstream extends UpstreamTarget {
  readonly protocol: 'postgres' | 'mysql';
  readonly region: string;
  readonly kind: 'primary' | 'replica';
}
export interface Listener {
  readonly protocol: 'postgres' | 'mysql';
  readonly host: string;
  readonly port: number;
  /** PEM file paths, read again at each reload. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly allowCleartextLoopback: boolean;
  /** Networks of the proxies that say by a PROXY header whose a connection is. */
  readonly proxies: readonly string[];
}
export interface Database {
  readonly name: string;
  readonly protocol: 'postgres' | 'mysql';
  readonly upstreams: readonly Upstream[];
}
export interface Config {
  readonly file: string;
  readonly region: string;
  readonly dataDir: string;
  readonly controlSocket: string;
  /** 1: this process serves clients itself. */
  readonly workers: number;
  readonly policyFile: string;
  readonly listeners: readonly Listener[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly databases: ReadonlyMap<string, Database>;
  readonly oidc: File['identity']['oidc'];
  readonly networks: Readonly<Record<string, readonly string[]>>;
  readonly audit: File['audit'];
  readonly limits: File['limits'];
  readonly metrics: { readonly host: string; readonly port: number } | null;
  /** Where the file names regions: the policy has to know them all. */
  readonly regionMentions: readonly {
    readonly region: string;
    readonly line: number;
    readonly column: number;
  }[];
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly errors: readonly SourceError[] };

/**
 * Reads a configuration file. `secrets: 'skip'` leaves passwords empty, for commands that connect nowhere.
 * Errors carry file, line and column; a missing secret is an error at its place.
 */
export function loadConfig(file: string, secrets: 'read' | 'skip'): LoadedConfig {
  const path = resolve(file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return {
      ok: false,
      errors: [{ file, line: 1, column: 1, message: `can't be read: ${(error as Error).message}` }],
    };
  }
  const read = readYaml(text, file, configSchema);
  if (!read.ok) return read;
  const errors: SourceError[] = [];
  const fail = (at: readonly (string | number)[], message: string): void => {
    errors.push({ file, ...read.positionOf(at), message });
  };
  const near = (relative: string): string => resolve(dirname(path), relative);
  const readNear = (relative: string | undefined, at: readonly (string | number)[]): string | null => {
    if (relative === undefined || secrets === 'skip') return null;
    try {
      return readFileSync(near(relative), 'utf8');
    } catch {
      fail(at, `file ${relative} can't be read`);
      return null;
    }
  };

  const upstreams = new Map<string, Upstream>();
  for (const [upstreamName, entry] of Object.entries(read.value.upstreams)) {
    const at = ['upstreams', upstreamName];
    let password = '';
    if (entry.password !== undefined && secrets === 'read') {
      if ('env' in entry.password) {
        const value = process.env[entry.password.env];
        if (value === undefined)
          fail([...at, 'password'], `environment variable ${entry.password.env} is not set`);
        password = value ?? '';
      } else {
        password = (readNear(entry.password.file, [...at, 'password']) ?? '').replace(/\r?\n$/, '');
      }
    }
    upstreams.set(upstreamName, {
      name: upstreamName,
      protocol: entry.protocol,
      ...splitAddress(entry.address),
      database: entry.database,
      region: entry.region,
      kind: entry.kind,
      user: entry.user,
      password,
      tls: {
        mode: entry.tls.mode,
        ca: readNear(entry.tls.ca, [...at, 'tls', 'ca']),
        cert: readNear(entry.tls.cert, [...at, 'tls', 'cert']),
        key: readNear(entry.tls.key, [...at, 'tls', 'key']),
      },
    });
  }

  const databases = new Map<string, Database>();
  for (const [databaseName, entry] of Object.entries(read.value.databases)) {
    const members: Upstream[] = [];
    entry.upstreams.forEach((member, index) => {
      const found = upstreams.get(member);
      const at = ['databases', databaseName, 'upstreams', index];
      if (!found) fail(at, `no upstream is named ${member}`);
      else if (members[0] && members[0].protocol !== found.protocol) {
        fail(
          at,
          `${member} speaks ${found.protocol}, ${members[0].name} speaks ${members[0].protocol}: one database, one protocol`,
        );
      } else members.push(found);
    });
    const first = members[0];
    if (first)
      databases.set(databaseName, { name: databaseName, protocol: first.protocol, upstreams: members });
  }

  read.value.identity.oidc.forEach((issuer, index) => {
    const url = new URL(issuer.issuer);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
      fail(['identity', 'oidc', index, 'issuer'], 'an issuer is https:, or http: on a loopback address');
    }
  });
  if (read.value.audit.values !== 'none') {
    fail(['audit', 'values'], 'bound values are not written to the audit by this version: say none');
  }
  if (errors.length > 0) return { ok: false, errors };

  const value = read.value;
  const dataDir = near(value.gateway.data_dir);
  const listeners: Listener[] = [];
  for (const protocol of ['postgres', 'mysql'] as const) {
    const entry = value.listeners[protocol];
    if (!entry) continue;
    listeners.push({
      protocol,
      ...splitAddress(entry.address),
      tls: entry.tls ? { cert: near(entry.tls.cert), key: near(entry.tls.key) } : null,
      allowCleartextLoopback: entry.allow_cleartext === 'loopback',
      proxies: entry.proxy_protocol?.from ?? [],
    });
  }
  return {
    ok: true,
    config: {
      file: path,
      region: value.gateway.region,
      dataDir,
      controlSocket: value.gateway.control ? near(value.gateway.control) : resolve(dataDir, 'control.sock'),
      workers: value.gateway.workers,
      policyFile: near(value.policy),
      listeners,
      upstreams,
      databases,
      oidc: value.identity.oidc.map((issuer) =>
        issuer.jwks_file === undefined ? issuer : { ...issuer, jwks_file: near(issuer.jwks_file) },
      ),
      networks: value.identity.networks,
      audit: value.audit,
      limits: value.limits,
      metrics: value.metrics ? splitAddress(value.metrics.address) : null,
      regionMentions: [
        { region: value.gateway.region, ...read.positionOf(['gateway', 'region']) },
        ...[...upstreams.values()].map((one) => ({
          region: one.region,
          ...read.positionOf(['upstreams', one.name, 'region']),
        })),
        ...Object.keys(value.identity.networks).map((one) => ({
          region: one,
          ...read.positionOf(['identity', 'networks', one]),
        })),
      ],
    },
  };
}

function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
