/** Whether one grant alone gives all that is asked (CONTRACTS §4 rules 1–5). */
import type { Question, Reason, ReasonCode } from '#kernel/decision.ts';
import type { Noun } from '#kernel/kind.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { CompiledExtent } from './extent.ts';
import { extentMatches, rangeCovers } from './extent.ts';
import type { Grant } from './grants.ts';
import { grantHas, isLive } from './grants.ts';
import type { Range } from './schema.ts';

/** A question made ready: everything about it that does not depend on a grant. */
export interface Asked extends Question {
  readonly noun: Noun;
  readonly places: readonly ScopePath[];
  readonly nowMs: number;
  /** Not null = only grants that name the permission count, not those of admin roles, and only if they reach all of this. */
  readonly namedOver: Range | null;
}

export function grantAllows(grant: Grant, asked: Asked, context: MatchContext): boolean {
  if (!isLive(grant, asked.nowMs) || !grantHas(grant, asked.permission, asked.noun)) return false;
  if (asked.namedOver !== null && typeof grant.role.permissions === 'string') return false;
  return grant.extents.some((extent) => extentAllows(extent, asked, context));
}

export function extentAllows(extent: CompiledExtent, { target, places, namedOver }: Asked, context: MatchContext): boolean {
  return extentMatches(extent, target, places, context) && (namedOver === null || rangeCovers(extent, namedOver));
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
