/**
 * Documents as the naive evaluator keeps them: in one list, each with its uid and with what its references meant when it
 * was saved. Nothing of the product's own reading of scopes and references is used here, so that a mistake in it shows.
 */
import { builtins } from '#features/access/builtins.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Level } from '#kernel/scope.ts';
import type { MatcherWords } from './naive-matcher.ts';

export interface Stored {
  readonly uid: string;
  readonly document: Manifest;
  /** `Role account.reader` → uid it meant at the save; built-ins mean themselves. */
  readonly meant: ReadonlyMap<string, string>;
}

/** Which there are, and what those that list permissions list, the product says; what the others mean, the contract. */
export const builtInRoles: readonly string[] = builtins('role').map(({ identifier }) => identifier);
export const builtInGroups: readonly string[] = [
  'all_account_level_resources', 'all_org_level_resources', 'all_project_level_resources', 'all_resources_including_child_scopes',
];

/** Each with the number of parts of the scopes whose users it means. */
export const builtInUserGroups: Readonly<Record<string, number>> = { all_account_users: 0, all_org_users: 1, all_project_users: 2 };

const known = new Map<string, readonly string[]>();

/** `/` is no part, `payments` one, `payments/checkout` two. Kept, as it is asked millions of times. */
export function partsOf(scope: string | undefined): readonly string[] {
  if (scope === undefined || scope === '' || scope === '/') return [];
  let parts = known.get(scope);
  if (parts === undefined) known.set(scope, (parts = scope.split('/')));
  return parts;
}

export function isAtOrBelow(inner: string | undefined, outer: string | undefined): boolean {
  const innerParts = partsOf(inner);
  return partsOf(outer).every((part, i) => innerParts[i] === part);
}

export function isSameScope(a: string | undefined, b: string | undefined): boolean {
  return isAtOrBelow(a, b) && isAtOrBelow(b, a);
}

export function scopeAt(parts: readonly string[]): string {
  return parts.length === 0 ? '/' : parts.join('/');
}

/** The scope that an organization or project is; null for every other document. */
export function scopeItIs(document: Pick<Manifest, 'kind' | 'scope' | 'identifier'>): string | null {
  if (document.kind !== 'Organization' && document.kind !== 'Project') return null;
  return scopeAt([...partsOf(document.scope), document.identifier]);
}

export function scopeExists(documents: readonly Stored[], scope: string): boolean {
  return partsOf(scope).length === 0 || documents.some(({ document }) => scopeItIs(document) === scope);
}

export function findDocument(documents: readonly Stored[], kind: string, scope: string | undefined, identifier: string): Stored | undefined {
  return documents.find(({ document }) => document.kind === kind && document.identifier === identifier && isSameScope(document.scope, scope));
}

/** All of one call; a document replaces its like and keeps that one's uid. References may lead to documents of the same call. */
export function save(before: readonly Stored[], manifests: readonly Manifest[], newUid: (manifest: Manifest) => string): Stored[] {
  const present = new Map(before.map((stored) => [stored.uid, stored]));
  const uids = manifests.map((document) => {
    const uid = findDocument([...present.values()], document.kind, document.scope, document.identifier)?.uid ?? newUid(document);
    present.set(uid, { uid, document, meant: new Map() });
    return uid;
  });
  for (const uid of uids) {
    const { document } = present.get(uid)!;
    const meant = new Map<string, string>();
    for (const [kind, reference] of referencesOf(document)) {
      const found = meaning([...present.values()], kind, reference, document.scope);
      if (found !== null) meant.set(`${kind} ${reference}`, found);
    }
    present.set(uid, { uid, document, meant });
  }
  return [...present.values()];
}

/** Deletes as `--cascade` does: what lies in a scope goes with it, what refers to it stays and dangles. */
export function remove(before: readonly Stored[], uid: string): Stored[] {
  const gone = before.find((stored) => stored.uid === uid);
  const scope = gone === undefined ? null : scopeItIs(gone.document);
  return before.filter((stored) => stored.uid !== uid && (scope === null || !isAtOrBelow(stored.document.scope, scope)));
}

/** What a document names: manifest kind and the words it names it with. */
export function referencesOf({ kind, spec }: Manifest): [kind: string, reference: string][] {
  if (kind === 'UserGroup') return (spec as GroupWords).members.map(({ type, id }) => [manifestKindOf(type), id]);
  if (kind === 'RoleBinding') {
    const { principal, role, resourceGroup } = spec as BindingWords;
    return [[manifestKindOf(principal.type), principal.id], ['Role', role], ['ResourceGroup', resourceGroup]];
  }
  if (kind === 'ClaimMapping') {
    const { issuer, grants } = spec as MappingWords;
    const named = grants.flatMap(({ role, resourceGroup }): [string, string][] => [
      ['Role', role],
      ...(resourceGroup === undefined ? [] : [['ResourceGroup', resourceGroup] as [string, string]]),
    ]);
    return [['TrustedIssuer', issuer], ...named];
  }
  return [];
}

export function manifestKindOf(type: string): string {
  return { user: 'User', service_account: 'ServiceAccount', user_group: 'UserGroup' }[type] ?? type;
}

/** `x` own scope, `org.x` the org around, `account.x`; users always bare and of the account; built-ins from anywhere. */
function meaning(documents: readonly Stored[], kind: string, reference: string, from: string | undefined): string | null {
  if (kind === 'Role' && builtInRoles.includes(reference)) return builtInUid(kind, reference);
  if (kind === 'ResourceGroup' && builtInGroups.includes(reference)) return builtInUid(kind, reference);
  if (kind === 'UserGroup' && Object.hasOwn(builtInUserGroups, reference)) return builtInUid(kind, reference);
  const [prefix, word] = reference.includes('.') ? (reference.split('.') as [string, string]) : [null, reference];
  if (kind === 'User') return prefix === null ? (findDocument(documents, kind, '/', word)?.uid ?? null) : null;
  if (prefix === 'account') return findDocument(documents, kind, '/', word)?.uid ?? null;
  if (prefix === null) return findDocument(documents, kind, from, word)?.uid ?? null;
  const around = partsOf(from).slice(0, 1);
  return around.length === 0 ? null : (findDocument(documents, kind, scopeAt(around), word)?.uid ?? null);
}

export function builtInUid(kind: string, name: string): string {
  return `built-in ${kind} ${name}`;
}

export interface TypeWords {
  readonly levels: readonly Level[];
  readonly verbs: readonly string[];
}

interface GroupWords {
  readonly members: readonly { readonly type: string; readonly id: string }[];
}

export interface BindingWords {
  readonly principal: { readonly type: string; readonly id: string };
  readonly role: string;
  readonly resourceGroup: string;
  readonly disabled?: boolean;
  readonly expiresAt?: string;
}

export interface SelectorWords {
  readonly type: string;
  readonly identifiers?: readonly string[] | undefined;
  readonly where?: Readonly<Record<string, MatcherWords>> | undefined;
}

export interface GrantWords {
  readonly role: string;
  readonly scope: string | { readonly from: string; readonly map: Readonly<Record<string, string>> };
  readonly resourceGroup?: string;
  readonly resources?: readonly SelectorWords[];
  readonly includeChildScopes?: boolean;
}

export interface MappingWords {
  readonly issuer: string;
  readonly when: readonly (MatcherWords & { readonly claim: string })[];
  readonly grants: readonly GrantWords[];
}
