/** Questions to the access engine and its answers. A decision is a value with reasons, never an exception. */
import type { Scalar } from './matcher.ts';
import type { Bound } from './caller.ts';
import type { ScopePath } from './scope.ts';

/** A resource as the engine sees it. `identifier` null = a draft without a name, or «any of this kind here». */
export interface Target {
  readonly kind: string;
  readonly scope: ScopePath;
  readonly identifier: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, Scalar | undefined>>;
  /** What an application says of who asks and of the act itself; conditions on external kinds read it. */
  readonly said?: Said;
}

export interface Said {
  readonly principal: Readonly<Record<string, unknown>>;
  readonly action: Readonly<Record<string, unknown>>;
}

export interface Question {
  readonly permission: string;
  readonly target: Target;
}

export type ReasonCode =
  | 'allowed'
  | 'no_binding'
  | 'unknown_principal'
  | 'unknown_permission'
  | 'unknown_scope'
  | 'permission_of_another_kind'
  | 'permission_not_in_role'
  | 'scope_outside_binding'
  | 'scope_outside_resource_group'
  | 'kind_not_selected'
  | 'identifier_not_selected'
  | 'condition_not_met'
  | 'binding_disabled'
  | 'binding_expired'
  | 'mapping_changed'
  | 'outside_bounds';

export interface Reason {
  readonly code: ReasonCode;
  /** Uid of the binding or mapping. */
  readonly binding?: string;
  /** Group uids from the principal up to the bound group. */
  readonly groupPath?: readonly string[];
  readonly role?: string;
  readonly resourceGroup?: string;
  readonly condition?: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reasons: readonly Reason[];
  readonly revision: number;
}

/** One thing a compound act must be allowed to do. */
export type Check =
  /** A permission on a target as it stands before (`before`) or as the call leaves it (`after`). */
  | { readonly ask: 'permission'; readonly permission: string; readonly target: Target; readonly world: 'before' | 'after'; readonly field?: FieldPlace }
  /** What the change gives away must be held by the caller before the call, over the whole range (CONTRACTS §5). */
  | { readonly ask: 'holds'; readonly given: Bound; readonly why: string; readonly unless?: Question; readonly field?: FieldPlace }
  /** The credential must be allowed to administer trust and access. */
  | { readonly ask: 'administer'; readonly kind: string; readonly field?: FieldPlace };

export interface FieldPlace {
  readonly document: number;
  readonly pointer: string;
}
