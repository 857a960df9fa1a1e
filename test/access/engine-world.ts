/** The same documents as the product holds them: read, references resolved, facts compiled, changes applied. */
import { builtin } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { MappingFacts } from '#features/access/schema.ts';
import { readDocuments } from '#features/resources/read-documents.ts';
import { resolveReferences } from '#features/resources/references.ts';
import type { Manifest } from '#features/resources/schema.ts';
import { entryOf } from '#features/resources/store.ts';
import type { PrincipalType, WorkloadEvidence } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';

/** Entries of the documents of one call; `uidOf` says which uid each has or gets. Throws when one is refused. */
export function entriesOf(world: World, kinds: Kinds, manifests: readonly Manifest[], uidOf: (manifest: Manifest) => string): Entry[] {
  const { documents, errors } = readDocuments(kinds, manifests);
  if (errors.length > 0) throw new Error(`the document is refused: ${JSON.stringify(errors)}`);
  const uids = manifests.map(uidOf);
  const shells = documents.map(({ kind, scope, identifier, name, tags }, i): Entry => (
    { uid: uids[i]!, kind, scope, identifier, name, version: 1, tags, attributes: {}, facts: undefined }
  ));
  const after = world.overlay(shells.map((put) => ({ put })));
  const context = { after, builtIns: (kind: string, name: string) => builtin(kind, name)?.uid, mayView: () => true };
  return documents.map((document, i) => {
    const resolved = resolveReferences(kinds.kinds.get(document.kind)!, document, context);
    if (resolved.errors.length > 0) throw new Error(`a reference is refused: ${JSON.stringify({ document, errors: resolved.errors })}`);
    const version = (world.get(uids[i]!)?.version ?? 0) + 1;
    return entryOf(kinds, { ...document, uid: uids[i]!, refs: resolved.refs, version });
  });
}

/** What an exchange of such claims would leave, as the store keeps it. */
export function evidenceOf(world: World, said: Pick<WorkloadEvidence, 'issuerUid' | 'issuer' | 'subject' | 'claims'>): WorkloadEvidence {
  const { issuerUid, claims } = said;
  const mappings = [...world.list('claim_mapping')].flatMap((mapping) => {
    const facts = mapping.facts as MappingFacts;
    const grants = facts.issuerUid === issuerUid ? facts.grantsFor(claims) : [];
    return grants.length === 0 ? [] : [{ mappingUid: mapping.uid, version: mapping.version, grants }];
  });
  return { sessionId: 's', ...said, mappings };
}

export function askerOf(
  who: { readonly accountId: string; readonly type: string; readonly uid: string },
  bounds: Asker['bounds'],
  workload: WorkloadEvidence | undefined,
): Asker {
  const principal = { type: who.type as PrincipalType, uid: who.uid, path: who.uid };
  return { accountId: who.accountId, bounds, principal, ...(workload === undefined ? {} : { workload }) };
}
