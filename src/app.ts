/** Builds a running app: the features in rank order, and the gate through which the platform asks them. */
import { createHmac } from 'node:crypto';
import { access, authorize, boundsGive, builtin, evaluate, governedGives, hasLiveGrant, holdings, lastAdminGone, shelveBindings, visibleNames } from '#features/access/feature.ts';
import { auditFeature, createRecorder, createRefusalCounts } from '#features/audit/feature.ts';
import type { Recorder, RefusalCounts } from '#features/audit/feature.ts';
import { createKnownTokens, credentialsFeature } from '#features/credentials/feature.ts';
import { apiToken } from '#features/credentials/schema.ts';
import { findById } from '#features/credentials/store.ts';
import { auditNoun } from '#features/audit/schema.ts';
import { cloudDeliveries, cloudFunctions, readEndpoints } from '#features/clouds/feature.ts';
import { connectorKind } from '#features/connectors/schema.ts';
import { allFunctions, createDesk, executionsFeature } from '#features/executions/feature.ts';
import { createIdentities } from '#features/identities/feature.ts';
import { createMintKeys, createMinter, getJwt, jwtDelivery, mintFeature, mintedIntrospector, signingKeyNoun } from '#features/mint/feature.ts';
import type { MintKeys } from '#features/mint/feature.ts';
import { people } from '#features/people/feature.ts';
import { pipelines } from '#features/pipelines/feature.ts';
import { questions, questionsFeature } from '#features/questions/feature.ts';
import { getValue, secretDelivery, secrets } from '#features/secrets/feature.ts';
import { createSnapshots, resourcesFeature } from '#features/resources/feature.ts';
import { runners, runnersFeature } from '#features/runners/feature.ts';
import type { AttemptDesk } from '#features/runners/schema.ts';
import type { ChangeRules, Snapshots } from '#features/resources/feature.ts';
import { manifestBody } from '#features/resources/schema.ts';
import { accountDirectory, tenancy } from '#features/tenancy/feature.ts';
import { sessionStands, trust, trustFeature } from '#features/trust/feature.ts';
import type { UseRecorder } from '#features/usage/feature.ts';
import { createUseRecorder, usageFeature } from '#features/usage/feature.ts';
import { assert } from '#kernel/errors.ts';
import { Kinds } from '#kernel/kind.ts';
import type { Caller } from '#kernel/caller.ts';
import type { BackgroundJob, Manifest, Presented, Recogniser } from '#kernel/manifest.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { World } from '#kernel/world.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import type { Database } from '#platform/database/database.ts';
import type { Delivery } from '#platform/delivery.ts';
import type { HttpServer } from '#platform/http/server.ts';
import { createServer } from '#platform/http/server.ts';
import { createCursors } from '#platform/http/cursor.ts';
import { forgetOldKeys } from '#platform/http/idempotency.ts';
import { createRates } from '#platform/http/limits.ts';
import type { Gate } from '#platform/http/pipeline.ts';
import { healthOperations } from '#platform/http/health.ts';
import { publishedOperations } from '#platform/http/published.ts';
import type { Jobs } from '#platform/jobs.ts';
import { createJobs } from '#platform/jobs.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Log } from '#platform/log.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { Outbound } from '#platform/outbound.ts';
import type { DataKey } from '#platform/sealing.ts';
import { apiVersion, openApi } from '#surfaces/openapi.ts';
import { manifestSchemas } from '#surfaces/schemas.ts';

/** In rank order: a feature imports only those before it. The layering check reads this list. */
const features = [
  'resources', 'audit', 'tenancy', 'access', 'people', 'credentials', 'login', 'masking', 'connectors', 'trust', 'questions', 'usage', 'mint', 'clouds', 'identities',
  'secrets', 'expressions', 'governance', 'runners', 'pipelines', 'executions', 'scm', 'supply-chain',
] as const;

export interface AppServices {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly database: Database;
  readonly keyring: Keyring;
  readonly rootKey: DataKey;
  readonly outbound: Outbound;
  /** URL of this server as callers know it. */
  readonly publicUrl: () => string;
}

export interface App {
  readonly kinds: Kinds;
  readonly operations: readonly AnyOperation[];
  /** Every form a credential may have; no two fit the same token. */
  readonly recognisers: readonly Recogniser[];
  readonly server: HttpServer;
  readonly snapshots: Snapshots;
  readonly desk: AttemptDesk;
  readonly mintKeys: MintKeys;
  start(): Promise<{ readonly url: string }>;
  stop(): Promise<void>;
}

