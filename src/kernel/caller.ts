/** Who is calling: principal + credential + bounds + actor. What a caller may do is what both principal and bounds allow. */
import type { MatcherSpec } from './matcher.ts';
import type { ScopePath } from './scope.ts';

export type PrincipalType = 'user' | 'service_account' | 'workload' | 'runner' | 'system';

export interface Principal {
  readonly type: PrincipalType;
  /** Resource uid; for a workload its id (issuer + subject), for system a word such as `bootstrap`. */
  readonly uid: string;
  /** As people write it: `alice`, `payments/ci`, `tfc:platform`. */
  readonly path: string;
}

/** One selector of a resource group or grant: kind, and optionally names and conditions; all and-ed. */
export interface Selector {
  readonly type: string;
  readonly identifiers?: readonly string[] | undefined;
  readonly where?: Readonly<Record<string, MatcherSpec>> | undefined;
  /** An expression in CEL. */
  readonly condition?: string | undefined;
}

/** Part of the tree and of what lies in it. `all` includes external kinds. */
export interface Extent {
  readonly scope: ScopePath;
  readonly includeChildScopes: boolean;
  readonly resources: 'all' | readonly Selector[];
}

/** Permissions over an extent; `role:`-like sets are resolved before. `'all'` is every permission of every kind. */
export interface Bound {
  readonly permissions: 'all' | readonly string[];
  readonly extent: Extent;
}

/** What a workload brings: the mappings that matched at the exchange, as they were then. */
export interface MatchedMapping {
  readonly mappingUid: string;
  readonly version: number;
  /** The grants of that version with references resolved to uids, opaque to everybody but the access engine. */
  readonly grants: readonly MappingGrant[];
}

export interface MappingGrant {
  readonly roleUid: string;
  /** Scope after resolution against the claims. */
  readonly scope: ScopePath;
  readonly resourceGroupUid?: string | undefined;
  readonly resources?: readonly Selector[] | undefined;
  readonly includeChildScopes: boolean;
}

/** How an outside token was brought. */
export interface TokenUse {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** To a key its holder has to prove. */
  readonly isBound: boolean;
  /** The token itself is the credential. */
  readonly isDirect: boolean;
}

export interface WorkloadEvidence {
  readonly sessionId: string;
  readonly issuerUid: string;
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the audit may have of them; absent = all. */
  readonly recordedClaims?: Readonly<Record<string, unknown>>;
  readonly mappings: readonly MatchedMapping[];
  /** Absent in runs that were started before it was kept. */
  readonly use?: TokenUse;
}

export interface Caller {
  readonly accountId: string;
  readonly principal: Principal;
  readonly credential: { readonly kind: string; readonly id: string };
  /** `'principal'` says in words that nothing narrows the principal's own rights. */
  readonly bounds: 'principal' | readonly Bound[];
  /** The one who really acts when the principal is impersonated. */
  readonly actor?: Principal;
  readonly workload?: WorkloadEvidence;
  /** May change issuers, mappings, bindings, roles, runner registrations (CONTRACTS §5). */
  readonly mayAdminister: boolean;
  /** Nothing this credential creates may outlive it. Null = the credential does not expire. */
  readonly expiresAt: Date | null;
}
