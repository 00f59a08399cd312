/**
 * The signing keys of one identity provider: read from its JWKS (over the network or from a file), kept, renewed.
 * A key from anywhere else, a token's own header above all, never gets in here.
 */
import { readFile } from 'node:fs/promises';
import type { JWK } from 'jose';
import { fetchJson } from './fetch-json.ts';
import { IdentityError } from './identity-error.ts';
import { endpointUrl } from './loopback.ts';

/** A public key that may verify signatures. `id` is its material: the same key keeps its id when it is read again. */
export interface ProviderKey {
  readonly id: string;
  readonly kid: string | undefined;
  /** The only algorithm that the provider uses it with; undefined: any that its type allows. */
  readonly alg: string | undefined;
  readonly jwk: JWK;
}

/** The keys of one issuer. */
export interface ProviderKeys {
  /**
   * The keys that fit a header's `kid` and `alg`. Reads the provider's keys when none fit (a rotation) or when they
   * have not been read for a while; at most every 30 seconds. Throws IdentityError `unknown_key` or
   * `provider_unavailable`.
   */
  candidates(kid: string | undefined, alg: string): Promise<readonly ProviderKey[]>;
  /** Tries to read the keys again; false when that was tried a moment ago. */
  renew(): Promise<boolean>;
  /** Whether a key is still among the provider's. Renews first when it is time to. */
  holds(id: string): boolean | Promise<boolean>;
}

/** Where the keys are and how time is told. */
export interface ProviderKeysOptions {
  readonly issuer: string;
  readonly jwksFile: string | null;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
}

/** Between two reads. */
const cooldownMs = 30_000;
/** Between two attempts while there are no keys at all. */
const firstCooldownMs = 5_000;
/** A key that the provider has withdrawn is trusted no longer than this while the provider answers ... */
const renewMs = 600_000;
/** ... and the last known keys no longer than this while it doesn't. */
const keepMs = 24 * 3_600_000;
const keysMax = 64;
const candidatesMax = 4;

/** The keys of one issuer; nothing is read before the first token. */
export function createProviderKeys(options: ProviderKeysOptions): ProviderKeys {
  const { now } = options;
  let keys: readonly ProviderKey[] = [];
  let ids = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;

  async function read(): Promise<void> {
    try {
      const document =
        options.jwksFile === null ? await fetchKeys(options) : await readKeys(options.jwksFile);
      keys = usableKeys(document);
      ids = new Set(keys.map((key) => key.id));
      readAt = now();
    } catch {
      // The last known keys stay; `current` says when they are too old.
    }
  }

  async function renew(): Promise<boolean> {
    if (reading === null) {
      if (now() - triedAt < (keys.length === 0 ? firstCooldownMs : cooldownMs)) return false;
      triedAt = now();
      reading = read().finally(() => {
        reading = null;
      });
    }
    await reading;
    return true;
  }

  const isDue = (): boolean => now() - readAt >= renewMs;

  async function current(): Promise<readonly ProviderKey[]> {
    if (isDue()) await renew();
    if (now() - readAt >= keepMs) {
      throw new IdentityError('provider_unavailable', "the identity provider's keys can't be read");
    }
    return keys;
  }

  return {
    renew,
    async candidates(kid, alg) {
      let fitting = select(await current(), kid, alg);
      if (fitting.length === 0 && (await renew())) fitting = select(keys, kid, alg);
      if (fitting.length === 0) throw new IdentityError('unknown_key', 'no key of the issuer fits the token');
      return fitting;
    },
    holds(id) {
      if (!isDue()) return ids.has(id);
      return current().then(
        () => ids.has(id),
        () => false,
      );
    },
  };
}

async function fetchKeys(options: ProviderKeysOptions): Promise<unknown> {
  // One deadline for both requests.
  const signal = AbortSignal.timeout(5000);
  const discovery = `${options.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = await fetchJson(discovery, signal, options.fetch);
  // OpenID Connect Discovery 1.0, 4.3: must be identical, or one issuer's document could stand for another's.
  if (document.issuer !== options.issuer) throw new Error('discovery names another issuer');
  if (typeof document.jwks_uri !== 'string') throw new Error('discovery names no jwks_uri');
  return fetchJson(endpointUrl(document.jwks_uri).href, signal, options.fetch);
}

async function readKeys(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** Only public signature keys; the rest of a key set is left out. Throws when there is no key set. */
function usableKeys(document: unknown): ProviderKey[] {
  const set = document as { keys?: unknown } | null;
  if (typeof set !== 'object' || set === null || !Array.isArray(set.keys)) throw new Error('no key set');
  const usable: ProviderKey[] = [];
  for (const jwk of set.keys.slice(0, keysMax) as unknown[]) {
    if (typeof jwk !== 'object' || jwk === null) continue;
    const { kty, crv, n, e, x, y, kid, alg, use, key_ops: operations } = jwk as JWK;
    if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') continue;
    if (use !== undefined && use !== 'sig') continue;
    if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) continue;
    const material = Object.entries({ kty, crv, n, e, x, y }).filter(
      ([, value]) => typeof value === 'string',
    );
    usable.push({
      id: JSON.stringify([material, kid]),
      kid: typeof kid === 'string' ? kid : undefined,
      alg: typeof alg === 'string' ? alg : undefined,
      jwk: Object.fromEntries(material) as JWK,
    });
  }
  if (usable.length === 0) throw new Error('no usable key');
  return usable;
}

/** RFC 7518, 3.1 and RFC 8037, 3.1: the kind of key that an algorithm takes. */
function fits({ jwk, alg: keyAlg }: ProviderKey, alg: string): boolean {
  if (keyAlg !== undefined && keyAlg !== alg) {
    // RFC 9864 gave EdDSA over Ed25519 a second name.
    const isEd25519 = [keyAlg, alg].every((name) => name === 'EdDSA' || name === 'Ed25519');
    if (!isEd25519) return false;
  }
  switch (alg) {
    case 'RS256':
    case 'RS384':
    case 'RS512':
    case 'PS256':
    case 'PS384':
    case 'PS512':
      return jwk.kty === 'RSA';
    case 'ES256':
      return jwk.kty === 'EC' && jwk.crv === 'P-256';
    case 'ES384':
      return jwk.kty === 'EC' && jwk.crv === 'P-384';
    case 'ES512':
      return jwk.kty === 'EC' && jwk.crv === 'P-521';
    case 'EdDSA':
      return jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
    default:
      return false;
  }
}

function select(keys: readonly ProviderKey[], kid: string | undefined, alg: string): ProviderKey[] {
  return keys
    .filter((key) => (kid === undefined || key.kid === kid) && fits(key, alg))
    .slice(0, candidatesMax);
}
