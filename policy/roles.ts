/** Which roles a principal holds, and what several roles come to together. */
import type { Principal } from './decision.ts';
import type { Policy, Role } from './model.ts';

/** Roles that the principal is a member of, on any database; in the file's order. */
export function memberships(policy: Policy, principal: Principal): readonly Role[] {
  return policy.roles.filter((role) => isMember(role, principal));
}

/** Roles that the principal holds on one database; in the file's order. Groups and subjects compare exactly. */
export function rolesOf(policy: Policy, principal: Principal, database: string): readonly Role[] {
  return policy.roles.filter((role) => covers(role, database) && isMember(role, principal));
}

/** True when the role is granted on the database. */
export function covers(role: Role, database: string): boolean {
  return role.databases.has(database) || role.databases.has('*');
}

function isMember(role: Role, principal: Principal): boolean {
  if (role.issuers !== null && !role.issuers.has('*') && !role.issuers.has(principal.issuer)) return false;
  return (
    role.subjects.has(principal.subject) ||
    role.subjects.has('*') ||
    role.groups.has('*') ||
    principal.groups.some((group) => role.groups.has(group))
  );
}
