/** The clouds: what a step is given of them, and where they are asked. */
import type { ConnectorSpec } from '#features/connectors/schema.ts';
import type { Minter } from '#features/mint/feature.ts';
import { refusal } from '#kernel/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Delivery, DeliveryWords } from '#platform/delivery.ts';
import type { Outbound } from '#platform/outbound.ts';
import { aws } from './aws.ts';
import { azure } from './azure.ts';
import type { Traded } from './delivery.ts';
import { cloudDelivery } from './delivery.ts';
import type { CloudExchange } from './exchange.ts';
import type { EndpointName } from './far-side.ts';
import { endpointNames } from './far-side.ts';
import { gcp } from './gcp.ts';
import { keep } from './kept.ts';
import { vault } from './vault.ts';

export { trustOf } from './trust/trust.ts';

/** A new cloud is a file beside the others and an entry here. Kubernetes needs none: it takes minted tokens as they are. */
const exchanges = [gcp, aws, azure, vault] as readonly CloudExchange<ConnectorSpec>[];

export const cloudFunctions: readonly DeliveryWords[] = exchanges.map(({ words }) => words);

export interface CloudsOptions {
  readonly mint: Minter;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly endpoint: (name: EndpointName) => string | null;
  readonly firstPauseMs: number;
}

export function cloudDeliveries({ mint, outbound, clock, endpoint, firstPauseMs }: CloudsOptions): readonly Delivery[] {
  const services = { mint, side: { outbound, clock, firstPauseMs, endpoint }, kept: keep<Traded>(clock) };
  return exchanges.map((exchange) => cloudDelivery(services, exchange));
}

/** What the operator put in the place of official endpoints, each as `NAME=URL`; null = nothing. */
export function readEndpoints(endpoints: readonly string[]): (name: EndpointName) => string | null {
  const said = new Map(endpoints.map((text) => {
    const [name, url] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)];
    const known = endpointNames.find((each) => each === name);
    if (known === undefined) throw refusal('config.invalid', { say: `the setting \`cloudEndpoint\`: there is no endpoint \`${name}\`; the names are ${endpointNames.join(', ')}` });
    return [known, url.replace(/\/+$/, '')];
  }));
  return (name) => said.get(name) ?? null;
}
