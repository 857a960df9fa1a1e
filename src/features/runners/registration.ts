/**
 * How a runner comes to be known: somebody who holds what it will be trusted with makes a one-time token; the runner
 * brings it back with its public keys and shows that it has the private one.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Check, Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import { duration, durationSeconds } from '#kernel/marks.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, resourcePath } from '#kernel/scope.ts';
import type { Recorder } from '#features/audit/feature.ts';
import { authorOf } from '#features/resources/feature.ts';
import { identifier } from '#features/resources/schema.ts';
import type { Call } from '#platform/call.ts';
import { open, operation } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { digestOf, isGenuine, readRequestToken } from './request-token.ts';
import type { RegisterBody, Registered } from './schema.ts';
import { labels, protocolVersion, registerBody, registerUnsigned, registered, registrationWord } from './schema.ts';
import { sealFor } from './seal.ts';
import type { Registration, Runner } from './store.ts';
import {
  findNamed, findRegistration, findRunner, insertRegistration, insertRunner, nameTaken, revokeRegistration, sameKey, useRegistration,
} from './store.ts';

export interface RegistrationServices {
  readonly database: Database;
  /** Whether a credential that was accepted before is still accepted, and its caller still passes these checks. */
  readonly stillMay: (act: { readonly call: Call; readonly credential: { readonly kind: string; readonly id: string }; readonly checks: readonly Check[] }) => Promise<boolean>;
}

const registerPath = '/runners:register';
const localTtlMs = 600_000;

const newRegistration = z.strictObject({
  identifier: identifier.optional().describe('of the runner; absent = made up'),
  labels: labels.default([]).describe('what steps may ask for'),
  ttl: duration({ minSeconds: 60, maxSeconds: 86_400 }).default('1h').describe('how long the token may wait to be used'),
});

const registrationAnswer = z.strictObject({
  id: z.uuid(),
  account: z.string(),
  scope: z.string(),
  identifier: z.string(),
  labels: z.array(z.string()),
  expiresAt: z.iso.datetime({ precision: 3 }),
  token: z.string().describe('shown once; good for one runner'),
});

