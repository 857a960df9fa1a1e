/** Claims as such an issuer signs them, without the times; shapes as documented, values invented. */
export interface SampleToken {
  /** What the run was. */
  readonly says: string;
  readonly claims: Readonly<Record<string, unknown>> & { readonly iss: string };
  /** The workload's subject it makes. */
  readonly subject: string;
}

export interface Samples {
  /** Where the shape is documented. */
  readonly from: string;
  readonly tokens: readonly SampleToken[];
}