/** Kinds and nouns of the product; they need no service, so surfaces can be derived without a server. */
export function createKinds(publicUrl: () => string | null = () => null): Kinds {
  // Roles may name permissions of features that come later, so they ask for the kinds when all are there.
  const kinds: Kinds = new Kinds([], []);
  const functions = allFunctions(deliveryWords);
  const manifests: Manifest[] = [
    { name: 'audit', nouns: [auditNoun] },
    tenancy,
    access(() => kinds),
    people(() => kinds),
    { name: 'credentials', nouns: [apiToken] },
    { name: 'mint', nouns: [signingKeyNoun] },
    { name: 'connectors', kinds: [connectorKind(() => [publicUrl() ?? []].flat())] },
    trust({ kinds: () => kinds, publicUrl }),
    questions,
    secrets,
    runners,
    pipelines(() => functions),
  ];
  kinds.add(manifests.flatMap((manifest) => manifest.nouns ?? []), manifests.flatMap((manifest) => manifest.kinds ?? []));
  return kinds;
}

/** The functions of expressions whose values are delivered to one attempt. */
const deliveryWords = [getValue, getJwt, ...cloudFunctions];

/** What stands behind them. */
function deliveriesOf({ config, database, keyring, clock, outbound, randomness, metrics, publicUrl }: AppServices, keys: MintKeys, issuerOf: (account: string) => string) {
  const mint = createMinter({ keys, metrics, issuerOf, ownUrls: () => [publicUrl()], uid: randomness.uid });
  const endpoint = readEndpoints(config.cloudEndpoint);
  const clouds = cloudDeliveries({ mint, clock, outbound, endpoint, firstPauseMs: 250 });
  const deliveries: readonly Delivery[] = [secretDelivery({ database, keyring }), jwtDelivery(mint), ...clouds];
  return { deliveries, identities: createIdentities({ mint, deliveries: clouds, endpoint }) };
}

export function createApp(services: AppServices): App {
  const { config, database, clock, randomness, log, metrics, keyring } = services;
  const kinds = createKinds(services.publicUrl);
  const functions = allFunctions(deliveryWords);
  const issuerOf = (account: string): string => `${services.publicUrl()}/accounts/${account}`;
  const record = createRecorder(randomness);
  const refusals = createRefusalCounts({ database, clock, randomness, record });
  const uses = createUseRecorder({ database });
  const snapshots = createSnapshots({ database, kinds, shelve: shelveBindings, clock, log, metrics, staleAfterMs: config.staleAfterMs, pollMs: config.accessPollMs, maxEntries: config.snapshotEntries });
  const cursors = createCursors(createHmac('sha256', services.rootKey.bytes).update('cursors').digest());
  const rates = createRates(database, clock);
  const shared = {
    database, keyring, kinds, snapshots, rules: changeRules(kinds), cursors, clock, randomness, metrics,
    visibleNames: (world: World, caller: Caller, now: Date) => visibleNames(world, kinds, caller, now),
  };
  const manifests: Manifest[] = [
    resourcesFeature(shared),
    auditFeature({ ...shared, refusals, sequencerMs: config.sequencerMs }),
    credentialsFeature({
      ...shared,
      tokens: createKnownTokens(shared),
      holdings: (world, principal) => holdings(world, kinds, principal),
      decide: (world, asker, question, now) => evaluate(world, kinds, asker, question, now),
    }),
  ];
  const account = accountDirectory(shared);
  const mintKeys = createMintKeys({ ...shared, policy: { lifeMs: config.signingKeyDays * 86_400_000, aheadMs: config.signingKeyAheadMs, overlapMs: config.signingKeyOverlapMs } });
  const desk = createDesk({
    ...shared, record, functions, ...deliveriesOf(services, mintKeys, issuerOf), leaseMs: config.leaseMs, used: uses.used,
    decide: (world, caller, question, now) => evaluate(world, kinds, caller, question, now),
    credentialLives: async (accountId, { kind, id }, now) => {
      if (kind === 'session') return sessionStands(database.read, accountId, id);
      const credential = await findById(database.read, accountId, id);
      return credential !== null && credential.revokedAt === null && (credential.expiresAt === null || credential.expiresAt > now);
    },
  });
  const runnerDoor = runnersFeature({
    ...shared, desk, heartbeatMs: Math.ceil(config.leaseMs / 3), requestTimeoutMs: config.requestTimeoutMs, maxInFlight: config.maxInFlight,
    stillMay: async ({ call, credential, checks }) => {
      const { world, now } = call;
      const caller = await again(recognisers, { accountId: call.account.id, ...credential, now });
      return caller !== null && authorize({ kinds, caller, before: world, after: world, checks, now }).allowed;
    },
  });
  manifests.push(
    trustFeature({
      ...shared, record, refusals, rates, introspectors: [mintedIntrospector({ keys: mintKeys, database, issuerOf })], outbound: services.outbound, publicUrl: services.publicUrl, refusedExchangesPerMinute: config.refusedExchangesPerMinute,
      callerRate: { perSecond: config.requestsPerSecond, burst: config.requestBurst },
      issuerRate: { perSecond: config.exchangesPerSecond, burst: 5 * config.exchangesPerSecond },
    }),
    questionsFeature({ ...shared, account, used: uses.used, publicUrl: services.publicUrl, liveSession: (accountId, id, now) => again(recognisers, { accountId, kind: 'session', id, now }) }),
    usageFeature({ ...shared, uses }),
    mintFeature({ ...shared, keys: mintKeys, issuerOf, account }),
    executionsFeature({ ...shared, record, functions, issuerOf, timersMs: config.accessPollMs }),
    runnerDoor.manifest,
  );
  assertRanked(manifests);
  const recognisers = manifests.flatMap((manifest) => manifest.recognisers ?? []);
  const gate = createGate({ kinds, snapshots, account, record, refusals, uses, recognisers });
  const sweeps: BackgroundJob[] = [
    { name: 'rates.sweep', everyMs: 600_000, run: (signal) => rates.sweep(signal) },
    { name: 'idempotency.sweep', everyMs: 600_000, run: (signal) => forgetOldKeys(database, clock, signal) },
  ];
  const jobs: Jobs = createJobs([...manifests.flatMap((manifest) => manifest.jobs ?? []), ...sweeps], log);
  const operations: readonly AnyOperation[] = [
    ...manifests.flatMap((manifest) => manifest.operations ?? []),
    ...healthOperations({ database, metrics }),
    ...publishedOperations({ openApi: () => openApi(operations, { version: apiVersion, kinds }), schemas: () => manifestSchemas(kinds, manifestBody) }),
  ];
  const server = createServer({ config, log, gate, database, clock, randomness, metrics, rates }, operations);
  return {
    kinds, operations, recognisers, server, snapshots, desk, mintKeys,
    async start() {
      await snapshots.start();
      await desk.listen();
      jobs.start();
      return server.listen();
    },
    async stop() {
      runnerDoor.release();
      await server.drain();
      snapshots.stop();
      await jobs.stop();
      await refusals.flush().catch((error: unknown) => log.warn({ because: String(error) }, 'summaries of refusals are lost'));
      await uses.flush().catch((error: unknown) => log.warn({ because: String(error) }, 'what permissions were used for in the last seconds is lost'));
    },
  };
}

