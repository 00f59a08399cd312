/** Signs clients in: token to principal, place of the client, database, roles, limits; then a GateSession. */
import { randomBytes } from 'node:crypto';
import { IdentityError } from '../identity/oidc.ts';
import type { Principal } from '../policy/decision.ts';
import { rolesOf } from '../policy/roles.ts';
import type { Credentials, Gate, GateSession, SessionControl, SignInRefused } from '../protocols/gate.ts';
import type { Database } from './config.ts';
import { LiveSession } from './gate-session.ts';
import type { GatewayState } from './state.ts';

const connectionIdMax = 0x7fff_ffff;

export function createGate(state: GatewayState): Gate {
  const { first, step } = state.peers.connectionIds;
  let next = first;
  return {
    connectionId: () => {
      const id = next;
      next = id + step > connectionIdMax ? first : id + step;
      return id;
    },
    signIn: (credentials, control) => signIn(state, credentials, control),
    ownerKey: state.peers.ownerKey,
    ownsElsewhere: (owner) => state.peers.owns(owner),
    killElsewhere: (id, queryOnly, owner) => state.peers.kill(id, queryOnly, owner),
    cancelElsewhere: (processId, key) => state.peers.cancel(processId, key),
  };
}

async function signIn(
  state: GatewayState,
  credentials: Credentials,
  control: SessionControl,
): Promise<GateSession | SignInRefused> {
  const id = randomBytes(9).toString('base64url');
  let asked = credentials.database;
  const opened = {
    session_id: id,
    protocol: credentials.protocol,
    client_address: credentials.clientAddress,
  };
  const refuse = (
    fault: SignInRefused['fault'],
    error: string,
    message: string,
    principal?: Principal,
  ): SignInRefused => {
    const template = state.audit.template({
      ...opened,
      database: asked,
      event: 'session.opened',
      decision: 'refuse',
      reasons:
        fault === 'database'
          ? [error === 'no_role' ? 'no_role' : 'unknown_database']
          : fault === 'unavailable'
            ? ['limit']
            : [],
      gateway_region: state.config.region,
      policy_version: state.policy.version,
      ...(principal
        ? { subject: principal.subject, issuer: principal.issuer, groups: principal.groups }
        : {}),
      error,
    });
    state.audit.defer(template, state.now(), {});
    state.meters.signIn(error);
    return { effect: 'refuse', fault, message };
  };

  if (state.draining) return refuse('unavailable', 'draining', 'the gateway is shutting down');
  // The seats decide; this spares the token's verification.
  if (state.sessions.size >= state.config.limits.sessions_max) {
    return refuse('unavailable', 'sessions_max', 'too many sessions');
  }
  let principal: Principal;
  try {
    principal = await state.verify(credentials.secret);
  } catch (error) {
    const code = error instanceof IdentityError ? error.code : 'verification_failed';
    return refuse('sign_in', code, 'sign-in failed');
  }
  if (asked === '') {
    const only = onlyDatabase(state, principal, credentials.protocol);
    if (typeof only === 'string') return refuse('database', only, 'no database was named', principal);
    asked = only.name;
  }
  const database = state.config.databases.get(asked);
  if (!database || database.protocol !== credentials.protocol) {
    return refuse('database', 'unknown_database', `database "${asked}" does not exist here`, principal);
  }
  if (rolesOf(state.policy, principal, database.name).length === 0) {
    return refuse('database', 'no_role', `database "${asked}" does not exist here`, principal);
  }
  const claimed =
    principal.region !== null && state.policy.regions.has(principal.region) ? principal.region : null;
  const client = claimed ?? state.regionOf(credentials.clientAddress);
  try {
    await state.decider.prepareCatalogs({ database, pinned: null });
  } catch {
    return refuse(
      'unavailable',
      'upstream',
      `the upstream of database "${database.name}" can't be reached`,
      principal,
    );
  }
  const seat = await state.seats.take(`${principal.issuer}\n${principal.subject}`);
  if (typeof seat === 'string') return refuse('unavailable', seat, 'too many sessions', principal);
  const session = LiveSession.open(state, { id, principal, database, credentials, client, control, seat });
  if ('effect' in session) {
    seat.release();
    state.meters.signIn('audit_unavailable');
    state.meters.auditUnavailable.value++;
  } else state.meters.signIn('ok');
  return session;
}

/** What a client means that names no database: the only one that its roles give it. An error for the audit when none or several are;
 *  PostgreSQL's clients always name one. */
function onlyDatabase(
  state: GatewayState,
  principal: Principal,
  protocol: Credentials['protocol'],
): Database | 'unknown_database' | 'no_role' | 'several_databases' {
  if (protocol !== 'mysql') return 'unknown_database';
  const given = [...state.config.databases.values()].filter(
    (one) => one.protocol === protocol && rolesOf(state.policy, principal, one.name).length > 0,
  );
  if (given.length > 1) return 'several_databases';
  return given[0] ?? 'no_role';
}
