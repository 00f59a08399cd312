/** What a client hears when an upstream's answer can't be delivered: nothing of the answer itself. */
import { ProtocolError } from '../bytes.ts';
import { refusal, type ServerError, serverErrors } from './errors.ts';
import { Breach } from './requests.ts';

export function upstreamFailure(error: Error): ServerError {
  if (error instanceof Breach && error.refused !== null) return refusal(error.refused);
  const malformed = error instanceof Breach || error instanceof ProtocolError;
  return malformed ? serverErrors.upstreamMalformed : serverErrors.upstreamLost;
}
