/**
 * The run grant: what an execution may do is what its starter may do, decided anew at each use. It keeps the starter's
 * principal, bounds and, of a workload, its verified claims and mappings; it outlives the session, not the mapping.
 */
import type { Bound, Caller, Principal, WorkloadEvidence } from '#kernel/caller.ts';
import type { Keyring } from '#platform/keyring.ts';

interface StoredGrant {
  readonly formatVersion: 1;
  readonly principal: Principal;
  readonly credential: Caller['credential'];
  readonly bounds: 'principal' | readonly Bound[];
  readonly workload: WorkloadEvidence | null;
}

function context(executionId: string): string {
  return `run-grant:${executionId}`;
}

export async function sealGrant(keyring: Keyring, executionId: string, caller: Caller): Promise<Buffer> {
  const { accountId, principal, credential, bounds, workload } = caller;
  const grant: StoredGrant = { formatVersion: 1, principal, credential, bounds, workload: workload ?? null };
  return keyring.seal(accountId, context(executionId), Buffer.from(JSON.stringify(grant)));
}

/** The caller a run acts as. It may not administer: a step never changes trust or access. */
export async function openGrant(keyring: Keyring, place: { readonly accountId: string; readonly executionId: string }, sealed: Uint8Array): Promise<Caller> {
  const grant = JSON.parse((await keyring.open(place.accountId, context(place.executionId), sealed)).toString('utf8')) as StoredGrant;
  return {
    accountId: place.accountId,
    principal: grant.principal,
    credential: { kind: 'run', id: place.executionId },
    bounds: grant.bounds,
    mayAdminister: false,
    expiresAt: null,
    ...(grant.workload === null ? {} : { workload: grant.workload }),
  };
}
