/** Recognises runners by the request tokens they sign, and ties a request to what its token was signed for. */
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import type { Recogniser } from '#kernel/manifest.ts';
import { resourcePath } from '#kernel/scope.ts';
import type { Snapshots } from '#features/resources/feature.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import { digestOf, isGenuine, isRequestToken, readRequestToken } from './request-token.ts';
import type { RequestTokenClaims } from './schema.ts';
import type { Runner } from './store.ts';
import { findRunner } from './store.ts';

interface Known {
  readonly runner: Runner;
  readonly claims: RequestTokenClaims;
}

/** A recogniser sees neither path nor body; what the token says of them waits here for the operation. */
const known = new WeakMap<Caller, Known>();

/** Runners whose tokens were genuine on this node, so that others at their address cannot shut them out. */
const maxMet = 10_000;

export function runnerRecogniser(services: { readonly database: Database; readonly snapshots: Snapshots }): Recogniser {
  const met = new Set<string>();
  return {
    name: 'runner',
    matches: isRequestToken,
    async authenticate({ accountId, token, now, admitStranger }) {
      const read = readRequestToken(token);
      if (read === null || read.claims.aud !== accountId || !isUuid(read.claims.iss)) return null;
      if (!met.has(read.claims.iss)) await admitStranger();
      const runner = await findRunner(services.database.read, accountId, read.claims.iss);
      if (runner === null || runner.state === 'removed' || !isGenuine(read, runner.signingKey, now)) return null;
      if (met.size >= maxMet && !met.has(runner.id)) met.delete(met.keys().next().value!);
      met.add(runner.id);
      // A runner goes with its scope.
      if (!(await services.snapshots.world(accountId)).hasScope(runner.scope)) return null;
      const caller = callerOf(runner);
      known.set(caller, { runner, claims: read.claims });
      return caller;
    },
  };
}

/** The runner that makes this call. Its token must have been signed for this path (below the account) and body. */
export function callingRunner(call: Call, path: string, body: unknown): Runner {
  const found = known.get(call.caller);
  if (found === undefined) throw refusal('access.denied', { say: 'only a runner may call this' });
  const { claims, runner } = found;
  if (claims.htu !== `/api/v1/accounts/${call.account.identifier}${path}` || claims.digest !== digestOf(body)) {
    throw refusal('credential.invalid', { because: 'the request token was signed for another request' });
  }
  return runner;
}

function callerOf(runner: Runner): Caller {
  return {
    accountId: runner.accountId,
    principal: { type: 'runner', uid: runner.id, path: resourcePath(runner.scope, runner.identifier) },
    credential: { kind: 'runner', id: runner.id },
    bounds: 'principal',
    mayAdminister: false,
    expiresAt: null,
  };
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
