/** The records of the product without a server, for documents that are derived from them. */
import { assert } from '#kernel/errors.ts';
import type { App, AppServices } from './app.ts';
import { createApp } from './app.ts';
import { readConfig } from '#platform/config.ts';

/** Services that are there in name only: reading operations off the app calls none of them. */
export function describeApp(): Pick<App, 'kinds' | 'operations'> {
  const services: AppServices = {
    config: readConfig({ flags: {} }, {}),
    rootKey: { id: 'none', bytes: Buffer.alloc(32) },
    publicUrl: () => '',
    log: inNameOnly('log'),
    metrics: inNameOnly('metrics'),
    clock: inNameOnly('clock'),
    randomness: inNameOnly('randomness'),
    database: inNameOnly('database'),
    keyring: inNameOnly('keyring'),
    outbound: inNameOnly('outbound'),
  };
  const { kinds, operations } = createApp(services);
  return { kinds, operations };
}

/** Every member is there to be passed on, and none can be called. */
function inNameOnly<T extends object>(name: string): T {
  const refuse = (): never => {
    assert(false, `${name} is called while documents are derived`);
  };
  return new Proxy(refuse, { get: (_target, member) => inNameOnly(`${name}.${String(member)}`) }) as unknown as T;
}
