/** The port to a cloud: trades a token minted for it for a credential of its own. One file for each cloud. */
import type { ConnectorSpec } from '#features/connectors/schema.ts';
import type { DeliveryWords } from '#platform/delivery.ts';
import type { FarSide } from './far-side.ts';

export interface CloudExchange<S extends ConnectorSpec> {
  readonly type: S['type'];
  /** The function of expressions that asks for it. */
  readonly words: DeliveryWords;
  /** Throws `cloud.refused` with what is to be mended at the other side, `cloud.unavailable` when it does not answer. */
  readonly trade: (side: FarSide, trade: Trade<S>) => Promise<CloudCredential>;
}

export interface Trade<S extends ConnectorSpec> {
  readonly spec: S;
  /** Minted for this trade. */
  readonly token: string;
  /** Of the token, for what is said about a refusal. */
  readonly issuer: string;
  readonly subject: string;
  /** The function's second argument; null = not given. */
  readonly wish: string | null;
  /** Name of the session where the cloud's own audit shows one; at most 64 letters, digits and `-`. */
  readonly session: string;
  readonly now: Date;
}

export interface CloudCredential {
  /** What the expression evaluates to; every text of it is secret. */
  readonly value: string | Readonly<Record<string, string>>;
  readonly expiresAtMs: number;
}
