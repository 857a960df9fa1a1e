/** What is fixed about a run: from the world and the caller as verified, from nothing the caller says of itself. */
import { defaultLimits } from '#features/pipelines/feature.ts';
import type { UserFacts } from '#features/people/schema.ts';
import type { ExecutionRecord } from '#features/pipelines/feature.ts';
import type { EnvironmentEntity, NamedEntity, TriggeredBy } from '#kernel/execution-facts.ts';
import { accountScope, parentOf } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';

/** What a reference of the plan was resolved to. */
export interface Resolved {
  readonly reference: string;
  readonly entry: Entry;
}

export function recordOf(call: Call, executionId: string, resolved: readonly Resolved[]): ExecutionRecord {
  const org = parentOf(call.scope)!;
  const { workload } = call.caller;
  const ofKind = (kind: string): Resolved[] => resolved.filter(({ entry }) => entry.kind === kind);
  return {
    formatVersion: 1,
    executionId,
    // Drawn when the run is written.
    sequenceId: 0,
    account: { identifier: call.account.identifier, uid: call.account.id, name: null },
    organization: named(call.world.find('organization', accountScope, org)!),
    project: named(call.world.find('project', org, call.scope.slice(org.length + 1))!),
    trigger: { type: 'MANUAL' },
    triggeredBy: triggeredBy(call),
    origin: workload === undefined ? null : { issuer: workload.issuer, subject: workload.subject, sessionId: workload.sessionId },
    untrusted: false,
    limits: defaultLimits,
    environments: ofKind('environment').map(({ reference, entry }) => ({ ...named(entry), reference, type: entry.attributes['type'] as EnvironmentEntity['type'] })),
    services: ofKind('service').map(({ reference, entry }) => ({ ...named(entry), reference })),
  };
}

function triggeredBy({ caller: { principal }, world }: Call): TriggeredBy {
  const entry = world.get(principal.uid);
  return {
    type: principal.type, id: principal.uid, name: entry?.name ?? entry?.identifier ?? principal.path,
    email: entry?.kind === 'user' ? (entry.facts as UserFacts).email : null,
  };
}

function named({ identifier, uid, name }: Entry): NamedEntity {
  return { identifier, uid, name };
}
