/** What is known in advance about the tokens of one kind of issuer. Data only; the rules that read it lie beside. */
import type { Scalar } from '#kernel/matcher.ts';

/** `any`: one of several, which differs from issuer to issuer. */
export type ClaimType = 'text' | 'number' | 'boolean' | 'list' | 'object' | 'any';

/**
 * `required`: what a token says who it is by; one without it is refused. `always`: documented to be there; when it is
 * not, that is shown, and nobody is locked out for it. `sometimes`: it depends on the run.
 */
export type Presence = 'required' | 'always' | 'sometimes';

export interface KnownClaim {
  /** JSON Pointer. */
  readonly claim: string;
  readonly type: ClaimType;
  readonly presence: Presence;
  /** Never given to somebody else. */
  readonly immutable?: true;
  /** Its value tells one customer of a shared issuer from another; immutable too. */
  readonly tenant?: true;
  /** Pointer of the immutable claim of what this is a name of. Names are given out again. */
  readonly names?: string;
  /** Names this name is one among: it is there once in each of them. */
  readonly namedIn?: readonly string[];
  /** A glob the value must fit to be such a name; others it may have are not about one thing. */
  readonly namesLike?: string;
  /** All it can be. */
  readonly values?: readonly Scalar[];
}

/** A kind of run that others than those who own the source can cause. */
export interface ContextMark {
  readonly context: 'fork' | 'pull request';
  readonly claim: string;
  /** Values that mean it; absent: any value may, so the claim has to be compared. */
  readonly values?: readonly Scalar[];
  /** A condition on one of these shuts it out too. */
  readonly orCompared?: readonly string[];
  /** What to write to keep it out. */
  readonly remedy: string;
}

export interface IssuerAddress {
  /** A glob over the issuer's URL, without a slash at its end. */
  readonly url: string;
  /** Customers who have nothing to do with each other get tokens from it. */
  readonly shared: boolean;
}

export interface Preset {
  /** Whose tokens these are, for people. */
  readonly title: string;
  /** Registered claims of RFC 7519 need no mention unless there is more to say. Empty: nothing is known. */
  readonly claims: readonly KnownClaim[];
  /** Beginnings of pointers: claims whose names customers choose. */
  readonly families?: readonly string[];
  /** Claims the workload's subject is made of, in this order; null = `sub` as it stands. */
  readonly subjectClaims: readonly string[] | null;
  /** Where such issuers are; the first that fits counts. */
  readonly issuers: readonly IssuerAddress[];
  /** It is also run by customers themselves, each for itself, at addresses nobody can list. */
  readonly selfHosted: boolean;
  readonly contexts: readonly ContextMark[];
  /** Tokens that name several audiences are ordinary here. */
  readonly severalAudiences?: true;
}
