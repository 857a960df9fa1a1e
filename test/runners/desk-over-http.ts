/** The fake desk behind the real server, asked through the runner's own transport: the contract over the wire. */
import type { DeskWorld } from '#test/contract/attempt-desk.ts';
import type { AttemptDesk, AttemptRef } from '#features/runners/schema.ts';
import { systemClock } from '#platform/clock.ts';
import { httpTransport } from '#runner/http-transport.ts';
import type { RegisteredIdentity } from '#runner/identity.ts';
import type { RunnerTransport } from '#runner/transport.ts';
import type { TestServer } from '#test/server.ts';
import { FakeDesk } from './fake-desk.ts';
import { registerRunner, startRunnerServer } from './runner-server.ts';

interface Shared {
  readonly server: TestServer;
  readonly identities: Readonly<Record<keyof DeskWorld['runners'], RegisteredIdentity>>;
}

let current = new FakeDesk();
let shared: Promise<Shared> | undefined;

async function start(): Promise<Shared> {
  const server = await startRunnerServer(() => current);
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Organization', identifier: 'platform', spec: {} }]);
  const [one, other, elsewhere] = [await registerRunner(server), await registerRunner(server, { scope: 'payments' }), await registerRunner(server, { scope: 'platform' })];
  return { server, identities: { one, other, elsewhere } };
}

/** One server for all; each world has a desk of its own. */
export async function deskOverHttp({ logBytes }: { readonly logBytes: number }): Promise<DeskWorld> {
  const { server, identities } = await (shared ??= start());
  const fake = (current = new FakeDesk({ logBytes }));
  const transports = new Map(Object.values(identities).map((identity) => [
    identity.registration.runnerId, httpTransport({ url: server.url, account: server.account.identifier }, { identity, clock: systemClock }),
  ]));
  const accountId = server.account.id;
  const runner = ({ registration }: RegisteredIdentity) => ({ runnerId: registration.runnerId, scope: registration.scope, labels: registration.labels });
  return {
    desk: deskOf((runnerId) => transports.get(runnerId)!), accountId, leaseMs: fake.leaseMs, logBytes,
    runners: { one: runner(identities.one), other: runner(identities.other), elsewhere: runner(identities.elsewhere) },
    now: () => new Date(),
    advance: async (ms) => fake.advance(ms),
    offer: async (secret) => void fake.offer(accountId, { scope: 'payments/checkout', ...(secret === undefined ? {} : { step: { secrets: [secret] } }) }),
    cancel: async (attemptId) => fake.cancel(attemptId),
    addSecret: async (attemptId, secret) => fake.addSecret(attemptId, secret),
    log: async (attemptId, stream) => fake.log(attemptId, stream),
  };
}

/** The server knows account, scope, labels and time by itself; the rest is said. */
function deskOf(transportOf: (runnerId: string) => RunnerTransport): AttemptDesk {
  const of = ({ runnerId }: AttemptRef): RunnerTransport => transportOf(runnerId);
  const lease = ({ leaseMs, cancel, maskSet }: { leaseMs: number; cancel: boolean; maskSet: number }) => ({ leaseUntil: new Date(Date.now() + leaseMs), cancel, maskSet });
  return {
    async claim({ runnerId, claimId }) {
      const { claim } = await transportOf(runnerId).claim(claimId, 0);
      return claim === null ? null : { attemptId: claim.attemptId, fence: claim.fence, leaseUntil: new Date(Date.now() + claim.leaseMs) };
    },
    watch: () => () => {},
    payload: (ref) => of(ref).payload(ref),
    masks: (ref, after) => of(ref).masks(ref, after),
    token: (ref, wish) => of(ref).token(ref, wish),
    started: async (ref) => lease(await of(ref).started(ref)),
    heartbeat: async (ref) => lease(await of(ref).heartbeat(ref)),
    appendLog: (ref, chunk) => of(ref).log(ref, chunk),
    result: (ref, result) => of(ref).result(ref, result),
  };
}

