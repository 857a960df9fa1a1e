/**
 * The slot for expression functions whose value exists only for one attempt of a step: secrets, minted tokens. The value
 * goes sealed to the attempt's runner and is known to its masker before the step can print it.
 */
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import type { Entry } from '#kernel/world.ts';
import type { Act } from './call.ts';
import type { Tx } from './database/database.ts';

export interface DeliveryUse {
  readonly account: { readonly id: string; readonly identifier: string };
  /** What the first argument named; the run may use it. */
  readonly entry: Entry;
  /** The arguments after the first. */
  readonly args: readonly unknown[];
  readonly facts: ExecutionFacts;
  readonly attemptId: string;
  readonly now: Date;
}

export interface Delivered {
  /** Text, or several by name: `.name` after the call takes one. All of it is secret. */
  readonly value: string | Readonly<Record<string, string>>;
  readonly act: Act;
  /** Rows to write with the act. */
  readonly record?: (tx: Tx) => Promise<void>;
}

export interface DeliveryWords {
  /** As written in `<+…>`. */
  readonly name: string;
  readonly parameters: { readonly min: number; readonly max: number };
  readonly summary: string;
  readonly example: string;
  /** Kind of what the first argument names. */
  readonly kind: 'secret' | 'connector';
}

export interface Delivery extends DeliveryWords {
  readonly deliver: (use: DeliveryUse) => Promise<Delivered>;
}

/** How an identity reaches a step: in variables, as files that are written anew in time, or at an endpoint that is asked. */
export const identityForms = ['variable', 'file', 'endpoint'] as const;
export type IdentityForm = (typeof identityForms)[number];

/**
 * What only the runner knows and puts in the place of these words, in variables and files of identities alone: the
 * directory of the files as the step sees it, the token endpoint (a query is begun already), the secret to ask there.
 */
export const runnerWords = { files: '${SALLYPORT_FILES}', tokenUrl: '${SALLYPORT_TOKEN_URL}', tokenSecret: '${SALLYPORT_TOKEN_SECRET}' } as const;

export interface IdentityUse extends Omit<DeliveryUse, 'args'> {
  /** As the pipeline calls it: the name of a variable. */
  readonly name: string;
  /** Some of the connector's; null = its first, and any of them may be asked for. */
  readonly audiences: readonly string[] | null;
  /** Null = what tools of the connector's type read. */
  readonly forms: readonly IdentityForm[] | null;
}

export interface GivenFile {
  readonly name: string;
  readonly content: string;
  /** Of the token it is made of, to be written anew with it; null = it stays. */
  readonly audience: string | null;
}

/** One identity as a step is given it. */
export interface GivenIdentity {
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly GivenFile[];
  /** Of the tokens that files are made of, by audience. */
  readonly expiresAtMs: ReadonlyMap<string, number>;
  /** What may be asked for while the step runs. */
  readonly asked: readonly string[];
  /** Texts no log may show. */
  readonly secrets: readonly string[];
  readonly made: readonly Pick<Delivered, 'act' | 'record'>[];
}

/** A token for one audience of an identity, made while the step runs, and the files that are made of it. */
export interface RenewedToken extends Pick<Delivered, 'act' | 'record'> {
  readonly token: string;
  readonly expiresAtMs: number;
  readonly files: readonly Omit<GivenFile, 'audience'>[];
}

export interface IdentityGiver {
  readonly give: (use: IdentityUse) => Promise<GivenIdentity>;
  readonly renew: (use: IdentityUse, audience: string) => Promise<RenewedToken>;
}
