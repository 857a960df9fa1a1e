/** Whether one grant alone gives all that is asked (CONTRACTS §4 rules 1–5). */
import type { Question, Reason, ReasonCode } from '#kernel/decision.ts';
import type { Noun } from '#kernel/kind.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { extentMatches } from './extent.ts';
import type { Grant } from './grants.ts';
import { grantHas, isLive } from './grants.ts';

/** A question made ready: everything about it that does not depend on a grant. */
export interface Asked extends Question {
  readonly noun: Noun;
  readonly places: readonly ScopePath[];
  readonly nowMs: number;
  /** Only roles that name the permission count, not the admin roles that have every one. */
  readonly byName: boolean;
}

export function grantAllows(grant: Grant, asked: Asked, context: MatchContext): boolean {
  if (!isLive(grant, asked.nowMs) || !grantHas(grant, asked.permission, asked.noun)) return false;
  if (asked.byName && typeof grant.role.permissions === 'string') return false;
  return grant.extents.some((extent) => extentMatches(extent, asked.target, asked.places, context));
}

export function reasonOf(grant: Grant, code: ReasonCode): Reason {
  return {
    code,
    binding: grant.via,
    ...(grant.groupPath.length > 0 ? { groupPath: grant.groupPath } : {}),
    role: grant.roleUid,
    ...(grant.resourceGroupUid === null ? {} : { resourceGroup: grant.resourceGroupUid }),
  };
}
