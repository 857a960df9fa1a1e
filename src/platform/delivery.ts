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
