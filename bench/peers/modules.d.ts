/** The little we use of the peers, so that types can be checked where they are not installed. */

declare module '@casl/ability' {
  interface RawRule {
    readonly action: readonly string[];
    readonly subject: string;
    readonly conditions: Readonly<Record<string, unknown>>;
  }
  interface MongoAbility {
    can(action: string, subject: object): boolean;
  }
  export function createMongoAbility(rules: readonly RawRule[], options: { readonly detectSubjectType: (subject: { readonly kind: string }) => string }): MongoAbility;
}

declare module 'casbin' {
  interface Model {
    readonly kind: 'model';
  }
  interface Enforcer {
    addPolicies(rules: readonly (readonly string[])[]): Promise<boolean>;
    addGroupingPolicies(rules: readonly (readonly string[])[]): Promise<boolean>;
    enforce(...request: readonly string[]): Promise<boolean>;
    enforceSync(...request: readonly string[]): boolean;
  }
  export function newModelFromString(text: string): Model;
  export function newEnforcer(model: Model): Promise<Enforcer>;
}

declare module '@cedar-policy/cedar-wasm/nodejs' {
  interface EntityUid {
    readonly type: string;
    readonly id: string;
  }
  interface EntityJson {
    readonly uid: EntityUid;
    readonly attrs: Readonly<Record<string, unknown>>;
    readonly parents: readonly EntityUid[];
  }
  interface Call {
    readonly principal: EntityUid;
    readonly action: EntityUid;
    readonly resource: EntityUid;
    readonly context: Readonly<Record<string, unknown>>;
    readonly preparsedPolicySetId: string;
    readonly entities: readonly EntityJson[];
  }
  type Answer = { readonly type: 'success'; readonly response: { readonly decision: 'allow' | 'deny'; readonly diagnostics: { readonly errors: readonly unknown[] } } } | { readonly type: 'failure'; readonly errors: readonly unknown[] };
  export function preparsePolicySet(id: string, policies: { readonly staticPolicies: string }): { readonly type: 'success' } | { readonly type: 'failure'; readonly errors: readonly unknown[] };
  export function statefulIsAuthorized(call: Call): Answer;
}