export function registrationOperations(services: RegistrationServices): AnyOperation[] {
  const create = operation({
    name: 'runner_registration.create',
    summary: 'Makes a one-time token for a runner of this scope; the answer is what `sallyport runner --registration-file` reads',
    method: 'POST',
    path: '{scope}/runner-registrations',
    input: { body: newRegistration },
    output: registrationAnswer,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: z.infer<typeof newRegistration> }) => {
        if (!call.world.hasScope(call.scope)) throw refusal('access.not_found');
        const name = body.identifier ?? madeUpName((bytes) => call.random(bytes));
        const checks = creationChecks(call.scope, name);
        return { checks, before: call.world, after: call.world.overlay([]), found: name };
      },
    },
    audit: 'runner_registration.create',
    dialect: 'api',
    prepare: async (call, { body }, name: string) => {
      if ((await findNamed(services.database.read, call.account.id, { scope: call.scope, identifier: name })) !== null) throw nameTaken(name);
      const expiresAt = new Date(call.now.getTime() + durationSeconds(body.ttl) * 1_000);
      const { caller } = call;
      if (caller.expiresAt !== null && expiresAt > caller.expiresAt) {
        throw refusal('request.invalid', { errors: [{ pointer: '/ttl', message: `the token would outlive the credential that makes it, which ends at ${caller.expiresAt.toISOString()}` }] });
      }
      const registration: Registration = {
        accountId: call.account.id, id: call.uid(), scope: call.scope, identifier: name, labels: body.labels,
        createdAt: call.now, createdBy: authorOf(caller), madeWith: caller.credential, expiresAt,
      };
      return { registration, token: makeToken((bytes) => call.random(bytes)) };
    },
    write: async (tx, call, _input, { registration, token }) => {
      await insertRegistration(tx, { ...registration, hash: hashToken(token) });
      call.note(createdAct(registration));
      const { id, scope, labels: given, expiresAt } = registration;
      return new Reply({ id, account: call.account.identifier, scope, identifier: registration.identifier, labels: given, expiresAt: expiresAt.toISOString(), token }, { status: 201 });
    },
  });

  const remove = operation({
    name: 'runner_registration.delete',
    summary: 'Revokes a registration token that was not used yet',
    method: 'DELETE',
    path: '{scope}/runner-registrations/{id}',
    input: { params: z.strictObject({ id: z.uuid() }) },
    output: null,
    access: {
      shape: 'plan',
      plan: async (call: Call) => {
        if (!call.world.hasScope(call.scope)) throw refusal('access.not_found');
        const checks: Check[] = [{ ask: 'permission', permission: 'runner.create', target: runnerTarget(call.scope, null), world: 'before' }, { ask: 'administer', kind: 'runner' }];
        return { checks, before: call.world, after: call.world.overlay([]), found: null };
      },
    },
    audit: 'runner_registration.delete',
    dialect: 'api',
    write: async (tx, call, { params }) => {
      if (!(await revokeRegistration(tx, { accountId: call.account.id, scope: call.scope, id: params.id }, call.now))) throw refusal('access.not_found');
      call.note({ scope: call.scope, resource: { kind: 'runner_registration', uid: params.id, path: params.id } });
      return null;
    },
  });

  const register = operation({
    name: 'runner.register',
    summary: 'Makes the caller known as a runner, by its registration token and its public keys',
    method: 'POST',
    path: `{account}${registerPath}`,
    input: { body: registerBody },
    output: registered,
    access: open('the registration token is the credential'),
    audit: 'runner.register',
    dialect: 'runner',
    prepare: async (call, { body }) => {
      checkProof(call, body);
      await refuseDisowned(services, call, hashToken(body.token));
      const id = call.uid();
      await sealFor({ id, sealingKey: body.sealingKey }, null).catch((cause: unknown) => {
        throw refusal('request.invalid', { errors: [{ pointer: '/sealingKey', message: 'nothing can be sealed to this key' }], cause });
      });
      return id;
    },
    write: async (tx, call, { body }, id: string) => answerOf(await takeRegistration(tx, call, { body, id })),
  });

  return [create, remove, register];
}

/** A registration without a request, for the runner `serve` starts itself. Returns what its registration file holds. */
export async function registerLocal(
  services: { readonly database: Database; readonly clock: Clock; readonly randomness: Randomness; readonly record: Recorder },
  account: { readonly id: string; readonly identifier: string },
  runner: { readonly labels: readonly string[] } = { labels: [] },
): Promise<z.infer<typeof registrationAnswer>> {
  const { database, clock, randomness, record } = services;
  const now = clock.now();
  const token = makeToken(randomness.bytes);
  const registration: Registration = {
    accountId: account.id, id: randomness.uid(), scope: accountScope, identifier: `local_${randomness.bytes(4).toString('hex')}`, labels: runner.labels,
    createdAt: now, createdBy: 'system:serve', madeWith: null, expiresAt: new Date(now.getTime() + localTtlMs),
  };
  await database.transaction(async (tx) => {
    await insertRegistration(tx, { ...registration, hash: hashToken(token) });
    const context = { accountId: account.id, now, caller: null, address: null, requestId: registration.id, action: 'runner_registration.create' };
    await record(tx, context, [{ ...createdAct(registration), actor: { type: 'system', uid: 'serve', path: 'serve' } }]);
  });
  const { id, scope, identifier: name, labels: given, expiresAt } = registration;
  return { id, account: account.identifier, scope, identifier: name, labels: [...given], expiresAt: expiresAt.toISOString(), token };
}

export function runnerTarget(scope: ScopePath, name: string | null): Target {
  return { kind: 'runner', scope, identifier: name, tags: {}, attributes: {} };
}

function creationChecks(scope: ScopePath, name: string): Check[] {
  return trustChecks({ permission: 'runner.create', target: runnerTarget(scope, name) });
}

