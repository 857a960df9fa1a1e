/** Recognises our own tokens and the bootstrap token. */
import type { Caller, Principal } from '#kernel/caller.ts';
import type { Recogniser } from '#kernel/manifest.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { PrincipalFacts } from '#features/access/schema.ts';
import type { Snapshots } from '#features/resources/feature.ts';
import type { Database } from '#platform/database/database.ts';
import type { Decide } from './impersonate.ts';
import { actorNow } from './impersonate.ts';
import type { KnownTokens } from './known-tokens.ts';
import type { Credential, CredentialKind } from './store.ts';
import { findById } from './store.ts';
import { isOurs, readToken } from './token-form.ts';

const bootstrap: Principal = { type: 'system', uid: 'bootstrap', path: 'bootstrap' };

interface RecogniserServices {
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly tokens: KnownTokens;
  readonly decide: Decide;
}

export function recognisers(services: RecogniserServices): Recogniser[] {
  return [
    {
      name: 'api_token',
      matches: isOurs,
      async authenticate(presented) {
        const kind = readToken(presented.token);
        const credential = kind === null ? null : await services.tokens.find(presented);
        return credential === null || credential.kind !== kind ? null : callerOf(services, credential, presented.now);
      },
      again: again(services, ['personal', 'service_account', 'impersonation']),
    },
    {
      name: 'bootstrap',
      matches: (token) => !isOurs(token) && !looksLikeJwt(token),
      async authenticate(presented) {
        if (presented.token.length < 32) return null;
        if (!(await services.tokens.hasBootstrap(presented))) return presented.admitStranger().then(() => null);
        const credential = await services.tokens.find(presented);
        return credential === null || credential.kind !== 'bootstrap' ? null : callerOf(services, credential, presented.now);
      },
      again: again(services, ['bootstrap']),
    },
  ];
}

function again(services: RecogniserServices, kinds: readonly CredentialKind[]): NonNullable<Recogniser['again']> {
  return async ({ accountId, kind, id, now }) => {
    if (!(kinds as readonly string[]).includes(kind)) return null;
    const credential = await findById(services.database.read, accountId, id);
    return credential === null || credential.kind !== kind || credential.revokedAt !== null ? null : callerOf(services, credential, now);
  };
}

export function looksLikeJwt(token: string): boolean {
  return token.startsWith('eyJ') || token.split('.').length === 3;
}

/**
 * Null when it has expired, or when its principal is gone or disabled: what a caller may do about itself asks for no
 * permission. The same goes for whoever acts as the principal.
 */
async function callerOf({ snapshots, decide }: RecogniserServices, credential: Credential, now: Date): Promise<Caller | null> {
  if (credential.expiresAt !== null && credential.expiresAt <= now) return null;
  const world = await snapshots.world(credential.accountId);
  const principal = credential.kind === 'bootstrap' ? bootstrap : principalOf(world, credential);
  const actor = credential.kind === 'impersonation' ? actorNow(decide, world, credential, now) : undefined;
  if (principal === null || actor === null) return null;
  return {
    accountId: credential.accountId,
    principal,
    credential: { kind: credential.kind, id: credential.id },
    bounds: credential.bounds,
    ...(actor === undefined ? {} : { actor }),
    mayAdminister: credential.mayAdminister,
    expiresAt: credential.expiresAt,
  };
}

function principalOf(world: World, credential: Credential): Principal | null {
  const entry = credential.principalUid === null ? undefined : world.get(credential.principalUid);
  if (entry === undefined || (entry.kind !== 'user' && entry.kind !== 'service_account') || entry.kind !== credential.principalType) return null;
  return (entry.facts as PrincipalFacts).enabled ? { type: entry.kind, uid: entry.uid, path: entryPath(entry) } : null;
}
