/** What is known in advance about the tokens of one kind of issuer. */
export interface Preset {
  /** Claims the issuer never gives to somebody else, as JSON Pointers: safe to take a scope from. */
  readonly immutableClaims: readonly string[];
  /** Claims the workload's subject is made of, in this order; null = `sub` as it stands. */
  readonly subjectClaims: readonly string[] | null;
}
