/** Functions of expressions that give a step a cloud's credential: a token is minted, traded, and kept while it lives. */
import type { ConnectorFacts, ConnectorSpec } from '#features/connectors/schema.ts';
import type { Minted, Minter } from '#features/mint/feature.ts';
import { mintAct, recordMinted } from '#features/mint/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { entryPath } from '#kernel/world.ts';
import type { Delivery, DeliveryUse } from '#platform/delivery.ts';
import type { CloudCredential, CloudExchange } from './exchange.ts';
import type { FarSide } from './far-side.ts';
import type { Kept } from './kept.ts';

export interface CloudServices {
  readonly mint: Minter;
  readonly side: FarSide;
  readonly kept: Kept<Traded>;
}

export interface Traded {
  readonly credential: CloudCredential;
  readonly minted: Minted;
}

export function cloudDelivery<S extends ConnectorSpec>(services: CloudServices, exchange: CloudExchange<S>): Delivery {
  return {
    ...exchange.words,
    async deliver(use) {
      const { made, isNew } = await services.kept.get(keyOf(exchange, use), async () => {
        const traded = await trade(services, exchange, use);
        return { made: traded, expiresAtMs: traded.credential.expiresAtMs };
      });
      const { credential, minted } = made;
      const minting = mintAct(minted);
      const detail = { ...minting.detail, attempt: use.attemptId, traded: exchange.type, credentialExpires: new Date(credential.expiresAtMs) };
      return {
        value: credential.value,
        act: { ...minting, action: isNew ? minting.action : 'token.reuse', detail },
        ...(isNew ? { record: (tx) => recordMinted(tx, minted) } : {}),
      };
    },
  };
}

async function trade<S extends ConnectorSpec>({ mint, side }: CloudServices, exchange: CloudExchange<S>, use: DeliveryUse): Promise<Traded> {
  const { spec } = use.entry.facts as ConnectorFacts;
  if (spec.type !== exchange.type) {
    throw refusal('mint.refused', { say: `the connector \`${entryPath(use.entry)}\` is of type \`${spec.type}\`; \`${exchange.words.name}\` needs one of type \`${exchange.type}\`` });
  }
  const minted = await mint(use, null);
  const wish = use.args[0] === undefined ? null : String(use.args[0]);
  const { claims } = minted;
  const credential = await exchange.trade(side, {
    spec: spec as S, token: minted.token, issuer: claims.iss, subject: claims.sub, wish, session: `sallyport-${use.facts.executionId}`, now: use.now,
  });
  return { credential, minted };
}

/** All that the token says, and whom it is for. */
function keyOf({ type }: { readonly type: string }, { account, entry, facts, args }: DeliveryUse): string {
  return JSON.stringify([type, account.id, entry.uid, entry.version, facts, args]);
}
