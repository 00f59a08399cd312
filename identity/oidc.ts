/**
 * Verifies OpenID Connect tokens (ID tokens and JWT access tokens) and says who they speak of. Roles are the policy's;
 * keys are provider-keys.ts.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Principal } from '../policy/decision.ts';
import { type ClaimPaths, principalOf } from './claims.ts';
import { IdentityError } from './identity-error.ts';
import { endpointUrl } from './loopback.ts';
import { createProviderKeys, type ProviderKey, type ProviderKeys } from './provider-keys.ts';
import { TokenCache } from './token-cache.ts';

export { IdentityError };

/** One identity provider that is trusted, and for what. */
export interface OidcIssuer {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  /** A token has to name one of them in `aud`. */
  readonly audience: string | readonly string[];
  readonly claims: ClaimPaths;
  /** Default: every asymmetric one below; `none` and HS* can't be had. */
  readonly algorithms?: readonly string[];
  /** A JWKS file in place of the provider's own address, for a machine without network. */
  readonly jwksFile: string | null;
  /** Default 30, at most 120. */
  readonly clockToleranceSeconds?: number;
  /**
   * Clients that tokens may have been issued to (`azp`). With it, a token that names another is refused, and one with
   * several audiences has to name one. Without it any client's token for our audience will do, as access tokens need.
   */
  readonly azp?: string | readonly string[];
}

/** Says who a token speaks of. */
export interface OidcVerifier {
  /** Rejects with IdentityError. */
  verify(token: string): Promise<Principal>;
}

const algorithmsKnown = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

const tokenCharsMax = 16 * 1024;
const cachedMax = 10_000;
// ID tokens, and access tokens by RFC 9068. A logout token or a DPoP proof has a type of its own.
const types = new Set(['jwt', 'at+jwt']);

interface Issuer {
  readonly settings: OidcIssuer;
  readonly audience: string[];
  readonly algorithms: readonly string[];
  readonly azp: readonly string[] | null;
  readonly toleranceSeconds: number;
  readonly keys: ProviderKeys;
}

/**
 * A verifier for the issuers of the configuration. Throws TypeError when one of them can't be: an address that is
 * neither https nor loopback, an algorithm that isn't asymmetric, no audience, the same issuer twice. `now` is in
 * milliseconds since the epoch.
 */
export function createOidcVerifier(
  issuers: readonly OidcIssuer[],
  options: { readonly now: () => number; readonly fetch?: typeof fetch },
): OidcVerifier {
  const known = new Map<string, Issuer>();
  for (const settings of issuers) {
    if (known.has(settings.issuer)) throw new TypeError(`issuer ${settings.issuer} is configured twice`);
    known.set(settings.issuer, openIssuer(settings, options.now, options.fetch ?? fetch));
  }
  const cache = new TokenCache(cachedMax);

  return {
    async verify(token) {
      if (token.length > tokenCharsMax) throw new IdentityError('malformed', 'the token is too large');
      const cacheKey = TokenCache.key(token);
      const cached = cache.get(cacheKey);
      if (cached !== undefined) {
        if (cached.until <= options.now()) {
          cache.delete(cacheKey);
          throw new IdentityError('expired', 'the token has expired');
        }
        if (await known.get(cached.issuer)?.keys.holds(cached.keyId)) return cached.principal;
        cache.delete(cacheKey);
      }

      const { header, claims } = unverified(token);
      // Of what is not verified yet, `iss` only picks one of the trusted issuers and `kid` only one of its keys.
      const issuer = typeof claims.iss === 'string' ? known.get(claims.iss) : undefined;
      if (issuer === undefined)
        throw new IdentityError('wrong_issuer', 'the issuer is not one of those trusted');
      const verified = await verifySignature(token, header, issuer, options.now());
      checkUse(verified.claims, issuer);
      const principal = principalOf(verified.claims, issuer.settings.issuer, issuer.settings.claims);
      cache.set(cacheKey, {
        principal,
        keyId: verified.key.id,
        issuer: issuer.settings.issuer,
        until: (principal.expiresAt + issuer.toleranceSeconds) * 1000,
      });
      return principal;
    },
  };
}

function openIssuer(settings: OidcIssuer, now: () => number, fetchFrom: typeof fetch): Issuer {
  const url = endpointUrl(settings.issuer);
  if (url.search !== '') throw new TypeError(`issuer ${settings.issuer} has a query`);
  const audience = typeof settings.audience === 'string' ? [settings.audience] : [...settings.audience];
  if (audience.length === 0 || audience.includes('')) {
    throw new TypeError(`issuer ${settings.issuer} has no audience`);
  }
  const algorithms = settings.algorithms ?? algorithmsKnown;
  for (const algorithm of algorithms) {
    if (!(algorithmsKnown as readonly string[]).includes(algorithm)) {
      throw new TypeError(
        `algorithm ${algorithm} of issuer ${settings.issuer} is none of ${algorithmsKnown.join(' ')}`,
      );
    }
  }
  const toleranceSeconds = settings.clockToleranceSeconds ?? 30;
  if (!(toleranceSeconds >= 0 && toleranceSeconds <= 120)) {
    throw new TypeError(`the clock tolerance of issuer ${settings.issuer} is not within 0 and 120 seconds`);
  }
  return {
    settings,
    audience,
    algorithms,
    azp: settings.azp === undefined ? null : typeof settings.azp === 'string' ? [settings.azp] : settings.azp,
    toleranceSeconds,
    keys: createProviderKeys({ issuer: settings.issuer, jwksFile: settings.jwksFile, now, fetch: fetchFrom }),
  };
}

interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** RFC 7515, 7.1: three parts of base64url, the first two JSON objects. */
function unverified(token: string): { header: Header; claims: JWTPayload } {
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]*$/.test(part))) {
    throw new IdentityError('malformed', 'the token is not a signed JWT in compact form');
  }
  const header = jsonPart(parts[0] as string);
  const claims = jsonPart(parts[1] as string);
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string') throw new IdentityError('malformed', 'the header has no alg');
  if (kid !== undefined && typeof kid !== 'string') throw new IdentityError('malformed', 'kid is not a text');
  if (typ !== undefined) {
    const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
    if (!types.has(type)) throw new IdentityError('malformed', 'typ is not that of an ID or access token');
  }
  return { header: { alg, kid }, claims };
}

function jsonPart(part: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    throw new IdentityError('malformed', 'a part of the token is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new IdentityError('malformed', 'a part of the token is not a JSON object');
  }
  return value as Record<string, unknown>;
}

async function verifySignature(
  token: string,
  header: Header,
  issuer: Issuer,
  now: number,
): Promise<{ claims: JWTPayload; key: ProviderKey }> {
  // Before any key is looked up: `none` and HS* must not even cause a request to the provider.
  if (!issuer.algorithms.includes(header.alg)) {
    throw new IdentityError('algorithm', 'the signature algorithm is not accepted');
  }
  let candidates = await issuer.keys.candidates(header.kid, header.alg);
  for (let round = 0; ; round++) {
    for (const key of candidates) {
      const claims = await verifyWith(token, key, issuer, now);
      if (claims !== null) return { claims, key };
    }
    // Without a kid only the signature shows that the keys were rotated.
    if (header.kid !== undefined || round > 0 || !(await issuer.keys.renew())) break;
    candidates = await issuer.keys.candidates(header.kid, header.alg);
  }
  throw new IdentityError('bad_signature', 'the signature is wrong');
}

/** Null when the signature isn't of this key. */
async function verifyWith(
  token: string,
  key: ProviderKey,
  issuer: Issuer,
  now: number,
): Promise<JWTPayload | null> {
  try {
    const { payload } = await jwtVerify(token, key.jwk, {
      issuer: issuer.settings.issuer,
      audience: issuer.audience,
      algorithms: [...issuer.algorithms],
      requiredClaims: ['sub', 'exp'],
      clockTolerance: issuer.toleranceSeconds,
      currentDate: new Date(now),
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return null;
    throw identityError(error);
  }
}

function identityError(error: unknown): IdentityError {
  if (error instanceof errors.JWTExpired) return new IdentityError('expired', 'the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed') {
      return new IdentityError('not_yet_valid', 'the token is not valid yet');
    }
    if (error.claim === 'aud') return new IdentityError('wrong_audience', 'the token is for somebody else');
    if (error.claim === 'iss') return new IdentityError('wrong_issuer', 'the issuer is another one');
    if (error.reason === 'missing') {
      return new IdentityError('missing_claim', `the token has no ${error.claim}`);
    }
    return new IdentityError('malformed', `the claim ${error.claim} is not as it must be`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new IdentityError('algorithm', 'the signature algorithm is not accepted');
  }
  if (error instanceof errors.JOSEError)
    return new IdentityError('malformed', 'the token is not a signed JWT');
  // A key of the provider's that can't be used: too short, or not on its curve.
  return new IdentityError('unknown_key', "the issuer's key can't be used");
}

/** What the token was issued for. */
function checkUse(claims: JWTPayload, issuer: Issuer): void {
  // OpenID Connect Back-Channel Logout 1.0, 2.4: a logout token may come with the plain type.
  if (claims.events !== undefined)
    throw new IdentityError('malformed', 'a security event is no proof of identity');
  if (issuer.azp === null) return;
  // OpenID Connect Core 1.0, 3.1.3.7, points 4 and 5.
  if (claims.azp === undefined) {
    if (Array.isArray(claims.aud) && claims.aud.length > 1) {
      throw new IdentityError('wrong_audience', 'the token has several audiences and no azp');
    }
  } else if (typeof claims.azp !== 'string' || !issuer.azp.includes(claims.azp)) {
    throw new IdentityError('wrong_audience', 'the token was issued to another client');
  }
}