function assertRanked(manifests: readonly Manifest[]): void {
  const unranked = manifests.filter((manifest) => !(features as readonly string[]).includes(manifest.name));
  assert(unranked.length === 0, `${unranked.map((manifest) => manifest.name).join(', ')} has no rank among the features`);
}

function changeRules(kinds: Kinds): ChangeRules {
  return {
    builtIns: (kind, identifier) => builtin(kind, identifier)?.uid,
    governed: (before, after, worldAfter, bounds) => [...governedGives(before, after, worldAfter, kinds), ...boundsGive(bounds, { before, after }, worldAfter, kinds)],
    lastAdminGone,
  };
}

interface GateParts {
  readonly kinds: Kinds;
  readonly snapshots: Snapshots;
  readonly account: Gate['account'];
  readonly record: Recorder;
  readonly refusals: RefusalCounts;
  readonly uses: UseRecorder;
  readonly recognisers: readonly Recogniser[];
}

/** The engine behind the platform's questions. */
function createGate({ kinds, snapshots, account, record, refusals, uses, recognisers }: GateParts): Gate {
  return {
    account,
    world: (accountId, minRevision) => snapshots.world(accountId, minRevision),
    authenticate: (presented) => recognise(recognisers, presented),
    decide: (world, caller, question, now) => evaluate(world, kinds, caller, question, now),
    authorize: (input) => authorize({ ...input, kinds }),
    reaches: (world, caller, scope, now) => hasLiveGrant(world, kinds, caller, scope, now),
    record,
    countAnonymous: (refused) => refusals.count(refused),
    used: uses.used,
  };
}

/** The caller of a credential that was used before, as it is now; null = it is not accepted any more. */
async function again(all: readonly Recogniser[], credential: { accountId: string; kind: string; id: string; now: Date }): Promise<Caller | null> {
  const callers = await Promise.all(all.map(async (recogniser) => (await recogniser.again?.(credential)) ?? null));
  return callers.find((caller) => caller !== null) ?? null;
}

/** At most one form may match: two would mean that a token could be read in two ways. */
function recognise(all: readonly Recogniser[], presented: Presented): Promise<Caller | null> {
  const fitting = all.filter((recogniser) => recogniser.matches(presented.token));
  assert(fitting.length <= 1, `a credential fits ${fitting.map((recogniser) => recogniser.name).join(' and ')}`);
  const [recogniser] = fitting;
  if (recogniser === undefined || (presented.possession.scheme !== 'Bearer' && recogniser.knowsSchemes !== true)) return Promise.resolve(null);
  return recogniser.authenticate(presented);
}
