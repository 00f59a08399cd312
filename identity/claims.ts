/** From a verified token's claims to a Principal. Pure; what was not verified must not come here. */
import type { JWTPayload } from 'jose';
import type { Principal } from '../policy/decision.ts';
import { IdentityError } from './identity-error.ts';

/** Which claims say what: a claim's name, or a path through nested objects such as `realm_access.roles`. */
export interface ClaimPaths {
  readonly subject: string;
  readonly name: string;
  readonly groups: string;
  readonly region: string;
}

const textMax = 1024;
const groupsMax = 2000;

/** Throws IdentityError `missing_claim`, `malformed` or `groups_overage`. */
export function principalOf(claims: JWTPayload, issuer: string, paths: ClaimPaths): Principal {
  if (typeof claims.sub !== 'string' || claims.sub === '') {
    throw new IdentityError('missing_claim', 'the token has no sub');
  }
  const subject = textClaim(claims, paths.subject);
  if (subject === null) throw new IdentityError('missing_claim', `the token has no claim ${paths.subject}`);
  return {
    subject,
    issuer,
    name: nameOf(claims, paths.name) ?? subject,
    groups: groupsOf(claims, paths.groups),
    region: textClaim(claims, paths.region),
    expiresAt: claims.exp as number,
  };
}

function claimAt(claims: JWTPayload, path: string): unknown {
  // A claim's name may hold dots itself (collision-resistant names, RFC 7519, 4.2).
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function isCleanText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= textMax && !/[\x00-\x1f\x7f]/.test(value);
}

/** Null when the claim is missing or empty. */
function textClaim(claims: JWTPayload, path: string): string | null {
  const value = claimAt(claims, path);
  if (value === undefined || value === null || value === '') return null;
  if (!isCleanText(value)) throw new IdentityError('malformed', `the claim ${path} is not a plain text`);
  return value;
}

/** For display only: what isn't a plain text is no reason to refuse. */
function nameOf(claims: JWTPayload, path: string): string | null {
  const value = claimAt(claims, path);
  return isCleanText(value) && value !== '' ? value : null;
}

function groupsOf(claims: JWTPayload, path: string): readonly string[] {
  const value = claimAt(claims, path);
  if (value === undefined || value === null) {
    if (hasOverage(claims, path)) {
      throw new IdentityError(
        'groups_overage',
        'the identity provider left the groups out because there are too many; have it emit only the groups assigned to this application',
      );
    }
    return [];
  }
  const groups: unknown = typeof value === 'string' ? value.split(/[\s,]+/) : value;
  if (!Array.isArray(groups) || groups.length > groupsMax || !groups.every(isCleanText)) {
    throw new IdentityError('malformed', `the claim ${path} is not a list of texts`);
  }
  return [...new Set(groups.filter((group) => group !== ''))];
}

/** Microsoft Entra: a token with too many groups carries a pointer (or a flag) in their place. */
function hasOverage(claims: JWTPayload, path: string): boolean {
  if (claims.hasgroups === true || claims.hasgroups === 'true') return true;
  const elsewhere = claims._claim_names;
  if (typeof elsewhere !== 'object' || elsewhere === null) return false;
  return Object.hasOwn(elsewhere, 'groups') || Object.hasOwn(elsewhere, path);
}
