/** Why a sign-in by token failed, for the audit. Nothing of the token is in it. */

/** Closed set of codes; they are kept in the audit. */
export type IdentityErrorCode =
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_audience'
  | 'wrong_issuer'
  | 'bad_signature'
  | 'algorithm'
  | 'malformed'
  | 'missing_claim'
  | 'unknown_key'
  | 'provider_unavailable'
  | 'groups_overage';

/** The message names claims, keys' origins and limits; never a claim's value and never a piece of the token. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