/** A runner of a scope is handed every secret and connector its steps use, so whoever brings one holds them (CONTRACTS §5). */
export function trustChecks({ permission, target }: { readonly permission: string; readonly target: Target }): Check[] {
  const extent = { scope: target.scope, includeChildScopes: true, resources: 'all' } as const;
  return [
    { ask: 'permission', permission, target, world: 'before' },
    { ask: 'administer', kind: 'runner' },
    ...['secret.access', 'connector.access'].map((needed): Check => ({
      ask: 'holds', given: { permissions: [needed], extent }, why: `a runner of this scope is handed what its steps use: you must hold \`${needed}\` over all of it`,
    })),
  ];
}

function createdAct({ id, scope, identifier: name, labels: given, expiresAt }: Registration) {
  return { scope, resource: { kind: 'runner_registration', uid: id, path: id }, detail: { runner: resourcePath(scope, name), labels: given, expiresAt } };
}

/** The proof is a request token over the other fields, made with the key that is being registered. */
function checkProof(call: Call, body: RegisterBody): void {
  const { proof, ...unsigned } = body;
  const read = readRequestToken(proof);
  const rightRequest = read !== null
    && read.claims.iss === registrationWord && read.claims.aud === registrationWord
    && read.claims.htu === `/api/v1/accounts/${call.account.identifier}${registerPath}`
    && read.claims.digest === digestOf(registerUnsigned.parse(unsigned));
  if (!rightRequest || !isGenuine(read, body.signingKey, call.now)) throw refusal('credential.invalid', { because: 'the proof of a registration does not hold' });
}

/** What nobody may make any more is worth nothing: the maker is asked about again as if the token were made now. */
async function refuseDisowned({ database, stillMay }: RegistrationServices, call: Call, hash: Buffer): Promise<void> {
  const registration = await findRegistration(database.read, call.account.id, hash, { locked: false });
  if (registration === null) throw refusal('credential.invalid', { because: 'no such registration' });
  const { madeWith, runnerId, scope, identifier: name } = registration;
  if (madeWith === null || runnerId !== null) return;
  if (!(await stillMay({ call, credential: madeWith, checks: creationChecks(scope, name) }))) {
    throw refusal('credential.invalid', { because: 'whoever made the registration may not make it any more' });
  }
}

async function takeRegistration(tx: Tx, call: Call, { body, id }: { readonly body: RegisterBody; readonly id: string }): Promise<Runner> {
  const registration = await findRegistration(tx, call.account.id, hashToken(body.token), { locked: true });
  if (registration === null || registration.revoked) throw refusal('credential.invalid', { because: 'no such registration' });
  if (registration.runnerId !== null) {
    // The answer may not have arrived: the same keys get it again, nobody else does.
    const runner = await findRunner(tx, call.account.id, registration.runnerId);
    if (runner === null || runner.state === 'removed' || !sameKey(runner.signingKey, body.signingKey)) throw refusal('credential.invalid', { because: 'the registration was used' });
    return runner;
  }
  if (registration.expiresAt <= call.now || !call.world.hasScope(registration.scope)) throw refusal('credential.invalid', { because: 'the registration has expired' });
  const { scope, identifier: name, labels: given, createdBy } = registration;
  const runner: Runner = {
    accountId: call.account.id, id, scope, identifier: name, labels: given, signingKey: body.signingKey, sealingKey: body.sealingKey,
    state: 'active', createdAt: call.now, createdBy, seenAt: null,
  };
  await insertRunner(tx, runner);
  await useRegistration(tx, registration, id);
  const path = resourcePath(scope, name);
  call.note({ scope, actor: { type: 'runner', uid: id, path }, resource: { kind: 'runner', uid: id, path }, detail: { registration: registration.id, registeredBy: createdBy, labels: given } });
  return runner;
}

function answerOf(runner: Runner): Registered {
  return { protocol: protocolVersion, runnerId: runner.id, identifier: runner.identifier, scope: runner.scope, labels: [...runner.labels], audience: runner.accountId };
}

function madeUpName(random: (bytes: number) => Buffer): string {
  return `runner_${random(4).toString('hex')}`;
}

function makeToken(random: (bytes: number) => Buffer): string {
  return `sallyport_runner_${random(32).toString('base64url')}`;
}

/** 256 random bits need no slow hash. */
function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
