/** What a message is refused for that an open transaction or pipeline keeps from being handled. Words alone. */
import type { GateSession, Refused, UpstreamName } from '../gate.ts';

/** An open transaction or pipeline stays where it is. */
export function elsewhereRefused(session: GateSession, here: UpstreamName, there: UpstreamName): Refused {
  return {
    ...session.refuseMessage('a statement for another upstream inside a transaction or pipeline'),
    message: `the open transaction or pipeline is on upstream "${here}", this statement belongs to "${there}"`,
    hint: 'End the transaction (or send Sync) first.',
  };
}

/** The gateway's own questions would end a pipeline. */
export function unreadInPipeline(session: GateSession): Refused {
  return {
    ...session.refuseMessage('a statement in a pipeline whose names have to be looked up anew'),
    hint: 'Send Sync and try again.',
  };
}
